package engine_test

import (
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// hold sets a hold by hand on a subscription.
func hold(t *testing.T, r *testenv.Env, sub string, kind reconcile.ManualKind) {
	t.Helper()
	_, err := r.Store.AddManualHold(t.Context(), reconcile.ManualHold{ID: "hold_" + kind.String(), Kind: kind, Subscription: sub,
		Reason: "abuse", Author: "test", Created: r.World.Now()})
	must(t, err)
}

// With a hold that stands for the present binding alone put in once, this went red.
func TestAHoldOnASubscriptionOutlivesIt(t *testing.T) {
	for _, kind := range []reconcile.ManualKind{reconcile.KeepSuspended, reconcile.Ignore} {
		t.Run(kind.String(), func(t *testing.T) {
			r := testenv.New(t, testenv.Options{})
			price := priceFor(t, r, plans(r)[0])
			s := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price})
			r.Run(engine.Request{})
			must(t, r.World.Cancel(s.Subscription))
			r.World.Advance(2 * time.Minute)
			diff(t, "cancelled", []string{"suspend applied"}, kinds(r.Run(engine.Request{})))
			hold(t, r, s.Subscription, kind)
			signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price})
			rep := r.Run(engine.Request{})
			diff(t, "actions when the customer is back", []string(nil), kinds(rep))
			for _, k := range holdKinds(rep) {
				diff(t, "hold", "manual", k)
			}
			diff(t, "panel", []string{r.World.Plans()[0].Name + " suspended"}, panel(r))
		})
	}
}

// A person who is quicker than the run is obeyed by it.
func TestAHoldThatComesWhileTheRunIsUnderWayIsObeyed(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	s := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0])})
	r.Run(engine.Request{})
	must(t, r.World.MarkUnpaid(s.Subscription))
	r.World.Advance(2 * time.Minute)
	asked := false
	r.World.SetFault(func(c simulator.Call) simulator.Fault {
		if c.Route == "GET /v1/prices/{id}" && !asked { // the last gate: everything is planned
			asked = true
			hold(t, r, s.Subscription, reconcile.NoSuspend)
		}
		return simulator.Fault{}
	})
	rep := r.Run(engine.Request{})
	diff(t, "the gate asked", true, asked)
	diff(t, "actions", []string{"suspend superseded"}, kinds(rep))
	diff(t, "panel", []string{r.World.Plans()[0].Name + " active"}, panel(r))
}

// The hosting of a subscription under a hold serves another one by now, which ends
// too. With the hosting known by its present binding alone put in once, this went red.
func TestAHoldOnASubscriptionGoesWithItsHosting(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	price := priceFor(t, r, plans(r)[0])
	s := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price})
	r.Run(engine.Request{})
	hold(t, r, s.Subscription, reconcile.NoSuspend)
	must(t, r.World.Cancel(s.Subscription))
	r.World.Advance(2 * time.Minute)
	diff(t, "cancelled", []string(nil), kinds(r.Run(engine.Request{})))
	back := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price})
	diff(t, "back", []string{"link applied"}, kinds(r.Run(engine.Request{})))
	must(t, r.World.Cancel(back.Subscription))
	r.World.Advance(2 * time.Minute)
	rep := r.Run(engine.Request{})
	diff(t, "cancelled again", []string(nil), kinds(rep))
	diff(t, "told", []string{"manual"}, holdKinds(rep))
}
