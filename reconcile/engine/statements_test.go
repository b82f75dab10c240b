package engine_test

import (
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// The cost of one customer for the database, from the nudge of a webhook to a run that has
// converged: SQL statements without BEGIN and COMMIT, and how often it is planned.
//
// A customer is planned again before every step: that is a promise, and the number of
// plans follows from it. The number of loads is not: no customer is loaded again
// if only this run has written since. Before that was so, the three took 254, 177 and 63.
func TestASignUpAndASuspensionTakeFewStatements(t *testing.T) {
	decides := 0
	r := testenv.New(t, testenv.Options{Engine: func(o *engine.Options) {
		o.Decide = func(c *reconcile.Customer, cat *planner.Catalog, p reconcile.Policy, now time.Time) planner.Decision {
			decides++
			return planner.Decide(c, cat, p, now)
		}
	}})
	r.Run(engine.Request{})
	price := priceFor(t, r, plans(r)[0])
	measure := func(what string, subscription string, want []string, statements int64, plans int) {
		t.Helper()
		must(t, r.Store.Nudge(t.Context(), []string{subscription}, "webhook", r.World.Now()))
		before := r.Store.Statements()
		decides = 0
		rep := r.Run(engine.Request{Trigger: "webhook"})
		diff(t, what, want, kinds(rep))
		if !rep.Converged() {
			t.Errorf("%s: not converged: %+v", what, rep.Holds)
		}
		if got := r.Store.Statements() - before; got != statements || decides != plans {
			t.Errorf("%s took %d statements and %d plans, and is pinned at %d and %d: if a step was added or saved on purpose, "+
				"write the new numbers here and say in the commit what they are for", what, got, decides, statements, plans)
		}
	}
	ada := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Name: "Ada", Price: price})
	measure("a sign-up", ada.Subscription, []string{"create_org applied", "create_subscription applied", "rename_org applied", "invite_owner applied"}, 123, 9)
	must(t, r.World.MarkUnpaid(ada.Subscription))
	r.World.Advance(2 * time.Minute)
	measure("a suspension", ada.Subscription, []string{"suspend applied"}, 95, 5)
	r.World.Advance(2 * time.Minute)
	measure("a run that finds nothing", ada.Subscription, nil, 43, 0)
}
