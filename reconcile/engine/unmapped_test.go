package engine_test

import (
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// unmapped is a new price without a mapping.
func unmapped(r *testenv.Env) string {
	return r.World.AddPrice(r.World.AddProduct("Brand new"), "", 4900)
}

// With an unmapped item taken for an upgrade only once the old item is gone put in
// once, this went red.
func TestAUnitThatMovesToAnUnmappedPriceKeepsItsHosting(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	s := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Lines: []simulator.Line{{Price: priceFor(t, r, plans(r)[0]), Quantity: 2}}})
	r.Run(engine.Request{})
	_, err := r.World.AddItem(s.Subscription, unmapped(r), 1)
	must(t, err)
	must(t, r.World.SetQuantity(s.Subscription, s.Items[0], 1))
	r.World.Advance(2 * time.Minute)
	diff(t, "told", []string{"unmapped"}, holdKinds(r.Run(engine.Request{})))
	name := r.World.Plans()[0].Name
	diff(t, "panel", []string{name + " active", name + " active"}, panel(r))
}

// With an ended subscription judged by itself put in once, this went red.
func TestASubscriptionOnAnUnmappedPriceMayReplaceTheOldOne(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	s := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0])})
	r.Run(engine.Request{})
	fresh := unmapped(r)
	signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: fresh})
	must(t, r.World.Cancel(s.Subscription))
	r.World.Advance(2 * time.Minute)
	diff(t, "told", []string{"unmapped", "unmapped"}, holdKinds(r.Run(engine.Request{})))
	name := r.World.Plans()[0].Name
	diff(t, "panel", []string{name + " active"}, panel(r))
	r.Map(fresh, plans(r)[0])
	r.World.Advance(2 * time.Minute)
	diff(t, "once it is mapped", []string{"link applied"}, kinds(r.Run(engine.Request{})))
	diff(t, "panel", []string{name + " active"}, panel(r))
}

// A subscription for something else, which never gets a mapping, keeps no hosting active.
func TestASubscriptionForSomethingElseReplacesNothing(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: unmapped(r)})
	r.World.Advance(40 * aDay)
	s := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0])})
	r.Run(engine.Request{})
	must(t, r.World.Cancel(s.Subscription))
	r.World.Advance(2 * time.Minute)
	diff(t, "cancelled", []string{"suspend applied"}, kinds(r.Run(engine.Request{})))
}
