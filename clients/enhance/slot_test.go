package enhance

import (
	"net/http"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/clients/breaker"
	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

type panics struct{}

func (panics) RoundTrip(*http.Request) (*http.Response, error) { panic("CANARY") }

// A run that panics while it reads goes on with the next customer. If the slot of the
// request stayed taken, a few of these would stop every request for good.
//
// With this mistake put in once, it went red: the slot is released after the attempt and
// not by defer.
func TestAPanicReleasesItsSlot(t *testing.T) {
	limiter := ratelimit.New(ratelimit.Options{RPS: 1e6, Concurrency: 2})
	c, err := New(Options{BaseURL: "http://panel.example/api", Token: secret.New("token-of-a-test"), Org: "0a1b2c3d-0000-4000-8000-000000000000",
		Transport: panics{}, Limiter: limiter, Breaker: breaker.New("Enhance", time.Now)})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := fault.Guard(func() error { _, err := c.Plans(t.Context()); return err }); err == nil || limiter.Inflight() != 0 {
			t.Fatalf("%v, and %d slots are taken", err, limiter.Inflight())
		}
	}
}
