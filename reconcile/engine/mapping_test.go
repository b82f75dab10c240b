package engine_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// TestThePriceWinsOverItsLookupKeyAndThatOverTheProduct maps a price, its lookup key
// and its product to three plans, and takes the mappings away from the top: the
// hosting stays and follows.
func TestThePriceWinsOverItsLookupKeyAndThatOverTheProduct(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	price := r.World.AddPrice("prod_hosting", "hosting_monthly", 900)
	forms := []string{price, "hosting_monthly", "prod_hosting"}
	for _, id := range forms {
		r.World.AddPlan(0, "Plan of "+id)
	}
	// By name, and the highest last, so that no order of insertion decides.
	for _, id := range []string{"prod_hosting", "hosting_monthly", price} {
		must(t, r.Store.SetMapping(context.Background(), reconcile.Mapping{BillingID: id, Plan: "Plan of " + id}, "test", r.World.Now()))
	}
	signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price})
	for i, id := range forms {
		rep := r.Run(engine.Request{})
		want := []string{"create_org applied", "create_subscription applied", "rename_org applied", "invite_owner applied"}
		if i > 0 {
			want = []string{"change_plan applied"}
		}
		diff(t, "actions with "+id, want, kinds(rep))
		hostings := r.World.Hostings()
		if len(hostings) != 1 {
			t.Fatalf("%d hostings", len(hostings))
		}
		plans := r.World.Plans()
		at := slices.IndexFunc(plans, func(p simulator.Plan) bool { return p.ID == hostings[0].Plan })
		diff(t, "plan with "+id, "Plan of "+id, plans[at].Name)
		diff(t, "then", []string(nil), kinds(r.Run(engine.Request{})))
		_, err := r.Store.DeleteMapping(context.Background(), id)
		must(t, err)
		r.World.Advance(11 * time.Minute) // the list of plans is old by then
	}
	rep := r.Run(engine.Request{})
	diff(t, "without any, nothing is taken", []string(nil), kinds(rep))
	diff(t, "and it is said", []string{"unmapped"}, holdKinds(rep))
}
