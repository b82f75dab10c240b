package store

import (
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// made is a hosting that staff made, with or without a name that means something.
func made(id int64, org, name string) reconcile.Hosting {
	h := *activeHosting(id, org)
	h.FriendlyName = name
	return h
}

func TestUnboundHostingsAreThoseThatNobodyIsBoundToAndNoMarkerNames(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		unbound := func() reconcile.Unbound {
			u, err := f.Unbound(t.Context())
			f.must(err)
			return u
		}
		ask := func() {
			t.Helper()
			_, err := f.AskAboutUnbound(t.Context(), f.tok, t0)
			f.must(err)
		}
		ask()
		same(t, "an empty panel", reconcile.Unbound{}, unbound())
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		gone, suspended := made(3, "org-a", "Gone"), made(4, "org-b", "Suspended")
		gone.State, suspended.State = reconcile.HostingDeleted, reconcile.HostingSuspended
		f.must(f.SaveHostings(t.Context(), f.tok, "org-a", []reconcile.Hosting{made(1, "org-a", "By hand"), made(2, "org-a", "Pro [sub_z/1]"), gone}, t0))
		f.must(f.SaveHostings(t.Context(), f.tok, "org-b", []reconcile.Hosting{suspended, made(5, "org-b", "Pro [sub_z/2@lab]")}, t0))
		f.must(f.SaveHostings(t.Context(), f.tok, "org-c", []reconcile.Hosting{made(6, "org-c", "In an org that was deleted")}, t0))
		f.must(f.SaveOrgs(t.Context(), f.tok, []reconcile.Org{{ID: "org-c", Deleted: true}}, false, t0))
		same(t, "before it was asked", reconcile.Unbound{Hostings: 2, Orgs: 2}, unbound())
		ask()
		same(t, "undecided", reconcile.Unbound{Hostings: 2, Orgs: 2, Undecided: true}, unbound())
		same(t, "what a customer knows of it", []bool{true, true}, []bool{f.customer("cus_a").Unbound, f.customer("cus_a").Undecided})
		f.bindHosting("cus_a", "sub_a", 1, "org-a", 1)
		ask()
		same(t, "one bound", reconcile.Unbound{Hostings: 1, Orgs: 1, Undecided: true}, unbound())
		suspended.State = reconcile.HostingMissing
		f.must(f.SaveHosting(t.Context(), f.tok, suspended, t0))
		ask()
		same(t, "none left", reconcile.Unbound{}, unbound())
		same(t, "what a customer knows of that", []bool{false, false}, []bool{f.customer("cus_a").Unbound, f.customer("cus_a").Undecided})
		f.must(f.SaveHosting(t.Context(), f.tok, made(7, "org-b", "In the second year"), t0))
		ask()
		same(t, "in the second year", reconcile.Unbound{Hostings: 1, Orgs: 1}, unbound())
		f.must(f.NoteHidden(t.Context(), f.tok, t0))
		ask()
		same(t, "in an org that the first look could not list", reconcile.Unbound{Hostings: 1, Orgs: 1, Undecided: true, Hidden: true}, unbound())
		f.must(f.NoteHidden(t.Context(), f.tok, time.Time{}))
		same(t, "once all were listed", reconcile.Unbound{Hostings: 1, Orgs: 1, Undecided: true}, unbound())
	})
}

// alikes are a customer's look-alikes, without the fields that do not matter here.
func alikes(c reconcile.Customer) map[int64][]reconcile.Likeness {
	all := map[int64][]reconcile.Likeness{}
	for _, l := range c.Lookalikes {
		all[l.Hosting] = append(all[l.Hosting], l.Why)
	}
	return all
}

func TestLookalikesAreFoundByWhatAnOrgHasOfACustomer(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		ada := facts("sub_a", "cus_a", "Ada@Example.com")
		ada.Buyer.Name, ada.Domain, ada.MetadataOrg = "Ada GmbH", "www.ada.example.com", "org-metadata"
		f.save(t0, ada, facts("sub_b", "cus_b", "bob@example.com"))
		f.bindOrg("cus_b", "org-b")
		f.bindHosting("cus_b", "sub_b", 1, "org-b", 1)
		f.must(f.SaveOrgs(t.Context(), f.tok, []reconcile.Org{
			{ID: "org-owner", Name: "One", OwnerEmail: "ada@example.com"}, {ID: "org-name", Name: " ada  GMBH"}, {ID: "org-mail", Name: "ADA@example.com"},
			{ID: "org-metadata", Name: "Two"}, {ID: "org-site", Name: "Three"}, {ID: "org-else", Name: "Ada"},
			{ID: "org-deleted", Name: "Ada GmbH", Deleted: true}, {ID: "org-b", Name: "Ada GmbH"}, {ID: "org-marked", Name: "Four [cus_a]"}}, true, t0))
		for id, org := range map[int64]string{11: "org-owner", 12: "org-name", 13: "org-mail", 14: "org-metadata", 15: "org-site", 16: "org-else", 17: "org-deleted", 18: "org-b", 19: "org-marked"} {
			f.must(f.SaveHosting(t.Context(), f.tok, made(id, org, "By hand"), t0))
		}
		f.must(f.SaveHosting(t.Context(), f.tok, made(20, "org-owner", "Pro [sub_z/1]"), t0)) // another installation's customer
		f.must(f.SaveSites(t.Context(), f.tok, "ADA.example.com", []reconcile.WebsiteLocation{{Org: "org-site", Hosting: 15}, {Org: "org-b", Hosting: 1}}, t0))
		c := f.customer("cus_a")
		want := map[int64][]reconcile.Likeness{11: {reconcile.LikeOwner}, 12: {reconcile.LikeName}, 13: {reconcile.LikeName}, 14: {reconcile.LikeMetadata},
			15: {reconcile.LikeDomain}, 18: {reconcile.LikeName}, 19: {reconcile.LikeOrg}}
		same(t, "what looks like ada's", want, alikes(c))
		same(t, "when the site was looked for", t0, c.Subscriptions[0].SiteReadAt)
		for _, l := range c.Lookalikes {
			if l.Why == reconcile.LikeMetadata || l.Why == reconcile.LikeDomain {
				same(t, "whose", "sub_a", l.Subscription)
			}
			if l.Hosting == 12 {
				same(t, "one of them", reconcile.Lookalike{Org: "org-name", OrgName: " ada  GMBH", Hosting: 12, Plan: 2, Why: reconcile.LikeName, ObservedAt: t0}, l)
			}
		}
		same(t, "what looks like bob's", map[int64][]reconcile.Likeness{18: {reconcile.LikeOrg}}, alikes(f.customer("cus_b")))

		f.must(f.SaveSites(t.Context(), f.tok, "ada.example.com", nil, t0.Add(time.Hour)))
		c = f.customer("cus_a")
		same(t, "looked for again, and nowhere", t0.Add(time.Hour), c.Subscriptions[0].SiteReadAt)
		same(t, "on no hosting of theirs", []reconcile.Likeness(nil), alikes(c)[15])
	})
}

func TestWhatWasMadeASecondTimeIsFound(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"), facts("sub_b", "cus_b", "b@example.com"))
		f.bindOrg("cus_a", "org-a")
		f.bindHosting("cus_a", "sub_a", 1, "org-a", 1)
		f.settled(t0, "cus_a")
		seconds := func(instance string) []reconcile.Duplicate {
			all, err := f.Duplicates(t.Context(), instance, 10)
			f.must(err)
			return all
		}
		f.must(f.SaveHostings(t.Context(), f.tok, "org-x", []reconcile.Hosting{made(2, "org-x", "Pro [sub_a/2]"), made(3, "org-x", "Pro [sub_b/1]"), made(4, "org-x", "Pro [sub_z/1]")}, t0))
		same(t, "other slots, other subscriptions", []reconcile.Duplicate(nil), seconds(""))
		f.settled(t0, "cus_a")
		f.must(f.SaveHosting(t.Context(), f.tok, made(5, "org-x", "Pro [sub_a/1@lab]"), t0))
		same(t, "with another's word", []reconcile.Duplicate(nil), seconds(""))
		f.settled(t0, "cus_a")
		f.must(f.SaveHosting(t.Context(), f.tok, made(6, "org-x", "Pro [sub_a/1]"), t0))
		second := reconcile.Duplicate{Marker: reconcile.Marker{StripeID: "sub_a", Slot: 1}, Org: "org-x", Hosting: 6, FirstOrg: "org-a", First: 1}
		same(t, "a second one", []reconcile.Duplicate{second}, seconds("shop"))
		same(t, "who is looked at", []string{"cus_a", "cus_b"}, f.dueIDs(t0))
		of := second
		of.Hosting = 5
		same(t, "with the own word", []reconcile.Duplicate{of, second}, seconds("lab"))
		f.must(f.SaveHosting(t.Context(), f.tok, made(6, "org-x", "Pro"), t0))
		same(t, "without its marker", []reconcile.Duplicate(nil), seconds(""))

		f.must(f.SaveOrgs(t.Context(), f.tok, []reconcile.Org{{ID: "org-y", Name: "A [cus_a]"}, {ID: "org-z", Name: "B [cus_b]"}}, false, t0))
		org := reconcile.Duplicate{Marker: reconcile.Marker{StripeID: "cus_a"}, Org: "org-y", FirstOrg: "org-a"}
		same(t, "a second org", []reconcile.Duplicate{org}, seconds(""))
		f.must(f.SaveOrgs(t.Context(), f.tok, []reconcile.Org{{ID: "org-w", Name: "B [cus_b]"}}, false, t0))
		twin := reconcile.Duplicate{Marker: reconcile.Marker{StripeID: "cus_b"}, Org: "org-z", FirstOrg: "org-w"}
		same(t, "two orgs, and none is bound", []reconcile.Duplicate{org, twin}, seconds(""))
	})
}

// A second hosting with a marker is not another installation's if our journal has its
// create: one that was given up and took effect later, when another hosting was bound, or
// one that was found done. The same goes for a second org.
func TestWhatOurOwnJournalMadeIsNoStrangers(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"), facts("sub_b", "cus_b", "b@example.com"))
		f.bindOrg("cus_a", "org-a")
		f.bindOrg("cus_b", "org-b")
		record := func(a reconcile.Action, o reconcile.Outcome) {
			o.Action, o.Run, o.At = a, "run-1", t0
			f.must(f.RecordIntent(t.Context(), f.tok, "run-1", a, "", t0))
			f.must(f.RecordOutcome(t.Context(), f.tok, o))
		}
		a := action("create_subscription:sub_a/1:2", reconcile.CreateSubscription, "cus_a", "sub_a")
		a.Slot = 1
		record(a, reconcile.Outcome{State: reconcile.ActionFailed, Looks: 2, Error: "no answer"})
		f.bindHosting("cus_a", "sub_a", 1, "org-a", 1)
		f.must(f.SaveHosting(t.Context(), f.tok, made(9, "org-a", "Pro [sub_a/1]"), t0))
		ordered := action("create_org:cus_b", reconcile.CreateOrg, "cus_b", "")
		ordered.Org = ""
		record(ordered, reconcile.Outcome{State: reconcile.ActionAdopted})
		f.must(f.SaveOrgs(t.Context(), f.tok, []reconcile.Org{{ID: "org-z", Name: "B [cus_b]"}}, false, t0))
		all, err := f.Duplicates(t.Context(), "", 10)
		f.must(err)
		same(t, "seconds", []reconcile.Duplicate(nil), all)
	})
}

// If a hosting with the marker of a customer is in an org of no customer, the other hostings in
// that org may be the customer's too.
func TestAMarkedHostingMakesItsOrgLookLikeTheCustomers(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"), facts("sub_b", "cus_b", "b@example.com"))
		for _, h := range []reconcile.Hosting{made(20, "org-x", "Pro [sub_a/1]"), made(21, "org-x", "Old"), made(22, "org-y", "Old")} {
			f.must(f.SaveHosting(t.Context(), f.tok, h, t0))
		}
		same(t, "what may be its customer's", map[int64][]reconcile.Likeness{21: {reconcile.LikeOrg}}, alikes(f.customer("cus_a")))
		same(t, "what may be another's", map[int64][]reconcile.Likeness(nil), alikes(f.customer("cus_b")))
	})
}
