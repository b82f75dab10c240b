package simulator

import (
	"io"
	"net/http"
	"testing"
)

// BenchmarkPage reads one page of a hundred subscriptions out of the middle of a
// hundred thousand, because a sweep consists mostly of such pages.
func BenchmarkPage(b *testing.B) {
	w := New(Options{Calm: true})
	w.Populate(100_000, Mix{})
	subs := w.Subscriptions()
	transport := w.Transport()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		cursor := subs[len(subs)-1-(i*100)%90_000].ID
		r, err := http.NewRequest(http.MethodGet, "http://stripe.sim/v1/subscriptions?status=all&limit=100&expand[0]=data.customer&starting_after="+cursor, nil)
		if err != nil {
			b.Fatal(err)
		}
		r.SetBasicAuth(w.StripeKey(), "")
		res, err := transport.RoundTrip(r)
		if err != nil {
			b.Fatal(err)
		}
		n, err := io.Copy(io.Discard, res.Body)
		if err != nil || res.StatusCode != http.StatusOK {
			b.Fatal(res.Status, err)
		}
		b.SetBytes(n)
	}
}
