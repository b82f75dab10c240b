package stripe

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// FuzzPage checks a sweep against a server whose only page may be anything. The sweep
// fails as malformed, or it has exactly the subscriptions on the page and names those
// it passed over. The expected result is computed without the decoder.
func FuzzPage(f *testing.F) {
	f.Add([]byte(page(false, goodSubscription)))
	f.Add([]byte(page(false)))
	f.Add([]byte(page(true, goodSubscription)))
	f.Add([]byte(`{}`))
	f.Add([]byte(`null`))
	f.Add([]byte(`{"object":"list","data":[null],"has_more":false}`))
	f.Add([]byte(`{"object":"list","data":[],"has_more":true}`))
	f.Add([]byte(strings.Replace(page(false, goodSubscription), "cus_1", "\\u0000", 1)))
	f.Fuzz(func(t *testing.T, body []byte) {
		// Further pages end the list, so that has_more has a consequence.
		s := inTurn(reply{body: string(body)}, reply{body: page(false)})
		count := 0
		listing, err := s.client(t, func(o *Options) { o.Concurrency = 1 }).Sweep(t.Context(), func(p []reconcile.SubscriptionFacts) error {
			count += len(p)
			return nil
		})
		if err != nil {
			if fault.Of(err) != fault.Malformed && !strings.Contains(err.Error(), "subscription_items") {
				t.Fatalf("error %v of kind %v", err, fault.Of(err))
			}
			return
		}
		var loose struct {
			Data []struct {
				ID string `json:"id"`
			} `json:"data"`
		}
		if err := json.Unmarshal(body, &loose); err != nil {
			t.Fatalf("accepted what is not even JSON: %v", err)
		}
		if listing.Count != count || count+len(listing.PassedOver) != len(loose.Data) {
			t.Fatalf("listed %d, staged %d of %d", listing.Count, count, len(loose.Data))
		}
	})
}

// FuzzWebhook checks that a header is accepted only if it has a signature made with the
// secret.
func FuzzWebhook(f *testing.F) {
	good := signedHeader(hookBody, hookSecret, hookTime)
	f.Add([]byte(hookBody), good)
	f.Add([]byte(hookBody), "t=1,v1=00,v1=")
	f.Add([]byte(``), "")
	f.Add([]byte(`{}`), good+",t=1")
	f.Add([]byte(hookBody), strings.ToUpper(good))
	f.Fuzz(func(t *testing.T, body []byte, header string) {
		hint, err := VerifyWebhook(body, header, hookKeys, hookTime)
		if err != nil {
			if fault.Of(err) != fault.Permanent || strings.Contains(err.Error(), hookSecret) || hint != (EventHint{}) {
				t.Fatalf("hint %+v, error %v", hint, err)
			}
			return
		}
		at, err := signedAt(header)
		if err != nil || at.Sub(hookTime).Abs() > webhookTolerance {
			t.Fatalf("accepted with the time %v: %v", at, err)
		}
		_, rest, _ := strings.Cut(header, "t=")
		stamp, _, _ := strings.Cut(rest, ",")
		if !strings.Contains(strings.ToLower(header), mac(string(body), hookSecret, stamp)) {
			t.Fatalf("accepted without a signature: %q", header)
		}
	})
}

// FuzzRetryAfter checks that no header makes a call wait longer than it can bear.
func FuzzRetryAfter(f *testing.F) {
	f.Add("7", "")
	f.Add("-1", "")
	f.Add("9223372036854775807", "")
	f.Add("Mon, 02 Mar 2026 09:00:00 GMT", "Mon, 02 Mar 2026 08:59:00 GMT")
	f.Fuzz(func(t *testing.T, after, date string) {
		a := reply{header: map[string]string{"Retry-After": after, "Date": date}}
		wait, ok := ratelimit.RetryAfter(a.response().Header, hookTime, maxRetryAfter)
		if wait < 0 || wait > maxRetryAfter || !ok && wait != 0 {
			t.Fatalf("%v, %v", wait, ok)
		}
		if got := backoff(func() time.Time { return hookTime })(time.Millisecond, time.Second, 3, a.response()); got < 0 || got > maxRetryAfter {
			t.Fatalf("back-off %v", got)
		}
	})
}
