package engine

import (
	"fmt"
	"slices"
	"strings"
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

// theOrder is the create of one hosting of a customer.
func theOrder(customer string) reconcile.Action {
	return reconcile.Action{ID: "create_subscription:" + customer, Kind: reconcile.CreateSubscription, Customer: customer, Subscription: "sub_of_" + customer}
}

// orders is creates of n customers.
func someOrders(n int) (all []reconcile.Action) {
	for i := range n {
		all = append(all, theOrder(fmt.Sprintf("cus_many_%d", i)))
	}
	return all
}

// No number shows whose a suspension is, so the number of resumes is no reason.
func TestAResumeOfASuspensionThatIsPerhapsNotOursWaitsForAPerson(t *testing.T) {
	resume := reconcile.Action{ID: "resume:7" + reconcile.PerhapsOursSuffix, Kind: reconcile.Resume, Customer: "cus_1", Subscription: "sub_1", Hosting: 7}
	b := newBrake(planner.DefaultBrakes(), takesAway)
	if !b.holds(resume) {
		t.Error("one that comes up after the brake has judged is not held")
	}
	held, plans := braked(b, done{}, 100, "", resume)
	if len(held) != 1 || len(plans) != 1 || plans[0].Reason != "suspended with our mark, and this database does not know of it" {
		t.Errorf("held %v in %+v", held, plans)
	}
	if held, _ := braked(newBrake(planner.DefaultBrakes(), takesAway), done{}, 100, "", reconcile.Action{ID: "resume:8", Kind: reconcile.Resume, Customer: "cus_2", Hosting: 8}); len(held) != 0 {
		t.Errorf("a resume of our own suspension is held: %v", held)
	}
}

func TestTheChainOfAnOrderIsHeldAsLongAsItIsNotBegun(t *testing.T) {
	order := theOrder("cus_1")
	website := reconcile.Action{ID: "create_website:cus_1", Kind: reconcile.CreateWebsite, Customer: "cus_1", Org: "org-1", Subscription: order.Subscription, Slot: 1}
	invite := reconcile.Action{ID: "invite_owner:cus_1", Kind: reconcile.InviteOwner, Customer: "cus_1", Org: "org-1"}
	begun := website
	begun.ID, begun.Hosting = "create_website:7", 7
	found := reconcile.Action{ID: "create_org:cus_1", Kind: reconcile.CreateOrg, Customer: "cus_1"}
	for name, test := range map[string]struct {
		stand, approved bool // the order stands in a plan, or was approved
		actions         []reconcile.Action
		held            []string
	}{
		"an order that is in a plan, and a domain that was added since": {true, false, []reconcile.Action{order, website, invite, begun}, []string{order.ID, website.ID}},
		"an order among too many, of a customer who has an org":         {false, false, append(someOrders(26), order, website, invite, begun), []string{order.ID, website.ID}},
		"an order that was approved, while there are too many":          {false, true, append(someOrders(26), order, found), nil},
		"an order among few": {false, false, []reconcile.Action{order, found, website}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBrake(planner.DefaultBrakes(), takesAway)
			if test.stand || test.approved {
				b.addStanding(reconcile.HeldAction{Action: order, Plan: "plan_1", Brake: reconcile.CreateSubscription, Released: test.approved})
			}
			all, _ := braked(b, done{}, 100, "", test.actions...)
			held := slices.DeleteFunc(all, func(id string) bool { return strings.Contains(id, "cus_many") })
			if !slices.Equal(held, test.held) {
				t.Errorf("held %v, want %v", held, test.held)
			}
		})
	}
}

func TestAnOrderThatStandsInAPlanWaits(t *testing.T) {
	b := newBrake(planner.DefaultBrakes(), takesAway)
	for _, a := range []reconcile.Action{theOrder("cus_1"), {ID: "resume:7", Kind: reconcile.Resume, Subscription: "sub_2", Hosting: 7}, suspensions(1)[0]} {
		b.addStanding(reconcile.HeldAction{Action: a, Plan: "plan_1", Brake: a.Kind})
	}
	if len(b.orders) != 2 || !b.orders.has("sub_of_cus_1") || !b.orders.has("sub_2") {
		t.Errorf("%d orders wait, want those that have no hosting to use", len(b.orders))
	}
}

func TestAHeldPlanListsNoMoreThanAReport(t *testing.T) {
	const n = reconcile.MostReported + 1
	_, plans := braked(newBrake(planner.DefaultBrakes(), takesAway), done{}, 100, "", suspensions(n)...)
	if len(plans) != 1 || len(plans[0].Actions) != reconcile.MostReported || plans[0].Size() != n {
		t.Errorf("%d plans", len(plans))
	}
}

func TestTheReasonOfAPlanIsThatOfAllThatItHolds(t *testing.T) {
	const before = "5 were too many"
	waits := map[reconcile.ActionKind]reconcile.HeldPlan{reconcile.Suspend: {ID: "plan_1", Version: 1, Kind: reconcile.Suspend, Reason: before}}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		planned int
		keep    bool
		reason  []string
	}{
		"a run about all":  {6, false, []string{"6 × suspend in one run, more than the limit of 5 (100 bound)"}},
		"a run about some": {6, true, []string{before, "6 × suspend in one run, more than the limit of 5 (100 bound)"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBrake(planner.DefaultBrakes(), takesAway)
			b.last = waits
			braked(b, done{}, 100, "", suspensions(test.planned)...)
			if p, _, _ := b.plan(reconcile.Suspend, now, test.keep); !slices.Equal(strings.Split(p.Reason, "; "), test.reason) {
				t.Errorf("reason: %q, want %q", p.Reason, test.reason)
			}
		})
	}
	b := newBrake(planner.DefaultBrakes(), takesAway)
	b.last = waits
	b.addStanding(reconcile.HeldAction{Action: suspensions(1)[0], Plan: "plan_1", Brake: reconcile.Suspend})
	another := suspensions(1)[0]
	another.ID = "suspend:1 again"
	if _, plans := braked(b, done{}, 100, "", another); len(plans) != 1 || plans[0].Reason != before || plans[0].Version != 2 {
		t.Errorf("another version of what waits: %+v", plans)
	}
}

func TestAReasonNamesAFewLargeOrders(t *testing.T) {
	var orders []reconcile.Action
	for _, customer := range []string{"cus_1", "cus_2", "cus_3", "cus_4", "cus_5"} {
		for slot := range 30 {
			a := theOrder(customer)
			a.ID, a.Slot = fmt.Sprintf("%s/%d", a.ID, slot), slot
			orders = append(orders, a)
		}
	}
	_, plans := braked(newBrake(planner.DefaultBrakes(), takesAway), done{}, 100, "", orders...)
	if len(plans) != 1 {
		t.Fatalf("plans: %+v", plans)
	}
	reasons := strings.Split(plans[0].Reason, "; ")
	if len(reasons) != maxNamedOrders+1 || !strings.Contains(reasons[2], "cus_3") || reasons[3] != "and more orders of that size" {
		t.Errorf("reasons: %q", reasons)
	}
}
