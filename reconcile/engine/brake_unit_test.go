package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// suspensions is n actions that take something away, each of another customer.
func suspensions(n int) []reconcile.Action {
	var all []reconcile.Action
	for i := range n {
		all = append(all, reconcile.Action{ID: fmt.Sprintf("suspend:%d", i+1), Kind: reconcile.Suspend,
			Customer: fmt.Sprintf("cus_%d", i+1), Subscription: fmt.Sprintf("sub_%d", i+1), Hosting: int64(i + 1)})
	}
	return all
}

// braked is a brake after it has judged actions, and the actions that it then holds.
func braked(b *brake, d done, bound int, needsApproval string, actions ...reconcile.Action) (held []string, plans []reconcile.HeldPlan) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, a := range actions {
		b.expect(a.Brake())
	}
	for _, a := range actions {
		b.count(a)
	}
	holds := false
	for _, kind := range brakeOrder {
		holds = b.judge(kind, d, bound, needsApproval) || holds
	}
	if holds {
		b.startCollecting()
		for _, a := range actions {
			b.collect(a)
		}
		for _, kind := range brakeOrder {
			b.plan(kind, now, false)
		}
	}
	for _, a := range actions {
		if b.holds(a) {
			held = append(held, a.ID)
		}
	}
	return held, b.plans
}

func takesAway(a reconcile.Action) bool { return a.Kind == reconcile.Suspend }

func TestABrakeHoldsAllOfAKindThatIsTooMuch(t *testing.T) {
	for _, test := range []struct {
		name    string
		planned int
		done    int
		held    int
	}{
		{"as many as the limit", 5, 0, 0},
		{"one more", 6, 0, 6},
		{"few, on a day with many", 1, 12, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBrake(planner.DefaultBrakes(), takesAway)
			held, plans := braked(b, done{actions: test.done}, 100, "", suspensions(test.planned)...)
			if len(held) != test.held || b.removals() != test.planned {
				t.Errorf("held %v; %d removals", held, b.removals())
			}
			if test.held > 0 && (len(plans) != 1 || plans[0].Size() != test.held || plans[0].Version != 1 || b.planOf(reconcile.Suspend) != plans[0].ID) {
				t.Errorf("plans: %+v", plans)
			}
			if got := b.releases("cus_1"); got != (test.held == 0) {
				t.Errorf("released: %v", got)
			}
		})
	}
}

func TestWhatStandsInAPlanIsHeldUntilItIsApproved(t *testing.T) {
	actions := suspensions(2)
	b := newBrake(planner.DefaultBrakes(), takesAway)
	b.last = map[reconcile.ActionKind]reconcile.HeldPlan{reconcile.Suspend: {ID: "plan_1", Version: 3, Kind: reconcile.Suspend, Reason: "too many"}}
	b.addStanding(reconcile.HeldAction{Action: actions[0], Plan: "plan_1", Brake: reconcile.Suspend})
	held, plans := braked(b, done{}, 100, "", actions...)
	if len(held) != 1 || held[0] != actions[0].ID || len(plans) != 1 || plans[0].ID != "plan_1" || plans[0].Version != 3 {
		t.Errorf("held %v in %+v", held, plans)
	}
	approved := newBrake(planner.DefaultBrakes(), takesAway)
	approved.addStanding(reconcile.HeldAction{Action: actions[0], Plan: "plan_1", Brake: reconcile.Suspend, Released: true})
	if held, _ := braked(approved, done{}, 100, "", actions...); len(held) != 0 || approved.approved[actions[0].ID] != "plan_1" {
		t.Errorf("held although it was approved: %v", held)
	}
	another := actions[0]
	another.ID = "suspend:1 again"
	if !approved.holds(another) {
		t.Error("another version of what was approved is not held")
	}
}

func TestNumbersThatLookWrongHoldOnlyRemovals(t *testing.T) {
	change := reconcile.Action{ID: "change_plan:9", Kind: reconcile.ChangePlan, Customer: "cus_9", Hosting: 9}
	b := newBrake(planner.DefaultBrakes(), takesAway)
	held, plans := braked(b, done{}, 100, "most are gone", append(suspensions(1), change)...)
	if len(held) != 1 || held[0] != "suspend:1" || plans[0].Reason != "most are gone" {
		t.Errorf("held %v in %+v", held, plans)
	}
}

func TestALargeOrderIsHeldWithItsChain(t *testing.T) {
	var order []reconcile.Action
	order = append(order, reconcile.Action{ID: "create_org:cus_1", Kind: reconcile.CreateOrg, Customer: "cus_1"})
	for i := range 200 {
		order = append(order, reconcile.Action{ID: fmt.Sprintf("create_subscription:sub_1/%d", i), Kind: reconcile.CreateSubscription, Customer: "cus_1", Subscription: "sub_1", Slot: i})
	}
	small := reconcile.Action{ID: "create_subscription:sub_2", Kind: reconcile.CreateSubscription, Customer: "cus_2", Subscription: "sub_2"}
	b := newBrake(planner.DefaultBrakes(), takesAway)
	held, _ := braked(b, done{}, 100, "", append(order, small)...)
	if len(held) != len(order) || b.holds(small) || !b.releases("cus_2") || b.releases("cus_1") {
		t.Errorf("held %d of %d, the small order: %v", len(held), len(order), b.holds(small))
	}
	begun := reconcile.Action{ID: "rename_org:cus_1", Kind: reconcile.RenameOrg, Customer: "cus_1", Org: "org-1"}
	if b.holds(begun) {
		t.Error("the rest of a chain about an org that exists is held")
	}
}

func TestWhatComesUpAfterTheBrakeWaits(t *testing.T) {
	b := newBrake(planner.DefaultBrakes(), takesAway)
	actions := suspensions(2)
	braked(b, done{}, 100, "", actions[0])
	if b.unseen(actions[0]) || !b.unseen(actions[1]) {
		t.Errorf("unseen: %v, %v", b.unseen(actions[0]), b.unseen(actions[1]))
	}
	if b.unseen(reconcile.Action{ID: "rename_org:cus_1", Kind: reconcile.RenameOrg}) {
		t.Error("an action that is counted with another waits")
	}
}
