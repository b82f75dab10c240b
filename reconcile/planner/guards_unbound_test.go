package planner_test

import (
	"strings"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// unboundFrom is the usual world after an operator has unbound its only hosting.
func unboundFrom(c *reconcile.Customer) {
	b := c.Bindings[0]
	c.Bindings = nil
	c.Unbindings = []reconcile.Unbinding{{Subscription: b.Subscription, Slot: b.Slot, Org: b.Org, Hosting: b.Hosting, At: noon, Author: "ada@desk", Reason: "it is Bob's"}}
	c.Subscriptions[0].DomainChecked = true
}

// When an operator has unbound a hosting, no evidence binds it to that subscription
// again, and nothing is created or taken over in its place, until an operator binds a
// hosting or declares the order new.
func TestWhatAPersonHasUnboundStaysUnbound(t *testing.T) {
	const made = "create_subscription:sub_1/2:1"
	check(t, []guarded{
		{"nothing else", func(c *reconcile.Customer, _ *reconcile.Policy) { unboundFrom(c) }, "hold adopt"},
		{"it carries the marker", func(c *reconcile.Customer, _ *reconcile.Policy) {
			unboundFrom(c)
			c.Hostings[0].FriendlyName = "Basic [sub_1/1]"
		}, "hold adopt"},
		{"it was deleted and carries the marker", func(c *reconcile.Customer, _ *reconcile.Policy) {
			unboundFrom(c)
			c.Hostings[0].FriendlyName, c.Hostings[0].State = "Basic [sub_1/1]", reconcile.HostingDeleted
		}, "hold adopt"},
		{"the metadata names it", func(c *reconcile.Customer, _ *reconcile.Policy) {
			unboundFrom(c)
			c.Subscriptions[0].MetadataOrg, c.Subscriptions[0].MetadataHosting = "org-1", 7
		}, "hold adopt"},
		{"the customer has one of an ended subscription", func(c *reconcile.Customer, _ *reconcile.Policy) {
			unboundFrom(c)
			another(c, "2", reconcile.StatusCanceled, "price_basic")
			c.Hostings = append(c.Hostings, upAt(8, 1, ""))
			c.Bindings = []reconcile.Binding{{Subscription: "sub_2", Item: "si_2", Slot: 1, Org: "org-1", Hosting: 8, How: reconcile.BoundByCreate}}
		}, "suspend:sub_2/1:8, hold adopt"},
		{"the metadata names another", func(c *reconcile.Customer, _ *reconcile.Policy) {
			unboundFrom(c)
			c.Hostings = append(c.Hostings, upAt(8, 1, ""))
			c.Subscriptions[0].MetadataOrg, c.Subscriptions[0].MetadataHosting = "org-1", 8
		}, "link:sub_1/2:8:si_1"},
		{"an operator has bound another since", func(c *reconcile.Customer, _ *reconcile.Policy) {
			unboundFrom(c)
			c.Unbindings[0].Resolved, c.Hostings[0].FriendlyName = true, "Basic [sub_1/1]"
			c.Subscriptions[0].MetadataOrg, c.Subscriptions[0].MetadataHosting = "org-1", 7
		}, made},
		{"it was deleted and the order is new", func(c *reconcile.Customer, _ *reconcile.Policy) {
			unboundFrom(c)
			c.Unbindings[0].Resolved, c.Hostings[0].FriendlyName, c.Hostings[0].State = true, "Basic [sub_1/1]", reconcile.HostingDeleted
		}, made},
		{"its slot is not used again, even if it is gone", func(c *reconcile.Customer, _ *reconcile.Policy) {
			unboundFrom(c)
			c.Unbindings[0].Resolved, c.Hostings = true, nil
		}, made},
		{"an unbinding of another subscription does not count", func(c *reconcile.Customer, _ *reconcile.Policy) {
			unboundFrom(c)
			c.Unbindings[0].Subscription, c.Hostings[0].FriendlyName = "sub_2", "Basic [sub_1/1]"
		}, "link:sub_1/1:7:si_1"},
		{"an unpaid subscription asks for nothing", func(c *reconcile.Customer, _ *reconcile.Policy) {
			unboundFrom(c)
			c.Subscriptions[0].Status = reconcile.StatusUnpaid
		}, ""},
	})
}

func TestTheHoldOfWhatWasUnboundNamesBothWaysOut(t *testing.T) {
	c := world(unboundFrom)
	d := planner.Decide(&c, catalog(), policy(), noon)
	for _, text := range []string{"hosting 7 of org org-1 was unbound from sub_1/1 by ada@desk", "it is Bob's",
		"`stripe-enhance customers bind sub_1 HOSTING --reason 'it is its hosting'`", "`" + planner.BindNewCommand("sub_1") + "`"} {
		if len(d.Holds) != 1 || !strings.Contains(d.Holds[0].Reason, text) {
			t.Errorf("%q is not in %+v", text, d.Holds)
		}
	}
}

// An instruction is checked before anything is changed.
func TestAnInstructionIsRefusedWhereItCannotBeMeant(t *testing.T) {
	claim := func(sub string, ended bool) []reconcile.CustomerBinding {
		return []reconcile.CustomerBinding{{Binding: reconcile.Binding{Subscription: sub, Slot: 1, Org: "org-1", Hosting: 9}, Customer: "cus_9", Ended: ended}}
	}
	for _, tc := range []struct {
		name   string
		change func(c *reconcile.Customer, w *reconcile.Instruction)
		claims []reconcile.CustomerBinding
		want   string // part of the refusal, or of the changes
	}{
		{"in the place of the only one", func(*reconcile.Customer, *reconcile.Instruction) {}, nil,
			"sub_1/1 is not served by hosting 7 of org org-1 any more; at the panel that stays as it is; sub_1/2 is served by hosting 9 of org org-1"},
		{"it was deleted", func(_ *reconcile.Customer, w *reconcile.Instruction) { w.Hosting.State = reconcile.HostingDeleted }, nil, "was deleted in the panel"},
		{"it is not there", func(_ *reconcile.Customer, w *reconcile.Instruction) { w.Hosting.State = reconcile.HostingMissing }, nil, "has no hosting 9"},
		{"its state is not known", func(_ *reconcile.Customer, w *reconcile.Instruction) { w.Hosting.State = reconcile.HostingUnknown }, nil, "does not know"},
		{"it was never read", func(_ *reconcile.Customer, w *reconcile.Instruction) { w.Hosting.State = 0 }, nil, "was not read"},
		{"another customer pays for it", func(*reconcile.Customer, *reconcile.Instruction) {}, claim("sub_9", false),
			"hosting 9 is bound to sub_9 of cus_9, which has not ended: run `" + planner.UnbindCommand("sub_9", 9) + "`"},
		{"another customer, who has ended, had it", func(*reconcile.Customer, *reconcile.Instruction) {}, claim("sub_9", true),
			"sub_1/1 is not served by hosting 7 of org org-1 any more; at the panel that stays as it is; hosting 9 is not kept for sub_9 of cus_9 any more, which has ended; sub_1/2 is served by hosting 9 of org org-1"},
		{"another org", func(_ *reconcile.Customer, w *reconcile.Instruction) { w.Hosting.Org = "org-2" }, nil, "add --other-org"},
		{"another org, with --other-org", func(_ *reconcile.Customer, w *reconcile.Instruction) { w.Hosting.Org, w.OtherOrg = "org-2", true }, nil, "sub_1/2 is served by hosting 9 of org org-2"},
		{"another's marker", func(_ *reconcile.Customer, w *reconcile.Instruction) { w.Hosting.FriendlyName = "Basic [sub_2/1]" }, nil, "it was made for sub_2. Add --other-marker"},
		{"another's marker, with --other-marker", func(_ *reconcile.Customer, w *reconcile.Instruction) {
			w.Hosting.FriendlyName, w.OtherMarker = "Basic [sub_2/1]", true
		}, nil, "sub_1/2 is served by hosting 9"},
		{"the marker of the ended one", func(_ *reconcile.Customer, w *reconcile.Instruction) { w.Hosting.FriendlyName = "Basic [sub_9/1]" }, claim("sub_9", true), "sub_1/2 is served by hosting 9"},
		{"the marker of another installation", func(_ *reconcile.Customer, w *reconcile.Instruction) { w.Hosting.FriendlyName = "Basic [sub_1/1@lab]" }, nil, "of another installation"},
		{"its own marker: the slot is that one", func(_ *reconcile.Customer, w *reconcile.Instruction) { w.Hosting.FriendlyName = "Basic [sub_1/4]" }, nil, "sub_1/4 is served by hosting 9"},
		{"one of two units", func(c *reconcile.Customer, _ *reconcile.Instruction) { c.Subscriptions[0].Items[0].Quantity = 2 }, nil, "sub_1/2 is served by hosting 9 of org org-1"},
		{"both units have one", twoUnits, nil, "Name the one that this one replaces: `stripe-enhance customers bind sub_1/1 9 "},
		{"both units have one, and one is named", func(c *reconcile.Customer, w *reconcile.Instruction) { twoUnits(c, w); w.Slot = 2 }, nil, "sub_1/2 is not served by hosting 8"},
		{"both units have one, and one is gone", func(c *reconcile.Customer, w *reconcile.Instruction) {
			twoUnits(c, w)
			c.Hostings[1].State = reconcile.HostingDeleted
		}, nil, "sub_1/2 is not served by hosting 8"},
		{"a unit that is not there", func(_ *reconcile.Customer, w *reconcile.Instruction) { w.Slot = 5 }, nil, "sub_1 has no unit sub_1/5"},
		{"bound already", func(_ *reconcile.Customer, w *reconcile.Instruction) { w.Hosting.ID = 7 }, nil, "sub_1 is served like that already"},
		{"a write that was not answered", func(c *reconcile.Customer, _ *reconcile.Instruction) {
			c.Pending = []reconcile.Pending{{Kind: reconcile.CreateSubscription, Subscription: "sub_1"}}
		}, nil, "its outcome is not known yet"},
		{"unbound from a hosting that it is not bound to", func(_ *reconcile.Customer, w *reconcile.Instruction) { w.Kind = reconcile.InstructUnbind }, nil, "sub_1 is not bound to that: sub_1/1 has hosting 7"},
		{"unbound from one of several", func(c *reconcile.Customer, w *reconcile.Instruction) {
			twoUnits(c, w)
			w.Kind, w.Hosting = reconcile.InstructUnbind, reconcile.Hosting{}
		}, nil, "sub_1 has several hostings, name one of them"},
		{"unbound from the only one", func(_ *reconcile.Customer, w *reconcile.Instruction) {
			w.Kind, w.Hosting = reconcile.InstructUnbind, reconcile.Hosting{}
		}, nil, "sub_1/1 is not served by hosting 7"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := world(func(*reconcile.Customer) {})
			w := reconcile.Instruction{Kind: reconcile.InstructBind, Subscription: "sub_1", Hosting: upAt(9, 1, "by hand"), Author: "ada@desk", Reason: "why", At: noon}
			tc.change(&c, &w)
			ch, err := planner.Instruct(w, catalog(), "")(&c, tc.claims)
			got := strings.Join(ch.Describe(), "; ")
			if err != nil {
				got = err.Error()
			}
			if !strings.Contains(got, tc.want) {
				t.Errorf("%q is not in %q", tc.want, got)
			}
		})
	}
}

func twoUnits(c *reconcile.Customer, _ *reconcile.Instruction) {
	c.Subscriptions[0].Items[0].Quantity = 2
	c.Hostings = append(c.Hostings, upAt(8, 1, "Basic [sub_1/2]"))
	c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_1", Item: "si_1", Slot: 2, Org: "org-1", Hosting: 8, How: reconcile.BoundByCreate})
}

// A hosting that was taken over has the marker of the subscription that it was made for.
// When it is unbound from the one that took it over, it is not bound to the other one
// again either, and it stays as it is.
func TestWhatWasTakenOverStaysAsItIsWhenItIsUnbound(t *testing.T) {
	c := world(func(c *reconcile.Customer) {
		another(c, "2", reconcile.StatusCanceled, "price_basic")
		c.Hostings[0].FriendlyName, c.Bindings[0].How = "Basic [sub_2/1]", reconcile.BoundByResubscription
		c.Subscriptions[0].DomainChecked = true
	})
	w := reconcile.Instruction{Kind: reconcile.InstructUnbind, Subscription: "sub_1", Author: "ada@desk", Reason: "why", At: noon}
	ch, err := planner.Instruct(w, catalog(), "")(&c, nil)
	if err != nil {
		t.Fatal(err)
	}
	ch.Apply(&c)
	if got := summary(planner.Decide(&c, catalog(), policy(), noon)); got != "hold adopt" {
		t.Errorf("decided %q", got)
	}
	// If an operator binds it to the ended one, it is not taken over from that again.
	w = reconcile.Instruction{Kind: reconcile.InstructBind, Subscription: "sub_2", Hosting: c.Hostings[0], Author: "ada@desk", Reason: "why", At: noon}
	if ch, err = planner.Instruct(w, catalog(), "")(&c, nil); err != nil {
		t.Fatal(err)
	}
	ch.Apply(&c)
	if got := summary(planner.Decide(&c, catalog(), policy(), noon)); got != "suspend:sub_2/1:7, hold adopt" {
		t.Errorf("decided %q", got)
	}
}

// If an operator has unbound a hosting from a live subscription, that subscription does
// not take it over as a returning customer either.
func TestWhoIsBackIsNotGivenWhatWasUnboundFromHim(t *testing.T) {
	c := world(func(c *reconcile.Customer) {
		another(c, "2", reconcile.StatusCanceled, "price_basic")
		c.Bindings[0].Subscription, c.Bindings[0].Item, c.Subscriptions[0].DomainChecked = "sub_2", "si_2", true
		c.Unbindings = []reconcile.Unbinding{{Subscription: "sub_1", Slot: 1, Org: "org-1", Hosting: 7, At: noon, Resolved: true}}
	})
	if got := summary(planner.Decide(&c, catalog(), policy(), noon)); got != "create_subscription:sub_1/2:1, suspend:sub_2/1:7" {
		t.Errorf("decided %q", got)
	}
}
