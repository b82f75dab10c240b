package engine_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// invitations counts those that were sent to an org.
func invitations(r *testenv.Env, org string) (n int) {
	for _, e := range r.World.Effects() {
		if e.Kind == "invite_owner" && e.Org == org {
			n++
		}
	}
	return n
}

// heldOf is the held actions of a customer in a report, without creations.
func heldOf(rep reconcile.Report, customer string) (ids []string) {
	for _, a := range rep.Actions {
		if a.Customer == customer && a.State == reconcile.ActionHeld && a.Kind != reconcile.CreateSubscription {
			ids = append(ids, a.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// TestWhatIsHeldStaysHeldWhileWhatWasMadeIsBoundAgain: an order was approved and made, up
// to the name of its org and the invitation, and the database is put back to before. It is
// held again, then the org is found. While that is bound the name and the invitation
// are not decided yet: they left the plan, and were done without an approval.
func TestWhatIsHeldStaysHeldWhileWhatWasMadeIsBoundAgain(t *testing.T) {
	r, file := onFile(t)
	price := priceFor(t, r, plans(r)[0])
	signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price})
	r.Run(engine.Request{Full: true})
	putBack := keepDatabase(t, r, file)
	large := signUp(t, r, simulator.SignUp{Email: "large@example.com", Lines: []simulator.Line{{Price: price, Quantity: 30}}})
	r.Approve(later(r))
	r.World.SetFault(func(c simulator.Call) simulator.Fault {
		if c.Route == "PATCH /orgs/{org}" {
			return simulator.NotDone(503)
		}
		return simulator.Fault{}
	})
	later(r)
	r.World.SetFault(nil)
	diff(t, "hostings that were made", 31, len(r.World.Hostings()))
	org := r.World.Hostings()[30].Org
	putBack()
	signUp(t, r, simulator.SignUp{Email: "bob@example.com", Price: price})
	waits := []string{"invite_owner:" + large.Customer + ":large@example.com", "rename_org:" + large.Customer}
	diff(t, "held again", append([]string{"create_org:" + large.Customer}, waits...), heldOf(later(r), large.Customer))
	r.World.Advance(2 * time.Minute)
	dry := r.Run(engine.Request{Dry: true})
	bound := r.Run(engine.Request{})
	diff(t, "what the plan shows as held", waits, heldOf(dry, large.Customer))
	diff(t, "what is held once it is bound", waits, heldOf(bound, large.Customer))
	diff(t, "invitations without an approval", 0, invitations(r, org))
	still := onePlan(t, later(r))
	diff(t, "what waits then", 2, still.Size())
	r.Approve(reconcile.Report{Plans: []reconcile.HeldPlan{still}})
	rep := later(r)
	diff(t, "invitations once it is approved", 1, invitations(r, org))
	diff(t, "plans, hostings", []int{0, 32}, []int{len(rep.Plans), len(r.World.Hostings())})
}

// TestAnAnswerThatIsLostTakesNothingBackFromAnApproval: while it is not known whether one
// hosting of an approved order was made, no other one is: they are not wanted less.
func TestAnAnswerThatIsLostTakesNothingBackFromAnApproval(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	signUp(t, r, simulator.SignUp{Email: "large@example.com", Lines: []simulator.Line{{Price: priceFor(t, r, plans(r)[0]), Quantity: 30}}})
	r.Approve(later(r))
	creates := 0
	r.World.SetFault(func(c simulator.Call) simulator.Fault {
		if c.Route == "POST /orgs/{org}/customers/{customer}/subscriptions" {
			if creates++; creates == 5 {
				return simulator.LateBy(30 * time.Second)
			}
		}
		return simulator.Fault{}
	})
	rep := later(r)
	if !slices.Contains(kinds(rep), "create_subscription ambiguous") {
		t.Fatalf("no answer was lost: %v", kinds(rep))
	}
	rep = r.Converge(4)
	diff(t, "plans that wait, hostings", []int{0, 30}, []int{len(rep.Plans), len(r.World.Hostings())})
}
