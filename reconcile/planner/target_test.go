package planner_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// asked is a customer of whom a person asks for a subscription, with what a run has done
// and withheld.
type asked struct {
	c       reconcile.Customer
	actions []reconcile.ActionRecord
	holds   []reconcile.Hold
}

func (a *asked) add(state reconcile.ActionState, of reconcile.Action) {
	a.actions = append(a.actions, reconcile.ActionRecord{Action: of, State: state})
}

// Whoever asks for a subscription is answered in one sentence: its status, the hostings that
// serve it as they were last seen, and what was done or is withheld, or why nothing is to be.
func TestASubscriptionThatIsAskedForIsAnsweredInFull(t *testing.T) {
	const up = "sub_1 of a@example.com is active at Stripe; hosting 7 is active (seen 2026-03-01 12:00 UTC): "
	own := reconcile.Action{Customer: "cus_1", Subscription: "sub_1"}
	status := func(s reconcile.Status, bound bool) func(a *asked) {
		return func(a *asked) {
			a.c.Subscriptions[0].Status, a.c.Subscriptions[0].StatusText = s, s.String()
			if !bound {
				a.c.Bindings = nil
			}
		}
	}
	for _, tc := range []struct {
		name   string
		change func(a *asked)
		text   string
		counts [2]int // changes and things withheld
	}{
		{"nothing to do", func(*asked) {}, up + "nothing is to be done, because that is the state that this status asks for", [2]int{}},
		{"not known at Stripe, of a customer without an address", func(a *asked) { a.c.Email, a.c.Subscriptions[0].Gone, a.c.Bindings = "", true, nil },
			"sub_1 is not known at Stripe any more (in this account and mode) and no hosting serves it: nothing is to be done, because with this status nothing is made, and nothing is taken away", [2]int{}},
		{"a status that is not known", func(a *asked) {
			status(reconcile.StatusUnknown, true)(a)
			a.c.Subscriptions[0].StatusText = "dormant"
		}, "sub_1 of a@example.com is dormant at Stripe; hosting 7 is active (seen 2026-03-01 12:00 UTC): nothing is to be done, because with this status nothing is made, and nothing is taken away", [2]int{}},
		{"no price of it is hosting", status(reconcile.StatusActive, false),
			"sub_1 of a@example.com is active at Stripe and no hosting serves it: nothing is to be done, because none of its prices buys a hosting", [2]int{}},
		{"it ended without a hosting", status(reconcile.StatusCanceled, false),
			"sub_1 of a@example.com is canceled at Stripe and no hosting serves it: nothing is to be done, because nothing was made for it, and with this status nothing is", [2]int{}},
		{"it is unpaid, and suspended", func(a *asked) {
			status(reconcile.StatusUnpaid, true)(a)
			suspended(&a.c.Hostings[0], dayLong)
		}, "sub_1 of a@example.com is unpaid at Stripe; hosting 7 is suspended by us since 2026-02-28 12:00 UTC (seen 2026-03-01 12:00 UTC): nothing is to be done, because that is the state that this status asks for", [2]int{}},
		{"several hostings, as they were last seen", func(a *asked) {
			for i, h := range []reconcile.Hosting{{ID: 8, State: reconcile.HostingSuspended, ObservedAt: noon}, {ID: 9, State: reconcile.HostingDeleted, ObservedAt: time.Unix(0, 0)}, {ID: 10}} {
				a.c.Hostings = append(a.c.Hostings, h)
				a.c.Bindings = append(a.c.Bindings, reconcile.Binding{Subscription: "sub_1", Slot: i + 2, Hosting: h.ID})
			}
			a.c.Bindings = append(a.c.Bindings, reconcile.Binding{Subscription: "sub_2", Slot: 1, Hosting: 7}, reconcile.Binding{Subscription: "sub_1", Slot: 5, Hosting: 99})
		}, "sub_1 of a@example.com is active at Stripe; hosting 7 is active (seen 2026-03-01 12:00 UTC), hosting 8 is suspended by others (seen 2026-03-01 12:00 UTC), hosting 9 is deleted and hosting 10 is unread: " +
			"nothing is to be done, because that is the state that this status asks for", [2]int{}},
		{"a person holds it", func(a *asked) { a.c.Manual = []reconcile.ManualHold{{Kind: reconcile.Ignore, Subscription: "sub_1"}} },
			up + "nothing is to be done, because a person holds it: ignore", [2]int{}},
		{"a person holds its customer", func(a *asked) { a.c.Manual = []reconcile.ManualHold{{Kind: reconcile.Ignore, Customer: "cus_1"}} },
			up + "nothing is to be done, because a person holds it: ignore", [2]int{}},
		{"other holds of persons are not the reason, nor one that has run out", func(a *asked) {
			a.c.Manual = []reconcile.ManualHold{{Kind: reconcile.NoSuspend, Subscription: "sub_1"}, {Kind: reconcile.Ignore, Subscription: "sub_2"}, {Kind: reconcile.Ignore, Subscription: "sub_1", Until: noon}}
		}, up + "nothing is to be done, because that is the state that this status asks for", [2]int{}},
		{"changes of it and of its customer, and none of others", func(a *asked) {
			for s := reconcile.ActionPlanned; s <= reconcile.ActionSuperseded; s++ {
				a.add(s, own)
				a.add(s, reconcile.Action{Customer: "cus_1", Subscription: "sub_2"})
			}
			a.add(reconcile.ActionApplied, reconcile.Action{Customer: "cus_1"})
			a.add(reconcile.ActionApplied, reconcile.Action{Customer: "cus_2"})
		}, up + "3 changes done; 3 changes failed; 2 changes still to do", [2]int{8, 0}},
		{"one change", func(a *asked) { a.add(reconcile.ActionFailed, own) }, up + "1 change failed", [2]int{1, 0}},
		{"one thing withheld, of its customer", func(a *asked) {
			a.holds = []reconcile.Hold{{Customer: "cus_2", Reason: "b"}, {Customer: "cus_1", Subscription: "sub_2", Reason: "c"}, {Customer: "cus_1", Reason: "the org is suspended"}}
		}, up + "withheld: the org is suspended", [2]int{0, 1}},
		{"several things withheld, and one change", func(a *asked) {
			a.holds = []reconcile.Hold{{Customer: "cus_1", Subscription: "sub_1", Reason: "first"}, {Customer: "cus_1", Reason: "second"}}
			a.add(reconcile.ActionPlanned, own)
		}, up + "1 change still to do; 2 things withheld, the first: first", [2]int{1, 2}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := asked{c: world(func(*reconcile.Customer) {})}
			tc.change(&a)
			got, found := planner.TargetOf(&a.c, catalog(), "sub_1", a.actions, a.holds, policy(), noon)
			if d := cmp.Diff(tc.text, got.Text); d != "" || !found {
				t.Errorf("found %t (-want +got):\n%s", found, d)
			}
			if counts := [2]int{got.Changes, got.Withheld}; counts != tc.counts {
				t.Errorf("%d changes and %d things withheld, want %v", got.Changes, got.Withheld, tc.counts)
			}
		})
	}
	c := world(func(*reconcile.Customer) {})
	if got, found := planner.TargetOf(&c, catalog(), "sub_9", nil, nil, policy(), noon); found || !cmp.Equal(got, reconcile.UnknownTarget("sub_9")) {
		t.Errorf("of another customer: found %t, %+v", found, got)
	}
}

// A change that others have made to a hosting is described by what is now and what was;
// what was never read has not changed, and a hosting that is gone has no plan to compare.
func TestWhatOthersHaveChangedIsDescribed(t *testing.T) {
	active := reconcile.Hosting{ID: 7, State: reconcile.HostingActive, Plan: 1, ObservedAt: noon}
	staffs := reconcile.Hosting{ID: 7, State: reconcile.HostingSuspended, SuspendedBy: "staff", Plan: 1, ObservedAt: noon}
	with := func(h reconcile.Hosting, change func(h *reconcile.Hosting)) reconcile.Hosting { change(&h); return h }
	for _, tc := range []struct {
		name    string
		was, is reconcile.Hosting
		want    string
	}{
		{"nothing", active, active, ""},
		{"never read before", reconcile.Hosting{ID: 7}, staffs, ""},
		{"the state", active, staffs, "hosting 7 is suspended by others (seen 2026-03-01 12:00 UTC) now and was active (2026-03-01 12:00 UTC)"},
		{"who suspended it", staffs, with(staffs, func(h *reconcile.Hosting) { h.SuspendedBy = "abuse" }),
			"hosting 7 is suspended by abuse now and was by staff (2026-03-01 12:00 UTC)"},
		{"the plan", active, with(active, func(h *reconcile.Hosting) { h.Plan = 2 }), "hosting 7 is on plan 2 now and was on plan 1 (2026-03-01 12:00 UTC)"},
		{"the state and the plan, where a look was asked for", with(staffs, func(h *reconcile.Hosting) { h.ObservedAt = time.Unix(0, 0) }),
			with(active, func(h *reconcile.Hosting) { h.Plan = 2 }),
			"hosting 7 is active (seen 2026-03-01 12:00 UTC) now and was suspended, and is on plan 2 now and was on plan 1"},
		{"it is gone", staffs, reconcile.Hosting{ID: 7, State: reconcile.HostingMissing, ObservedAt: noon},
			"hosting 7 is missing (seen 2026-03-01 12:00 UTC) now and was suspended (2026-03-01 12:00 UTC)"},
		{"it is still gone", reconcile.Hosting{ID: 7, State: reconcile.HostingMissing, Plan: 1, SuspendedBy: "staff", ObservedAt: noon}, reconcile.Hosting{ID: 7, State: reconcile.HostingMissing}, ""},
	} {
		if d := cmp.Diff(tc.want, planner.Drifted(tc.was, tc.is)); d != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, d)
		}
	}
}
