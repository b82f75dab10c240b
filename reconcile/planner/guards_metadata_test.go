package planner_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// metadataNames makes the metadata of sub_1 name hosting 8, though hosting 7 serves it.
func metadataNames(c *reconcile.Customer) (bound, named *reconcile.Hosting) {
	c.Subscriptions[0].MetadataOrg, c.Subscriptions[0].MetadataHosting, c.Subscriptions[0].DomainChecked = "org-1", 8, true
	c.Hostings = append(c.Hostings, upAt(8, 1, "by hand"))
	c.Hostings[0].Content = reconcile.Content{Sites: []string{"a.example.com"}, Count: 1, ReadAt: noon}
	c.Bindings[0].How = reconcile.BoundByCreate
	return &c.Hostings[0], &c.Hostings[1]
}

// If the metadata of a served subscription names another hosting, the planner binds that
// one only when it is certain. Otherwise it holds, and the bound hosting goes on serving.
func TestMetadataThatNamesAnotherHostingIsHeard(t *testing.T) {
	const held, followed = "hold conflict", "link:sub_1/2:8:si_1"
	empty := func(h *reconcile.Hosting) { h.Content = reconcile.Content{ReadAt: noon} }
	check(t, []guarded{
		{"both are there", func(c *reconcile.Customer, _ *reconcile.Policy) { metadataNames(c) }, held},
		{"the bound one was deleted", func(c *reconcile.Customer, _ *reconcile.Policy) {
			b, _ := metadataNames(c)
			b.State = reconcile.HostingDeleted
		}, followed},
		{"the bound one is missing", func(c *reconcile.Customer, _ *reconcile.Policy) {
			b, _ := metadataNames(c)
			b.State = reconcile.HostingMissing
		}, followed},
		{"the bound one is empty", func(c *reconcile.Customer, _ *reconcile.Policy) { b, _ := metadataNames(c); empty(b) }, followed + ", suspend:sub_1/1:7"},
		{"the content of the bound one was read long ago", func(c *reconcile.Customer, _ *reconcile.Policy) {
			b, _ := metadataNames(c)
			b.Content = reconcile.Content{ReadAt: noon.Add(-dayLong)}
		}, followed + ", suspend:sub_1/1:7, read 8 org-1"},
		{"the bound one is empty, and an operator chose it", func(c *reconcile.Customer, _ *reconcile.Policy) {
			b, _ := metadataNames(c)
			empty(b)
			c.Bindings[0].How = reconcile.BoundByAdopt
		}, held},
		{"the named one is deleted", func(c *reconcile.Customer, _ *reconcile.Policy) {
			_, n := metadataNames(c)
			n.State = reconcile.HostingDeleted
		}, ""},
		{"the named one was never read", func(c *reconcile.Customer, _ *reconcile.Policy) { metadataNames(c); c.Hostings = c.Hostings[:1] }, "read 1 org-1/8"},
		{"the named one is in another org", func(c *reconcile.Customer, _ *reconcile.Policy) {
			b, n := metadataNames(c)
			n.Org, b.State = "org-2", reconcile.HostingDeleted
		}, "hold conflict, hold deleted"},
		{"the metadata names another org", func(c *reconcile.Customer, _ *reconcile.Policy) {
			metadataNames(c)
			c.Subscriptions[0].MetadataOrg = "org-2"
		}, held},
		{"the named one serves another customer", func(c *reconcile.Customer, _ *reconcile.Policy) {
			b, n := metadataNames(c)
			n.Bound, n.Serves, b.State = true, "sub_9", reconcile.HostingDeleted
		}, "hold conflict, hold deleted"},
		{"the named one is bound to one that has ended", func(c *reconcile.Customer, _ *reconcile.Policy) {
			b, n := metadataNames(c)
			n.Bound, b.State = true, reconcile.HostingDeleted
		}, "hold conflict, hold deleted"},
		{"the named one was made for another subscription", func(c *reconcile.Customer, _ *reconcile.Policy) {
			b, n := metadataNames(c)
			n.FriendlyName, b.State = "Basic [sub_9/1]", reconcile.HostingDeleted
		}, "hold conflict, hold deleted"},
		{"we wrote that ourselves", func(c *reconcile.Customer, _ *reconcile.Policy) {
			metadataNames(c)
			c.Subscriptions[0].MetadataWritten = 8
		}, ""},
		{"an operator unbound that one", func(c *reconcile.Customer, _ *reconcile.Policy) {
			metadataNames(c)
			c.Unbindings = []reconcile.Unbinding{{Subscription: "sub_1", Slot: 2, Org: "org-1", Hosting: 8, Named: true, Resolved: true}}
		}, ""},
		{"an operator unbound that one before the metadata named it", func(c *reconcile.Customer, _ *reconcile.Policy) {
			b, _ := metadataNames(c)
			empty(b)
			c.Unbindings = []reconcile.Unbinding{{Subscription: "sub_1", Slot: 2, Org: "org-1", Hosting: 8, Resolved: true}}
		}, held},
		{"an unpaid subscription", func(c *reconcile.Customer, _ *reconcile.Policy) {
			metadataNames(c)
			c.Subscriptions[0].Status = reconcile.StatusUnpaid
		}, "suspend:sub_1/1:7"},
		{"an order whose metadata names the hosting of another customer", func(c *reconcile.Customer, _ *reconcile.Policy) {
			_, n := metadataNames(c)
			n.Bound, n.Serves, c.Bindings, c.Hostings[0].FriendlyName = true, "sub_9", nil, ""
		}, "hold conflict"},
		{"an order whose metadata names an unbound hosting", func(c *reconcile.Customer, _ *reconcile.Policy) {
			metadataNames(c)
			c.Bindings, c.Hostings[0].FriendlyName = nil, ""
		}, "link:sub_1/1:8:si_1"},
	})
}

func TestTheHoldOfWhatMetadataNamesSaysThePairAndTheCommand(t *testing.T) {
	c := world(func(c *reconcile.Customer) { metadataNames(c) })
	d := planner.Decide(&c, catalog(), policy(), noon)
	const want = "the metadata of sub_1 names hosting 8 of org org-1, and hosting 7 is bound, which goes on serving it: both are there. " +
		"If hosting 8 is the one: `stripe-enhance customers bind sub_1 8 --reason 'it is its hosting'`; if not, correct the metadata enhance_subscription_id"
	if len(d.Holds) != 1 || d.Holds[0].Reason != want {
		t.Errorf("holds: %+v", d.Holds)
	}
	c.Hostings[1].Serves, c.Hostings[1].Bound, c.Bindings, c.Hostings[0].FriendlyName = "sub_9", true, nil, ""
	d = planner.Decide(&c, catalog(), policy(), noon)
	for _, text := range []string{"which serves sub_9 of another customer", "`" + planner.UnbindCommand("sub_9", 8) + "`", "`" + planner.BindCommand("sub_1", 8) + "`"} {
		if len(d.Holds) != 1 || !strings.Contains(d.Holds[0].Reason, text) {
			t.Errorf("%q is not in %+v", text, d.Holds)
		}
	}
}

// The hold proposes to enter an org only if the metadata names none.
func TestTheHoldSaysWhichOrgTheMetadataNames(t *testing.T) {
	for named, want := range map[string]string{
		"":      "`" + planner.MetadataCommand("sub_1", "enhance_org_id", "ORG") + "`, or take it out with `" + planner.MetadataCommand("sub_1", "enhance_subscription_id", "") + "`",
		"org-9": "names hosting 8 of org org-9, and the customer's org is org-1: if it is that hosting in that org, `" + planner.BindCommand("sub_1", 8, "--other-org") + "`",
	} {
		c := world(func(c *reconcile.Customer) {
			c.Bindings, c.Hostings = nil, nil
			c.Subscriptions[0].MetadataHosting, c.Subscriptions[0].MetadataOrg = 8, named
			if named == "" {
				c.Org, c.OrgNamed = nil, false
			}
		})
		d := planner.Decide(&c, catalog(), policy(), noon)
		if len(d.Holds) != 1 || !strings.Contains(d.Holds[0].Reason, want) || named != "" && strings.Contains(d.Holds[0].Reason, "=ORG") {
			t.Errorf("%q: %q is not in %+v", named, want, d.Holds)
		}
	}
}

// If two hostings were made for one unit, the metadata does not decide between them,
// because the second installation may have written its own. Both are held, and both stay.
func TestOfTwoThatWereMadeNoneIsChosenByMetadata(t *testing.T) {
	check(t, []guarded{
		{"for one unit", func(c *reconcile.Customer, _ *reconcile.Policy) {
			b, n := metadataNames(c)
			b.Content, n.FriendlyName = reconcile.Content{ReadAt: noon}, "Basic [sub_1/1]"
		}, "hold conflict, hold duplicate"},
		{"one of them is gone", func(c *reconcile.Customer, _ *reconcile.Policy) {
			b, n := metadataNames(c)
			b.State, n.FriendlyName = reconcile.HostingDeleted, "Basic [sub_1/1]"
		}, "link:sub_1/2:8:si_1, hold duplicate"},
	})
}

// What the metadata names is judged beside the hosting that is bound: in the customer's
// org, by what else serves it, and when both have been read.
func TestWhatMetadataNamesIsJudgedBesideTheBoundOne(t *testing.T) {
	const longAgo = "read 1 org-1/7, read 1 org-1/8"
	check(t, []guarded{
		{"the bound one is gone, and the named one is in the other org that the metadata names", func(c *reconcile.Customer, _ *reconcile.Policy) {
			b, n := metadataNames(c)
			b.State, n.Org, c.Subscriptions[0].MetadataOrg = reconcile.HostingDeleted, "org-2", "org-2"
		}, "hold conflict, hold deleted"},
		{"another order has no hosting yet", func(c *reconcile.Customer, _ *reconcile.Policy) {
			metadataNames(c)
			another(c, "2", reconcile.StatusActive, "price_basic")
		}, "create_subscription:sub_2/1:1, hold conflict"},
		{"both were read long ago", func(c *reconcile.Customer, _ *reconcile.Policy) {
			b, n := metadataNames(c)
			b.ObservedAt, n.ObservedAt = noon.Add(-dayLong), noon.Add(-dayLong)
		}, "hold conflict, " + longAgo},
		{"the bound one was never read", func(c *reconcile.Customer, _ *reconcile.Policy) {
			metadataNames(c)
			c.Hostings = c.Hostings[1:]
		}, "hold conflict, read 1 org-1/7"},
		{"the named one was found and not read yet", func(c *reconcile.Customer, _ *reconcile.Policy) {
			_, n := metadataNames(c)
			n.State, n.ObservedAt = 0, time.Time{}
		}, "read 1 org-1/8"},
		{"an order names one that was found and not read yet", func(c *reconcile.Customer, _ *reconcile.Policy) {
			_, n := metadataNames(c)
			n.State, n.ObservedAt, c.Bindings, c.Hostings[0].FriendlyName = 0, time.Time{}, nil, ""
		}, "read 1 org-1/8"},
		{"the named one serves a unit, and there is one more", func(c *reconcile.Customer, _ *reconcile.Policy) {
			metadataNames(c)
			c.Subscriptions[0].MetadataHosting, c.Subscriptions[0].Items[0].Quantity = 7, 2
		}, "create_subscription:sub_1/2:1"},
		{"the bound one is empty, and the metadata named it before", func(c *reconcile.Customer, _ *reconcile.Policy) {
			b, _ := metadataNames(c)
			b.Content, c.Bindings[0].How = reconcile.Content{ReadAt: noon}, reconcile.BoundByMetadata
		}, "hold conflict"},
	})
	c := world(func(c *reconcile.Customer) { metadataNames(c) })
	c.Hostings[0].Content = reconcile.Content{}
	if got := summaryWithNeeds(planner.Decide(&c, catalog(), policy(), noon)); got != "read 8 org-1" {
		t.Errorf("the websites of the bound one were never listed: %s", got)
	}
}

// The hold has the reason why the named hosting does not take the place of the bound one,
// and an empty hosting that gives way has it in its suspension.
func TestWhatMetadataNamesIsHeldForItsReason(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(c *reconcile.Customer)
		want   string
	}{
		{"the metadata names another org", func(c *reconcile.Customer) { metadataNames(c); c.Subscriptions[0].MetadataOrg = "org-2" },
			"names hosting 8 of org org-2, and hosting 7 is bound, which goes on serving it: that is not the customer's org org-1."},
		{"it is in another org", func(c *reconcile.Customer) { _, n := metadataNames(c); n.Org = "org-2" },
			"names hosting 8 of org org-2, and hosting 7 is bound, which goes on serving it: that is not the customer's org org-1."},
		{"it serves another customer", func(c *reconcile.Customer) { _, n := metadataNames(c); n.Bound, n.Serves = true, "sub_9" },
			"that one is bound to sub_9, see `" + planner.UnbindCommand("sub_9", 8) + "`"},
		{"it serves another subscription of the customer", func(c *reconcile.Customer) {
			metadataNames(c)
			another(c, "2", reconcile.StatusActive, "price_basic")
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_2", Item: "si_2", Slot: 1, Org: "org-1", Hosting: 8, How: reconcile.BoundByMetadata})
		}, "that one is bound to sub_2, see `" + planner.UnbindCommand("sub_2", 8) + "`"},
		{"it served one that has ended", func(c *reconcile.Customer) {
			metadataNames(c)
			another(c, "2", reconcile.StatusCanceled, "price_basic")
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_2", Item: "si_2", Slot: 1, Org: "org-1", Hosting: 8, How: reconcile.BoundByMetadata})
		}, "which goes on serving it: both are there."},
		{"the bound one is empty", func(c *reconcile.Customer) { b, _ := metadataNames(c); b.Content = reconcile.Content{ReadAt: noon} },
			"hosting 7, which has nothing on it, is not needed: the metadata of sub_1 names hosting 8"},
		{"an order names one that is in another org", func(c *reconcile.Customer) {
			_, n := metadataNames(c)
			n.Org, c.Bindings, c.Hostings[0].FriendlyName = "org-2", nil, ""
		}, "names hosting 8 of org org-1, and at the panel it is in org org-2:"},
		{"an order names one that was deleted", func(c *reconcile.Customer) {
			_, n := metadataNames(c)
			n.State, c.Bindings, c.Hostings[0].FriendlyName = reconcile.HostingDeleted, nil, ""
		}, "names hosting 8 of org org-1, and at the panel it is deleted:"},
		{"an order names one that was deleted in another org", func(c *reconcile.Customer) {
			_, n := metadataNames(c)
			n.State, n.Org, c.Bindings, c.Hostings[0].FriendlyName = reconcile.HostingDeleted, "org-2", nil, ""
		}, "names hosting 8 of org org-1, and at the panel it is deleted:"},
	} {
		t.Run(tc.name, func(t *testing.T) { hasSentence(t, world(tc.change), policy(), tc.want) })
	}
}

// Metadata that others wrote may be another installation's, which made a second hosting for
// a unit. It gives that one only to an order that gets no other.
func TestMetadataOfOthersGivesASecondHostingOnlyToAnOrderThatGetsNoOther(t *testing.T) {
	second := func(change func(c *reconcile.Customer, back *reconcile.Subscription)) func(*reconcile.Customer, *reconcile.Policy) {
		return func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Subscriptions[0].Status, c.Subscriptions[0].EndedAt = reconcile.StatusCanceled, noon.Add(-time.Hour)
			c.Hostings = append(c.Hostings, upAt(8, 1, "Basic [sub_1/1]"))
			back := another(c, "3", reconcile.StatusActive, "price_basic")
			back.MetadataOrg, back.MetadataHosting = "org-1", 8
			change(c, back)
		}
	}
	check(t, []guarded{
		{"the first returns", second(func(*reconcile.Customer, *reconcile.Subscription) {}), "link:sub_3/1:7:si_3, hold duplicate"},
		{"and more are paid for", second(func(_ *reconcile.Customer, back *reconcile.Subscription) { back.Items[0].Quantity = 2 }),
			"link:sub_3/1:7:si_3, create_subscription:sub_3/2:1, hold duplicate"},
		{"the first serves another", second(func(c *reconcile.Customer, _ *reconcile.Subscription) {
			c.Subscriptions[0].Status, c.Subscriptions[0].EndedAt = reconcile.StatusActive, time.Time{}
		}), "link:sub_3/1:8:si_3, hold duplicate"},
		{"we wrote it", second(func(_ *reconcile.Customer, back *reconcile.Subscription) { back.MetadataWritten = 8 }),
			"link:sub_3/1:8:si_3, suspend:sub_1/1:7, hold duplicate"},
		{"a person has unbound it", second(func(c *reconcile.Customer, _ *reconcile.Subscription) {
			c.Subscriptions[0].Status, c.Subscriptions[0].EndedAt = reconcile.StatusActive, time.Time{}
			c.Unbindings = append(c.Unbindings, reconcile.Unbinding{Subscription: "sub_3", Hosting: 8})
		}), "hold adopt, hold duplicate"},
		{"neither is bound", second(func(c *reconcile.Customer, _ *reconcile.Subscription) { c.Bindings = nil }), "link:sub_3/1:8:si_3, hold duplicate, hold duplicate"},
		{"the first has ended", second(func(c *reconcile.Customer, _ *reconcile.Subscription) { c.Hostings[0].State = reconcile.HostingDeleted }), "link:sub_3/1:8:si_3, hold duplicate"},
	})
}
