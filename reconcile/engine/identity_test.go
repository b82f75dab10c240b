package engine_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// TestWhatIsReadByAWrongClockIsDatedByStripes: a listing counts less than the readings
// by id after it, and retries, grace and the order of runs go by these dates too.
//
// With each of these mistakes put in once, it went red: a listing, or a reading by
// id, dated by our own clock; a first run for one subscription that never asks what
// time it is; a run that began by our own clock.
func TestWhatIsReadByAWrongClockIsDatedByStripes(t *testing.T) {
	for name, off := range map[string]time.Duration{"ahead": 20 * time.Hour, "behind": -20 * time.Hour} {
		for what, request := range map[string]func(sub string) engine.Request{
			"a listing":        func(string) engine.Request { return engine.Request{Full: true} },
			"one subscription": func(sub string) engine.Request { return engine.Request{Subscriptions: []string{sub}} },
		} {
			t.Run(name+", "+what, func(t *testing.T) {
				r := testenv.New(t, testenv.Options{Skew: off})
				s := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: unmapped(r)})
				rep := r.Run(request(s.Subscription))
				found, err := r.Store.Customers(t.Context(), []string{s.Customer})
				must(t, err)
				for what, at := range map[string]time.Time{"facts": found[0].Subscriptions[0].ReadAt, "run": rep.Run.Started} {
					if wrong := at.Sub(r.World.Now()); wrong.Abs() > time.Minute {
						t.Errorf("the %s: dated wrong by %s", what, wrong)
					}
				}
			})
		}
	}
}

// TestATokenThatIsGoodForNothingEndsTheRun: three refusals in comparing may be about
// three orgs, and then the token lists the plans all the same.
func TestATokenThatIsGoodForNothingEndsTheRun(t *testing.T) {
	r, _ := forty(t, func(o *engine.Options) { o.Concurrency = 1 }) // several could be underway when it is noticed
	r.World.Advance(25 * time.Hour)
	r.Fail(simulator.NotDone(http.StatusUnauthorized), func(c simulator.Call) bool { return c.Side == simulator.Enhance })
	rep, err := r.Try(engine.Request{})
	if err == nil {
		t.Error("the token is refused everywhere, and the run has not failed")
	}
	if n := rep.Run.EnhanceCalls; n > 20 {
		t.Errorf("%d requests with a token that is good for nothing", n)
	}
}
