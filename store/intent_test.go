package store

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// An intent is recorded by one conditional update of the planned row. If a condition is
// missing, the test fails: the second intent is an error of the database or is recorded.
func TestAnIntentOfAPlannedActionIsRefusedLikeAnyOther(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		first, second := action("create_org:cus_a", reconcile.CreateOrg, "cus_a", ""), action("invite_owner:cus_a:a@example.com", reconcile.InviteOwner, "cus_a", "")
		f.plan("cus_a", first, second)
		f.must(f.RecordIntent(t.Context(), f.tok, "run-1", first, "", t0))
		err := f.RecordIntent(t.Context(), f.tok, "run-1", second, "", t0)
		if fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), "under way") {
			t.Errorf("while another is under way: %v", err)
		}
		f.must(f.RecordOutcome(t.Context(), f.tok, reconcile.Outcome{Action: first, Run: "run-1", State: reconcile.ActionFailed, Error: "400", At: t0}))
		second.Instructions = f.customer("cus_a").Instructions - 1
		err = f.RecordIntent(t.Context(), f.tok, "run-1", second, "", t0)
		if !errors.Is(err, fault.LeftAlone) || fault.Of(err) != fault.Conflict {
			t.Errorf("decided before an instruction: %v", err)
		}
		second.Instructions++
		f.must(f.RecordIntent(t.Context(), f.tok, "run-1", second, "", t0))
	})
}

// What a removal rests on is durable with its intent, whether the action was planned before
// or not, and stays when it is done.
//
// With these mistakes put in once, it went red: the evidence of a planned action is not
// stored; nor is that of one that was not planned.
func TestTheEvidenceIsKeptWithTheIntent(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		ended := t0.Add(-time.Hour)
		rests := &reconcile.Evidence{
			Subscriptions: []reconcile.SubscriptionEvidence{{ID: "sub_a", Status: "canceled", ReadAt: t0, Request: "req_1", EndedAt: &ended}},
			Hosting:       reconcile.HostingEvidence{ID: 42, State: "active", Plan: 2, Name: "Pro [sub_a/1]", ReadAt: t0},
		}
		planned, unplanned := action("suspend:sub_a/1:42", reconcile.Suspend, "cus_a", "sub_a"), action("terminate:sub_a/1:42", reconcile.Terminate, "cus_a", "sub_a")
		f.plan("cus_a", planned)
		for i, a := range []reconcile.Action{planned, unplanned} {
			a.Evidence = rests
			f.must(f.RecordIntent(t.Context(), f.tok, "run-1", a, "", t0.Add(time.Duration(i)*time.Minute)))
			f.must(f.RecordOutcome(t.Context(), f.tok, reconcile.Outcome{Action: a, Run: "run-1", State: reconcile.ActionApplied, At: t0.Add(time.Duration(i) * time.Minute)}))
		}
		records, err := f.Actions(t.Context(), reconcile.ActionFilter{Customer: "cus_a"})
		f.must(err)
		if len(records) != 2 {
			t.Fatalf("%d rows", len(records))
		}
		for _, r := range records {
			same(t, r.ID, rests, r.Evidence)
		}
	})
}
