package planner_test

import (
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// byPerson is the usual world in which a person has bound the hosting, which staff named.
func byPerson(c *reconcile.Customer, name string) {
	c.Bindings[0].How, c.Hostings[0].FriendlyName = reconcile.BoundByAdopt, name
}

// markedAndHeld is that world with the marker of another subscription of the customer in the
// name, and with a hold of a person on a subscription.
func markedAndHeld(marked, held string, until time.Time) func(*reconcile.Customer, *reconcile.Policy) {
	return func(c *reconcile.Customer, _ *reconcile.Policy) {
		byPerson(c, "Basic ["+marked+"/1]")
		c.Manual = []reconcile.ManualHold{{Kind: reconcile.NoSuspend, Subscription: held, Author: "ops", Until: until}}
	}
}

func TestTheNameOfAHostingThatAPersonHasBoundShowsIt(t *testing.T) {
	const mark = "mark_hosting:sub_1/1:7"
	named := func(name string) func(*reconcile.Customer, *reconcile.Policy) {
		return func(c *reconcile.Customer, _ *reconcile.Policy) { byPerson(c, name) }
	}
	check(t, []guarded{
		{"by hand", named("By hand"), mark},
		{"without a name", named(""), mark},
		{"it shows it already", named("By hand [sub_1/1]"), ""},
		{"with a marker of ours for another", named("Basic [sub_9/1]"), mark},
		{"with the marker of another installation", named("Basic [sub_9/1@lab]"), ""},
		{"with our suspension and no marker", named("By hand (suspended) [stripe-enhance]"), ""},
		{"found by metadata", func(c *reconcile.Customer, _ *reconcile.Policy) {
			byPerson(c, "By hand")
			c.Bindings[0].How = reconcile.BoundByMetadata
		}, ""},
		{"deleted in the panel", func(c *reconcile.Customer, _ *reconcile.Policy) {
			byPerson(c, "By hand")
			c.Hostings[0].State = reconcile.HostingDeleted
		}, "hold deleted"},
		{"while a write to it has no known outcome", func(c *reconcile.Customer, _ *reconcile.Policy) {
			byPerson(c, "By hand")
			c.Pending = []reconcile.Pending{{ActionID: mark, Kind: reconcile.MarkHosting, Subscription: "sub_1", Slot: 1, Org: "org-1", Hosting: 7, SentAt: noon}}
		}, "hold ambiguous"},
		{"not read lately", func(c *reconcile.Customer, _ *reconcile.Policy) {
			byPerson(c, "By hand")
			c.Hostings[0].ObservedAt = noon.Add(-time.Hour)
		}, mark + ", read 1 org-1/7"},
		{"with the marker of another subscription that it serves", func(c *reconcile.Customer, _ *reconcile.Policy) {
			byPerson(c, "Basic [sub_2/1]")
			another(c, "2", reconcile.StatusActive, "price_basic")
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_2", Item: "si_2", Slot: 1, Org: "org-1", Hosting: 7, How: reconcile.BoundByCreate})
		}, ""},
		{"bound to two by persons", func(c *reconcile.Customer, _ *reconcile.Policy) {
			byPerson(c, "By hand")
			another(c, "2", reconcile.StatusActive, "price_basic")
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_2", Item: "si_2", Slot: 1, Org: "org-1", Hosting: 7, How: reconcile.BoundByAdopt})
		}, mark},
		{"with the marker of another, whose hold is in force", markedAndHeld("sub_9", "sub_9", time.Time{}), "hold manual"},
		{"whose hold has ended", markedAndHeld("sub_9", "sub_9", noon.Add(-time.Hour)), mark},
		{"a hold of somebody else's", markedAndHeld("sub_9", "sub_8", time.Time{}), mark},
		{"a hold of the customer, which covers the new one too", markedAndHeld("sub_9", "", time.Time{}), mark},
		{"it is suspended, because it is not paid", func(c *reconcile.Customer, _ *reconcile.Policy) {
			byPerson(c, "By hand")
			c.Subscriptions[0].Status = reconcile.StatusUnpaid
		}, mark + ", suspend:sub_1/1:7"},
	})
}

func TestTheMarkerEndsTheName(t *testing.T) {
	p := policy()
	p.Instance = "shop"
	c := world(func(c *reconcile.Customer) { byPerson(c, "By hand ") })
	d := planner.Decide(&c, catalog(), p, noon)
	if len(d.Actions) != 1 || d.Actions[0].Name != "By hand [sub_1/1@shop]" || d.Actions[0].Org != "org-1" || d.Actions[0].Hosting != 7 {
		t.Fatalf("%+v", d.Actions)
	}
	if next := planner.After(&c, d.Actions[0], noon); next.Hostings[0].FriendlyName != d.Actions[0].Name || len(planner.Decide(next, catalog(), p, noon).Actions) != 0 {
		t.Errorf("in thought: %+v", next.Hostings[0])
	}
}
