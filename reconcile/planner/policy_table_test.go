package planner_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// world is a customer with one bound hosting on plan 1, which each case changes.
func world(change func(c *reconcile.Customer)) reconcile.Customer {
	c := reconcile.Customer{ID: "cus_1", Email: "a@example.com", Org: &reconcile.Org{ID: "org-1"}, OrgNamed: true, Invited: noon,
		Subscriptions: []reconcile.Subscription{{ID: "sub_1", StripeCustomer: "cus_1", Status: reconcile.StatusActive, StatusText: "active", ByID: true,
			Items: []reconcile.Item{{ID: "si_1", Price: "price_basic", Quantity: 1}}}},
		Bindings: []reconcile.Binding{{Subscription: "sub_1", Item: "si_1", Slot: 1, Org: "org-1", Hosting: 7, How: reconcile.BoundByCreate}},
		Hostings: []reconcile.Hosting{{ID: 7, Org: "org-1", Plan: 1, State: reconcile.HostingActive, ObservedAt: noon, FriendlyName: "Basic [sub_1/1]"}}}
	change(&c)
	for i := range c.Hostings { // read just now, and empty unless the case sets it
		if h := &c.Hostings[i]; h.Content.ReadAt.IsZero() {
			h.Content.ReadAt = noon
		}
	}
	return c
}

func catalog() *planner.Catalog {
	return planner.NewCatalog([]reconcile.Mapping{{BillingID: "price_basic", Plan: "1"}, {BillingID: "price_pro", Plan: "Pro"}, {BillingID: "gold", Plan: "3"},
		{BillingID: "price_silver", Plan: "4"}, {BillingID: "price_number", Plan: "77"}},
		[]reconcile.EnhancePlan{{ID: 1, Name: "Basic", Limits: map[string]int64{"websites": 1}}, {ID: 2, Name: "Pro", Limits: map[string]int64{"websites": 10}}, {ID: 3, Name: "Gold"},
			{ID: 4, Name: "Silver", Limits: map[string]int64{"websites": 1}}, {ID: 9, Name: "77"}})
}

func policy() reconcile.Policy {
	return reconcile.Policy{Mode: reconcile.Enforce, Grace: 72 * time.Hour, Onboarding: reconcile.Invite}
}

// summary is a decision in short: action ids, then the kinds of the holds.
func summary(d planner.Decision) string {
	var all []string
	for _, a := range d.Actions {
		all = append(all, a.ID)
	}
	for _, h := range d.Holds {
		all = append(all, "hold "+string(h.Kind))
	}
	return strings.Join(all, ", ")
}

// Each of these rules keeps a paying customer's site up. The case that is named fails if
// the planner makes this mistake:
//   - there is no grace period: past due is up a moment before …
//   - it suspends because a status is unknown, or Stripe does not know the subscription:
//     an unknown status changes nothing …, a subscription that …
//   - it resumes a hosting that others suspended: a suspension by others stays
//   - it counts a hosting as surplus because its price is unmapped: a price that lost …
//   - it replaces a hosting when its item is replaced, or the customer comes back: an item
//     replaced by another …, a returning customer gets …
//   - it suspends because one of two subscriptions has ended: two live subscriptions …
//   - it does not compare usage before a downgrade: a downgrade below the usage …
//   - it repeats a write before it was looked for: an unanswered suspension …
//   - it ignores manual holds: hands off means off
//   - the limit lets one more pass, or forgets the last 24 hours: TestTheBrake…
func TestThePolicyTable(t *testing.T) {
	status := func(s reconcile.Status) func(c *reconcile.Customer) {
		return func(c *reconcile.Customer) {
			c.Subscriptions[0].Status, c.Subscriptions[0].StatusText = s, s.String()
		}
	}
	pastDue := func(since time.Duration) func(c *reconcile.Customer) {
		return func(c *reconcile.Customer) {
			c.Subscriptions[0].Status, c.Subscriptions[0].Lapse.Since = reconcile.StatusPastDue, noon.Add(-since)
		}
	}
	hosting := func(s reconcile.HostingState, by time.Time) func(c *reconcile.Customer) {
		return func(c *reconcile.Customer) {
			c.Hostings[0].State, c.Hostings[0].SuspendedByUs = s, by
		}
	}
	price := func(p string) func(c *reconcile.Customer) {
		return func(c *reconcile.Customer) { c.Subscriptions[0].Items[0].Price = p }
	}
	const suspend = "suspend:sub_1/1:7"
	for _, tc := range []struct {
		name   string
		change func(c *reconcile.Customer)
		want   string
	}{
		{"an active subscription with its hosting needs nothing", status(reconcile.StatusActive), ""},
		{"a trial is active", status(reconcile.StatusTrialing), ""},
		{"unpaid is suspended", status(reconcile.StatusUnpaid), suspend},
		{"paused is suspended", status(reconcile.StatusPaused), suspend},
		{"incomplete keeps what exists", status(reconcile.StatusIncomplete), ""},
		{"canceled is suspended", status(reconcile.StatusCanceled), suspend},
		{"incomplete_expired is suspended", status(reconcile.StatusIncompleteExpired), suspend},
		{"an unknown status changes nothing and is held", status(reconcile.StatusUnknown), "hold unknown_status"},
		{"a subscription that Stripe does not know changes nothing", func(c *reconcile.Customer) { c.Subscriptions[0].Gone = true }, "hold gone"},
		{"past due is up a moment before the grace period ends", pastDue(72*time.Hour - time.Nanosecond), "hold grace"},
		{"past due is suspended when the grace period ends", pastDue(72 * time.Hour), suspend},
		{"announcing an end changes nothing", func(c *reconcile.Customer) { c.Subscriptions[0].CancelAtPeriodEnd = true }, ""},
		{"a pause of collection is kept", func(c *reconcile.Customer) { c.Subscriptions[0].CollectionPaused = true }, ""},
		{"our own suspension is lifted", hosting(reconcile.HostingSuspended, noon), "resume:sub_1/1:7"},
		{"a suspension by others stays", hosting(reconcile.HostingSuspended, time.Time{}), "hold foreign_suspension"},
		{"a hosting that disappeared is not made again", hosting(reconcile.HostingMissing, time.Time{}), "hold missing"},
		{"a hosting that staff deleted is not made again", hosting(reconcile.HostingDeleted, time.Time{}), "hold deleted"},
		{"one that is gone is not made again after a lost database either", func(c *reconcile.Customer) {
			c.Bindings, c.Hostings[0].State, c.Hostings[0].FriendlyName = nil, reconcile.HostingMissing, "Basic [sub_1/1]"
		}, "link:sub_1/1:7:si_1, hold missing"},
		{"another price changes the plan in place", price("price_pro"), "change_plan:sub_1/1:7:1>2"},
		{"a price that lost its mapping keeps its hosting", price("price_other"), "hold unmapped"},
		{"a lookup key maps too", func(c *reconcile.Customer) {
			c.Subscriptions[0].Items[0].Price, c.Subscriptions[0].Items[0].LookupKey = "price_x", "gold"
		}, "change_plan:sub_1/1:7:1>3"},
		{"a quantity of two makes one more", func(c *reconcile.Customer) { c.Subscriptions[0].Items[0].Quantity = 2 }, "create_subscription:sub_1/2:1"},
		{"a lowered quantity suspends the surplus", func(c *reconcile.Customer) {
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_1", Item: "si_1", Slot: 2, Org: "org-1", Hosting: 8})
			c.Hostings = append(c.Hostings, reconcile.Hosting{ID: 8, Org: "org-1", Plan: 1, State: reconcile.HostingActive, ObservedAt: noon})
		}, "suspend:sub_1/2:8"},
		{"an item replaced by another keeps the hosting", func(c *reconcile.Customer) {
			c.Subscriptions[0].Items[0] = reconcile.Item{ID: "si_2", Price: "price_pro", Quantity: 1}
		}, "link:sub_1/1:7:si_2, change_plan:sub_1/1:7:1>2"},
		{"a downgrade below the usage is held", func(c *reconcile.Customer) {
			c.Hostings[0].Plan = 2
			c.Hostings[0].Usage = []reconcile.Usage{{Name: "websites", Used: 3}}
		}, "hold downgrade"},
		{"an unanswered suspension is looked for first", func(c *reconcile.Customer) {
			c.Subscriptions[0].Status = reconcile.StatusUnpaid
			c.Pending = []reconcile.Pending{{ActionID: suspend, Kind: reconcile.Suspend, Subscription: "sub_1", Slot: 1, SentAt: noon, SettleUntil: noon.Add(time.Minute)}}
		}, "hold ambiguous"},
		{"hands off means off", func(c *reconcile.Customer) {
			c.Subscriptions[0].Status = reconcile.StatusUnpaid
			c.Manual = []reconcile.ManualHold{{Kind: reconcile.NoSuspend, Subscription: "sub_1", Author: "ops", Reason: "talking"}}
		}, "hold manual"},
		{"a unit that is no longer paid for stays while another, which is, has gone", func(c *reconcile.Customer) {
			c.Subscriptions[0].Items = append(c.Subscriptions[0].Items[:0], reconcile.Item{ID: "si_2", Price: "price_basic", Quantity: 1})
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_1", Item: "si_2", Slot: 2, Org: "org-1", Hosting: 8, How: reconcile.BoundByCreate})
			c.Hostings = append(c.Hostings, reconcile.Hosting{ID: 8, Org: "org-1", Plan: 1, State: reconcile.HostingMissing, ObservedAt: noon, FriendlyName: "Basic [sub_1/2]"})
		}, "hold missing, hold missing"},
		{"no owner is invited if everything in the org is withheld", func(c *reconcile.Customer) {
			c.Org, c.OrgNamed, c.Invited, c.Bindings, c.Hostings = nil, false, time.Time{}, nil, nil
			c.Manual = []reconcile.ManualHold{{Kind: reconcile.Ignore, Subscription: "sub_1", Author: "ops", Reason: "a test order"}}
		}, "hold manual"},
		{"a hold on one subscription leaves the others their org", func(c *reconcile.Customer) {
			c.Org, c.OrgNamed, c.Invited, c.Bindings, c.Hostings = nil, false, time.Time{}, nil, nil
			c.Subscriptions = append(c.Subscriptions, reconcile.Subscription{ID: "sub_2", Status: reconcile.StatusActive, ByID: true,
				Items: []reconcile.Item{{ID: "si_9", Price: "price_basic", Quantity: 1}}})
			c.Manual = []reconcile.ManualHold{{Kind: reconcile.Ignore, Subscription: "sub_1", Author: "ops", Reason: "a test order"}}
		}, "create_org:cus_1, create_subscription:sub_2/1:1, rename_org:cus_1, invite_owner:cus_1:a@example.com, hold manual"},
		{"a hold that has run out holds nothing", func(c *reconcile.Customer) {
			c.Subscriptions[0].Status = reconcile.StatusUnpaid
			c.Manual = []reconcile.ManualHold{{Kind: reconcile.NoSuspend, Subscription: "sub_1", Until: noon}}
		}, suspend},
		{"two live subscriptions on one hosting: one that ends takes nothing away", func(c *reconcile.Customer) {
			c.Subscriptions[0].Status = reconcile.StatusCanceled
			c.Subscriptions = append(c.Subscriptions, reconcile.Subscription{ID: "sub_2", Status: reconcile.StatusActive, ByID: true,
				Items: []reconcile.Item{{ID: "si_9", Price: "price_basic", Quantity: 1}}})
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_2", Item: "si_9", Slot: 1, Org: "org-1", Hosting: 7, How: reconcile.BoundByMetadata})
		}, ""},
		{"a returning customer gets the old hosting", func(c *reconcile.Customer) {
			c.Subscriptions[0].Status = reconcile.StatusCanceled
			c.Hostings[0].State, c.Hostings[0].SuspendedByUs = reconcile.HostingSuspended, noon
			c.Subscriptions = append(c.Subscriptions, reconcile.Subscription{ID: "sub_2", StripeCustomer: "cus_1", Status: reconcile.StatusActive, ByID: true, Created: noon,
				Items: []reconcile.Item{{ID: "si_9", Price: "price_basic", Quantity: 1}}})
		}, "link:sub_2/1:7:si_9, resume:sub_2/1:7"},
		// Cases that the properties found.
		{"of fewer units the one that is up is kept, not the one that staff suspended", func(c *reconcile.Customer) {
			c.Hostings[0].State = reconcile.HostingSuspended
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_1", Item: "si_1", Slot: 2, Org: "org-1", Hosting: 8})
			c.Hostings = append(c.Hostings, reconcile.Hosting{ID: 8, Org: "org-1", Plan: 1, State: reconcile.HostingActive, ObservedAt: noon})
		}, ""},
		{"a hosting that disappeared is not made again because its item was replaced", func(c *reconcile.Customer) {
			c.Hostings[0].State = reconcile.HostingMissing
			c.Subscriptions[0].Items[0] = reconcile.Item{ID: "si_2", Price: "price_pro", Quantity: 1}
		}, "link:sub_1/1:7:si_2, hold missing"},
		{"an item replaced by one with an absurd quantity keeps its hosting", func(c *reconcile.Customer) {
			c.Subscriptions[0].Items[0] = reconcile.Item{ID: "si_2", Price: "price_pro", Quantity: 5000, Created: noon}
		}, "hold quantity, hold quantity"},
		{"an item replaced by one that has no plan yet, and one that gives less, does not get less", func(c *reconcile.Customer) {
			c.Hostings[0].Plan = 2
			c.Subscriptions[0].Items = []reconcile.Item{{ID: "si_2", Price: "price_number", Quantity: 1}, {ID: "si_3", Price: "price_basic", Quantity: 1}}
		}, "create_subscription:sub_1/2:1, hold plan_missing, hold plan_missing"},
		{"nothing is surplus while the plan of an item is not known", func(c *reconcile.Customer) {
			c.Subscriptions[0].Items[0].Quantity = 0
			c.Subscriptions[0].Items = append(c.Subscriptions[0].Items, reconcile.Item{ID: "si_2", Price: "price_number", Quantity: 1})
		}, "hold plan_missing, hold plan_missing"},
		{"an item with a negative quantity keeps its hosting", func(c *reconcile.Customer) { c.Subscriptions[0].Items[0].Quantity = -1 },
			"hold quantity, hold quantity"},
		{"an item replaced by an unmapped one of unknown age keeps its hosting", func(c *reconcile.Customer) {
			c.Bindings[0].At = noon
			c.Subscriptions[0].Items = []reconcile.Item{{ID: "si_2", Price: "price_other", Quantity: 1}, {ID: "si_3", Price: "price_basic"}}
		}, "hold unmapped"},
		{"a hosting with the marker of a slot that another one had is not bound", func(c *reconcile.Customer) {
			c.Hostings[0].State, c.Hostings[0].TerminatedByUs = reconcile.HostingDeleted, noon.Add(-time.Hour)
			c.Hostings = append(c.Hostings, reconcile.Hosting{ID: 8, Org: "org-1", Plan: 1, State: reconcile.HostingActive, ObservedAt: noon, FriendlyName: "Basic [sub_1/1]"})
		}, "hold duplicate"},
		{"a suspension on its way is waited for under whichever binding it was sent", func(c *reconcile.Customer) {
			c.Subscriptions[0].Status = reconcile.StatusCanceled
			c.Subscriptions = append(c.Subscriptions, reconcile.Subscription{ID: "sub_2", StripeCustomer: "cus_1", Status: reconcile.StatusActive, ByID: true, Created: noon,
				Items: []reconcile.Item{{ID: "si_9", Price: "price_pro", Quantity: 1}}})
			c.Pending = []reconcile.Pending{{ActionID: suspend, Kind: reconcile.Suspend, Subscription: "sub_1", Slot: 1, Org: "org-1", Hosting: 7,
				SentAt: noon, SettleUntil: noon.Add(time.Minute)}}
		}, "link:sub_2/1:7:si_9, hold ambiguous"},
		{"a hosting that is bound in this decision is not made smaller in it", func(c *reconcile.Customer) {
			c.Bindings, c.Hostings[0].Plan = nil, 2
		}, "link:sub_1/1:7:si_1"},
		{"no downgrade while another subscription on the hosting cannot be judged", func(c *reconcile.Customer) {
			c.Hostings[0].Plan = 2
			c.Subscriptions = append(c.Subscriptions, reconcile.Subscription{ID: "sub_2", Status: reconcile.StatusUnknown, StatusText: "hibernating"})
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_2", Slot: 1, Org: "org-1", Hosting: 7})
		}, "hold conflict, hold unknown_status"},
		{"a customer over a limit may move to a plan with the same limit", func(c *reconcile.Customer) {
			c.Subscriptions[0].Items[0].Price = "price_silver"
			c.Hostings[0].Usage = []reconcile.Usage{{Name: "websites", Used: 3}}
		}, "change_plan:sub_1/1:7:1>4"},
		{"a mapping to a number is never a plan of that name", func(c *reconcile.Customer) { c.Subscriptions[0].Items[0].Price = "price_number" },
			"hold plan_missing"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := world(tc.change)
			got := summary(planner.Decide(&c, catalog(), policy(), noon))
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestTheOrderOfFactsDoesNotMatter(t *testing.T) {
	var c reconcile.Customer
	c.ID, c.Email = "cus_1", "a@example.com"
	for i := range 5 {
		c.Subscriptions = append(c.Subscriptions, reconcile.Subscription{ID: fmt.Sprintf("sub_%d", i), Status: reconcile.StatusActive, Created: noon, DomainChecked: true,
			Items: []reconcile.Item{{ID: fmt.Sprintf("si_b%d", i), Price: "price_pro", Quantity: 2}, {ID: fmt.Sprintf("si_a%d", i), Price: "price_basic", Quantity: 1}}})
	}
	want := planner.Decide(&c, catalog(), policy(), noon)
	for range 10 {
		c.Subscriptions = append(c.Subscriptions[1:], c.Subscriptions[0])
		for i := range c.Subscriptions {
			items := c.Subscriptions[i].Items
			items[0], items[1] = items[1], items[0]
		}
		if d := cmp.Diff(want, planner.Decide(&c, catalog(), policy(), noon)); d != "" {
			t.Fatalf("(-want +got):\n%s", d)
		}
	}
}

func TestTheBrakeHoldsAllOrNothing(t *testing.T) {
	b := planner.DefaultBrakes()
	for _, tc := range []struct {
		load planner.BrakeLoad
		held bool
	}{
		{planner.BrakeLoad{Kind: reconcile.Suspend, Planned: 5, Bound: 100}, false},
		{planner.BrakeLoad{Kind: reconcile.Suspend, Planned: 6, Bound: 100}, true},
		{planner.BrakeLoad{Kind: reconcile.Suspend, Planned: 20, Bound: 1000}, false},
		{planner.BrakeLoad{Kind: reconcile.Suspend, Planned: 21, Bound: 1000}, true},
		{planner.BrakeLoad{Kind: reconcile.Suspend, Planned: 2, Performed: 10, Bound: 100}, false},
		{planner.BrakeLoad{Kind: reconcile.Suspend, Planned: 3, Performed: 10, Bound: 100}, true},
		{planner.BrakeLoad{Kind: reconcile.CreateSubscription, Planned: 26}, true},
		{planner.BrakeLoad{Kind: reconcile.CreateSubscription, Planned: 1, AtWork: 24}, false},
		{planner.BrakeLoad{Kind: reconcile.CreateSubscription, Planned: 1, AtWork: 25}, true},
		{planner.BrakeLoad{Kind: reconcile.CreateSubscription, Planned: 1, AtWork: 20, Performed: 41}, false},
		{planner.BrakeLoad{Kind: reconcile.CreateSubscription, Planned: 1, AtWork: 20, Performed: 42}, true},
		{planner.BrakeLoad{Kind: reconcile.Resume, Planned: 0}, false},
	} {
		if _, held := b.Holds(tc.load); held != tc.held {
			t.Errorf("%+v: held %v, want %v", tc.load, held, tc.held)
		}
	}
}
