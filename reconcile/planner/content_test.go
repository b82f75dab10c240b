package planner_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// sites is the content of a hosting, if it was listed just now.
func sites(domains ...string) reconcile.Content {
	return reconcile.Content{Sites: domains, Count: len(domains), ReadAt: noon}
}

// upgraded is a customer who ordered a bigger plan as a second subscription: sub_1 has
// ended and has hosting 7, with a site; sub_2 is paid for and has hosting 8, empty.
func upgraded(change func(c *reconcile.Customer)) reconcile.Customer {
	return world(func(c *reconcile.Customer) {
		s := &c.Subscriptions[0]
		s.Status, s.StatusText, s.Created, s.EndedAt = reconcile.StatusCanceled, "canceled", noon.Add(-48*time.Hour), noon.Add(-time.Hour)
		c.Hostings[0].Content = sites("a.example.com")
		c.Subscriptions = append(c.Subscriptions, reconcile.Subscription{ID: "sub_2", StripeCustomer: "cus_1", Status: reconcile.StatusActive, StatusText: "active",
			ByID: true, Created: noon.Add(-24 * time.Hour), DomainChecked: true, Items: []reconcile.Item{{ID: "si_2", Price: "price_pro", Quantity: 1}}})
		c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_2", Item: "si_2", Slot: 1, Org: "org-1", Hosting: 8, How: reconcile.BoundByCreate})
		c.Hostings = append(c.Hostings, reconcile.Hosting{ID: 8, Org: "org-1", Plan: 2, State: reconcile.HostingActive, ObservedAt: noon, FriendlyName: "Pro [sub_2/1]"})
		change(c)
	})
}

// lowered is a customer who paid for three units and now pays for two. They have
// hostings 7, 8 and 9, on slots 1 to 3.
func lowered(change func(c *reconcile.Customer)) reconcile.Customer {
	return world(func(c *reconcile.Customer) {
		c.Subscriptions[0].Items[0].Quantity = 2
		for slot, id := range []int64{8, 9} {
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_1", Item: "si_1", Slot: slot + 2, Org: "org-1", Hosting: id, How: reconcile.BoundByCreate})
			c.Hostings = append(c.Hostings, reconcile.Hosting{ID: id, Org: "org-1", Plan: 1, State: reconcile.HostingActive, ObservedAt: noon})
		}
		change(c)
	})
}

func suspended(h *reconcile.Hosting, ago time.Duration) {
	h.State, h.SuspendedByUs = reconcile.HostingSuspended, noon.Add(-ago)
}

func TestWhatIsOnAHostingDecidesWhichOneGoes(t *testing.T) {
	const exchanged = "link:sub_2/2:7:si_2, change_plan:sub_2/2:7:1>2, suspend:sub_2/1:8"
	for _, tc := range []struct {
		name string
		c    reconcile.Customer
		want string
	}{
		{"the site goes on with the new order, and the empty hosting goes", upgraded(func(*reconcile.Customer) {}), exchanged},
		{"so it does if it was suspended because it was unpaid", upgraded(func(c *reconcile.Customer) { suspended(&c.Hostings[0], 30*time.Hour) }),
			"link:sub_2/2:7:si_2, resume:sub_2/2:7, change_plan:sub_2/2:7:1>2, suspend:sub_2/1:8"},
		{"what went down after its end was looked at then", upgraded(func(c *reconcile.Customer) { suspended(&c.Hostings[0], time.Minute) }), ""},
		{"an empty one that is about to be switched on again gives way as well", upgraded(func(c *reconcile.Customer) {
			suspended(&c.Hostings[0], time.Minute)
			suspended(&c.Hostings[1], 2*time.Hour)
		}), "link:sub_2/2:7:si_2, resume:sub_2/2:7, change_plan:sub_2/2:7:1>2"},
		{"mailboxes are something", upgraded(func(c *reconcile.Customer) {
			c.Hostings[0].Content, c.Hostings[0].Usage = sites(), []reconcile.Usage{{Name: "mailboxes", Used: 1}}
		}), exchanged},
		{"a count of more than the list shows is believed", upgraded(func(c *reconcile.Customer) {
			c.Hostings[0].Content, c.Hostings[0].Usage = sites(), []reconcile.Usage{{Name: "websites", Used: 2}}
		}), exchanged},
		{"of the same plan first, of two places", upgraded(func(c *reconcile.Customer) {
			c.Subscriptions[1].Items = append(c.Subscriptions[1].Items, reconcile.Item{ID: "si_3", Price: "price_basic", Quantity: 1})
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_2", Item: "si_3", Slot: 2, Org: "org-1", Hosting: 9, How: reconcile.BoundByCreate})
			c.Hostings = append(c.Hostings, reconcile.Hosting{ID: 9, Org: "org-1", Plan: 1, State: reconcile.HostingActive, ObservedAt: noon})
		}), "link:sub_2/3:7:si_3, suspend:sub_2/2:9"},
		{"nothing on either: the cancelled one goes", upgraded(func(c *reconcile.Customer) { c.Hostings[0].Content = sites() }), "suspend:sub_1/1:7"},
		{"a site on each: the cancelled one goes", upgraded(func(c *reconcile.Customer) { c.Hostings[1].Content = sites("b.example.com") }), "suspend:sub_1/1:7"},
		{"a site on each, and the second is only the website of its order", upgraded(func(c *reconcile.Customer) {
			c.Hostings[1].Content, c.Hostings[1].Website = sites("b.example.com"), "b.example.com"
		}), "hold content"},
		{"disk space alone may be something", upgraded(func(c *reconcile.Customer) {
			c.Hostings[1].Usage = []reconcile.Usage{{Name: "diskspace", Used: 4096}}
		}), "hold content"},
		{"traffic is nothing", upgraded(func(c *reconcile.Customer) {
			c.Hostings[1].Usage = []reconcile.Usage{{Name: "transfer", Used: 4096}, {Name: "pageViews", Used: 3}}
		}), exchanged},
		{"a resource that a later panel invents may be something", upgraded(func(c *reconcile.Customer) {
			c.Hostings[1].Usage = []reconcile.Usage{{Name: "containers", Used: 1}}
		}), "hold content"},
		{"a hosting that the panel refuses to list is not empty", upgraded(func(c *reconcile.Customer) {
			c.Hostings[1].Content = reconcile.Content{ReadAt: noon, Unread: "403"}
		}), "hold content"},
		{"nor is it when it is the one that is to go", upgraded(func(c *reconcile.Customer) {
			c.Hostings[0].Content = reconcile.Content{ReadAt: noon, Unread: "403"}
		}), "hold content"},
		{"a hosting that was never listed stays, and is read", upgraded(func(c *reconcile.Customer) {
			c.Hostings[0].Content = reconcile.Content{ReadAt: noon.Add(-24 * time.Hour)} // see world
			c.Hostings[0].Content.Unread = ""
		}), "suspend:sub_1/1:7, need content"},
		{"an operator chooses, if two could take one place", upgraded(func(c *reconcile.Customer) {
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_1", Item: "si_1", Slot: 2, Org: "org-1", Hosting: 9, How: reconcile.BoundByCreate})
			c.Hostings = append(c.Hostings, reconcile.Hosting{ID: 9, Org: "org-1", Plan: 1, State: reconcile.HostingActive, ObservedAt: noon, Content: sites("c.example.com")})
		}), "hold content, hold content"},
		{"a hosting that another Stripe customer pays for is no place", upgraded(func(c *reconcile.Customer) { c.Subscriptions[1].StripeCustomer = "cus_2" }), "suspend:sub_1/1:7"},
		{"nor is one that an operator has bound", upgraded(func(c *reconcile.Customer) { c.Bindings[1].How = reconcile.BoundByAdopt }), "hold content"},
		{"nor is one that an operator has named", upgraded(func(c *reconcile.Customer) {
			c.Subscriptions[1].MetadataOrg, c.Subscriptions[1].MetadataHosting = "org-1", 8
		}), "hold content"},
		{"one that we named ourselves is", upgraded(func(c *reconcile.Customer) {
			c.Subscriptions[1].MetadataOrg, c.Subscriptions[1].MetadataHosting, c.Subscriptions[1].MetadataWritten = "org-1", 8, 8
		}), exchanged},
		{"a hosting that staff suspended is no place: they may have meant the customer", upgraded(func(c *reconcile.Customer) {
			c.Hostings[1].State = reconcile.HostingSuspended
		}), "hold content, hold foreign_suspension"},
		{"a hosting that staff suspended is given to no other subscription", upgraded(func(c *reconcile.Customer) {
			c.Hostings[0].State = reconcile.HostingSuspended
		}), ""},
		{"it stays up while the other's price is unmapped, and may be the wrong one", upgraded(func(c *reconcile.Customer) {
			c.Subscriptions[1].Status, c.Subscriptions[1].StatusText = reconcile.StatusUnknown, "hibernating"
		}), "hold content, hold unknown_status"},
		{"a returning customer gets the site and not the same plan", upgraded(func(c *reconcile.Customer) {
			c.Subscriptions[0].Items = append(c.Subscriptions[0].Items, reconcile.Item{ID: "si_1b", Price: "price_pro", Quantity: 1})
			c.Bindings[1] = reconcile.Binding{Subscription: "sub_1", Item: "si_1b", Slot: 2, Org: "org-1", Hosting: 8, How: reconcile.BoundByCreate}
		}), "link:sub_2/2:7:si_2, change_plan:sub_2/2:7:1>2, suspend:sub_1/2:8"},

		{"the one with nothing on it goes, and not the highest slot", lowered(func(c *reconcile.Customer) {
			c.Hostings[0].Content, c.Hostings[2].Content = sites("a.example.com"), sites("c.example.com")
		}), "suspend:sub_1/2:8"},
		{"one that an order names stays, empty or not", lowered(func(c *reconcile.Customer) {
			c.Hostings[1].Content = sites("b.example.com")
			c.Hostings[2].Content = sites("c.example.com")
			c.Subscriptions[0].MetadataOrg, c.Subscriptions[0].MetadataHosting = "org-1", 7
		}), "hold content"},
		{"but a database that was lost may have named it", lowered(func(c *reconcile.Customer) {
			c.Hostings[1].Content = sites("b.example.com")
			c.Hostings[2].Content = sites("c.example.com")
			c.Subscriptions[0].MetadataOrg, c.Subscriptions[0].MetadataHosting = "org-1", 7
			for i := range c.Bindings {
				c.Bindings[i].How = reconcile.BoundByMarker
			}
		}), "suspend:sub_1/1:7"},
		{"of two with nothing on them the higher slot goes", lowered(func(c *reconcile.Customer) { c.Hostings[0].Content = sites("a.example.com") }), "suspend:sub_1/3:9"},
		{"an operator chooses, if something is on all of them", lowered(func(c *reconcile.Customer) {
			for i := range c.Hostings {
				c.Hostings[i].Content = sites("a.example.com")
			}
		}), "hold content"},
		{"something on one, and the others cannot be listed", lowered(func(c *reconcile.Customer) {
			c.Hostings[0].Content = sites("a.example.com")
			c.Hostings[1].Content = reconcile.Content{ReadAt: noon, Unread: "403"}
			c.Hostings[2].Content = reconcile.Content{ReadAt: noon, Unread: "403"}
		}), "hold content"},
		{"one that staff suspended goes before an empty one that is up", lowered(func(c *reconcile.Customer) {
			c.Hostings[0].Content, c.Hostings[0].State = sites("a.example.com"), reconcile.HostingSuspended
		}), ""},
		{"of those that are down the one with the site is switched on", lowered(func(c *reconcile.Customer) {
			c.Subscriptions[0].Items[0].Quantity = 1
			for i := range c.Hostings {
				suspended(&c.Hostings[i], time.Hour)
			}
			c.Hostings[2].Content = sites("c.example.com")
		}), "resume:sub_1/3:9"},
		{"an old look is renewed", lowered(func(c *reconcile.Customer) {
			for i := range c.Hostings {
				c.Hostings[i].Content = reconcile.Content{ReadAt: noon.Add(-31 * 24 * time.Hour)}
			}
		}), "suspend:sub_1/3:9, need content"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := planner.Decide(&tc.c, catalog(), policy(), noon)
			got := summary(d)
			for _, n := range d.Needs {
				if n.Kind == planner.NeedContent {
					got = strings.TrimPrefix(got+", need content", ", ")
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A hosting is not suspended before its content was read.
func TestWhatWasNeverLookedAtStays(t *testing.T) {
	c := upgraded(func(*reconcile.Customer) {})
	c.Hostings[0].Content = reconcile.Content{}
	d := planner.Decide(&c, catalog(), policy(), noon)
	if got := summary(d); got != "" {
		t.Errorf("%s", got)
	}
	want := []planner.Need{{Kind: planner.NeedContent, Org: "org-1"}}
	if diff := cmp.Diff(want, d.Needs); diff != "" {
		t.Errorf("needs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"org-1"}, d.Contents); diff != "" {
		t.Errorf("rests on (-want +got):\n%s", diff)
	}
}

// Content is read only if another hosting stays. A customer with one hosting needs no reading.
func TestAnOrdinaryCancellationAsksForNothing(t *testing.T) {
	alone := upgraded(func(c *reconcile.Customer) {
		c.Subscriptions, c.Bindings, c.Hostings = c.Subscriptions[:1], c.Bindings[:1], c.Hostings[:1]
	})
	unpaid := upgraded(func(c *reconcile.Customer) { c.Subscriptions[1].Status = reconcile.StatusUnpaid })
	for _, c := range []reconcile.Customer{alone, unpaid} {
		for i := range c.Hostings {
			c.Hostings[i].Content = reconcile.Content{}
		}
		d := planner.Decide(&c, catalog(), policy(), noon)
		if len(d.Needs) > 0 || len(d.Contents) > 0 || !strings.Contains(summary(d), "suspend:sub_1/1:7") {
			t.Errorf("%s, needs %+v", summary(d), d.Needs)
		}
	}
}

// The operator can decide from the hold alone, because it has the content of each
// hosting and the commands.
func TestTheHoldSaysWhatIsOnEach(t *testing.T) {
	c := upgraded(func(c *reconcile.Customer) {
		c.Hostings[0].Content = reconcile.Content{Sites: []string{"a.example.com", "b.example.com"}, Count: 7, ReadAt: noon}
		c.Hostings[0].Usage = []reconcile.Usage{{Name: "websites", Used: 7}, {Name: "mailboxes", Used: 2}, {Name: "mysqlDbs", Used: 1}}
		c.Hostings[1].Usage = []reconcile.Usage{{Name: "diskspace", Used: 4096}}
	})
	d := planner.Decide(&c, catalog(), policy(), noon)
	if len(d.Holds) != 1 {
		t.Fatalf("holds: %+v", d.Holds)
	}
	for _, part := range []string{"hosting 7 of sub_1: 7 websites (a.example.com, b.example.com and 5 more), 2 mailboxes, 1 database", "hosting 8 of sub_2: diskspace 4096",
		"`stripe-enhance customers bind sub_2 7 --reason 'it is its hosting'` keeps hosting 7", "suspend it in the panel"} {
		if !strings.Contains(d.Holds[0].Reason, part) {
			t.Errorf("%q is not in %q", part, d.Holds[0].Reason)
		}
	}
	if !d.Next.Equal(noon.Add(time.Hour)) {
		t.Errorf("looked at again at %s", d.Next)
	}
}
