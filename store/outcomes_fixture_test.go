package store

import (
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// plan records actions as planned in "run-plan"; the customer is looked at again at t0.
func (f *fixture) plan(customer string, actions ...reconcile.Action) {
	f.Helper()
	f.must(f.SavePlanned(f.Context(), f.tok, "run-plan", []reconcile.Planned{{Customer: customer, Actions: actions, Due: t0}}, t0))
}

// do records the intent and the outcome of an action.
func (f *fixture) do(a reconcile.Action, at time.Time, taught reconcile.Outcome) error {
	f.Helper()
	f.must(f.RecordIntent(f.Context(), f.tok, "run-do", a, "", at))
	taught.Action, taught.Run, taught.At = a, "run-do", at
	if taught.State == 0 {
		taught.State = reconcile.ActionApplied
	}
	return f.RecordOutcome(f.Context(), f.tok, taught)
}

func (f *fixture) bindOrg(customer, org string) {
	f.Helper()
	f.must(f.do(action("create_org:"+customer, reconcile.CreateOrg, customer, ""), t0,
		reconcile.Outcome{Org: &reconcile.Org{ID: org, Name: "Example", Created: t0, ObservedAt: t0}}))
}

func (f *fixture) bindHosting(customer, subscription string, slot int, org string, hosting int64) {
	f.Helper()
	f.must(f.bound(customer, subscription, slot, org, hosting, reconcile.BoundByCreate))
}

func (f *fixture) bound(customer, subscription string, slot int, org string, hosting int64, how reconcile.BindKind) error {
	f.Helper()
	return f.do(action("create_subscription:"+subscription+"/"+string(rune('0'+slot)), reconcile.CreateSubscription, customer, subscription), t0,
		reconcile.Outcome{Hosting: activeHosting(hosting, org),
			Binding: &reconcile.Binding{Subscription: subscription, Item: "si_1", Slot: slot, Org: org, Hosting: hosting, How: how, At: t0}})
}

func activeHosting(id int64, org string) *reconcile.Hosting {
	return &reconcile.Hosting{ID: id, Org: org, Plan: 2, State: reconcile.HostingActive, FriendlyName: "Pro", ObservedAt: t0}
}

// states maps action id → state of every journal row of a customer.
func (f *fixture) states(customer string) map[string]string {
	f.Helper()
	rows, err := f.Actions(f.Context(), reconcile.ActionFilter{Customer: customer})
	f.must(err)
	states := make(map[string]string)
	for _, r := range rows {
		states[r.Key] = r.State.String()
	}
	return states
}

// checkTallies compares the stored totals with the counted rows.
func (f *fixture) checkTallies() {
	f.Helper()
	kept, err := loadCounters(f.Context(), f.reader())
	f.must(err)
	counted, err := countRows(f.Context(), f.reader())
	f.must(err)
	for name, n := range kept {
		if n == 0 && counted[name] == 0 {
			delete(kept, name)
		}
	}
	for name, n := range counted {
		if n == 0 {
			delete(counted, name)
		}
	}
	same(f.TB, "totals kept", counted, kept)
}

func held(id string, kind reconcile.ActionKind, at time.Time, actions ...reconcile.Action) reconcile.HeldPlan {
	return reconcile.HeldPlan{ID: id, Kind: kind, Created: at, Reason: "too many", Actions: actions}
}

// hold holds actions, and returns the plan as it stands then.
func (f *fixture) hold(run string, p reconcile.HeldPlan) reconcile.HeldPlan {
	f.Helper()
	stored, err := f.Hold(f.Context(), f.tok, run, p)
	f.must(err)
	plan, err := f.HeldPlan(f.Context(), stored.ID)
	f.must(err)
	return plan
}

// approve approves a plan as it is.
func (f *fixture) approve(id string, at time.Time) reconcile.HeldPlan {
	f.Helper()
	plan, err := f.Approve(f.Context(), id, 0, "op@example.com", at)
	f.must(err)
	return plan
}

// released are the ids of the actions that approvals release.
func (f *fixture) released(now time.Time) (ids []string) {
	f.Helper()
	plans, err := f.Approved(f.Context(), now)
	f.must(err)
	for _, p := range plans {
		for _, a := range p.Actions {
			ids = append(ids, a.ID)
		}
	}
	return ids
}

// waiting are the plans that wait for approval.
func (f *fixture) waitingPlans() []reconcile.HeldPlan {
	f.Helper()
	plans, err := f.HeldPlans(f.Context(), t0, false)
	f.must(err)
	return plans
}
