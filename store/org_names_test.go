package store

import (
	"errors"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

func TestAPersonNamesAnOrg(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"), facts("sub_b", "cus_b", "b@example.com"))
		want := func(customer, name string) (bool, error) {
			t.Helper()
			would, previewed := f.PreviewName(t.Context(), customer, name, "", t0)
			changed, err := f.WantName(t.Context(), customer, name, "ada@desk: asked for it", t0)
			if would != changed || (previewed == nil) != (err == nil) {
				t.Errorf("the preview is %t %v, and then it is %t %v", would, previewed, changed, err)
			}
			return changed, err
		}
		refuses := func(what, customer string) {
			t.Helper()
			var no reconcile.InstructionRefused
			if _, err := want(customer, "Name"); !errors.As(err, &no) {
				t.Errorf("%s: %v, want a refusal", what, err)
			}
		}
		_, err := want("cus_none", "Name")
		notFound(t, "a customer that is not known", err)
		refuses("a customer without an org", "cus_a")
		f.bindOrg("cus_a", "org-a")
		refuses("an org that still has its marker", "cus_a")
		name := func(name string) {
			t.Helper()
			a := action("rename_org:cus_a", reconcile.RenameOrg, "cus_a", "")
			a.Org = "org-a"
			f.must(f.do(a, t0, reconcile.Outcome{Org: &reconcile.Org{ID: "org-a", Name: name, ObservedAt: t0}, OrgNamed: true}))
		}
		name("Old")
		f.settled(t0, "cus_a", "cus_b")
		changed, err := want("cus_a", "New")
		f.must(err)
		got := f.customer("cus_a")
		same(t, "wanted", []any{true, "New", "ada@desk: asked for it", []string{"cus_a"}}, []any{changed, got.NameWanted, got.NameWhy, f.dueIDs(t0)})
		changed, err = want("cus_a", "New")
		f.must(err)
		same(t, "again", false, changed)
		name("Old") // another name than the wanted one ends nothing
		same(t, "still wanted", "New", f.customer("cus_a").NameWanted)
		name("New")
		same(t, "done", "", f.customer("cus_a").NameWanted)
		changed, err = want("cus_a", "New")
		f.must(err)
		same(t, "it has the name", false, changed)
		changed, err = want("cus_a", "Newer")
		f.must(err)
		same(t, "another one", true, changed)
		changed, err = want("cus_a", "New")
		f.must(err)
		same(t, "taken back", []any{true, ""}, []any{changed, f.customer("cus_a").NameWanted})
		f.edit("UPDATE customers SET org_id = 'org-a', org_guest = TRUE, org_named = TRUE WHERE id = 'cus_b'")
		refuses("a guest", "cus_b")
		f.edit("UPDATE orgs SET deleted = TRUE WHERE id = 'org-a'")
		refuses("a deleted org", "cus_a")
	})
}
