package store

import (
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// A webhook that failed is reported until its subscription has converged, and no longer.
func TestAFailedWebhookIsToldUntilItsSubscriptionHasConverged(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", ""), facts("sub_b", "cus_b", ""))
		plan := func(at time.Time, p reconcile.Planned) {
			t.Helper()
			f.must(f.SavePlanned(t.Context(), f.tok, "run-"+at.Format("150405"), []reconcile.Planned{p}, at))
		}
		told := func(when string, want int) {
			t.Helper()
			failed, total, err := f.FailedWebhooks(t.Context(), 5)
			f.must(err)
			same(t, when+": failed", want, len(failed))
			same(t, when+": in all", want, total)
		}
		_, err := f.LogWebhook(t.Context(), "evt_1", "customer.subscription.updated", "sub_a", false, t0)
		f.must(err)
		plan(t0.Add(time.Second), reconcile.Planned{Customer: "cus_a"})
		f.must(f.WebhookResult(t.Context(), "sub_a", t0, "create_org: 400", t0.Add(time.Minute)))
		told("it has just failed", 1)
		plan(t0.Add(2*time.Minute), reconcile.Planned{Customer: "cus_b"})
		told("another was planned", 1)
		suspend := reconcile.Action{ID: "suspend:sub_a/1:1", Kind: reconcile.Suspend, Customer: "cus_a", Subscription: "sub_a", Hosting: 1}
		plan(t0.Add(3*time.Minute), reconcile.Planned{Customer: "cus_a", Actions: []reconcile.Action{suspend}})
		told("something is still to be done", 1)
		hold := reconcile.Hold{Kind: reconcile.HoldUnmapped, Customer: "cus_a", Subscription: "sub_a", Reason: "no mapping"}
		plan(t0.Add(4*time.Minute), reconcile.Planned{Customer: "cus_a", Holds: []reconcile.Hold{hold}})
		told("it is held", 1)
		f.must(f.Postpone(t.Context(), f.tok, reconcile.Backoff{Customer: "cus_a", Counts: true, Error: "no", Due: t0.Add(time.Hour)}, t0.Add(5*time.Minute)))
		plan(t0.Add(5*time.Minute), reconcile.Planned{Customer: "cus_a"})
		told("it has failed again", 1)
		now, err := f.Customers(t.Context(), []string{"cus_a"})
		f.must(err)
		f.must(f.Postpone(t.Context(), f.tok, reconcile.Backoff{Customer: "cus_a", Version: now[0].Version, Due: t0.Add(time.Hour)}, t0.Add(6*time.Minute)))
		hold.Kind = reconcile.HoldGrace
		plan(t0.Add(6*time.Minute), reconcile.Planned{Customer: "cus_a", Holds: []reconcile.Hold{hold}})
		told("it is as it should be", 0)
		recent, err := f.RecentWebhooks(t.Context(), 5)
		f.must(err)
		same(t, "recent", []reconcile.WebhookState{reconcile.WebhookFollowed}, []reconcile.WebhookState{recent[0].State})
		same(t, "what failed then", "create_org: 400", recent[0].Error)
	})
}

// Rows are sorted by the time that is shown for them.
func TestHistoryIsInTheOrderInWhichThingsHappened(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", ""))
		late := reconcile.Action{ID: "create_website:sub_a/1", Kind: reconcile.CreateWebsite, Customer: "cus_a", Subscription: "sub_a", Domain: "a.example"}
		early := reconcile.Action{ID: "suspend:sub_a/1:1", Kind: reconcile.Suspend, Customer: "cus_a", Subscription: "sub_a", Hosting: 1}
		open := reconcile.Action{ID: "rename_org:cus_a", Kind: reconcile.RenameOrg, Customer: "cus_a"}
		all := []reconcile.Action{late, early, open}
		f.must(f.SavePlanned(t.Context(), f.tok, "run-1", []reconcile.Planned{{Customer: "cus_a", Actions: all[:1]}}, t0))
		f.must(f.SavePlanned(t.Context(), f.tok, "run-2", []reconcile.Planned{{Customer: "cus_a", Actions: all}}, t0.Add(time.Minute)))
		for i, a := range []reconcile.Action{early, late} { // planned first, done last
			at := t0.Add(time.Duration(5+i) * time.Minute)
			f.must(f.RecordIntent(t.Context(), f.tok, "run-2", a, "", at))
			f.must(f.RecordOutcome(t.Context(), f.tok, reconcile.Outcome{Action: a, Run: "run-2", State: reconcile.ActionApplied, At: at}))
		}
		want := []string{late.ID, early.ID, open.ID}
		ids := func(rows []reconcile.ActionRecord) (ids []string) {
			for i, r := range rows {
				ids = append(ids, r.ID)
				if i > 0 && rows[i-1].At().Before(r.At()) {
					t.Errorf("%s at %s stands after %s at %s", r.ID, r.At(), rows[i-1].ID, rows[i-1].At())
				}
			}
			return ids
		}
		found, err := f.FindCustomers(t.Context(), reconcile.CustomerLookup{Subscription: "sub_a"}, 10)
		f.must(err)
		same(t, "history", want, ids(found[0].History))
		for name, filter := range map[string]reconcile.ActionFilter{"all": {}, "of the customer": {Customer: "cus_a"}} {
			rows, err := f.Actions(t.Context(), filter)
			f.must(err)
			same(t, name, want, ids(rows))
		}
		rows, err := f.Actions(t.Context(), reconcile.ActionFilter{Limit: 1, State: reconcile.ActionApplied})
		f.must(err)
		same(t, "the newest that was done", want[:1], ids(rows))
		if rows, err = f.Actions(t.Context(), reconcile.ActionFilter{State: reconcile.ActionFailed}); err != nil || len(rows) > 0 {
			t.Errorf("failed: %v, %v", rows, err)
		}
	})
}
