package engine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// lists reports whether a call lists something at the panel.
func lists(c simulator.Call) bool {
	return c.Side == simulator.Enhance && !c.Write() && (strings.HasSuffix(c.Route, "/plans") || strings.HasSuffix(c.Route, "/customers") ||
		strings.HasSuffix(c.Route, "/websites") || c.Route == "GET /orgs/{org}/customers/{customer}/subscriptions")
}

// TestAListOfPlansThatWasEmptyOnceHoldsNobodyForLong: every listing of the panel was
// empty for one full run. On a quiet site no customer was planned again until the next one.
func TestAListOfPlansThatWasEmptyOnceHoldsNobodyForLong(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	price := priceFor(t, r, plans(r)[0])
	ada := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price})
	r.Run(engine.Request{Full: true})
	r.Fail(simulator.EmptyList(), lists)
	r.World.Advance(2 * time.Minute)
	rep := r.Run(engine.Request{Full: true})
	diff(t, "held", []string{"plan_missing"}, holdKinds(rep))
	diff(t, "said", true, notes(rep, "list of plans lacks plan ") > 0)
	diff(t, "up", 1, len(live(r)))
	r.World.SetFault(nil)
	r.World.Advance(time.Minute)
	diff(t, "held in the next run", []string(nil), holdKinds(r.Run(engine.Request{})))
	r.World.Advance(time.Minute)
	before := r.Panel.Requests()
	rep = r.Run(engine.Request{})
	diff(t, "converged", true, rep.Converged())
	diff(t, "requests to a panel that is well", 0, r.Panel.Requests()-before)
	must(t, r.World.Cancel(ada.Subscription))
	r.World.Advance(time.Minute)
	r.Run(engine.Request{})
	diff(t, "up after the end", 0, len(live(r)))
}

// TestAPlanThatIsLostIsAskedForUntilItIsBack, also where no mapping names it: hostings
// are on it. What nothing of ours needs is not missed.
func TestAPlanThatIsLostIsAskedForUntilItIsBack(t *testing.T) {
	for name, c := range map[string]struct{ mapped, bound bool }{"mapped": {true, false}, "bound": {false, true}, "neither": {false, false}} {
		t.Run(name, func(t *testing.T) {
			r := testenv.New(t, testenv.Options{})
			plan := plans(r)[0]
			price := priceFor(t, r, plan)
			r.Run(engine.Request{Full: true})
			if c.bound {
				signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price})
				r.Run(engine.Request{})
			}
			if !c.mapped {
				for price := range r.Plans {
					_, err := r.Store.DeleteMapping(t.Context(), price)
					must(t, err)
				}
			}
			r.World.Advance(time.Hour)
			r.Run(engine.Request{})
			r.Fail(simulator.EmptyList(), func(call simulator.Call) bool { return strings.HasSuffix(call.Route, "/plans") })
			diff(t, "said", c.mapped || c.bound, notes(r.Run(engine.Request{Full: true}), "list of plans lacks plan ") > 0)
			asked := func() bool {
				r.World.Advance(time.Minute)
				before := r.Panel.Requests()
				r.Run(engine.Request{})
				return r.Panel.Requests() > before
			}
			for range 3 {
				diff(t, "asked", c.mapped || c.bound, asked())
			}
			r.World.SetFault(nil)
			diff(t, "asked when it is back", c.mapped || c.bound, asked())
			diff(t, "asked after it is back", false, asked())
		})
	}
}
