package reconcile_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// served is a customer with hosting 7 for sub_1 and hosting 8 for sub_2. Hosting 6 was
// unbound from sub_1, and a person decides what serves that unit.
func served() reconcile.Customer {
	return reconcile.Customer{ID: "cus_1",
		Subscriptions: []reconcile.Subscription{{ID: "sub_1", IsNewOrder: true}, {ID: "sub_2", IsNewOrder: true}},
		Bindings:      []reconcile.Binding{binding("sub_1", 1, 7), binding("sub_2", 1, 8)},
		Hostings:      []reconcile.Hosting{{ID: 6, ObservedAt: noon}, {ID: 7, Bound: true, ObservedAt: noon}, {ID: 8, Bound: true, ObservedAt: noon}},
		Unbindings:    []reconcile.Unbinding{{Subscription: "sub_1", Slot: 2, Hosting: 6}, {Subscription: "sub_2", Slot: 2, Hosting: 6}}}
}

func binding(sub string, slot int, hosting int64) reconcile.Binding {
	return reconcile.Binding{Subscription: sub, Slot: slot, Item: "si_" + sub[4:], Org: "org-1", Hosting: hosting}
}

func of(b reconcile.Binding) []reconcile.CustomerBinding {
	return []reconcile.CustomerBinding{{Binding: b, Customer: "cus_1"}}
}

// unbound7 is the record that hosting 7 was unbound from sub_1.
func unbound7(resolved bool) reconcile.Unbinding {
	return reconcile.Unbinding{Subscription: "sub_1", Slot: 1, Org: "org-1", Hosting: 7, At: noon, Author: "ada@desk", Reason: "why", Named: true, Resolved: resolved}
}

// A customer after an instruction is as the store has it: what the instruction is about has
// changed, and everything else is as it was.
func TestAnInstructionIsAppliedToACustomer(t *testing.T) {
	later := reconcile.Hosting{ID: 6, Org: "org-2", Plan: 2, State: reconcile.HostingActive, SuspendedBy: "x", FriendlyName: "by hand", ObservedAt: noon.Add(time.Hour)}
	bind6 := func(ch *reconcile.BindingChange, read reconcile.Hosting) {
		b := binding("sub_1", 1, 6)
		ch.Instruction.Kind, ch.Instruction.Hosting, ch.Bind, ch.Unbinds = reconcile.InstructBind, read, &b, of(binding("sub_1", 1, 7))
	}
	bound6 := func(c *reconcile.Customer) {
		c.Bindings = []reconcile.Binding{binding("sub_2", 1, 8), binding("sub_1", 1, 6)}
		c.Unbindings = []reconcile.Unbinding{c.Unbindings[1], unbound7(true)}
		c.Hostings[0].Bound, c.Hostings[1].Bound = true, false
	}
	for _, tc := range []struct {
		name   string
		change func(c *reconcile.Customer, ch *reconcile.BindingChange)
		want   func(c *reconcile.Customer)
	}{
		{"of another customer", func(_ *reconcile.Customer, ch *reconcile.BindingChange) {
			ch.Customer, ch.Unbinds, ch.Instruction.Kind = "cus_2", of(binding("sub_1", 1, 7)), reconcile.InstructUnbind
		}, func(*reconcile.Customer) {}},
		{"all is so already", func(_ *reconcile.Customer, ch *reconcile.BindingChange) {
			ch.Instruction.Kind = reconcile.InstructUnbind
		}, func(*reconcile.Customer) {}},
		{"unbound", func(_ *reconcile.Customer, ch *reconcile.BindingChange) {
			ch.Unbinds, ch.Instruction.Kind = of(binding("sub_1", 1, 7)), reconcile.InstructUnbind
		}, func(c *reconcile.Customer) {
			c.Bindings, c.Hostings[1].Bound, c.Subscriptions[0].IsNewOrder = c.Bindings[1:], false, false
			c.Unbindings = append(c.Unbindings, unbound7(false))
		}},
		{"unbound, and it serves another one", func(c *reconcile.Customer, ch *reconcile.BindingChange) {
			c.Bindings[1].Hosting = 7
			ch.Unbinds, ch.Instruction.Kind = of(binding("sub_1", 1, 7)), reconcile.InstructUnbind
		}, func(c *reconcile.Customer) {
			c.Bindings, c.Subscriptions[0].IsNewOrder = []reconcile.Binding{binding("sub_2", 1, 7)}, false
			c.Unbindings = append(c.Unbindings, unbound7(false))
		}},
		{"new", func(c *reconcile.Customer, ch *reconcile.BindingChange) {
			c.Subscriptions[0].IsNewOrder, c.Subscriptions[1].IsNewOrder = false, false
			ch.New, ch.Resolves, ch.Instruction.Kind = true, []int64{6}, reconcile.InstructNew
		}, func(c *reconcile.Customer) { c.Subscriptions[1].IsNewOrder, c.Unbindings[0].Resolved = false, true }},
		{"bound in the place of another, and it was unbound before", func(_ *reconcile.Customer, ch *reconcile.BindingChange) { bind6(ch, later) }, func(c *reconcile.Customer) {
			bound6(c)
			c.Hostings[0] = later
			c.Hostings[0].Bound = true
		}},
		{"bound, and what was in use is not in the reading", func(c *reconcile.Customer, ch *reconcile.BindingChange) {
			c.Hostings[0].Usage = []reconcile.Usage{{Name: "disk", Used: 3}}
			bind6(ch, later)
		}, func(c *reconcile.Customer) {
			bound6(c)
			c.Hostings[0] = later
			c.Hostings[0].Bound, c.Hostings[0].Usage = true, []reconcile.Usage{{Name: "disk", Used: 3}}
		}},
		{"bound, and what is in use was read", func(c *reconcile.Customer, ch *reconcile.BindingChange) {
			c.Hostings[0].Usage = []reconcile.Usage{{Name: "disk", Used: 3}}
			bind6(ch, later)
			ch.Instruction.Hosting.Usage = []reconcile.Usage{{Name: "disk", Used: 4}}
		}, func(c *reconcile.Customer) {
			bound6(c)
			c.Hostings[0] = later
			c.Hostings[0].Bound, c.Hostings[0].Usage = true, []reconcile.Usage{{Name: "disk", Used: 4}}
		}},
		{"bound, and it was read again since", func(_ *reconcile.Customer, ch *reconcile.BindingChange) {
			earlier := later
			earlier.ObservedAt = noon.Add(-time.Second)
			bind6(ch, earlier)
		}, bound6},
		{"bound, and it was not in the picture", func(c *reconcile.Customer, ch *reconcile.BindingChange) {
			c.Hostings = c.Hostings[1:]
			bind6(ch, later)
		}, func(c *reconcile.Customer) {
			bound6(c)
			c.Hostings = append(c.Hostings[1:], later)
			c.Hostings[2].Bound = true
		}},
		{"bound, and an ended one and a marker name it no more", func(_ *reconcile.Customer, ch *reconcile.BindingChange) {
			bind6(ch, later)
			ch.Frees = of(binding("sub_2", 1, 8))
			ch.OtherUnbindings = []reconcile.Unbinding{{Subscription: "sub_2", Hosting: 6}, {Subscription: "sub_2", Hosting: 7}, {Subscription: "sub_9", Hosting: 7}}
		}, func(c *reconcile.Customer) {
			bound6(c)
			c.Bindings, c.Unbindings = c.Bindings[1:], append(c.Unbindings, reconcile.Unbinding{Subscription: "sub_2", Hosting: 7})
			c.Hostings[0] = later
			c.Hostings[0].Bound = true
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ch := reconcile.BindingChange{Customer: "cus_1", Named: 7, Instruction: reconcile.Instruction{Subscription: "sub_1", Author: "ada@desk", Reason: "why", At: noon}}
			got, want := served(), served()
			tc.change(&got, &ch)
			tc.want(&want)
			ch.Apply(&got)
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// The journal has a row for each binding that an instruction ends or makes, and one for an
// order that is new, with who decided it, why, and what was so before.
func TestTheJournalHasWhatAnInstructionChanges(t *testing.T) {
	const why = " by ada@desk: why (before: sub_1/1 has hosting 7)"
	row := func(id, customer string, b reconcile.Binding, what string) reconcile.Action {
		return reconcile.Action{ID: id, Kind: reconcile.Link, Customer: customer, Subscription: b.Subscription, Item: b.Item, Slot: b.Slot, Org: b.Org, Hosting: b.Hosting,
			How: reconcile.BoundByAdopt, Reason: what + why}
	}
	freed := reconcile.CustomerBinding{Binding: binding("sub_9", 3, 6), Customer: "cus_9", Ended: true}
	bound := binding("sub_1", 1, 6)
	for _, tc := range []struct {
		name   string
		kind   reconcile.InstructionKind
		change reconcile.BindingChange
		want   []reconcile.Action
	}{
		{"bound in the place of another", reconcile.InstructBind, reconcile.BindingChange{Unbinds: of(binding("sub_1", 1, 7)), Frees: []reconcile.CustomerBinding{freed}, Bind: &bound}, []reconcile.Action{
			row("unbind:sub_1/1:7", "cus_1", binding("sub_1", 1, 7), "unbound"), row("unbind:sub_9/3:6", "cus_9", freed.Binding, "unbound"), row("bind:sub_1/1:6", "cus_1", bound, "bound")}},
		{"unbound", reconcile.InstructUnbind, reconcile.BindingChange{Unbinds: of(binding("sub_1", 1, 7))}, []reconcile.Action{row("unbind:sub_1/1:7", "cus_1", binding("sub_1", 1, 7), "unbound")}},
		{"new", reconcile.InstructNew, reconcile.BindingChange{New: true}, []reconcile.Action{row("new:sub_1", "cus_1", reconcile.Binding{Subscription: "sub_1"}, "marked as new")}},
		{"new already", reconcile.InstructNew, reconcile.BindingChange{}, nil},
	} {
		tc.change.Customer, tc.change.Before = "cus_1", "sub_1/1 has hosting 7"
		tc.change.Instruction = reconcile.Instruction{Kind: tc.kind, Subscription: "sub_1", Author: "ada@desk", Reason: "why"}
		if d := cmp.Diff(tc.want, tc.change.Entries()); d != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, d)
		}
	}
}

// A person reads what an instruction changes, in the order in which it is done.
func TestAnInstructionIsDescribed(t *testing.T) {
	bound := binding("sub_1", 1, 6)
	for _, tc := range []struct {
		kind   reconcile.InstructionKind
		change reconcile.BindingChange
		want   []string
	}{
		{reconcile.InstructBind, reconcile.BindingChange{Before: "sub_1/1 has hosting 7"}, []string{"sub_1 is served like that already: sub_1/1 has hosting 7"}},
		{reconcile.InstructNew, reconcile.BindingChange{Resolves: []int64{6}}, []string{"sub_1 is a new order: it gets a hosting of its own"}},
		{reconcile.InstructBind, reconcile.BindingChange{Unbinds: of(binding("sub_1", 1, 7)), Frees: of(binding("sub_2", 1, 6)), Bind: &bound}, []string{
			"sub_1/1 is not served by hosting 7 of org org-1 any more; at the panel that stays as it is",
			"hosting 6 is not kept for sub_2 of cus_1 any more, which has ended",
			"sub_1/1 is served by hosting 6 of org org-1"}},
	} {
		tc.change.Instruction = reconcile.Instruction{Kind: tc.kind, Subscription: "sub_1"}
		if got := tc.change.Describe(); !slices.Equal(got, tc.want) {
			t.Errorf("%q, want %q", got, tc.want)
		}
	}
}

// The bindings of a subscription are in the order of their slots. One to a hosting that was
// deleted at the end of its retention period is history.
func TestTheBindingsOfASubscriptionAreItsOwnAndInOrder(t *testing.T) {
	c := served()
	c.Bindings = append(c.Bindings, binding("sub_2", 4, 6), binding("sub_1", 3, 9), binding("sub_1", 2, 6))
	c.Hostings[0].TerminatedByUs = noon
	for sub, want := range map[string][]reconcile.Binding{
		"sub_1": {binding("sub_1", 1, 7), binding("sub_1", 3, 9)}, "sub_2": {binding("sub_2", 1, 8)}, "sub_9": nil,
	} {
		if d := cmp.Diff(want, c.BindingsOf(sub)); d != "" {
			t.Errorf("%s (-want +got):\n%s", sub, d)
		}
	}
	c.Hostings[0].TerminatedByUs = time.Time{}
	if d := cmp.Diff([]reconcile.Binding{binding("sub_1", 1, 7), binding("sub_1", 2, 6), binding("sub_1", 3, 9)}, c.BindingsOf("sub_1")); d != "" {
		t.Errorf("none of them deleted (-want +got):\n%s", d)
	}
}
