package store

import (
	"errors"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

func TestAPersonChangesTheAddressOfAnInvitation(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"), facts("sub_b", "cus_b", "b@example.com"))
		want := func(customer, email string) (bool, error) {
			t.Helper()
			would, previewed := f.PreviewInvite(t.Context(), customer, email, "", t0)
			changed, err := f.WantInvite(t.Context(), customer, email, "ada@desk: a mistake", t0)
			if would != changed || (previewed == nil) != (err == nil) {
				t.Errorf("the preview is %t %v, and then it is %t %v", would, previewed, changed, err)
			}
			return changed, err
		}
		refuses := func(what, customer string) {
			t.Helper()
			var no reconcile.InstructionRefused
			if _, err := want(customer, "x@example.com"); !errors.As(err, &no) {
				t.Errorf("%s: %v, want a refusal", what, err)
			}
		}
		wanted := func() string { return f.customer("cus_a").InviteWanted }
		_, err := want("cus_none", "x@example.com")
		notFound(t, "a customer that is not known", err)
		refuses("a customer without an org", "cus_a")
		f.bindOrg("cus_a", "org-a")
		refuses("one without an invitation", "cus_a")
		invite := func(o reconcile.Outcome) {
			t.Helper()
			a := action("invite_owner:cus_a", reconcile.InviteOwner, "cus_a", "")
			a.Org = "org-a"
			f.must(f.do(a, t0, o))
		}
		invite(reconcile.Outcome{Invited: t0, InvitedEmail: "a@example.com"})
		f.settled(t0, "cus_a", "cus_b")
		for _, step := range []struct {
			name, email string
			changed     bool
			wanted      string
		}{
			{"another address", "New@example.com", true, "new@example.com"},
			{"again", "new@example.com", false, "new@example.com"},
			{"back", "A@example.com", true, ""},
			{"it is that", "a@example.com", false, ""},
			{"another again", "new@example.com", true, "new@example.com"},
		} {
			changed, err := want("cus_a", step.email)
			f.must(err)
			same(t, step.name, []any{step.changed, step.wanted}, []any{changed, wanted()})
		}
		same(t, "why, and due", []any{"ada@desk: a mistake", []string{"cus_a"}}, []any{f.customer("cus_a").InviteWhy, f.dueIDs(t0)})
		invite(reconcile.Outcome{Invited: t0, InvitedEmail: "other@example.com"})
		same(t, "invited elsewhere", "new@example.com", wanted())
		invite(reconcile.Outcome{Invited: t0, InvitedEmail: "new@example.com"})
		same(t, "invited there", "", wanted())
		_, err = want("cus_a", "late@example.com")
		f.must(err)
		owned := &reconcile.Org{ID: "org-a", Name: "A", OwnerEmail: "new@example.com", ObservedAt: t0}
		invite(reconcile.Outcome{State: reconcile.ActionFailed, Error: "accepted", Org: owned})
		same(t, "accepted before", "", wanted())
		refuses("an owner who has accepted", "cus_a")
	})
}
