package store

import (
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// The version of a customer rises when an operator, a webhook's reading or another process
// changes something, so that a process notices it if it loaded the customer before. It does
// not rise when the writer records its own work.
func TestAVersionIsRaisedByAllThatOthersChange(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		ctx := t.Context()
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		f.settled(t0, "cus_a")
		version := func() int64 {
			t.Helper()
			all, err := f.Versions(ctx, []string{"cus_a", "cus_unknown"})
			f.must(err)
			same(t, "versions of those that are known", 1, len(all))
			same(t, "version as loaded", all["cus_a"], f.customer("cus_a").Version)
			return all["cus_a"]
		}
		hold := reconcile.ManualHold{ID: "h1", Subscription: "sub_a", Kind: reconcile.Ignore, Created: t0}
		changed := facts("sub_a", "cus_a", "a@example.com", status(reconcile.StatusPastDue))
		for _, by := range []struct {
			what   string
			change func() error
		}{
			{"facts", func() error { return f.SaveFacts(ctx, f.tok, []reconcile.SubscriptionFacts{changed}, false, t0) }},
			{"a forced read", func() error { return f.SaveFacts(ctx, f.tok, []reconcile.SubscriptionFacts{changed}, true, t0) }},
			{"a manual hold", func() error { _, err := f.AddManualHold(ctx, hold); return err }},
			{"a retry", func() error { _, err := f.Retry(ctx, "cus_a", t0); return err }},
			{"being made due", func() error { return f.MakeDue(ctx, f.tok, []string{"cus_a"}, t0) }},
			{"all made due", func() error { return f.MakeDue(ctx, f.tok, nil, t0) }},
			{"being postponed", func() error {
				return f.Postpone(ctx, f.tok, reconcile.Backoff{Customer: "cus_a", Error: "no", Due: t0.Add(time.Hour)}, t0)
			}},
		} {
			before := version()
			f.must(by.change())
			if after := version(); after <= before {
				t.Errorf("%s: the version was %d and is %d", by.what, before, after)
			}
		}
		before := version()
		a := reconcile.Action{ID: "create_org:cus_a", Kind: reconcile.CreateOrg, Customer: "cus_a", Name: "A"}
		f.must(f.RecordIntent(ctx, f.tok, "run-1", a, "", t0))
		f.must(f.RecordOutcome(ctx, f.tok, reconcile.Outcome{Action: a, Run: "run-1", State: reconcile.ActionApplied, At: t0, Org: &reconcile.Org{ID: "org-a", Name: "A"}}))
		f.settled(t0, "cus_a")
		same(t, "version after the writer's own work", before, version())
		_, err := f.RemoveManualHold(ctx, "h1", t0)
		f.must(err)
		if version() <= before {
			t.Error("removing a manual hold does not raise the version")
		}
	})
}
