package store

import (
	"testing"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// If a create read back with another marker, the customer's org has a hosting with a marker
// that names nothing. In every other case the marker shows which subscription it belongs to.
func TestAMarkerThatNamesNothingIsNoReasonToMakeASecondHosting(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "ada@example.com"), facts("sub_b", "cus_b", "bob@example.com"))
		f.bindOrg("cus_a", "org-a")
		f.bindHosting("cus_a", "sub_a", 1, "org-a", 1)
		f.must(f.SaveOrgs(t.Context(), f.tok, []reconcile.Org{{ID: "org-a", Name: "Ada"}, {ID: "org-b", Name: "Bob"}}, true, t0))
		gone := made(16, "org-a", "Pro [sub_z/4]")
		gone.State = reconcile.HostingDeleted
		for _, h := range []reconcile.Hosting{made(11, "org-a", "Pro [sub_z/1]"), made(12, "org-a", "Pro [sub_b/1]"), made(13, "org-b", "Pro [sub_z/2]"),
			made(14, "org-a", "Pro [sub_z/3@shop]"), made(15, "org-a", "Pro [sub_a/2]"), gone} {
			f.must(f.SaveHosting(t.Context(), f.tok, h, t0))
		}
		same(t, "what may be ada's", map[int64][]reconcile.Likeness{11: {reconcile.LikeOrg}}, alikes(f.customer("cus_a")))
		same(t, "what may be bob's", map[int64][]reconcile.Likeness(nil), alikes(f.customer("cus_b")))
	})
}

// If the org of a customer was never read, a hosting in it is no reason to hold: what the
// panel has there is not known.
func TestAMarkerThatNamesNothingInAnOrgThatWasNotReadIsNoReason(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "ada@example.com"))
		f.bindOrg("cus_a", "org-a")
		f.must(f.SaveHosting(t.Context(), f.tok, made(11, "org-a", "Pro [sub_z/1]"), t0))
		same(t, "what may be ada's", map[int64][]reconcile.Likeness{11: {reconcile.LikeOrg}}, alikes(f.customer("cus_a")))
		f.edit("DELETE FROM orgs")
		same(t, "in an org that is not known", map[int64][]reconcile.Likeness(nil), alikes(f.customer("cus_a")))
	})
}
