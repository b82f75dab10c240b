package simtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// many is the least number of hostings in a large order: more than one customer plausibly
// orders, and more than most limits.
const many = 11

// largeOrders adds orders that are too large, and the acts of other customers while these
// wait. It has random numbers of its own, so that the rest of a seed's history is the same
// with and without it.
func largeOrders(s *Scenario, people int, id func() int) {
	dice := rand.New(rand.NewPCG(s.Seed, 0x1a56e))
	if dice.IntN(3) > 0 {
		return
	}
	at := 1 + dice.IntN(len(s.Steps))
	add := func(steps ...Step) {
		for i := range steps {
			steps[i].ID = id()
			s.Steps = slices.Insert(s.Steps, at, steps[i])
			at++
		}
	}
	wait, run := Step{Kind: Wait, Wait: 2 * time.Minute}, Step{Kind: Run}
	add(Step{Kind: OrderMany, Who: dice.IntN(people), Pick: dice.IntN(20)}, wait, run)
	for range dice.IntN(4) {
		switch who := dice.IntN(people); dice.IntN(6) {
		case 0:
			add(Step{Kind: Cancel, Who: who}, wait, run)
		case 1:
			add(Step{Kind: Quantity, Who: who, Pick: dice.IntN(8)}, wait, run)
		case 2:
			add(Step{Kind: Approve})
		case 3:
			add(Step{Kind: ChangePrice, Who: who, Pick: dice.IntN(3)}, wait, run)
		default:
			add(Step{Kind: SignUp, Who: who, Pick: dice.IntN(64)}, wait, run)
		}
		at = min(len(s.Steps), at+dice.IntN(3))
	}
}

// orderMany is an order of more than one customer plausibly orders.
func (y *play) orderMany(st Step) error {
	o := simulator.SignUp{Email: address(st.Who), Name: strings.ToUpper(people[st.Who%len(people)]), Guest: true,
		Customer: y.registered[st.Who], Lines: []simulator.Line{{Price: y.prices[st.Pick%3], Quantity: int64(many + st.Pick)}}}
	guest := o.Customer == ""
	done, err := y.world.SignUp(o)
	if err == nil {
		y.ordered(done.Customer, st.Who, guest)
	}
	return err
}

// shown reads, when a run begins, the changes that every held plan shows.
func (y *play) shown(p *process) {
	if p.number == second {
		return
	}
	plans, err := p.store.HeldPlans(context.Background(), p.now(), false)
	if err != nil {
		return // the waiting plans are not known, and the run will fail too
	}
	y.waiting = map[string]string{}
	kinds := map[reconcile.ActionKind]string{}
	for _, plan := range plans {
		if other := kinds[plan.Kind]; other != "" {
			y.violated(HeldWaits, "plans %s and %s of kind %s wait at one time", other, plan.ID, plan.Kind)
		}
		kinds[plan.Kind] = plan.ID
		for _, a := range plan.Actions {
			y.waiting[change(a)] = plan.ID
		}
	}
}

// approved removes the changes that a person has released from those that wait.
func (y *play) approved(plan reconcile.HeldPlan) {
	for _, a := range plan.Actions {
		delete(y.waiting, change(a))
	}
}

// change names the effect of an action at the panel, in the panel's words.
func change(a reconcile.Action) string {
	switch a.Kind {
	case reconcile.CreateSubscription:
		return fmt.Sprintf("%s/%d on plan %d", a.Subscription, a.Slot, a.Plan)
	case reconcile.Suspend:
		return fmt.Sprintf("suspend %d", a.Hosting)
	case reconcile.Terminate:
		return fmt.Sprintf("delete_subscription %d", a.Hosting)
	case reconcile.ChangePlan:
		return fmt.Sprintf("change_plan %d to %d", a.Hosting, a.Plan)
	case reconcile.InviteOwner:
		return "owner of " + strings.TrimPrefix(a.ID, "invite_owner:")
	case reconcile.CreateOrg:
		return "org of " + a.Customer
	case reconcile.Link, reconcile.Resume, reconcile.RenameOrg, reconcile.CreateWebsite, reconcile.InstallApp, reconcile.WriteMetadata, reconcile.Backup:
	}
	return a.ID
}

// heldWaits checks that an effect did not wait for approval when the run began, or was
// approved since.
func (y *play) heldWaits(p *process, e simulator.Effect) {
	if p == nil || p.number == second || e.Late {
		return
	}
	what := ""
	switch e.Kind {
	case "create_subscription":
		what = e.Subscription + "/" + e.Unit + " on plan " + strconv.Itoa(e.After.Plan)
	case "suspend", "delete_subscription":
		what = fmt.Sprintf("%s %d", e.Kind, e.Hosting)
	case "change_plan":
		what = fmt.Sprintf("%s %d to %d", e.Kind, e.Hosting, e.After.Plan)
	case "create_org":
		what = "org of " + y.orgs[e.Org]
	case "invite_owner", "set_owner":
		for _, o := range y.world.Orgs() {
			for _, m := range o.Members {
				if o.ID == e.Org && m.ID == e.Object {
					what = "owner of " + y.orgs[e.Org] + ":" + reconcile.EmailKey(m.Email)
				}
			}
		}
	}
	if plan := y.waiting[what]; plan != "" {
		y.violated(HeldWaits, "%s, which waited for the approval of plan %s", what, plan)
	}
}
