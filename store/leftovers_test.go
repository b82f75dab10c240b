package store

import (
	"fmt"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// leftovers lists what a stream passes on: "org" or "org/hosting".
func (f *fixture) leftovers(read func(func(reconcile.UnboundOrg) error) error) (all []string) {
	f.Helper()
	f.must(read(func(u reconcile.UnboundOrg) error {
		text := u.ID
		if u.Hosting != 0 {
			text += fmt.Sprintf("/%d", u.Hosting)
		}
		all = append(all, text)
		return nil
	}))
	return all
}

func TestHostingsUpWithoutASubscription(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		ctx := f.Context()
		up := func() []string {
			return f.leftovers(func(yield func(reconcile.UnboundOrg) error) error { return f.UnboundHostings(ctx, "shop", yield) })
		}
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		f.bindOrg("cus_a", "org-a")
		f.bindHosting("cus_a", "sub_a", 1, "org-a", 7)
		same(t, "a bound one", []string(nil), up())
		suspended, gone := made(12, "org-x", "Basic"), made(13, "org-x", "Basic")
		suspended.State, gone.State = reconcile.HostingSuspended, reconcile.HostingDeleted
		f.must(f.SaveOrgs(ctx, f.tok, []reconcile.Org{{ID: "org-x", Name: "Club", OwnerEmail: "club@example.com", Created: t0, Hostings: 5}, {ID: "org-down", Suspended: true}, {ID: "org-gone", Deleted: true}}, false, t0))
		f.must(f.SaveHostings(ctx, f.tok, "org-x", []reconcile.Hosting{made(11, "org-x", "Basic"), suspended, gone,
			made(14, "org-x", "Basic [sub_a/2]"), made(15, "org-x", "Basic [sub_stranger/1]"), made(16, "org-x", "Basic [sub_stranger/2@other]"), made(17, "org-x", "Basic [sub_stranger/3@shop]")}, t0))
		f.must(f.SaveHostings(ctx, f.tok, "org-down", []reconcile.Hosting{made(21, "org-down", "Basic")}, t0))
		f.must(f.SaveHostings(ctx, f.tok, "org-gone", []reconcile.Hosting{made(31, "org-gone", "Basic")}, t0))
		same(t, "what others made", []string{"org-x/11", "org-x/15", "org-x/17"}, up())
		f.must(f.UnboundHostings(ctx, "shop", func(u reconcile.UnboundOrg) error {
			if u.Hosting == 11 && (u.Name != "Club" || u.OwnerEmail != "club@example.com" || u.Plan != 2) || u.Hosting == 15 && u.Marker != (reconcile.Marker{StripeID: "sub_stranger", Slot: 1}) {
				t.Errorf("%+v", u)
			}
			return nil
		}))
		f.instruct(instruction(reconcile.InstructUnbind, "sub_a", reconcile.Hosting{ID: 7}))
		same(t, "one that a person unbound", []string{"org-a/7", "org-x/11", "org-x/15", "org-x/17"}, up())
		var many []reconcile.Hosting
		for i := range pageSize + 1 {
			many = append(many, made(int64(1000+i), "org-y", "Basic"))
		}
		f.must(f.SaveHostings(ctx, f.tok, "org-y", many, t0))
		same(t, "more than a page", pageSize+5, len(up()))
	})
}

func TestOrgsThatWereLeftEmpty(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		ctx := f.Context()
		empty := func() []string {
			return f.leftovers(func(yield func(reconcile.UnboundOrg) error) error { return f.EmptyOrgs(ctx, "shop", yield) })
		}
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"), facts("sub_b", "cus_b", "b@example.com"))
		f.bindOrg("cus_a", "org-a")
		f.bindHosting("cus_a", "sub_a", 1, "org-a", 7)
		f.must(f.SaveOrgs(ctx, f.tok, []reconcile.Org{{ID: "org-a", Name: "A", Hostings: 0}, {ID: "org-deleted", Deleted: true}, {ID: "org-empty", Name: "Club", OwnerEmail: "club@example.com"},
			{ID: "org-full", Hostings: 1}, {ID: "org-known"}, {ID: "org-marked", Name: "B [cus_b]"}, {ID: "org-other", Name: "C [cus_c@other]"}, {ID: "org-ours", Name: "C [cus_c@shop]"}}, false, t0))
		f.must(f.SaveHostings(ctx, f.tok, "org-known", []reconcile.Hosting{made(11, "org-known", "Basic")}, t0))
		same(t, "of no customer", []string{"org-empty", "org-ours"}, empty())
		f.must(f.SaveHosting(ctx, f.tok, reconcile.Hosting{ID: 7, Org: "org-a", Plan: 2, State: reconcile.HostingDeleted, ObservedAt: t0}, t0))
		same(t, "one whose customer still pays", []string{"org-empty", "org-ours"}, empty())
		ended := func(s *reconcile.SubscriptionFacts) {
			s.Status, s.StatusText, s.EndedAt = reconcile.StatusCanceled, "canceled", t0
		}
		f.save(t0, facts("sub_a", "cus_a", "a@example.com", ended), facts("sub_b", "cus_b", "b@example.com", ended))
		same(t, "those whose customers have left", []string{"org-a", "org-empty", "org-marked", "org-ours"}, empty())
		f.must(f.EmptyOrgs(ctx, "shop", func(u reconcile.UnboundOrg) error {
			if u.ID == "org-a" && (u.Customer != "cus_a" || u.OwnerEmail != "a@example.com") || u.ID == "org-empty" && (u.Customer != "" || u.OwnerEmail != "club@example.com" || u.Name != "Club") {
				t.Errorf("%+v", u)
			}
			return nil
		}))
	})
}
