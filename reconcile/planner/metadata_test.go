package planner_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// When a database was lost, only the metadata at Stripe shows which subscription had taken
// over the hosting of an ended one: sub_1 has ended, sub_2 names its hosting, and the
// customer is back with sub_3. Each case fails if the rule that it tests is removed: if
// sub_3 takes the hosting over, if it is suspended, or if it is kept for a subscription
// that has ended, is unknown to Stripe, has a hosting or asks for none.
func TestWhatMetadataNamesIsKeptForIt(t *testing.T) {
	const kept, taken = "create_subscription:sub_3/1:1, hold adopt", "link:sub_3/1:7:si_3"
	price := func(s *reconcile.Subscription, p string) { s.Items[0].Price = p }
	for _, tc := range []struct {
		name   string
		change func(second *reconcile.Subscription, c *reconcile.Customer)
		want   string
	}{
		{"no metadata names it: the returning customer takes it over", func(s *reconcile.Subscription, _ *reconcile.Customer) {
			s.MetadataHosting, s.Status = 0, reconcile.StatusUnpaid
		}, taken},
		{"the plan of the one that names it is missing", func(s *reconcile.Subscription, _ *reconcile.Customer) { price(s, "price_number") },
			kept + ", hold plan_missing"},
		{"the price of the one that names it is unmapped", func(s *reconcile.Subscription, _ *reconcile.Customer) { price(s, "price_new") },
			"create_subscription:sub_3/1:1, hold unmapped, hold unmapped"},
		{"the one that names it asks for an absurd number", func(s *reconcile.Subscription, _ *reconcile.Customer) { s.Items[0].Quantity = 1000 },
			kept + ", hold quantity"},
		{"the status of the one that names it is unknown", func(s *reconcile.Subscription, _ *reconcile.Customer) {
			s.Status, s.StatusText = reconcile.StatusUnknown, "hibernating"
		}, kept + ", hold unknown_status"},
		{"the one that names it is unpaid: it is suspended, and not taken over", func(s *reconcile.Subscription, _ *reconcile.Customer) { s.Status = reconcile.StatusUnpaid },
			"create_subscription:sub_3/1:1, suspend:sub_1/1:7"},
		{"the one that names it is held for duplicates", func(_ *reconcile.Subscription, c *reconcile.Customer) {
			for id := range int64(2) {
				c.Hostings = append(c.Hostings, reconcile.Hosting{ID: 8 + id, Org: "org-1", Plan: 2, State: reconcile.HostingActive, ObservedAt: noon, FriendlyName: "Pro [sub_2/1]"})
			}
		}, kept + ", hold duplicate, hold duplicate"},
		{"the one that names it names another org too", func(s *reconcile.Subscription, _ *reconcile.Customer) { s.MetadataOrg = "org-2" },
			kept + ", hold conflict"},
		{"an extra beside it waits for nothing", func(s *reconcile.Subscription, _ *reconcile.Customer) {
			s.Items[0].Quantity = 0
			s.Items = append(s.Items, reconcile.Item{ID: "si_0", Price: "price_setup", Quantity: 1})
		}, taken},
		{"the one that names it has ended too", func(s *reconcile.Subscription, _ *reconcile.Customer) { s.Status = reconcile.StatusCanceled }, taken},
		{"the one that names it does not exist at Stripe", func(s *reconcile.Subscription, _ *reconcile.Customer) { s.Gone = true }, taken},
		{"the one that names it asks for none", func(s *reconcile.Subscription, _ *reconcile.Customer) { s.Items[0].Quantity = 0 }, taken},
		{"the one that names it has another", func(s *reconcile.Subscription, c *reconcile.Customer) {
			s.Status = reconcile.StatusUnpaid
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_2", Item: "si_2", Slot: 1, Org: "org-1", Hosting: 8})
			c.Hostings = append(c.Hostings, reconcile.Hosting{ID: 8, Org: "org-1", Plan: 1, State: reconcile.HostingSuspended, ObservedAt: noon})
		}, taken},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := back(tc.change)
			if d := cmp.Diff(tc.want, summary(planner.Decide(&c, catalog(), policy(), noon))); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// When the hosting that the metadata of sub_2 names is gone, the hosting of sub_1, which
// has ended, may be the last one that is left. Each case fails if its rule is removed.
func TestTheLastOneStaysWhileWhatMetadataNamesIsGone(t *testing.T) {
	for _, tc := range []struct {
		name   string
		status reconcile.Status
		named  reconcile.Hosting
		want   string
	}{
		{"deleted", reconcile.StatusActive, reconcile.Hosting{Org: "org-1", State: reconcile.HostingDeleted}, "hold missing, hold missing"},
		{"somewhere else, and not gone", reconcile.StatusActive, reconcile.Hosting{Org: "org-2", State: reconcile.HostingActive}, "suspend:sub_1/1:7, hold missing"},
		{"deleted, and the one that names it is unpaid", reconcile.StatusUnpaid, reconcile.Hosting{Org: "org-1", State: reconcile.HostingDeleted}, "suspend:sub_1/1:7"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := back(func(s *reconcile.Subscription, c *reconcile.Customer) {
				tc.named.ID, tc.named.Plan, tc.named.ObservedAt = 8, 1, noon
				s.Status, s.MetadataHosting = tc.status, tc.named.ID
				c.Hostings, c.Subscriptions = append(c.Hostings, tc.named), c.Subscriptions[:2]
			})
			if d := cmp.Diff(tc.want, summary(planner.Decide(&c, catalog(), policy(), noon))); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// back is a returning customer: sub_1 has ended and has hosting 7, the metadata of sub_2
// names that hosting, and sub_3 is new.
func back(change func(second *reconcile.Subscription, c *reconcile.Customer)) reconcile.Customer {
	return world(func(c *reconcile.Customer) {
		c.Subscriptions[0].Status, c.Subscriptions[0].StatusText, c.Subscriptions[0].EndedAt = reconcile.StatusCanceled, "canceled", noon.Add(-time.Hour)
		for _, id := range []string{"2", "3"} {
			c.Subscriptions = append(c.Subscriptions, reconcile.Subscription{ID: "sub_" + id, StripeCustomer: "cus_1", Status: reconcile.StatusActive, ByID: true,
				Created: noon, DomainChecked: true, Items: []reconcile.Item{{ID: "si_" + id, Price: "price_basic", Quantity: 1}}})
		}
		c.Subscriptions[1].MetadataOrg, c.Subscriptions[1].MetadataHosting = "org-1", 7
		change(&c.Subscriptions[1], c)
	})
}

// The subscription that a hosting was kept for gets it as soon as its plan is known,
// because nothing else was bound to it or created meanwhile.
func TestWhatWasKeptIsGivenToWhomItWasKeptFor(t *testing.T) {
	for name, items := range map[string][]reconcile.Item{
		"alone":                 {{ID: "si_2", Price: "price_number", Quantity: 1}},
		"beside a setup fee":    {{ID: "si_0", Price: "price_setup", Quantity: 1}, {ID: "si_2", Price: "price_number", Quantity: 1}},
		"beside another to map": {{ID: "si_0", Price: "price_number", Quantity: 1}, {ID: "si_2", Price: "price_number", Quantity: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			c := back(func(s *reconcile.Subscription, c *reconcile.Customer) {
				s.Items, c.Subscriptions = items, c.Subscriptions[:2]
			})
			for _, a := range planner.Decide(&c, catalog(), policy(), noon).Actions {
				t.Errorf("while its plan is not known: %s", a.ID)
			}
			c.Subscriptions[1].Items[len(items)-1].Price = "price_basic"
			if d := cmp.Diff("link:sub_2/1:7:si_2", planner.Decide(&c, catalog(), policy(), noon).Actions[0].ID); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// A hosting is not deleted, however long ago its subscription ended, if the metadata of
// an unpaid one names it, because that one gets it back when it is paid.
func TestWhatMetadataOfTheUnpaidNamesIsNotDeleted(t *testing.T) {
	c := back(func(s *reconcile.Subscription, c *reconcile.Customer) {
		s.Status, c.Subscriptions = reconcile.StatusUnpaid, c.Subscriptions[:2]
		c.Subscriptions[0].EndedAt = noon.Add(-90 * 24 * time.Hour)
		c.Hostings[0].State, c.Hostings[0].SuspendedByUs = reconcile.HostingSuspended, noon.Add(-80*24*time.Hour)
	})
	p := policy()
	p.Retention = 30 * 24 * time.Hour
	if got := summary(planner.Decide(&c, catalog(), p, noon)); got != "" {
		t.Errorf("%s", got)
	}
	c.Subscriptions[1].MetadataHosting = 0
	if got := summary(planner.Decide(&c, catalog(), p, noon)); got != "terminate:sub_1/1:7" {
		t.Errorf("with no metadata: %q", got)
	}
}

// A returning customer does not get a hosting if a subscription that has not ended is
// bound to it, whether that one is paid or not.
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
		for _, a := range planner.Decide(&c, catalog(), policy(), noon).Actions {
			if a.Kind == reconcile.Link {
				t.Errorf("%s: %s", status, a.ID)
			}
		}
	}
}

// If a subscription asks for two hostings and has one, it may be using the other hosting
// of the one that ended before it. So that hosting stays while the price is unmapped, and
// when the second subscription has ended too, retention counts from that end. The same
// holds if the second has none, for any quantity; a fee beside a mapped item asks for none.
func TestOneOfTwoHostingsMayServeWhoAsksForTwo(t *testing.T) {
	fee := reconcile.Item{ID: "si_0", Price: "price_setup", Quantity: 1}
	two := func(bound bool, items ...reconcile.Item) reconcile.Customer {
		return back(func(s *reconcile.Subscription, c *reconcile.Customer) {
			s.Items, c.Subscriptions = items, c.Subscriptions[:2]
			if bound {
				c.Bindings[0].Subscription, c.Bindings[0].Item, c.Bindings[0].How = "sub_2", "si_2", reconcile.BoundByMetadata
			} else {
				c.Bindings, c.Hostings, s.MetadataHosting = nil, nil, 0
			}
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_1", Item: "si_1", Slot: 2, Org: "org-1", Hosting: 8, How: reconcile.BoundByCreate})
			c.Hostings = append(c.Hostings, reconcile.Hosting{ID: 8, Org: "org-1", Plan: 1, State: reconcile.HostingActive, ObservedAt: noon})
		})
	}
	c := two(true, reconcile.Item{ID: "si_2", Price: "price_new", Quantity: 2})
	for _, a := range planner.Decide(&c, catalog(), policy(), noon).Actions {
		t.Errorf("while its price is unmapped: %s", a.ID)
	}
	p := policy()
	p.Retention = 30 * 24 * time.Hour
	for _, tc := range []struct {
		name string
		c    reconcile.Customer
		want string
	}{
		{"one of two", two(true, reconcile.Item{ID: "si_2", Price: "price_new", Quantity: 2}), ""},
		{"none", two(false, reconcile.Item{ID: "si_2", Price: "price_basic", Quantity: 0}), ""},
		{"one, and a fee", two(true, fee, reconcile.Item{ID: "si_2", Price: "price_basic", Quantity: 1}), "terminate:sub_1/2:8"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.c.Subscriptions[0].EndedAt = noon.Add(-90 * 24 * time.Hour)
			tc.c.Subscriptions[1].Status, tc.c.Subscriptions[1].EndedAt = reconcile.StatusCanceled, noon.Add(-5*24*time.Hour)
			for i := range tc.c.Hostings {
				tc.c.Hostings[i].State, tc.c.Hostings[i].SuspendedByUs = reconcile.HostingSuspended, noon.Add(-80*24*time.Hour)
			}
			if d := cmp.Diff(tc.want, summary(planner.Decide(&tc.c, catalog(), p, noon))); d != "" {
				t.Errorf("five days after the end (-want +got):\n%s", d)
			}
		})
	}
}

// When two subscriptions name the same hosting, it is not suspended because one is unpaid,
// if the other may be paying for it.
func TestOneWhoMayBePayingSpeaksForWhatTwoName(t *testing.T) {
	c := back(func(s *reconcile.Subscription, c *reconcile.Customer) {
		s.Status = reconcile.StatusUnpaid
		third := &c.Subscriptions[2]
		third.MetadataOrg, third.MetadataHosting, third.Items[0].Price = "org-1", 7, "price_number"
	})
	if d := cmp.Diff("hold adopt, hold plan_missing", summary(planner.Decide(&c, catalog(), policy(), noon))); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
