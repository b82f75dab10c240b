package store

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// statement is an operator's statement about the org of cus_b, an hour after t0.
func statement(kind reconcile.OrgInstructionKind, into string) reconcile.OrgInstruction {
	return reconcile.OrgInstruction{Kind: kind, Customer: "cus_b", Into: into, Author: "ada@desk", Reason: "she said so", At: t0.Add(time.Hour)}
}

// instructOrg records a statement. It fails if the preview, applied in memory, differs from
// the customer in the database afterwards.
func (f *fixture) instructOrg(w reconcile.OrgInstruction) reconcile.OrgChange {
	f.Helper()
	expected := f.customer(w.Customer)
	preview, err := f.PreviewOrgInstruction(f.Context(), w, planner.InstructOrg(w))
	f.must(err)
	preview.Apply(&expected)
	recorded, err := f.RecordOrgInstruction(f.Context(), w, planner.InstructOrg(w))
	f.must(err)
	same(f.TB, "the preview is recorded", preview, recorded)
	after := f.customer(w.Customer)
	for _, c := range []*reconcile.Customer{&expected, &after} {
		c.Version, c.Instructions, c.PlannedAt = 0, 0, time.Time{}
		if c.Org != nil {
			c.NamedOrgs = nil // they count for a customer without an org
		}
	}
	same(f.TB, "the preview in memory is the customer in the database", after, expected)
	return recorded
}

// two are an agency with hosting 20 in org-a, and a shop with hosting 7 in org-b.
func (f *fixture) two() {
	f.Helper()
	f.save(t0, facts("sub_a", "cus_a", "a@example.com"), facts("sub_b", "cus_b", "b@example.com"))
	f.bindOrg("cus_a", "org-a")
	f.bindHosting("cus_a", "sub_a", 1, "org-a", 20)
	f.bindOrg("cus_b", "org-b")
	f.bindHosting("cus_b", "sub_b", 1, "org-b", 7)
	f.settled(t0, "cus_a", "cus_b")
}

func TestACustomerIsMergedAndSplit(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.two()
		f.edit("UPDATE customers SET org_named = TRUE, invited_at = created_at, invited_email = 'b@example.com', org_name_wanted = 'Other', org_name_why = 'x', invite_wanted = 'c@example.com', invite_why = 'y' WHERE id = 'cus_b'")
		before := f.customer("cus_b").Instructions
		same(t, "invited", false, f.customer("cus_b").Invited.IsZero())
		ch := f.instructOrg(statement(reconcile.MergeOrgs, "cus_a"))
		same(t, "change", []any{false, "org-a", "org-b", "cus_a"}, []any{ch.Already, ch.Org.ID, ch.Former, ch.Host})
		b := f.customer("cus_b")
		same(t, "invited to another org", true, b.Invited.IsZero())
		same(t, "merged", []any{"org-a", true, "ada@desk: she said so", "", before + 1, int64(7), "org-b"},
			[]any{b.Org.ID, b.OrgGuest, b.OrgWhy, b.NameWanted + b.InvitedEmail + b.InviteWanted + b.InviteWhy, b.Instructions, b.Bindings[0].Hosting, b.Bindings[0].Org})
		same(t, "sharers", []reconcile.Sharer{{ID: "cus_a", Email: "a@example.com", Subscriptions: []string{"sub_a"}},
			{ID: "cus_b", Email: "b@example.com", Guest: true, Why: "ada@desk: she said so", Subscriptions: []string{"sub_b"}}}, f.customer("cus_a").Sharers)
		same(t, "due", []string{"cus_a", "cus_b"}, f.dueIDs(t0.Add(time.Hour)))
		taken, err := f.TakeNudges(t.Context(), f.tok, time.Time{})
		f.must(err)
		same(t, "nudged", []string{"sub_b"}, taken)
		same(t, "again", true, f.instructOrg(statement(reconcile.MergeOrgs, "cus_a")).Already)

		f.instructOrg(statement(reconcile.SplitOrgs, ""))
		b = f.customer("cus_b")
		same(t, "split", []any{(*reconcile.Org)(nil), false, "", before + 2, 1}, []any{b.Org, b.OrgGuest, b.OrgWhy, b.Instructions, len(b.Bindings)})
		same(t, "apart", []reconcile.ApartOrg{{Org: "org-a", Why: "ada@desk: she said so", At: t0.Add(time.Hour)}}, b.Apart)
		same(t, "the first customer", []any{"org-a", false, 0}, []any{f.customer("cus_a").Org.ID, f.customer("cus_a").OrgGuest, len(f.customer("cus_a").Sharers)})
		same(t, "again", true, f.instructOrg(statement(reconcile.SplitOrgs, "")).Already)

		f.instructOrg(statement(reconcile.MergeOrgs, "cus_a"))
		same(t, "merged again", 0, len(f.customer("cus_b").Apart))
		rows, err := f.Actions(t.Context(), reconcile.ActionFilter{Customer: "cus_b"})
		f.must(err)
		journal := map[string]int{}
		for _, r := range rows {
			journal[r.ID+" "+r.State.String()+" "+r.Reason]++
		}
		for _, want := range []string{"merge:cus_b:org-a applied put into org org-a of cus_a by ada@desk: she said so (before: org org-b)",
			"split:cus_b:org-a applied split from org org-a of cus_a by ada@desk: she said so"} {
			if journal[want] != 1 {
				t.Errorf("the journal has %d rows %q: %v", journal[want], want, journal)
			}
		}
		unknown := statement(reconcile.SplitOrgs, "")
		unknown.Customer = "cus_none"
		_, err = f.RecordOrgInstruction(t.Context(), unknown, planner.InstructOrg(unknown))
		notFound(t, "a customer that is not known", err)
	})
}

// A run that loaded the customer before the statement sends nothing that it decided then, and
// saves no plan as if it were of now. A statement waits for the outcome of a write.
func TestAStatementAboutAnOrgAndAWriteDoNotCross(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"), facts("sub_b", "cus_b", "b@example.com"))
		f.bindOrg("cus_a", "org-a")
		loaded := f.customer("cus_b")
		create := action("create_org:cus_b", reconcile.CreateOrg, "cus_b", "")
		create.Instructions = loaded.Instructions
		f.plan("cus_b", create)
		refused := func(what string, w reconcile.OrgInstruction) {
			t.Helper()
			_, err := f.RecordOrgInstruction(t.Context(), w, planner.InstructOrg(w))
			var no reconcile.InstructionRefused
			if !errors.As(err, &no) || !strings.Contains(err.Error(), "its outcome is not known yet") {
				t.Errorf("%s: %v", what, err)
			}
		}
		merge := statement(reconcile.MergeOrgs, "cus_a")
		f.instructOrg(merge)
		for _, a := range []reconcile.Action{create, action("create_subscription:sub_b/1:2", reconcile.CreateSubscription, "cus_b", "sub_b")} {
			a.Instructions = loaded.Instructions
			if err := f.RecordIntent(t.Context(), f.tok, "run-1", a, "", t0); !errors.Is(err, fault.LeftAlone) || fault.Of(err) != fault.Conflict {
				t.Errorf("%s, decided before the merge: %v", a.ID, err)
			}
		}
		f.must(f.SavePlanned(t.Context(), f.tok, "run-1", []reconcile.Planned{{Customer: "cus_b", Version: loaded.Version}}, t0))
		same(t, "still due", true, slices.Contains(f.dueIDs(merge.At), "cus_b"))

		order := action("create_subscription:sub_b/1:2", reconcile.CreateSubscription, "cus_b", "sub_b")
		order.Org, order.Instructions = "org-a", f.customer("cus_b").Instructions
		f.must(f.RecordIntent(t.Context(), f.tok, "run-2", order, "", t0))
		refused("split while a hosting is made", statement(reconcile.SplitOrgs, ""))
		f.must(f.RecordOutcome(t.Context(), f.tok, reconcile.Outcome{Action: order, Run: "run-2", State: reconcile.ActionAmbiguous, At: t0}))
		refused("split while it may have been made", statement(reconcile.SplitOrgs, ""))
		same(t, "org", "org-a", f.customer("cus_b").Org.ID)
		f.must(f.RecordOutcome(t.Context(), f.tok, reconcile.Outcome{Action: order, Run: "run-2", State: reconcile.ActionFailed, At: t0}))
		link := action("link:cus_b:org-a", reconcile.Link, "cus_b", "")
		link.Instructions = order.Instructions
		f.instructOrg(statement(reconcile.SplitOrgs, ""))
		if err := f.RecordIntent(t.Context(), f.tok, "run-3", link, "", t0); !errors.Is(err, fault.LeftAlone) {
			t.Errorf("a link that was decided before the split: %v", err)
		}
		create.Instructions = f.customer("cus_b").Instructions
		f.must(f.RecordIntent(t.Context(), f.tok, "run-4", create, "", t0))
		refused("merge while an org is made", merge)
		same(t, "org", (*reconcile.Org)(nil), f.customer("cus_b").Org)
	})
}

// The org that a customer had before a merge carries its marker still, if nothing was
// finished in it. It was not made a second time.
func TestTheFormerOrgOfAGuestIsNoDuplicate(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.two()
		f.edit("UPDATE orgs SET name = 'B [cus_b]', marker_id = 'cus_b' WHERE id = 'org-b'")
		f.edit("UPDATE actions SET org_id = 'org-x' WHERE kind = 'create_org'") // the journal of its creation is gone
		duplicates := func() int {
			all, err := f.Duplicates(t.Context(), "", 10)
			f.must(err)
			return len(all)
		}
		f.instructOrg(statement(reconcile.MergeOrgs, "cus_a"))
		same(t, "by the word of a person", 0, duplicates())
		f.edit("UPDATE customers SET org_why = '' WHERE id = 'cus_b'")
		same(t, "otherwise", 1, duplicates())
	})
}
