package planner_test

import (
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// returned is a customer whose subscription has ended, with a site on each of its hostings
// 7 and 8, both suspended by us, and who is back with one for as many units as prices.
func returned(change func(c *reconcile.Customer), prices ...string) func(*reconcile.Customer, *reconcile.Policy) {
	return func(c *reconcile.Customer, _ *reconcile.Policy) {
		s := &c.Subscriptions[0]
		s.Status, s.EndedAt = reconcile.StatusCanceled, noon.Add(-time.Hour)
		c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_1", Item: "si_1", Slot: 2, Org: "org-1", Hosting: 8, How: reconcile.BoundByCreate})
		c.Hostings = append(c.Hostings, upAt(8, 1, "Basic [sub_1/2]"))
		for i := range c.Hostings {
			suspended(&c.Hostings[i], time.Minute)
			c.Hostings[i].Content = sites("a.example.com")
		}
		back := another(c, "3", reconcile.StatusActive, prices[0])
		for i, price := range prices[1:] {
			back.Items = append(back.Items, reconcile.Item{ID: "si_4", Price: price, Quantity: 1, Created: noon.Add(time.Duration(i+1) * time.Second)})
		}
		change(c)
	}
}

// Of several hostings with sites a returning customer gets the one that is up, so that no
// site goes down. If there are places for all of them, each goes where its plan is. A
// person is asked only if sites would be left over, and only about the order that waits.
func TestWhoIsBackLosesNoSite(t *testing.T) {
	up := func(c *reconcile.Customer) {
		c.Hostings[1].State, c.Hostings[1].SuspendedByUs = reconcile.HostingActive, time.Time{}
	}
	check(t, []guarded{
		{"the one that is up", returned(up, "price_basic"), "link:sub_3/1:8:si_3"},
		{"one for each place, by the plan and not by what is up", returned(func(c *reconcile.Customer) { up(c); c.Hostings[1].Plan = 3 }, "price_basic", "price_pro"),
			"link:sub_3/1:7:si_3, link:sub_3/2:8:si_4, resume:sub_3/1:7"},
		{"a person chooses for the order that waits, and not for one that is served", returned(func(c *reconcile.Customer) {
			another(c, "4", reconcile.StatusActive, "price_basic")
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_4", Item: "si_4", Slot: 1, Org: "org-1", Hosting: 9, How: reconcile.BoundByCreate})
			c.Hostings = append(c.Hostings, upAt(9, 1, "Basic [sub_4/1]"))
			for i := range c.Hostings {
				c.Hostings[i].State, c.Hostings[i].SuspendedByUs, c.Hostings[i].Content = reconcile.HostingActive, time.Time{}, sites("a.example.com")
			}
		}, "price_basic"), "hold content"},
		{"another buyer of an old customer gets a hosting of its own", returned(func(c *reconcile.Customer) {
			another(c, "5", reconcile.StatusActive, "price_basic").StripeCustomer = "cus_2"
			for i := range c.Hostings {
				c.Hostings[i].State, c.Hostings[i].SuspendedByUs = reconcile.HostingActive, time.Time{}
			}
		}, "price_basic"), "create_subscription:sub_5/1:1, hold content"},
	})
	c := world(func(c *reconcile.Customer) { returned(up, "price_basic")(c, nil) })
	for i := range c.Hostings {
		c.Hostings[i].State, c.Hostings[i].SuspendedByUs, c.Hostings[i].Content = reconcile.HostingActive, time.Time{}, reconcile.Content{}
	}
	if got := summaryWithNeeds(planner.Decide(&c, catalog(), policy(), noon)); got != "link:sub_3/1:7:si_3, read 8 org-1" {
		t.Errorf("before the websites were ever listed: %s", got)
	}
}

// Of several empty hostings a returning customer gets the one that ended last; of those that
// ended together, the older one.
func TestWhoIsBackGetsWhatEndedLast(t *testing.T) {
	two := func(first, second time.Duration) func(*reconcile.Customer, *reconcile.Policy) {
		return func(c *reconcile.Customer, _ *reconcile.Policy) {
			another(c, "2", reconcile.StatusCanceled, "price_basic").EndedAt = noon.Add(-second)
			c.Subscriptions[0].Status, c.Subscriptions[0].EndedAt = reconcile.StatusCanceled, noon.Add(-first)
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_2", Item: "si_2", Slot: 1, Org: "org-1", Hosting: 8, How: reconcile.BoundByCreate})
			c.Hostings = append(c.Hostings, upAt(8, 1, "Basic [sub_2/1]"))
			for i := range c.Hostings {
				suspended(&c.Hostings[i], time.Minute)
			}
			another(c, "3", reconcile.StatusActive, "price_basic")
		}
	}
	check(t, []guarded{
		{"the second", two(2*time.Hour, time.Hour), "link:sub_3/1:8:si_3, resume:sub_3/1:8"},
		{"the first", two(time.Hour, 2*time.Hour), "link:sub_3/1:7:si_3, resume:sub_3/1:7"},
		{"together", two(time.Hour, time.Hour), "link:sub_3/1:7:si_3, resume:sub_3/1:7"},
		{"another buyer's", func(c *reconcile.Customer, p *reconcile.Policy) {
			two(2*time.Hour, time.Hour)(c, p)
			c.Subscriptions[0].StripeCustomer = "cus_2"
			c.Hostings[1].Plan, c.Subscriptions[2].Items[0].Price = 2, "price_pro"
		}, "link:sub_3/1:8:si_3, resume:sub_3/1:8"},
	})
}

// When the database was lost and two hostings that were deleted carry the same marker, the
// unit is held for one of them: two bindings cannot have one slot.
func TestOfTwoDeletedWithOneMarkerOneIsHeld(t *testing.T) {
	check(t, []guarded{{"both deleted", func(c *reconcile.Customer, _ *reconcile.Policy) {
		c.Bindings, c.Subscriptions[0].Items[0].Quantity, c.Subscriptions[0].DomainChecked = nil, 2, true
		c.Hostings = append(c.Hostings, upAt(8, 1, "Basic [sub_1/1]"))
		c.Hostings[0].State, c.Hostings[1].State = reconcile.HostingDeleted, reconcile.HostingDeleted
	}, "link:sub_1/1:7:si_1, create_subscription:sub_1/2:1, hold deleted"}})
}

// If metadata that means an org cannot be read, the org that other metadata of the customer
// names is not taken either.
func TestAnOrgThatCannotBeReadMayBeAnotherThanTheNamedOne(t *testing.T) {
	check(t, []guarded{{"beside one that can be read", func(c *reconcile.Customer, _ *reconcile.Policy) {
		unbound(c)
		c.Subscriptions[0].MetadataOrgText = "the big one"
		another(c, "2", reconcile.StatusActive, "price_basic").MetadataOrg = "org-9"
	}, "hold unreadable"}})
}

// A person who bound a hosting has decided whose it is: its org is bound as one that a
// person named, and not as one that has to belong to the customer's e-mail.
func TestTheOrgOfAHostingThatAPersonBoundIsThatPersonsChoice(t *testing.T) {
	for how, want := range map[reconcile.BindKind]reconcile.BindKind{reconcile.BoundByAdopt: reconcile.BoundByMetadata, reconcile.BoundByMarker: reconcile.BoundByMarker} {
		c := world(func(c *reconcile.Customer) { c.Org, c.Bindings[0].How = nil, how })
		d := planner.Decide(&c, catalog(), policy(), noon)
		if len(d.Actions) != 1 || d.Actions[0].ID != "link:cus_1:org-1" || d.Actions[0].How != want {
			t.Errorf("a hosting bound by %s: %+v, want the org bound by %s", how, d.Actions, want)
		}
	}
}

// What is mapped to none needs no hosting, in whatever number: the hosting that was made
// for it is held for that reason, and another one may get a smaller plan.
func TestAnAbsurdNumberOfWhatIsNoHostingDoesNotCount(t *testing.T) {
	mappings, plans := offer()
	cat := planner.NewCatalog(append(mappings, reconcile.Mapping{BillingID: "price_news", Plan: "none"}), plans)
	news := reconcile.Item{ID: "si_n", Price: "price_news", Quantity: 5000, Created: noon.Add(-dayLong)}
	for _, tc := range []struct {
		name   string
		change func(c *reconcile.Customer)
		want   string
	}{
		{"its own hosting", func(c *reconcile.Customer) { c.Bindings[0].Item, c.Subscriptions[0].Items[0] = "si_n", news }, "hold not_hosting"},
		{"a hosting to spare beside it", func(c *reconcile.Customer) {
			c.Hostings[0].Plan = 2
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_1", Item: "si_2", Slot: 2, Org: "org-1", Hosting: 8, How: reconcile.BoundByCreate})
			c.Hostings = append(c.Hostings, upAt(8, 2, "Pro [sub_1/2]"))
			c.Subscriptions[0].Items = []reconcile.Item{news, {ID: "si_2", Price: "price_lost", Quantity: 1}, {ID: "si_3", Price: "price_basic", Quantity: 1}}
		}, "link:sub_1/1:7:si_3, change_plan:sub_1/1:7:2>1, hold plan_missing"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := world(func(c *reconcile.Customer) { c.Bindings[0].At = noon; tc.change(c) })
			d := planner.Decide(&c, cat, policy(), noon)
			if got := summary(d); got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
}

// While an item asks for an absurd number, its hosting stays with it, whatever else of the
// subscription needs one.
func TestAHostingStaysWithAnItemThatAsksForAnAbsurdNumber(t *testing.T) {
	check(t, []guarded{{"beside an item for a larger plan", func(c *reconcile.Customer, _ *reconcile.Policy) {
		s := &c.Subscriptions[0]
		s.DomainChecked, s.Items[0].Quantity = true, 5000
		s.Items = append(s.Items, reconcile.Item{ID: "si_2", Price: "price_pro", Quantity: 1})
	}, "create_subscription:sub_1/2:2, hold quantity, hold quantity"}})
}

// A person keeps suspended what comes back: the org is the customer's all the same, because an
// order beside it would get its hosting in an org that is not bound.
func TestKeepSuspendedKeepsNoOrgFromItsCustomer(t *testing.T) {
	back := func(held bool) func(*reconcile.Customer, *reconcile.Policy) {
		return func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Org, c.Bindings = nil, nil
			c.Subscriptions[0].Status, c.Subscriptions[0].EndedAt = reconcile.StatusCanceled, noon.Add(-time.Hour)
			another(c, "2", reconcile.StatusActive, "price_basic").DomainChecked = true
			if held {
				c.Manual = []reconcile.ManualHold{{Kind: reconcile.KeepSuspended, Author: "ops"}}
			}
		}
	}
	check(t, []guarded{
		{"without the hold", back(false), "link:cus_1:org-1, link:sub_2/1:7:si_2"},
		{"with it", back(true), "link:cus_1:org-1, hold manual"},
	})
}
