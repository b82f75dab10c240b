package store

import (
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// TestOneStepTakesFewStatements counts the different statements of a load, an intent and
// the outcome of a creation, BEGIN and COMMIT left out: a run repeats them for each step
// of each customer.
func TestOneStepTakesFewStatements(t *testing.T) {
	f := newFixture(t, sqliteURL(t))
	ctx := t.Context()
	f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
	org := reconcile.Action{ID: "create_org:cus_a", Kind: reconcile.CreateOrg, Customer: "cus_a", Name: "A"}
	f.must(f.RecordIntent(ctx, f.tok, "run-1", org, "", t0))
	f.must(f.RecordOutcome(ctx, f.tok, reconcile.Outcome{Action: org, Run: "run-1", State: reconcile.ActionApplied, At: t0, Org: &reconcile.Org{ID: "org-a", Name: "A"}}))
	create := reconcile.Action{ID: "create_subscription:sub_a/1", Kind: reconcile.CreateSubscription, Customer: "cus_a", Subscription: "sub_a", Slot: 1, Org: "org-a", Plan: 1}
	f.must(f.SavePlanned(ctx, f.tok, "run-1", []reconcile.Planned{{Customer: "cus_a", Actions: []reconcile.Action{create}}}, t0))

	for _, step := range []struct {
		what string
		most int
		do   func(s *Store) error
	}{
		{"loading a customer", 5, func(s *Store) error { _, err := s.Customers(ctx, []string{"cus_a"}); return err }},
		{"asking for its version", 1, func(s *Store) error { _, err := s.Versions(ctx, []string{"cus_a"}); return err }},
		{"recording an intent", 2, func(s *Store) error { return s.RecordIntent(ctx, f.tok, "run-1", create, "", t0) }},
		{"recording an outcome", 10, func(s *Store) error {
			return s.RecordOutcome(ctx, f.tok, reconcile.Outcome{Action: create, Run: "run-1", State: reconcile.ActionApplied, At: t0.Add(time.Second),
				Hosting: &reconcile.Hosting{ID: 7, Org: "org-a", Plan: 1, State: reconcile.HostingActive, FriendlyName: "A [sub_a/1]"},
				Binding: &reconcile.Binding{Subscription: "sub_a", Slot: 1, Org: "org-a", Hosting: 7, How: reconcile.BoundByCreate}})
		}},
	} {
		s := open(t, f.url)
		before := len(s.reading.texts) + len(s.writing.texts)
		f.must(step.do(s))
		if n := len(s.reading.texts) + len(s.writing.texts) - before; n > step.most {
			t.Errorf("%s takes %d statements, want at most %d", step.what, n, step.most)
		} else {
			t.Logf("%s: %d statements", step.what, n)
		}
	}
	same(t, "bindings", 1, len(f.customer("cus_a").Bindings))
}
