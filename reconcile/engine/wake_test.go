package engine_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// TestAHoldThatIsSetWhileARunIsPlanningIsNotForgotten: a run has loaded Ada and is
// busy with Bob when a person sets a hold for Ada and the dashboard reads her. What
// the run then saves of Ada knows nothing of the hold, so she stays due.
//
// With a version that is not carried from loading to saving, this
// went red: the hold counted in the next full run at the earliest.
func TestAHoldThatIsSetWhileARunIsPlanningIsNotForgotten(t *testing.T) {
	databases(t, func(t *testing.T, url string) {
		r := testenv.New(t, testenv.Options{Database: fresh(t, url)})
		r.Run(engine.Request{})
		price := priceFor(t, r, plans(r)[0])
		ada := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price})
		r.Converge(10)
		bob := signUp(t, r, simulator.SignUp{Email: "bob@example.com", Price: price})
		r.World.SetFault(onlyFirst(createOrg, simulator.Lost(false)))
		_, _ = r.Try(engine.Request{})
		r.World.Advance(2 * time.Minute)

		for _, id := range []string{ada.Subscription, bob.Subscription} { // a person looks at both
			_, err := r.Store.Retry(t.Context(), id, r.World.Now())
			must(t, err)
		}
		var once sync.Once
		r.World.SetFault(func(c simulator.Call) simulator.Fault {
			if c.Route == "GET /orgs/{org}/customers" { // the look for Bob's lost write
				once.Do(func() {
					_, err := r.Store.AddManualHold(t.Context(), reconcile.ManualHold{ID: "hold_1", Customer: ada.Customer,
						Kind: reconcile.Ignore, Author: "test", Created: r.World.Now()})
					must(t, err)
					seen, err := r.Store.FindCustomers(t.Context(), reconcile.CustomerLookup{StripeCustomer: ada.Customer}, 1)
					must(t, err)
					diff(t, "customers read meanwhile", 1, len(seen))
				})
			}
			return simulator.Fault{Honest: true}
		})
		first := r.Run(engine.Request{})
		if manual(first) {
			t.Fatal("the run already knew of the hold, so this test shows nothing")
		}
		r.World.Advance(time.Second)
		if !manual(r.Run(engine.Request{})) {
			t.Error("the hold was forgotten: no run looked at its customer again")
		}
	})
}

func manual(rep reconcile.Report) bool {
	return slices.ContainsFunc(rep.Holds, func(h reconcile.Hold) bool { return h.Kind == reconcile.HoldManual })
}

// TestWhatWasAskedForOutlivesTheProcessThatWasGoingToLook: a process takes the
// nudges and dies before it has read anything.
//
// With nudges that are removed when they are taken, this went red: no run looked.
func TestWhatWasAskedForOutlivesTheProcessThatWasGoingToLook(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	ada := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0])})
	r.Converge(10)
	must(t, r.World.MarkUnpaid(ada.Subscription))
	r.World.SetFault(func(c simulator.Call) simulator.Fault {
		if c.Route == "GET /v1/events" { // else these would show it as well
			return simulator.EmptyList()
		}
		return simulator.Fault{Honest: true}
	})
	for _, asked := range []string{ada.Subscription, reconcile.NudgeAll} {
		must(t, r.Store.Nudge(t.Context(), []string{asked}, "admin", r.World.Now()))
		tok, _, _, err := r.Store.Acquire(t.Context(), "one that dies "+asked, r.World.Now(), 30*time.Second)
		must(t, err)
		taken, err := r.Store.TakeNudges(t.Context(), tok, time.Time{})
		must(t, err)
		diff(t, "taken by the one that dies", []string{asked}, taken)
		r.World.Advance(time.Minute)
		rep := r.Run(engine.Request{})
		if asked == reconcile.NudgeAll {
			diff(t, "mode", "full", rep.Run.Mode)
		} else {
			diff(t, "done", []string{"suspend applied"}, kinds(rep))
		}
		left, err := r.Store.NudgesWaiting(t.Context())
		must(t, err)
		diff(t, "nudges left", false, left)
	}
}
