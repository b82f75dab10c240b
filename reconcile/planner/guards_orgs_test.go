package planner_test

import (
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// A bound org loses the marker in its name and gets its owner when the customer has paid
// hosting in it, and not where the operator, its owner or the panel decides about that.
func TestAnOrgIsFinishedWhenItServesItsCustomer(t *testing.T) {
	const renamed, invited = "rename_org:cus_1", "invite_owner:cus_1:a@example.com"
	fresh := func(change func(c *reconcile.Customer, p *reconcile.Policy)) func(*reconcile.Customer, *reconcile.Policy) {
		return func(c *reconcile.Customer, p *reconcile.Policy) {
			c.OrgNamed, c.Invited, c.Subscriptions[0].DomainChecked = false, time.Time{}, true
			change(c, p)
		}
	}
	others := func(h reconcile.Hosting) func(*reconcile.Customer, *reconcile.Policy) {
		return fresh(func(c *reconcile.Customer, _ *reconcile.Policy) { c.Hostings = append(c.Hostings, h) })
	}
	byMarker := func(h reconcile.Hosting) func(*reconcile.Customer, *reconcile.Policy) {
		return fresh(func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Hostings, c.Bindings[0].How = append(c.Hostings, h), reconcile.BoundByMarker
		})
	}
	gone, away, taken := upAt(8, 1, "by hand"), upAt(8, 1, "by hand"), upAt(8, 1, "by hand")
	gone.State, away.Org, taken.Bound = reconcile.HostingDeleted, "org-2", true
	deleted, elsewhere := upAt(8, 1, "Basic [sub_9/1]"), upAt(8, 1, "Basic [sub_9/1]")
	deleted.State, elsewhere.Org = reconcile.HostingDeleted, "org-2"
	check(t, []guarded{
		{"it is paid for", fresh(func(*reconcile.Customer, *reconcile.Policy) {}), renamed + ", " + invited},
		{"it is not paid for", fresh(func(c *reconcile.Customer, _ *reconcile.Policy) { c.Subscriptions[0].Status = reconcile.StatusUnpaid }), "suspend:sub_1/1:7"},
		{"nothing of it is bound yet", fresh(func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Bindings, c.Hostings, c.Lookalikes = nil, nil, []reconcile.Lookalike{alike(9)}
		}), "hold adopt"},
		{"the org is another customer's", fresh(func(c *reconcile.Customer, _ *reconcile.Policy) { c.OrgGuest = true }), ""},
		{"customers get access in another way", fresh(func(_ *reconcile.Customer, p *reconcile.Policy) { p.Onboarding = reconcile.NoOnboarding }), renamed},
		{"its owner was invited", fresh(func(c *reconcile.Customer, _ *reconcile.Policy) { c.Invited = noon }), renamed},
		{"it has an owner", fresh(func(c *reconcile.Customer, _ *reconcile.Policy) { c.Org.OwnerEmail = "b@example.com" }), renamed},
		{"hosting of another customer is in it", others(upAt(8, 1, "Basic [sub_9/1]")), renamed + ", hold conflict"},
		{"hosting without a marker is in it", others(upAt(8, 1, "by hand")), renamed + ", " + invited},
		{"hosting without a marker is in it, and only a marker shows the org", byMarker(upAt(8, 1, "by hand")), renamed + ", hold conflict"},
		{"the same, and it is deleted", byMarker(gone), renamed + ", " + invited},
		{"the same in another org", byMarker(away), renamed + ", " + invited},
		{"the same, and it is bound", byMarker(taken), renamed + ", " + invited},
		{"the same, and the customer returned to its hosting", func(c *reconcile.Customer, p *reconcile.Policy) {
			byMarker(upAt(8, 1, "by hand"))(c, p)
			c.Bindings[0].How = reconcile.BoundByResubscription
		}, renamed + ", hold conflict"},
		{"the same, and a person has bound a hosting there", func(c *reconcile.Customer, p *reconcile.Policy) {
			byMarker(upAt(8, 1, "by hand"))(c, p)
			c.Bindings[0].How = reconcile.BoundByMetadata
		}, renamed + ", " + invited},
		{"hosting of another customer was in it, and is deleted", others(deleted), renamed + ", " + invited},
		{"hosting of another customer is in another org", others(elsewhere), renamed + ", " + invited},
	})
}

// If hostings that are gone were in several orgs, they do not show which one is the
// customer's, and the metadata does.
func TestHostingsThatWereInSeveralOrgsShowNone(t *testing.T) {
	check(t, []guarded{{"and the metadata names one", func(c *reconcile.Customer, _ *reconcile.Policy) {
		unbound(c)
		c.Hostings = []reconcile.Hosting{upAt(7, 1, "Basic [sub_1/1]"), upAt(8, 1, "Basic [sub_1/2]")}
		for i := range c.Hostings {
			c.Hostings[i].State, c.Hostings[i].TerminatedByUs = reconcile.HostingDeleted, noon.Add(-dayLong)
		}
		c.Hostings[1].Org, c.Subscriptions[0].MetadataOrg = "org-2", "org-2"
	}, "link:cus_1:org-2, create_subscription:sub_1/3:1"}})
}

// An org was ordered for a customer, and the panel has not answered. If another org were
// taken meanwhile, the customer might have two in the end.
func TestNoOtherOrgIsTakenWhileOneMayBeMade(t *testing.T) {
	sent := func(change func(*reconcile.Customer)) func(*reconcile.Customer, *reconcile.Policy) {
		return func(c *reconcile.Customer, _ *reconcile.Policy) {
			unbound(c)
			c.Org, c.Hostings, c.OrgNamed, c.Invited = nil, nil, false, time.Time{}
			c.Pending = []reconcile.Pending{{ActionID: "create_org:cus_1", Kind: reconcile.CreateOrg, SentAt: noon, SettleUntil: noon.Add(time.Minute)}}
			change(c)
		}
	}
	owned := reconcile.Org{ID: "org-2", Owners: []string{"a@example.com"}, OwnersRead: noon, HostingsRead: noon, ObservedAt: noon}
	check(t, []guarded{
		{"one of the same owner", sent(func(c *reconcile.Customer) {
			c.Kin = []reconcile.Kin{{Org: owned, Invited: noon, InvitedEmail: "a@example.com"}}
		}), "hold ambiguous"},
		{"one that the e-mail owns", sent(func(c *reconcile.Customer) { c.OwnedOrgs = []reconcile.Org{owned} }), "hold ambiguous"},
		{"one that the metadata names", sent(func(c *reconcile.Customer) { c.Subscriptions[0].MetadataOrg = "org-2" }), "hold ambiguous"},
		{"it has come", sent(func(c *reconcile.Customer) {
			c.MarkedOrgs = []reconcile.Org{{ID: "org-3", Name: "Ada [cus_1]", ObservedAt: noon, HostingsRead: noon}}
		}), "link:cus_1:org-3, hold ambiguous"},
	})
}

// The name that a person wants replaces the one that the org has, whatever is paid for, and
// never that of another customer's org.
func TestAPersonNamesTheOrg(t *testing.T) {
	named := func(c *reconcile.Customer) {
		c.Org.Name, c.NameWanted, c.NameWhy = "Old", "New", "ada@desk: asked for it"
	}
	with := func(change func(c *reconcile.Customer)) reconcile.Customer {
		return world(func(c *reconcile.Customer) {
			named(c)
			change(c)
		})
	}
	renames := func(c reconcile.Customer) string {
		for _, a := range planner.Decide(&c, catalog(), policy(), noon).Actions {
			if a.Kind == reconcile.RenameOrg {
				return a.Name + ", " + a.Reason
			}
		}
		return ""
	}
	const want = `New, renamed from "Old" by ada@desk: asked for it`
	for name, tc := range map[string]struct {
		c    reconcile.Customer
		want string
	}{
		"another name": {with(func(*reconcile.Customer) {}), want},
		"nothing is paid for": {with(func(c *reconcile.Customer) {
			c.Subscriptions[0].Status, c.Subscriptions[0].StatusText = reconcile.StatusCanceled, "canceled"
		}), want},
		"the name that it has": {with(func(c *reconcile.Customer) { c.NameWanted = "Old" }), ""},
		"no name":              {with(func(c *reconcile.Customer) { c.NameWanted = "" }), ""},
		"a guest":              {with(func(c *reconcile.Customer) { c.OrgGuest = true }), ""},
		"a deleted org":        {with(func(c *reconcile.Customer) { c.Org.Deleted = true }), ""},
		"a rename without a known outcome": {with(func(c *reconcile.Customer) {
			c.Pending = []reconcile.Pending{{ActionID: "rename_org:cus_1", Kind: reconcile.RenameOrg, SentAt: noon, SettleUntil: noon}}
		}), ""},
	} {
		if got := renames(tc.c); got != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
	c := with(func(*reconcile.Customer) {})
	if next := planner.After(&c, reconcile.Action{Kind: reconcile.RenameOrg, Org: "org-1", Name: "New"}, noon); renames(*next) != "" {
		t.Error("a dry run renames it again")
	}
}
