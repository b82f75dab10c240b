package stripe

import (
	"net/http"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/clients/breaker"
	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
)

// TestARateThatLeavesNoRoomProvesNothingAboutStripe: only an answer shows that Stripe
// works again.
func TestARateThatLeavesNoRoomProvesNothingAboutStripe(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	guard := breaker.New("Stripe", func() time.Time { return now })
	limiter := ratelimit.New(ratelimit.Options{RPS: 1e6})
	s := always(reply{status: http.StatusInternalServerError})
	c := s.client(t, func(o *Options) { o.Breaker, o.Limiter, o.MaxAttempts = guard, limiter, 1 })
	for range 5 {
		_ = readOnce(t.Context(), c)
	}
	now = now.Add(30 * time.Second)
	limiter.Throttled(time.Hour)
	if err := readOnce(t.Context(), c); fault.Of(err) != fault.Throttled || s.requests() != 5 {
		t.Fatalf("%v after %d requests", err, s.requests())
	}
	if guard.Open() == nil {
		t.Error("Stripe is taken to work although it was not asked")
	}
}

// TestStripeInTroubleIsLeftAlone: after five failed calls, each with all its attempts,
// no more are sent. If a restricted key lacks a permission, that does not count as
// trouble.
func TestStripeInTroubleIsLeftAlone(t *testing.T) {
	now, status := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), http.StatusForbidden
	s := &stub{answer: func(int, *http.Request) reply { return reply{status: status, body: "{}"} }}
	guard := breaker.New("Stripe", func() time.Time { return now })
	c := s.client(t, func(o *Options) { o.Breaker, o.MaxAttempts = guard, 2 })
	for range 10 {
		if err := readOnce(t.Context(), c); fault.Of(err) != fault.Denied {
			t.Fatal(err)
		}
	}
	if err := guard.Open(); err != nil {
		t.Errorf("after ten refused reads: %v", err)
	}
	status = http.StatusInternalServerError
	before := len(s.seen)
	for range 7 {
		if err := readOnce(t.Context(), c); fault.Of(err) != fault.Transient {
			t.Fatal(err)
		}
	}
	if got := len(s.seen) - before; got != 5*2 {
		t.Errorf("%d requests in seven calls, want those of five", got)
	}
	now = now.Add(30 * time.Second)
	_ = readOnce(t.Context(), c)
	if got := len(s.seen) - before; got != 6*2 {
		t.Errorf("%d requests after the pause, want those of six calls", got)
	}
}
