package store

import (
	"context"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

func TestWhatCanBeAdoptedAndWhatAPersonHasDecided(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"), facts("sub_b", "cus_b", "b@example.com"))
		suspended := made(4, "org-b", "Suspended")
		suspended.State = reconcile.HostingSuspended
		f.must(f.SaveHostings(t.Context(), f.tok, "org-a", []reconcile.Hosting{made(1, "org-a", "By hand"), made(2, "org-a", "Pro [sub_z/1]"), made(3, "org-a", "Bound")}, t0))
		f.must(f.SaveHostings(t.Context(), f.tok, "org-b", []reconcile.Hosting{suspended}, t0))
		f.must(f.SaveHostings(t.Context(), f.tok, "org-c", []reconcile.Hosting{made(6, "org-c", "In an org that was deleted")}, t0))
		f.must(f.SaveOrgs(t.Context(), f.tok, []reconcile.Org{
			{ID: "org-a", Name: "A", OwnerEmail: "a@example.com"}, {ID: "org-b", Name: "B"}, {ID: "org-c", Deleted: true}}, false, t0))
		f.bindOrg("cus_a", "org-a")
		f.bindHosting("cus_a", "sub_a", 1, "org-a", 3)
		f.must(f.SaveOrgs(t.Context(), f.tok, []reconcile.Org{{ID: "org-a", Name: "A", OwnerEmail: "a@example.com"}}, false, t0))
		type row struct {
			ID      int64
			State   reconcile.HostingState
			Ignored bool
			Why     string
		}
		adoptable := func() (all []row) {
			t.Helper()
			f.must(f.Adoptable(t.Context(), func(a reconcile.Adoptable) error {
				all = append(all, row{a.ID, a.State, a.Ignored, a.Why})
				return nil
			}))
			return all
		}
		unbound := func() int {
			u, err := f.Unbound(t.Context())
			f.must(err)
			return u.Hostings
		}
		ignore := func(id int64, why string) bool {
			t.Helper()
			changed, err := f.IgnoreHosting(t.Context(), id, why, t0.Add(time.Hour))
			f.must(err)
			return changed
		}
		same(t, "at first", []row{{1, reconcile.HostingActive, false, ""}, {4, reconcile.HostingSuspended, false, ""}}, adoptable())
		same(t, "that wait", 2, unbound())

		same(t, "ignoring one, again, one that is bound, and one that is not there", []bool{true, false, false, false},
			[]bool{ignore(4, "ada: a friend"), ignore(4, "ada: a friend"), ignore(3, "ada: a friend"), ignore(99, "ada: a friend")})
		same(t, "one ignored", []row{{1, reconcile.HostingActive, false, ""}, {4, reconcile.HostingSuspended, true, "ada: a friend"}}, adoptable())
		same(t, "that wait then", 1, unbound())
		f.must(f.SaveHostings(t.Context(), f.tok, "org-b", []reconcile.Hosting{suspended}, t0.Add(time.Hour)))
		same(t, "after it was listed again", 1, unbound())

		same(t, "taking it back, and again", []bool{true, false}, []bool{ignore(4, ""), ignore(4, "")})
		same(t, "that wait again", 2, unbound())
		ignore(1, "ada: a friend")
		f.bindHosting("cus_b", "sub_b", 1, "org-a", 1)
		same(t, "what is bound is not ignored", []row{{4, reconcile.HostingSuspended, false, ""}}, adoptable())

		var orgs []string
		f.must(f.LivingOrgs(t.Context(), func(o reconcile.OrgOwner) error {
			orgs = append(orgs, o.ID+" "+o.OwnerEmail+" "+o.Customer)
			return nil
		}))
		same(t, "orgs", []string{"org-a a@example.com cus_a", "org-b  "}, orgs)
	})
}

// A hosting that is ignored is in no order's way: who waits because it may be theirs is
// woken.
func TestWhoWaitsForAHostingIsWokenWhenItIsIgnored(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"), facts("sub_b", "cus_b", "b@example.com"))
		f.must(f.SaveHostings(t.Context(), f.tok, "org-a", []reconcile.Hosting{made(1, "org-a", "By hand")}, t0))
		later := t0.Add(24 * time.Hour)
		f.must(f.SavePlanned(t.Context(), f.tok, "run", []reconcile.Planned{
			{Customer: "cus_a", Version: f.customer("cus_a").Version, Due: later, Holds: []reconcile.Hold{{Kind: reconcile.HoldAdopt, Customer: "cus_a", Subscription: "sub_a"}}},
			{Customer: "cus_b", Version: f.customer("cus_b").Version, Due: later},
		}, t0))
		_, err := f.IgnoreHosting(t.Context(), 1, "ada: a friend", t0.Add(time.Minute))
		f.must(err)
		due, _, err := f.Due(t.Context(), t0.Add(time.Minute), "", 10)
		f.must(err)
		if len(due) != 1 || due[0].ID != "cus_a" {
			t.Errorf("due: %v", due)
		}
	})
}

func TestWhatIsReadForAdoptIsReadWholeOrNotAtAll(t *testing.T) {
	broken(t, func(f *fixture) []call {
		return []call{
			streamed("Adoptable", f.Adoptable), streamed("LivingOrgs", f.LivingOrgs),
			asked("IgnoreHosting", func(ctx context.Context) (bool, error) { return f.IgnoreHosting(ctx, 1, "ada: a friend", t0) }),
		}
	})
}
