package planner_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// decided is a customer and the decision about it, as summaryWithNeeds writes it.
type decided struct {
	name string
	c    reconcile.Customer
	want string
}

func checkDecided(t *testing.T, p reconcile.Policy, cases []decided) {
	t.Helper()
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, summaryWithNeeds(planner.Decide(&tc.c, catalog(), p, noon))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// At the end of the retention period a hosting with something on it is deleted only if
// every other one that the same customer keeps was read lately and has something on it
// as well. A customer who has no other is asked nothing.
func TestNothingWithContentIsDeletedBesideOneThatMayBeEmpty(t *testing.T) {
	const deleted, stays, lists = "terminate:sub_1/1:7", "hold content", "read 8 org-1"
	due := func(change func(ended, kept *reconcile.Hosting, c *reconcile.Customer)) reconcile.Customer {
		return upgraded(func(c *reconcile.Customer) {
			c.Subscriptions[0].EndedAt = noon.Add(-90 * dayLong)
			suspended(&c.Hostings[0], 80*dayLong)
			change(&c.Hostings[0], &c.Hostings[1], c)
		})
	}
	mail := []reconcile.Usage{{Name: "mailboxes", Used: 1}}
	unlisted := func(c reconcile.Customer, i int) reconcile.Customer {
		c.Hostings[i].Content = reconcile.Content{}
		return c
	}
	p := policy()
	p.Retention = 30 * dayLong
	checkDecided(t, p, []decided{
		{"the one that is kept is empty", due(func(_, _ *reconcile.Hosting, _ *reconcile.Customer) {}), stays},
		{"both are empty", due(func(ended, _ *reconcile.Hosting, _ *reconcile.Customer) { ended.Content = sites() }), deleted},
		{"something is on both", due(func(_, kept *reconcile.Hosting, _ *reconcile.Customer) { kept.Content = sites("b.example.com") }), deleted},
		{"something is on both, but its count is old", due(func(_, kept *reconcile.Hosting, _ *reconcile.Customer) {
			kept.Usage, kept.ObservedAt = mail, noon.Add(-time.Hour)
		}), deleted + ", read 1 org-1/8"},
		{"its own websites were never listed", unlisted(due(func(_, _ *reconcile.Hosting, _ *reconcile.Customer) {}), 0), lists},
		{"those of the one that is kept were never listed", unlisted(due(func(_, _ *reconcile.Hosting, _ *reconcile.Customer) {}), 1), lists},
		{"the one that is kept is another payer's", due(func(_, _ *reconcile.Hosting, c *reconcile.Customer) { c.Subscriptions[1].StripeCustomer = "cus_2" }), deleted},
		{"the one that is kept is gone", due(func(_, kept *reconcile.Hosting, c *reconcile.Customer) {
			kept.State, c.Subscriptions[1].Status = reconcile.HostingDeleted, reconcile.StatusUnpaid
		}), deleted},
		{"it is the only one, and its websites were never listed", unlisted(due(func(_, _ *reconcile.Hosting, c *reconcile.Customer) {
			c.Subscriptions, c.Bindings, c.Hostings = c.Subscriptions[:1], c.Bindings[:1], c.Hostings[:1]
		}), 0), deleted},
	})
	c := due(func(_, _ *reconcile.Hosting, _ *reconcile.Customer) {})
	d := planner.Decide(&c, catalog(), p, noon)
	if len(d.Holds) != 1 || !strings.Contains(d.Holds[0].Reason, "holds 1 website (a.example.com)") || !strings.Contains(d.Holds[0].Reason, "hosting 8 of sub_2: nothing") || !d.Next.Equal(noon.Add(time.Hour)) {
		t.Errorf("looked at again at %s: %+v", d.Next, d.Holds)
	}
}

// A customer has something on two hostings and keeps one of them. The one that goes is
// named by what the customer cancelled, or by a person; a hosting that is about to be made
// may be meant for its content.
func TestOfTwoWithContentTheCancelledOneGoes(t *testing.T) {
	// ungrouped has two items, of which the first is gone: hosting 7 is left over.
	ungrouped := func(change func(c *reconcile.Customer)) reconcile.Customer {
		return lowered(func(c *reconcile.Customer) {
			c.Bindings, c.Hostings = c.Bindings[:2], c.Hostings[:2]
			c.Bindings[1].Item, c.Subscriptions[0].Items[0].ID, c.Subscriptions[0].Items[0].Quantity = "si_2", "si_2", 1
			c.Hostings[0].Content, c.Hostings[1].Content = sites("a.example.com"), sites("b.example.com")
			change(c)
		})
	}
	full := func(change func(c *reconcile.Customer)) reconcile.Customer {
		return lowered(func(c *reconcile.Customer) {
			for i := range c.Hostings {
				c.Hostings[i].Content = sites("a.example.com")
			}
			change(c)
		})
	}
	checkDecided(t, policy(), []decided{
		{"its item is gone", ungrouped(func(*reconcile.Customer) {}), "suspend:sub_1/1:7"},
		{"its item is gone, and a hosting is about to be made for another order", ungrouped(func(c *reconcile.Customer) {
			another(c, "3", reconcile.StatusActive, "price_basic")
		}), "create_subscription:sub_3/1:1, hold content"},
		{"its subscription has ended, and the hosting that is about to be made may not take its place", upgraded(func(c *reconcile.Customer) {
			c.Bindings, c.Hostings = c.Bindings[:1], c.Hostings[:1]
			c.Unbindings = []reconcile.Unbinding{{Subscription: "sub_2", Slot: 1, Org: "org-1", Hosting: 7, At: noon, Resolved: true}}
		}), "create_subscription:sub_2/2:2, suspend:sub_1/1:7"},
		{"the quantity fell, and a person has named the one that stays", full(func(c *reconcile.Customer) {
			c.Subscriptions[0].Items[0].Quantity, c.Subscriptions[0].MetadataOrg, c.Subscriptions[0].MetadataHosting = 1, "org-1", 8
		}), "suspend:sub_1/1:7, suspend:sub_1/3:9"},
		{"the quantity fell to two, and a person has named one of them", full(func(c *reconcile.Customer) {
			c.Subscriptions[0].MetadataOrg, c.Subscriptions[0].MetadataHosting = "org-1", 8
		}), "hold content"},
	})
}

// What a decision about content rests on is read again if it is old, and only then.
func TestAContestRestsOnFreshReadings(t *testing.T) {
	old := noon.Add(-30 * time.Minute)
	checkDecided(t, policy(), []decided{
		{"all have content: those among which a person chooses", lowered(func(c *reconcile.Customer) {
			for i := range c.Hostings {
				c.Hostings[i].Content, c.Hostings[i].ObservedAt = sites("a.example.com"), old
			}
		}), "hold content, read 1 org-1/7, read 1 org-1/8, read 1 org-1/9"},
		{"the counts of the one that stays, where no website is listed", upgraded(func(c *reconcile.Customer) {
			c.Hostings[1].Usage, c.Hostings[1].ObservedAt = []reconcile.Usage{{Name: "mailboxes", Used: 1}}, old
		}), "suspend:sub_1/1:7, read 1 org-1/8"},
		{"not the counts of the one that stays, where a website is listed", upgraded(func(c *reconcile.Customer) {
			c.Hostings[1].Content, c.Hostings[1].ObservedAt = sites("b.example.com"), old
		}), "suspend:sub_1/1:7"},
		{"not the websites of one that went down before its end and were listed since", upgraded(func(c *reconcile.Customer) {
			suspended(&c.Hostings[0], 30*time.Hour)
			for i := range c.Hostings {
				c.Hostings[i].Content = sites("a.example.com")
				c.Hostings[i].Content.ReadAt = old
			}
		}), ""},
		{"those of one that is up", upgraded(func(c *reconcile.Customer) {
			for i := range c.Hostings {
				c.Hostings[i].Content = sites("a.example.com")
				c.Hostings[i].Content.ReadAt = old
			}
		}), "suspend:sub_1/1:7, read 8 org-1"},
	})
}

// The website of an order, which we made ourselves, is no proof that the customer uses the
// hosting, even if the panel counts it.
func TestTheWebsiteOfTheOrderMayBeAllThereIs(t *testing.T) {
	counts := func(n int64) reconcile.Customer {
		return upgraded(func(c *reconcile.Customer) {
			h := &c.Hostings[1]
			h.Content, h.Website, h.Usage = sites("b.example.com"), "b.example.com", []reconcile.Usage{{Name: "websites", Used: n}}
		})
	}
	checkDecided(t, policy(), []decided{
		{"it alone is counted", counts(1), "hold content"},
		{"one more is counted", counts(2), "suspend:sub_1/1:7"},
	})
}

// Of two hostings of ended subscriptions, the one that ended last takes the first place,
// as when the customer comes back; of two ends at the same time the lower id does.
func TestTheOneThatEndedLastTakesTheFirstPlace(t *testing.T) {
	two := func(ends ...time.Time) reconcile.Customer {
		return upgraded(func(c *reconcile.Customer) {
			c.Subscriptions[1].Items = append(c.Subscriptions[1].Items, reconcile.Item{ID: "si_3", Price: "price_pro", Quantity: 1})
			ended := another(c, "0", reconcile.StatusCanceled, "price_basic")
			ended.Created, ended.EndedAt, c.Subscriptions[0].EndedAt = noon.Add(-48*time.Hour), ends[1], ends[0]
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_0", Item: "si_0", Slot: 1, Org: "org-1", Hosting: 6, How: reconcile.BoundByCreate},
				reconcile.Binding{Subscription: "sub_2", Item: "si_3", Slot: 2, Org: "org-1", Hosting: 9, How: reconcile.BoundByCreate})
			c.Hostings = append(c.Hostings, upAt(6, 1, ""), upAt(9, 2, ""))
			c.Hostings[2].Content = sites("c.example.com")
		})
	}
	for name, tc := range map[string]struct {
		c    reconcile.Customer
		want []string
	}{
		"hosting 7 ended last":        {two(noon.Add(-time.Hour), noon.Add(-2*time.Hour)), []string{"link:sub_2/3:7:si_2", "link:sub_2/4:6:si_3"}},
		"hosting 6 ended last":        {two(noon.Add(-2*time.Hour), noon.Add(-time.Hour)), []string{"link:sub_2/3:6:si_2", "link:sub_2/4:7:si_3"}},
		"both ended at the same time": {two(noon.Add(-time.Hour), noon.Add(-time.Hour)), []string{"link:sub_2/3:6:si_2", "link:sub_2/4:7:si_3"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := planner.Decide(&tc.c, catalog(), policy(), noon)
			for _, id := range tc.want {
				if !slices.ContainsFunc(d.Actions, func(a reconcile.Action) bool { return a.ID == id }) {
					t.Errorf("%s is not among %s", id, summary(d))
				}
			}
		})
	}
}

// The empty hosting that goes carries the reason of the exchange, and not that of its item,
// which is still paid for.
func TestTheEmptyOneGoesForTheExchange(t *testing.T) {
	c := upgraded(func(*reconcile.Customer) {})
	d := planner.Decide(&c, catalog(), policy(), noon)
	for _, a := range d.Actions {
		if a.Kind == reconcile.Suspend && a.Reason != "hosting 8, which has nothing on it, is not needed: hosting 7 serves sub_2" {
			t.Errorf("%s: %s", a.ID, a.Reason)
		}
	}
	if !strings.Contains(summary(d), "suspend:sub_2/1:8") {
		t.Errorf("decided %s", summary(d))
	}
}
