package engine_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// clock is a clock that a test sets, as the engine reads it.
type clock struct {
	mu  sync.Mutex // guards now
	now time.Time
}

func (c *clock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

// In this test the lease is acquired once and not renewed: it shows only how long the
// writer relies on it.
//
// With each of these mistakes put in once, it went red: asking the process clock
// alone (asleep for an hour, and still the writer), asking the wall clock alone
// (set back by an hour, and the writer for an hour more).
func TestALeaseIsBelievedInOnlyWhileBothClocksSaySo(t *testing.T) {
	begun := time.Now()
	for _, test := range []struct {
		name string
		now  time.Time
		want bool
	}{
		{"a moment later", begun.Add(time.Second), true},
		{"when it could have been renewed twice", begun.Add(24 * time.Second), true},
		{"when it is nearly over", begun.Add(26 * time.Second), false},
		{"when the machine slept for an hour and the process clock with it", testenv.AfterSleep(begun, time.Hour), false},
		{"when the wall clock was set back meanwhile", testenv.AfterSleep(begun.Add(26*time.Second), -time.Hour), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &clock{now: begun}
			r := testenv.New(t, testenv.Options{Engine: func(o *engine.Options) { o.KeepLease, o.LeaseTTL, o.Now = true, 30*time.Second, c.read }})
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- r.Engine.Lead(ctx) }()
			for !r.Engine.Leading() {
				if ctx.Err() != nil {
					t.Fatal("the lease was never taken")
				}
				time.Sleep(time.Millisecond)
			}
			c.set(test.now)
			if got := r.Engine.Leading(); got != test.want {
				t.Errorf("leading: %v, want %v", got, test.want)
			}
			c.set(begun)
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestAWishForEverythingMakesTheNextRunAFullOne: a replica that does not lead, or a
// run by hand, can only leave word.
//
// With each of these mistakes put in once, it went red: a wish that is not looked for,
// one that a dry run uses up, one that is asked of Stripe as if it were an id.
func TestAWishForEverythingMakesTheNextRunAFullOne(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	r.Run(engine.Request{})
	wish := func() { must(t, r.Store.Nudge(t.Context(), []string{reconcile.NudgeAll}, "admin", r.World.Now())) }
	wish()
	for _, want := range []struct {
		req  engine.Request
		mode string
		left bool
	}{
		{engine.Request{Dry: true}, "incremental", true},
		{engine.Request{Dry: true, Full: true}, "full", true},
		{engine.Request{}, "full", false},
		{engine.Request{}, "incremental", false},
	} {
		rep := r.Run(want.req)
		diff(t, "mode", want.mode, rep.Run.Mode)
		diff(t, "partial", false, rep.Partial)
		left, err := r.Store.FullNudged(t.Context())
		must(t, err)
		diff(t, "still wanted", want.left, left)
	}
	wish()
	r.Fail(simulator.NotDone(http.StatusBadGateway), func(c simulator.Call) bool { return strings.HasPrefix(c.Path, "/v1/subscriptions") })
	if _, err := r.Engine.Run(t.Context(), engine.Request{}); err == nil {
		t.Error("a listing that failed and a run that did not")
	}
	left, err := r.Store.FullNudged(t.Context())
	must(t, err)
	diff(t, "still wanted when it failed", true, left)
}
