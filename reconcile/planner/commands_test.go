package planner_test

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

var printed = regexp.MustCompile("`stripe-enhance customers bind ([a-z0-9_]+)/?([0-9]*) ([0-9]+)([^`]*) --reason ")

// A person who copies the command of a hold is not refused, and no flag in it is more than
// is needed: what a flag overrides is for the person to see.
func TestThePrintedCommandIsNotRefused(t *testing.T) {
	elsewhere := func(id int64, name string) reconcile.Hosting {
		h := upAt(id, 1, name)
		h.Org = "org-2"
		return h
	}
	for _, tc := range []struct {
		name   string
		change func(c *reconcile.Customer)
		want   []string // what the commands say between "bind" and the reason
	}{
		{"two were made for a unit, and one of them is bound", func(c *reconcile.Customer) {
			c.Hostings = append(c.Hostings, upAt(9, 1, "Basic [sub_1/1]"))
		}, []string{"sub_1 9"}},
		{"two were made for one of two units", func(c *reconcile.Customer) {
			twoUnits(c, nil)
			c.Hostings = append(c.Hostings, upAt(9, 1, "Basic [sub_1/2]"))
		}, []string{"sub_1/2 9"}},
		{"two were made for a unit, one of them in another org, and none is bound", func(c *reconcile.Customer) {
			c.Bindings, c.Hostings = nil, append(c.Hostings, elsewhere(9, "Basic [sub_1/1]"))
		}, []string{"sub_1 7", "sub_1 9 --other-org"}},
		{"two were made for a unit, and no org is known", func(c *reconcile.Customer) {
			c.Org, c.Bindings, c.Hostings = nil, nil, append(c.Hostings, elsewhere(9, "Basic [sub_1/1]"))
		}, []string{"sub_1 7", "sub_1 9"}},
		{"two were made for a unit, whose hosting we deleted at the end of its retention period", func(c *reconcile.Customer) {
			c.Hostings[0].State, c.Hostings[0].TerminatedByUs = reconcile.HostingDeleted, noon.Add(-dayLong)
			c.Hostings = append(c.Hostings, upAt(9, 1, "Basic [sub_1/1]"))
		}, []string{"sub_1 9"}},
		{"the marker is its own, and it is in another org", func(c *reconcile.Customer) {
			c.Bindings, c.Hostings = nil, []reconcile.Hosting{elsewhere(9, "Basic [sub_1/1]")}
		}, []string{"sub_1 9 --other-org"}},
		{"one of an ended subscription, which was made for it", func(c *reconcile.Customer) { contested(c, "Basic [sub_1/1]") }, []string{"sub_2 7"}},
		{"one of an ended subscription, which was made for another one before", func(c *reconcile.Customer) { contested(c, "Basic [sub_0/1]") }, []string{"sub_2 7 --other-marker"}},
		{"one of an ended subscription, for one of two units", func(c *reconcile.Customer) {
			contested(c, "Basic [sub_1/1]")
			c.Subscriptions[1].Items[0].Quantity = 2
			c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_2", Item: "si_2", Slot: 2, Org: "org-1", Hosting: 9, How: reconcile.BoundByCreate})
			c.Hostings = append(c.Hostings, upAt(9, 2, ""))
			c.Hostings[2].Content = sites("c.example.com")
		}, []string{"sub_2/1 7"}},
		{"more with content than places, one of which was made for another one before", func(c *reconcile.Customer) {
			contested(c, "Basic [sub_0/1]")
			c.Bindings[1].Subscription, c.Bindings[1].Slot, c.Bindings[1].Item = "sub_1", 2, ""
			c.Hostings[1].Content = sites("b.example.com")
		}, []string{"sub_2 7 --other-marker"}},
		{"a look-alike with the marker of another installation", func(c *reconcile.Customer) {
			c.Bindings, c.Hostings = nil, []reconcile.Hosting{upAt(9, 1, "Basic [sub_1/1@shop]")}
			c.Lookalikes = []reconcile.Lookalike{alike(9)}
		}, []string{"sub_1 9 --other-marker"}},
		{"a look-alike with the marker of an ended subscription of another payer", func(c *reconcile.Customer) {
			c.Bindings, c.Hostings = nil, []reconcile.Hosting{upAt(9, 1, "Basic [sub_9/1]")}
			c.Lookalikes = []reconcile.Lookalike{alike(9)}
		}, []string{"sub_1 9 --other-marker"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := world(tc.change)
			d := planner.Decide(&c, catalog(), policy(), noon)
			var commands []string
			for _, h := range d.Holds {
				for _, m := range printed.FindAllStringSubmatch(h.Reason, -1) {
					commands = append(commands, strings.TrimSuffix(m[1]+"/"+m[2], "/")+" "+m[3]+m[4])
					tryCommand(t, &c, m)
				}
			}
			if !slices.Equal(commands, tc.want) {
				t.Errorf("%s: the commands are %q, want %q", summary(d), commands, tc.want)
			}
		})
	}
}

// contested is a customer whose ended sub_1 has hosting 7 with a site, of this name, and
// whose sub_2 has hosting 8, which may be empty: a person has to choose.
func contested(c *reconcile.Customer, name string) {
	*c = upgraded(func(c *reconcile.Customer) {
		c.Hostings[0].FriendlyName = name
		c.Hostings[1].Usage = []reconcile.Usage{{Name: "diskspace", Used: 4096}}
	})
}

// tryCommand follows the printed command as it is, and without each of its flags.
func tryCommand(t *testing.T, c *reconcile.Customer, m []string) {
	t.Helper()
	hosting, _ := strconv.ParseInt(m[3], 10, 64)
	slot, _ := strconv.Atoi(m[2])
	w := reconcile.Instruction{Kind: reconcile.InstructBind, Subscription: m[1], Slot: slot, Hosting: *hostingOf(c, hosting), Author: "ada@desk", Reason: "it is its hosting", At: noon}
	var bound []reconcile.CustomerBinding
	for _, b := range c.Bindings {
		if b.Hosting == hosting {
			bound = append(bound, reconcile.CustomerBinding{Binding: b, Customer: c.ID, Ended: subOf(c, b.Subscription).Status.Ended()})
		}
	}
	flags := strings.Fields(m[4])
	follow := func(but string) error {
		w.OtherOrg = but != "--other-org" && slices.Contains(flags, "--other-org")
		w.OtherMarker = but != "--other-marker" && slices.Contains(flags, "--other-marker")
		_, err := planner.Instruct(w, catalog(), "")(c, bound)
		return err
	}
	if err := follow(""); err != nil {
		t.Errorf("%s is refused: %v", m[0], err)
	}
	for _, f := range flags {
		if follow(f) == nil {
			t.Errorf("%s: %s is not needed", m[0], f)
		}
	}
	if w.Slot = 0; slot != 0 && follow("") == nil {
		t.Errorf("%s: the unit is not needed", m[0])
	}
}

// An order of several units has room for a hosting until all of them are served.
func TestAHostingIsBoundBesideTheOthersWhileAUnitWaits(t *testing.T) {
	extra := reconcile.Item{ID: "si_2", Price: "price_setup", Quantity: 1, Created: noon.Add(-time.Hour)}
	for _, tc := range []struct {
		name     string
		items    []reconcile.Item
		replaces bool
	}{
		{"one unit, which is served", []reconcile.Item{{ID: "si_1", Price: "price_basic", Quantity: 1}}, true},
		{"two units", []reconcile.Item{{ID: "si_1", Price: "price_basic", Quantity: 2}}, false},
		{"two items", []reconcile.Item{{ID: "si_1", Price: "price_basic", Quantity: 1}, {ID: "si_2", Price: "price_pro", Quantity: 1}}, false},
		{"an extra without a mapping", []reconcile.Item{{ID: "si_1", Price: "price_basic", Quantity: 1}, extra}, true},
		{"an item whose plan is missing", []reconcile.Item{{ID: "si_1", Price: "price_basic", Quantity: 1}, {ID: "si_2", Price: "price_number", Quantity: 1}}, true},
		{"a number that makes no sense", []reconcile.Item{{ID: "si_1", Price: "price_basic", Quantity: 1}, {ID: "si_2", Price: "price_pro", Quantity: 5000}}, true},
	} {
		c := world(func(c *reconcile.Customer) { c.Subscriptions[0].Items = tc.items })
		w := reconcile.Instruction{Kind: reconcile.InstructBind, Subscription: "sub_1", Hosting: upAt(9, 1, "by hand"), Author: "ada@desk", Reason: "why", At: noon}
		ch, err := planner.Instruct(w, catalog(), "")(&c, nil)
		if err != nil || ch.Bind == nil || (len(ch.Unbinds) > 0) != tc.replaces {
			t.Errorf("%s: takes the place of %+v, and is bound as %+v (%v)", tc.name, ch.Unbinds, ch.Bind, err)
		}
	}
}
