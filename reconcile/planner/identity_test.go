package planner_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// TestWhomAnOrgIsSharedWith has a Stripe customer, ada, who orders for the first time when
// there are orgs that may be hers, because of her e-mail.
func TestWhomAnOrgIsSharedWith(t *testing.T) {
	const apart = "create_org:cus_1, create_subscription:sub_1/1:1, rename_org:cus_1, invite_owner:cus_1:ada@example.com"
	const shared = "link:cus_1:org-2, create_subscription:sub_1/1:1"
	hers := []string{"Ada@example.com"}
	kin := func(c *reconcile.Customer) *reconcile.Kin {
		c.Kin = []reconcile.Kin{{ID: "cus_2", Org: reconcile.Org{ID: "org-2", Owners: hers, OwnersRead: noon}, Invited: noon, InvitedEmail: "ada@example.com"}}
		return &c.Kin[0]
	}
	owned := func(c *reconcile.Customer) *reconcile.Org {
		c.OwnedOrgs = []reconcile.Org{{ID: "org-2", OwnerEmail: "ada@example.com", HostingsRead: noon, Owners: hers, OwnersRead: noon}}
		return &c.OwnedOrgs[0]
	}
	for _, tc := range []struct {
		name string
		set  func(c *reconcile.Customer)
		want string
	}{
		{"no other customer", func(*reconcile.Customer) {}, apart},
		{"another customer whose org is owned by exactly her address", func(c *reconcile.Customer) { kin(c) }, shared},
		{"one to whose org she is invited, where the panel lists no invited owner", func(c *reconcile.Customer) { kin(c).Org.Owners = nil }, shared},
		{"one to whose org another address is invited", func(c *reconcile.Customer) { k := kin(c); k.Org.Owners, k.InvitedEmail = nil, "eve@example.com" }, apart},
		{"one whose org another address owns", func(c *reconcile.Customer) { kin(c).Org.Owners = []string{"eve@example.com"} }, apart},
		{"one whose org has a second owner", func(c *reconcile.Customer) { kin(c).Org.Owners = []string{"ada@example.com", "eve@example.com"} }, apart},
		{"one who changed to her address after the invitation", func(c *reconcile.Customer) { kin(c).EmailChanged = noon }, apart},
		{"one who changed to her address before the invitation", func(c *reconcile.Customer) { kin(c).EmailChanged = noon.Add(-time.Second) }, shared},
		{"one who changed to her address, and no owner was invited", func(c *reconcile.Customer) {
			k := kin(c)
			k.EmailChanged, k.Invited = noon.Add(-time.Hour), time.Time{}
		}, apart},
		{"one who is a guest there", func(c *reconcile.Customer) { kin(c).Guest = true }, apart},
		{"one whose org is suspended", func(c *reconcile.Customer) { kin(c).Org.Suspended = true }, apart},
		{"one whose org was deleted", func(c *reconcile.Customer) { kin(c).Org.Deleted = true }, apart},
		{"two of them: the older org", func(c *reconcile.Customer) {
			k := *kin(c)
			k.ID, k.Org.ID, k.Org.Created = "cus_3", "org-3", noon
			c.Kin[0].Org.Created = noon.Add(-time.Hour)
			c.Kin = append([]reconcile.Kin{k}, c.Kin...)
		}, shared},
		{"she has changed her own address", func(c *reconcile.Customer) {
			kin(c)
			c.Buyers[0].FormerEmail, c.Buyers[0].EmailChanged = "eve@example.com", noon
		}, apart},
		{"an org that was there before, and hers alone", func(c *reconcile.Customer) { owned(c) }, shared},
		{"an org that was there before, with a second owner", func(c *reconcile.Customer) { owned(c).Owners = []string{"ada@example.com", "eve@example.com"} }, "hold conflict"},
		{"an org that was there before, listed as hers and owned by another", func(c *reconcile.Customer) { owned(c).Owners = []string{"eve@example.com"} }, "hold conflict"},
		{"an org that was there before, and she has changed her address", func(c *reconcile.Customer) {
			owned(c)
			c.Buyers[0].FormerEmail, c.Buyers[0].EmailChanged = "eve@example.com", noon
		}, apart},
		{"a guest names and invites nothing", func(c *reconcile.Customer) {
			c.Org, c.OrgGuest = &reconcile.Org{ID: "org-2", Name: "Ada [cus_2]", HostingsRead: noon}, true
			c.Bindings = []reconcile.Binding{{Subscription: "sub_1", Item: "si_1", Slot: 1, Org: "org-2", Hosting: 7, How: reconcile.BoundByCreate}}
			c.Hostings = []reconcile.Hosting{{ID: 7, Org: "org-2", Plan: 1, State: reconcile.HostingActive, ObservedAt: noon}}
		}, ""},
		{"in an old customer with several buyers, one does not get the hosting of another", func(c *reconcile.Customer) {
			c.Subscriptions[0].Status, c.Subscriptions[0].EndedAt = reconcile.StatusCanceled, noon.Add(-time.Hour)
			c.Buyers = append(c.Buyers, reconcile.Buyer{StripeCustomer: reconcile.StripeCustomer{ID: "cus_9", Email: "eve@example.com"}})
			c.Subscriptions = append(c.Subscriptions, reconcile.Subscription{ID: "sub_2", StripeCustomer: "cus_9", Status: reconcile.StatusActive, ByID: true, DomainChecked: true,
				Created: noon, Items: []reconcile.Item{{ID: "si_9", Price: "price_basic", Quantity: 1}}})
			c.Org, c.OrgNamed, c.Invited = &reconcile.Org{ID: "org-2", OwnerEmail: "ada@example.com"}, true, noon
			c.Bindings = []reconcile.Binding{{Subscription: "sub_1", Item: "si_1", Slot: 1, Org: "org-2", Hosting: 7, How: reconcile.BoundByCreate}}
			c.Hostings = []reconcile.Hosting{{ID: 7, Org: "org-2", Plan: 1, State: reconcile.HostingSuspended, SuspendedByUs: noon, ObservedAt: noon, Bound: true}}
		}, "create_subscription:sub_2/1:1"},
		{"in an old customer with several buyers, the one with a hosting is invited, not the first", func(c *reconcile.Customer) {
			c.Subscriptions[0].Status = reconcile.StatusIncomplete
			c.Buyers = append(c.Buyers, reconcile.Buyer{StripeCustomer: reconcile.StripeCustomer{ID: "cus_9", Email: "eve@example.com"}})
			c.Subscriptions = append(c.Subscriptions, reconcile.Subscription{ID: "sub_2", StripeCustomer: "cus_9", Status: reconcile.StatusActive, ByID: true, DomainChecked: true,
				Created: noon, Items: []reconcile.Item{{ID: "si_9", Price: "price_basic", Quantity: 1}}})
		}, "create_org:cus_1, create_subscription:sub_2/1:1, rename_org:cus_1, invite_owner:cus_1:eve@example.com"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := reconcile.Customer{ID: "cus_1", Email: "ada@example.com",
				Buyers: []reconcile.Buyer{{StripeCustomer: reconcile.StripeCustomer{ID: "cus_1", Email: "ada@example.com"}}},
				Subscriptions: []reconcile.Subscription{{ID: "sub_1", StripeCustomer: "cus_1", Status: reconcile.StatusActive, ByID: true, DomainChecked: true,
					Created: noon.Add(-time.Minute), Items: []reconcile.Item{{ID: "si_1", Price: "price_basic", Quantity: 1}}}}}
			tc.set(&c)
			catalog := planner.NewCatalog([]reconcile.Mapping{{BillingID: "price_basic", Plan: "1"}}, []reconcile.EnhancePlan{{ID: 1, Name: "Basic"}})
			d := planner.Decide(&c, catalog, reconcile.Policy{Mode: reconcile.Enforce, Onboarding: reconcile.Invite, CreateWebsites: true}, noon)
			var got []string
			for _, a := range d.Actions {
				got = append(got, a.ID)
			}
			for _, h := range d.Holds {
				got = append(got, "hold "+string(h.Kind))
			}
			if g := strings.Join(got, ", "); g != tc.want {
				t.Errorf("%s\nwant %s\nneeds %v", g, tc.want, d.Needs)
			}
		})
	}
}
