package store

import (
	"errors"
	"strings"
	"testing"

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
