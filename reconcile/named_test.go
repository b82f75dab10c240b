package reconcile_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// After a database was lost, the metadata at Stripe is all that tells who has taken
// over the hosting of a subscription that has ended: sub_1 has ended, sub_2 names its
// hosting, and the customer is back with sub_3. Each case went red when what it is
// about was left out: nothing kept for who can be given nothing now; kept for one that has
// ended or has no item to serve; taken over all the same; or the last one taken down
// while what the metadata names is gone.
func TestWhatMetadataNamesIsKeptForIt(t *testing.T) {
	const kept = "link:sub_2/1:7:si_2, create_subscription:sub_3/1:1"
	price := func(s *reconcile.Subscription, p string) { s.Items[0].Price = p }
	for _, tc := range []struct {
		name   string
		change func(second *reconcile.Subscription, c *reconcile.Customer)
		want   string
	}{
		{"nobody named it: who is back takes it over", func(s *reconcile.Subscription, _ *reconcile.Customer) {
			s.MetadataHosting, s.Status = 0, reconcile.StatusUnpaid
		}, "link:sub_3/1:7:si_3"},
		{"the plan of who names it is missing", func(s *reconcile.Subscription, _ *reconcile.Customer) { price(s, "price_number") },
			kept + ", hold plan_missing"},
		{"nobody has mapped the price of who names it", func(s *reconcile.Subscription, _ *reconcile.Customer) { price(s, "price_new") },
			kept + ", hold unmapped"},
		{"who names it asks for an absurd number", func(s *reconcile.Subscription, _ *reconcile.Customer) { s.Items[0].Quantity = 1000 },
			kept + ", hold quantity"},
		{"who names it has not paid", func(s *reconcile.Subscription, _ *reconcile.Customer) { s.Status = reconcile.StatusUnpaid },
			kept},
		{"an extra beside the item that it is for", func(s *reconcile.Subscription, _ *reconcile.Customer) {
			s.Status = reconcile.StatusUnpaid
			s.Items = append([]reconcile.Item{{ID: "si_0", Price: "price_setup", Quantity: 1}}, s.Items...)
		}, kept},
		{"what it wants is held", func(s *reconcile.Subscription, c *reconcile.Customer) {
			s.Items = append(s.Items, reconcile.Item{ID: "si_0", Price: "price_setup", Quantity: 1})
			for id := range int64(2) {
				c.Hostings = append(c.Hostings, reconcile.Hosting{ID: 8 + id, Org: "org-1", Plan: 1, State: reconcile.HostingActive, ObservedAt: noon, FriendlyName: "Basic [sub_2/1]"})
			}
		}, "link:sub_2/2:7:si_2, hold adopt, hold duplicate, hold duplicate"},
		{"who names it has ended too", func(s *reconcile.Subscription, _ *reconcile.Customer) { s.Status = reconcile.StatusCanceled }, "link:sub_3/1:7:si_3"},
		{"who names it asks for none", func(s *reconcile.Subscription, _ *reconcile.Customer) { s.Items[0].Quantity = 0 }, "link:sub_3/1:7:si_3"},
		{"who names it has another", func(s *reconcile.Subscription, c *reconcile.Customer) {
			s.Status = reconcile.StatusUnpaid
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_2", Item: "si_2", Slot: 1, Org: "org-1", Hosting: 8})
			c.Hostings = append(c.Hostings, reconcile.Hosting{ID: 8, Org: "org-1", Plan: 1, State: reconcile.HostingSuspended, ObservedAt: noon})
		}, "link:sub_3/1:7:si_3"},
		{"what it names is gone: the last one stays", func(s *reconcile.Subscription, c *reconcile.Customer) {
			s.MetadataHosting = 8
			c.Hostings = append(c.Hostings, reconcile.Hosting{ID: 8, Org: "org-1", Plan: 1, State: reconcile.HostingDeleted, ObservedAt: noon})
			c.Subscriptions = c.Subscriptions[:2]
		}, "hold missing, hold missing"},
		{"the same, and who names it has not paid", func(s *reconcile.Subscription, c *reconcile.Customer) {
			s.MetadataHosting, s.Status = 8, reconcile.StatusUnpaid
			c.Hostings = append(c.Hostings, reconcile.Hosting{ID: 8, Org: "org-1", Plan: 1, State: reconcile.HostingDeleted, ObservedAt: noon})
			c.Subscriptions = c.Subscriptions[:2]
		}, "suspend:sub_1/1:7"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := world(func(c *reconcile.Customer) {
				c.Subscriptions[0].Status, c.Subscriptions[0].StatusText, c.Subscriptions[0].EndedAt = reconcile.StatusCanceled, "canceled", noon.Add(-time.Hour)
				for _, id := range []string{"2", "3"} {
					c.Subscriptions = append(c.Subscriptions, reconcile.Subscription{ID: "sub_" + id, StripeCustomer: "cus_1", Status: reconcile.StatusActive, ByID: true,
						Created: noon, DomainChecked: true, Items: []reconcile.Item{{ID: "si_" + id, Price: "price_basic", Quantity: 1}}})
				}
				c.Subscriptions[1].MetadataOrg, c.Subscriptions[1].MetadataHosting = "org-1", 7
				tc.change(&c.Subscriptions[1], c)
			})
			if d := cmp.Diff(tc.want, told(reconcile.Decide(&c, catalog(), policy(), noon))); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// What was kept for somebody stays theirs once it is bound: who comes back next does
// not get it, whatever the one that has it may want by then.
func TestAHostingThatSomebodyElseStillHasIsNotTakenOver(t *testing.T) {
	for _, status := range []reconcile.Status{reconcile.StatusUnpaid, reconcile.StatusIncomplete, reconcile.StatusUnknown} {
		c := world(func(c *reconcile.Customer) {
			c.Subscriptions[0].Status, c.Subscriptions[0].EndedAt = reconcile.StatusCanceled, noon.Add(-time.Hour)
			c.Subscriptions = append(c.Subscriptions,
				reconcile.Subscription{ID: "sub_2", Status: status, ByID: true, Items: []reconcile.Item{{ID: "si_2", Price: "price_basic", Quantity: 1}}},
				reconcile.Subscription{ID: "sub_3", Status: reconcile.StatusActive, ByID: true, Created: noon, DomainChecked: true,
					Items: []reconcile.Item{{ID: "si_3", Price: "price_pro", Quantity: 1}}})
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_2", Item: "si_2", Slot: 1, Org: "org-1", Hosting: 7, How: reconcile.BoundByMetadata})
		})
		for _, a := range reconcile.Decide(&c, catalog(), policy(), noon).Actions {
			if a.Kind == reconcile.Link {
				t.Errorf("%s: %s", status, a.ID)
			}
		}
	}
}
