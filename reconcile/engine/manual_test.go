package engine_test

import (
	"strings"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// TestAHoldSetBeforeAnythingIsKnownKeepsTheFirstRunsHandsOff names a customer, or a
// subscription, in an empty database: the first run that sees them does nothing for
// them, and everything for the others.
func TestAHoldSetBeforeAnythingIsKnownKeepsTheFirstRunsHandsOff(t *testing.T) {
	for name, hold := range map[string]func(simulator.SignedUp) reconcile.ManualHold{
		"a customer": func(s simulator.SignedUp) reconcile.ManualHold { return reconcile.ManualHold{Customer: s.Customer} },
		"a subscription": func(s simulator.SignedUp) reconcile.ManualHold {
			return reconcile.ManualHold{Subscription: s.Subscription}
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := testenv.New(t, testenv.Options{})
			price := priceFor(t, r, plans(r)[0])
			ada := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price})
			h := hold(ada)
			h.ID, h.Kind, h.Author, h.Created = "hold_1", reconcile.Ignore, "test", r.World.Now()
			known, err := r.Store.AddManualHold(t.Context(), h)
			must(t, err)
			if known {
				t.Error("known to an empty database")
			}
			signUp(t, r, simulator.SignUp{Email: "bob@example.com", Name: "Bob", Price: price})
			for range 2 {
				rep := r.Run(engine.Request{Full: true})
				for _, a := range rep.Actions {
					if a.Email != "bob@example.com" {
						t.Errorf("%s for %s", a.Kind, a.Email)
					}
				}
				if len(rep.Holds) == 0 || rep.Holds[0].Kind != reconcile.HoldManual || strings.Contains(rep.Holds[0].Reason, "()") {
					t.Errorf("holds: %+v", rep.Holds)
				}
			}
			if orgs := r.World.Orgs(); len(orgs) != 1 || orgs[0].Name != "Bob" {
				t.Errorf("orgs: %+v", orgs)
			}
			if _, err := r.Store.RemoveManualHold(t.Context(), "hold_1", r.World.Now()); err != nil {
				t.Fatal(err)
			}
			r.Run(engine.Request{})
			diff(t, "hostings without the hold", 2, len(r.World.Hostings()))
		})
	}
}
