package planner_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// instructed gives an instruction to the usual customer, after a change of both. It
// returns what the person reads, and what is decided then.
func instructed(t *testing.T, claims []reconcile.CustomerBinding, change func(c *reconcile.Customer, w *reconcile.Instruction)) (text, decision string) {
	t.Helper()
	c := world(func(c *reconcile.Customer) { c.Subscriptions[0].DomainChecked = true })
	w := reconcile.Instruction{Kind: reconcile.InstructBind, Subscription: "sub_1", Hosting: upAt(9, 1, "by hand"), Author: "ada@desk", Reason: "why", At: noon}
	change(&c, &w)
	ch, err := planner.Instruct(w, catalog(), "")(&c, claims)
	if err != nil {
		return err.Error(), ""
	}
	ch.Apply(&c)
	return strings.Join(ch.Describe(), "; "), summary(planner.Decide(&c, catalog(), policy(), noon))
}

// twoItems are two items with a hosting each.
func twoItems(c *reconcile.Customer, w *reconcile.Instruction) {
	twoUnits(c, w)
	c.Subscriptions[0].Items = []reconcile.Item{{ID: "si_1", Price: "price_basic", Quantity: 1}, {ID: "si_2", Price: "price_basic", Quantity: 1}}
	c.Bindings[1].Item = "si_2"
}

// An instruction is followed as it is meant: it changes the unit that it is about, and no
// other one. If it is given twice, the second time changes nothing.
func TestAnInstructionChangesWhatItIsAboutAndNothingElse(t *testing.T) {
	waiting := func(c *reconcile.Customer, slots ...int) { // a person has unbound the hostings of these slots
		for _, slot := range slots {
			c.Unbindings = append(c.Unbindings, reconcile.Unbinding{Subscription: "sub_1", Slot: slot, Org: "org-1", Hosting: int64(30 + slot), At: noon})
		}
	}
	own := []reconcile.CustomerBinding{{Binding: reconcile.Binding{Subscription: "sub_1", Slot: 1, Org: "org-1", Hosting: 7}, Customer: "cus_1"}}
	for _, tc := range []struct {
		name     string
		claims   []reconcile.CustomerBinding
		change   func(c *reconcile.Customer, w *reconcile.Instruction)
		text     string // all of it
		decision string
	}{
		{"for a subscription of another customer", nil, func(_ *reconcile.Customer, w *reconcile.Instruction) { w.Subscription = "sub_9" },
			"sub_9 is no subscription of cus_1", ""},
		{"unbound a second time", nil, func(c *reconcile.Customer, w *reconcile.Instruction) {
			unboundFrom(c)
			w.Kind, w.Hosting = reconcile.InstructUnbind, c.Hostings[0]
		}, "sub_1 is served like that already: sub_1/1 was unbound from hosting 7 at 2026-03-01 12:00 UTC", "hold adopt"},
		{"unbound where nothing ever was", nil, func(c *reconcile.Customer, w *reconcile.Instruction) {
			c.Bindings, w.Kind = nil, reconcile.InstructUnbind
		}, "sub_1 is not bound to that: no hosting is bound to sub_1", ""},
		{"unbound where that was resolved since", nil, func(c *reconcile.Customer, w *reconcile.Instruction) {
			unboundFrom(c)
			w.Kind, c.Unbindings[0].Resolved = reconcile.InstructUnbind, true
		}, "sub_1 is not bound to that: no hosting is bound to sub_1", ""},
		{"unbound from the hosting of a unit", nil, func(c *reconcile.Customer, w *reconcile.Instruction) {
			twoUnits(c, w)
			w.Kind, w.Hosting, w.Slot = reconcile.InstructUnbind, reconcile.Hosting{}, 2
		}, "sub_1/2 is not served by hosting 8 of org org-1 any more; at the panel that stays as it is", "hold adopt"},
		{"unbound from one hosting of two", nil, func(c *reconcile.Customer, w *reconcile.Instruction) {
			twoUnits(c, w)
			w.Kind, w.Hosting = reconcile.InstructUnbind, c.Hostings[0]
		}, "sub_1/1 is not served by hosting 7 of org org-1 any more; at the panel that stays as it is", "hold adopt"},
		{"unbound from one of several, beside a unit that waits", nil, func(c *reconcile.Customer, w *reconcile.Instruction) {
			twoUnits(c, w)
			waiting(c, 3)
			w.Kind, w.Hosting = reconcile.InstructUnbind, reconcile.Hosting{}
		}, "sub_1 has several hostings, name one of them: sub_1/1 has hosting 7, bound by create; sub_1/2 has hosting 8, bound by create; sub_1/3 was unbound from hosting 33 at 2026-03-01 12:00 UTC. `" +
			planner.UnbindCommand("sub_1", 7) + "`", ""},
		{"new, while the outcome of a write is not known", nil, func(c *reconcile.Customer, w *reconcile.Instruction) {
			unboundFrom(c)
			w.Kind, c.Pending = reconcile.InstructNew, []reconcile.Pending{{Kind: reconcile.CreateSubscription, Subscription: "sub_1", Slot: 2, SentAt: noon}}
		}, "sub_1 is a new order: it gets a hosting of its own", "hold ambiguous"},
		{"new a second time", nil, func(c *reconcile.Customer, w *reconcile.Instruction) {
			waiting(c, 2, 3)
			c.Unbindings[0].Resolved, c.Unbindings[1].Subscription = true, "sub_2"
			w.Kind, c.Subscriptions[0].IsNewOrder = reconcile.InstructNew, true
		}, "sub_1 is served like that already: sub_1/1 has hosting 7, bound by create; it was marked as new", ""},
		{"new, after it was unbound", nil, func(c *reconcile.Customer, w *reconcile.Instruction) { unboundFrom(c); w.Kind = reconcile.InstructNew },
			"sub_1 is a new order: it gets a hosting of its own", "create_subscription:sub_1/2:1"},
		{"the hosting of one item for another one", own, func(c *reconcile.Customer, w *reconcile.Instruction) {
			twoItems(c, w)
			w.Slot, w.Hosting = 2, c.Hostings[0]
		}, "sub_1/2 is not served by hosting 8 of org org-1 any more; at the panel that stays as it is; sub_1/1 is served by hosting 7 of org org-1",
			"create_subscription:sub_1/3:1"},
		{"for the unit that waits", nil, func(c *reconcile.Customer, w *reconcile.Instruction) { unboundFrom(c); w.Slot = 1 },
			"sub_1/2 is served by hosting 9 of org org-1", "link:sub_1/2:9:si_1"},
		{"for the unit that waits, while the price has no mapping", nil, func(c *reconcile.Customer, _ *reconcile.Instruction) {
			waiting(c, 2)
			c.Subscriptions[0].Items[0].Price = "price_new"
		}, "sub_1/3 is served by hosting 9 of org org-1", "mark_hosting:sub_1/3:9, hold unmapped"},
		{"where nothing is bound, and the price has no mapping", nil, func(c *reconcile.Customer, _ *reconcile.Instruction) {
			c.Bindings, c.Hostings, c.Subscriptions[0].Items[0].Price = nil, nil, "price_new"
		}, "sub_1/1 is served by hosting 9 of org org-1", "mark_hosting:sub_1/1:9, hold unmapped"},
		{"for a unit that it does not have, while another one has no hosting yet", nil, func(c *reconcile.Customer, w *reconcile.Instruction) {
			w.Slot, c.Subscriptions[0].Items[0].Quantity = 5, 2
		}, "sub_1 has no unit sub_1/5: sub_1/1 has hosting 7, bound by create", ""},
		{"a hosting that was made for a unit of another subscription", nil, func(_ *reconcile.Customer, w *reconcile.Instruction) {
			w.Hosting.FriendlyName, w.OtherMarker = "Basic [sub_2/5]", true
		}, "sub_1/1 is not served by hosting 7 of org org-1 any more; at the panel that stays as it is; sub_1/2 is served by hosting 9 of org org-1", "mark_hosting:sub_1/2:9"},
		{"for one of two units that wait", nil, func(c *reconcile.Customer, w *reconcile.Instruction) {
			waiting(c, 2, 3)
			w.Slot, c.Subscriptions[0].Items[0].Quantity = 3, 3
		}, "sub_1/4 is served by hosting 9 of org org-1", "link:sub_1/4:9:si_1, hold adopt"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text, decision := instructed(t, tc.claims, tc.change)
			if d := cmp.Diff([]string{tc.text, tc.decision}, []string{text, decision}); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// When a person binds a hosting that was made for another subscription, neither the marker
// nor the metadata of that one binds it to that one too. The markers of other hostings
// count as before.
func TestAnInstructionOverrulesTheMarkerOfItsHostingAlone(t *testing.T) {
	for _, tc := range []struct {
		name     string
		change   func(c *reconcile.Customer, second *reconcile.Subscription)
		decision string
	}{
		{"the metadata of the other names it", func(_ *reconcile.Customer, second *reconcile.Subscription) {
			second.MetadataOrg, second.MetadataHosting = "org-1", 9
		}, "create_subscription:sub_2/2:1, mark_hosting:sub_1/2:9"},
		{"the other has a hosting with its marker", func(c *reconcile.Customer, _ *reconcile.Subscription) {
			c.Hostings = append(c.Hostings, upAt(8, 1, "Basic [sub_2/2]"))
		}, "link:sub_2/2:8:si_2, mark_hosting:sub_1/2:9"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, decision := instructed(t, nil, func(c *reconcile.Customer, w *reconcile.Instruction) {
				tc.change(c, another(c, "2", reconcile.StatusActive, "price_basic"))
				w.Hosting.FriendlyName, w.OtherMarker = "Basic [sub_2/1]", true
			})
			if d := cmp.Diff(tc.decision, decision); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// An instruction records nothing against the hosting that it binds, unless that one carries
// the marker of another subscription.
func TestAnInstructionOverrulesNoMarkerOfItsOwn(t *testing.T) {
	for name, want := range map[string]int{"by hand": 0, "Ada [cus_1]": 0, "Basic [sub_1/4]": 0, "Basic [sub_2/1]": 1} {
		c := world(func(*reconcile.Customer) {})
		w := reconcile.Instruction{Kind: reconcile.InstructBind, Subscription: "sub_1", Hosting: upAt(9, 1, name), OtherMarker: true}
		ch, err := planner.Instruct(w, catalog(), "")(&c, nil)
		if err != nil || len(ch.OtherUnbindings) != want {
			t.Errorf("%s: %+v, %v, want %d", name, ch.OtherUnbindings, err, want)
		}
	}
}

// Of several units that wait the hold names the first, in whatever order they are known. An
// order waits for no unit of another subscription.
func TestTheFirstUnitThatWaitsIsNamed(t *testing.T) {
	open := func(sub string, slot int, hosting int64) reconcile.Unbinding {
		return reconcile.Unbinding{Subscription: sub, Slot: slot, Org: "org-1", Hosting: hosting, At: noon}
	}
	all := []reconcile.Unbinding{open("sub_1", 2, 31), open("sub_1", 1, 33), open("sub_1", 1, 32), open("sub_1", 3, 30)}
	for range all {
		all = append(all[1:], all[0])
		c := world(func(c *reconcile.Customer) {
			c.Bindings, c.Hostings, c.Unbindings, c.Subscriptions[0].DomainChecked = nil, nil, all, true
		})
		hasSentence(t, c, policy(), "hosting 32 of org org-1 was unbound from sub_1/1 by")
	}
	check(t, []guarded{{"of another subscription", func(c *reconcile.Customer, _ *reconcile.Policy) {
		c.Bindings, c.Hostings, c.Unbindings, c.Subscriptions[0].DomainChecked = nil, nil, []reconcile.Unbinding{open("sub_2", 1, 31)}, true
	}, "create_subscription:sub_1/1:1"}})
}
