package store

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// account is a Stripe account with any number of subscriptions, newest first, that keeps
// none of them in memory. The objects are the simulator's, with ids, times and e-mails of
// their own. The ids are as scattered as Stripe's, because the cost of an index depends
// on that.
type account struct {
	n         int
	newest    int64
	templates [][]segment
}

// segment is a piece of an object and the value that follows it.
type segment struct {
	text string
	then byte // one of holes; 0: the end
}

// The values that differ between subscriptions, as they stand in a template.
const (
	holeSubscription = 1 + iota
	holeCustomer
	holeItem
	holeCreated
	holeEmail
)

// second is the distance in time between two subscriptions.
const second = 60

func newAccount(tb testing.TB, n int) *account {
	tb.Helper()
	const templates = 100
	w := simulator.New(simulator.Options{Calm: true})
	w.Populate(templates, simulator.Mix{Plain: true})
	r, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, "http://stripe.sim/v1/subscriptions?status=all&limit=100&expand[0]=data.customer", nil)
	if err != nil {
		tb.Fatal(err)
	}
	r.SetBasicAuth(w.StripeKey(), "")
	answer, err := w.Transport().RoundTrip(r)
	if err != nil {
		tb.Fatal(err)
	}
	var page struct{ Data []json.RawMessage }
	if err := json.NewDecoder(answer.Body).Decode(&page); err != nil || len(page.Data) != templates {
		tb.Fatalf("%d templates, %v", len(page.Data), err)
	}
	a := &account{n: n, newest: time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC).Unix()}
	for _, object := range page.Data {
		a.templates = append(a.templates, cut(tb, object))
	}
	return a
}

// cut makes a template of an object.
func cut(tb testing.TB, object []byte) []segment {
	tb.Helper()
	var known struct {
		ID       string
		Created  int64
		Customer struct{ ID, Email string }
		Items    struct{ Data []struct{ ID string } }
	}
	if err := json.Unmarshal(object, &known); err != nil {
		tb.Fatal(err)
	}
	text := strings.NewReplacer(known.ID, string(rune(holeSubscription)), known.Customer.ID, string(rune(holeCustomer)),
		known.Items.Data[0].ID, string(rune(holeItem)), strconv.FormatInt(known.Created, 10), string(rune(holeCreated)),
		known.Customer.Email, string(rune(holeEmail))).Replace(string(object))
	var segments []segment
	for {
		i := strings.IndexFunc(text, func(r rune) bool { return r < ' ' })
		if i < 0 {
			return append(segments, segment{text: text})
		}
		segments = append(segments, segment{text[:i], text[i]})
		text = text[i+1:]
	}
}

// Odd factors, so that their products scatter and differ; the inverse of the first finds
// a cursor again.
const (
	scatter  = 0x9E3779B97F4A7C15
	gather   = 0xF1DE83E19937733D
	scatter2 = 0xD1B54A32D192ED03
	scatter3 = 0x8CB92BA72F3D8DD7
)

// appendScattered writes a number as part of an id.
func appendScattered(b []byte, x uint64) []byte {
	const digits = "0123456789abcdefghijklmnopqrstuv"
	for shift := 60; shift >= 0; shift -= 5 {
		b = append(b, digits[x>>shift&31])
	}
	return b
}

func (a *account) write(b []byte, i int) []byte {
	at := uint64(i + 1)
	for _, s := range a.templates[i%len(a.templates)] {
		b = append(b, s.text...)
		switch s.then {
		case holeSubscription:
			b = appendScattered(append(b, "sub_1"...), at*scatter)
		case holeCustomer:
			b = appendScattered(append(b, "cus_"...), at*scatter2)
		case holeItem:
			b = appendScattered(append(b, "si_"...), at*scatter3)
		case holeCreated:
			b = strconv.AppendInt(b, a.newest-int64(i)*second, 10)
		case holeEmail:
			b = append(appendScattered(b, at*scatter3), "@example.com"...)
		}
	}
	return b
}

// page writes up to limit subscriptions from from, of those before to.
func (a *account) page(from, to, limit int) []byte {
	end := min(to, from+limit)
	b := make([]byte, 0, 400_000)
	b = append(b, `{"object":"list","data":[`...)
	for i := from; i < end; i++ {
		if i > from {
			b = append(b, ',')
		}
		b = a.write(b, i)
	}
	b = append(b, `],"has_more":`...)
	return append(strconv.AppendBool(b, end < to), `,"url":"/v1/subscriptions"}`...)
}

// makeAll makes every page once.
func (a *account) makeAll() error {
	for from := 0; from < a.n; from += 100 {
		a.page(from, a.n, 100)
	}
	return nil
}

// RoundTrip answers a page of the listing.
func (a *account) RoundTrip(r *http.Request) (*http.Response, error) {
	q := r.URL.Query()
	from, to := a.since(q, "created[lte]", math.MaxInt64, 0), a.since(q, "created[gte]", 1, 1)
	if cursor, ok := strings.CutPrefix(q.Get("starting_after"), "sub_1"); ok {
		x, err := strconv.ParseUint(cursor, 32, 64)
		if err != nil {
			return nil, err
		}
		from = int(x * gather)
	}
	limit, err := strconv.Atoi(q.Get("limit"))
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}, "Date": {time.Unix(a.newest, 0).UTC().Format(http.TimeFormat)}},
		Body:   io.NopCloser(bytes.NewReader(a.page(from, max(from, to), limit)))}, nil
}

// since is the first subscription that was created at a parameter less some seconds, or
// before.
func (a *account) since(q url.Values, parameter string, missing, less int64) int {
	at := missing
	if text := q.Get(parameter); text != "" {
		at, _ = strconv.ParseInt(text, 10, 64)
	}
	if at -= less; at >= a.newest {
		return 0
	}
	return min(a.n, int((a.newest-at+second-1)/second))
}
