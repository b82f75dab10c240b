package engine_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// TestAHoldBetweenTwoStepsStopsTheSecond: a person sets a hold while the org of a new
// customer is being made. The run knows the customer and has changed nothing else since,
// and still does not make the hosting.
//
// With a customer that is known without asking for its version, this went red.
func TestAHoldBetweenTwoStepsStopsTheSecond(t *testing.T) {
	databases(t, func(t *testing.T, url string) {
		for _, by := range []string{"a subscription", "a customer"} {
			t.Run(by, func(t *testing.T) {
				r := testenv.New(t, testenv.Options{Database: fresh(t, url)})
				r.Run(engine.Request{})
				ada := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0])})
				hold := reconcile.ManualHold{ID: "hold_1", Customer: ada.Customer, Kind: reconcile.Ignore, Author: "test", Created: r.World.Now()}
				if by == "a subscription" {
					hold.Customer, hold.Subscription = "", ada.Subscription
				}
				var once sync.Once
				r.World.SetFault(func(c simulator.Call) simulator.Fault {
					if c.Route == createOrg {
						once.Do(func() {
							_, err := r.Store.AddManualHold(t.Context(), hold)
							must(t, err)
						})
					}
					return simulator.Fault{Honest: true}
				})
				rep := r.Run(engine.Request{})
				if done := kinds(rep); !slices.Contains(done, "create_org applied") || slices.Contains(done, "create_subscription applied") || !manual(rep) {
					t.Errorf("done %v, held by hand: %v", done, manual(rep))
				}
			})
		}
	})
}
