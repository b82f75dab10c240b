package planner_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// TestTheEndDoesNotDependOnWhenARunLooked plays the same events twice, in two possible
// orders, with a run after some of them, and compares the active hostings in the end,
// their plans and their content. Sites are built before the first event, because both
// stories have to start from the same facts.
//
// Both end the same if at least as many hostings are paid for as have content. If fewer
// are, the order in which the customer acted may decide which of them stay. In every
// story, no run suspends a hosting with a site while an empty one stays active.
func TestTheEndDoesNotDependOnWhenARunLooked(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPlot(t)
		one, other := p.play(t, "one"), p.play(t, "other")
		if p.enough(one) && !slices.Equal(one.end(), other.end()) {
			t.Fatalf("%s\nends with %q\n%s\nends with %q", strings.Join(one.log, "; "), one.end(), strings.Join(other.log, "; "), other.end())
		}
	})
}

// plot is a set of events, and which of them has to come before which.
type plot struct {
	begin []happening // before the first run
	sites map[int]bool
	then  []happening
}

type happening struct {
	name  string
	after string // the event that has to come first; "": none
	do    func(h *story)
}

// story is a plot in one order, with its runs.
type story struct {
	model
	on  map[int64]int // sites on each hosting
	log []string
}

func drawPlot(t *rapid.T) plot {
	p := plot{sites: map[int]bool{}}
	basic, pro := pick(t, "first price", "price_basic", "price_pro"), pick(t, "second price", "price_basic", "price_pro", "price_pro")
	n := int64(rapid.IntRange(1, 3).Draw(t, "hostings of the first"))
	p.begin = []happening{{"A is ordered", "", func(h *story) { h.order("sub_1", basic, n) }}}
	if rarely(t, "another one beside it, in use", 4) {
		p.begin = append(p.begin, happening{"C is ordered", "", func(h *story) { h.order("sub_3", "price_basic", 1) }})
		p.sites[int(n)] = true
	}
	for i := range int(n) {
		p.sites[i] = rapid.Bool().Draw(t, "a site on it")
	}
	unpaid := rarely(t, "A is unpaid for a while", 3)
	switch pick(t, "plot", "another order", "another order", "fewer", "another item") {
	case "another order":
		units := int64(rapid.IntRange(1, 2).Draw(t, "hostings of the second"))
		p.then = []happening{{"B is ordered", "", func(h *story) { h.order("sub_2", pro, units) }}, {"A is cancelled", "", func(h *story) { h.end1() }}}
		if unpaid {
			p.then[1].after = "A is unpaid"
			p.then = append(p.then, happening{"A is unpaid", "", func(h *story) { h.status("sub_1", reconcile.StatusUnpaid) }})
		}
		if rarely(t, "B is unpaid for a while", 3) {
			p.then = append(p.then, happening{"B is unpaid", "B is ordered", func(h *story) { h.status("sub_2", reconcile.StatusUnpaid) }},
				happening{"B is paid", "B is unpaid", func(h *story) { h.status("sub_2", reconcile.StatusActive) }})
		}
	case "fewer":
		fewer := int64(rapid.IntRange(1, int(n)).Draw(t, "left"))
		p.then = []happening{{"the quantity falls", "", func(h *story) { subOf(&h.c, "sub_1").Items[0].Quantity = fewer }}}
		if unpaid {
			p.then = append(p.then, happening{"A is unpaid", "", func(h *story) { h.status("sub_1", reconcile.StatusUnpaid) }},
				happening{"A is paid", "A is unpaid", func(h *story) { h.status("sub_1", reconcile.StatusActive) }})
		}
	case "another item":
		p.then = []happening{{"an item is added", "", func(h *story) {
			s := subOf(&h.c, "sub_1")
			s.Items = append(s.Items, reconcile.Item{ID: "si_1b", Price: pro, Quantity: n, Created: h.now})
		}}, {"the first item is removed", "an item is added", func(h *story) {
			s := subOf(&h.c, "sub_1")
			s.Items = slices.Delete(slices.Clone(s.Items), 0, 1)
		}}}
	}
	return p
}

func (p plot) play(t *rapid.T, label string) *story {
	h := &story{model: model{scene: scene{now: noon, policy: reconcile.Policy{Mode: reconcile.Enforce, Onboarding: reconcile.NoOnboarding}}, next: 100, made: map[string]bool{}}, on: map[int64]int{}}
	h.c.ID, h.c.Email = "cus_1", "ada@example.com"
	for _, f := range p.begin {
		f.do(h)
	}
	h.run(t)
	for i := range h.c.Hostings {
		if p.sites[i] {
			h.on[h.c.Hostings[i].ID] = 1
		}
	}
	for left := slices.Clone(p.then); len(left) > 0; {
		var may []int
		for i, f := range left {
			if !slices.ContainsFunc(left, func(o happening) bool { return o.name == f.after }) {
				may = append(may, i)
			}
		}
		i := pick(t, label+": next", may...)
		h.now = h.now.Add(5 * time.Minute)
		left[i].do(h)
		h.log = append(h.log, left[i].name)
		left = slices.Delete(left, i, i+1)
		if rapid.Bool().Draw(t, label+": a run") {
			h.run(t)
		}
	}
	h.run(t)
	h.run(t)
	return h
}

func (h *story) order(id, price string, n int64) {
	h.c.Subscriptions = append(h.c.Subscriptions, reconcile.Subscription{ID: id, StripeCustomer: "cus_1", Status: reconcile.StatusActive, StatusText: "active",
		StatusSince: h.now, Created: h.now, ByID: true, DomainChecked: true,
		Items: []reconcile.Item{{ID: "si_" + id[4:], Price: price, Quantity: n, Created: h.now}}})
}

func (h *story) status(id string, s reconcile.Status) {
	sub := subOf(&h.c, id)
	sub.Status, sub.StatusText, sub.StatusSince = s, s.String(), h.now
}

func (h *story) end1() {
	h.status("sub_1", reconcile.StatusCanceled)
	subOf(&h.c, "sub_1").EndedAt = h.now
}

// run applies decisions until no action is left, as the engine does.
func (h *story) run(t *rapid.T) {
	h.now = h.now.Add(11 * time.Minute)
	h.undone = map[string]int{}
	h.log = append(h.log, "RUN")
	for range mostSteps {
		d := h.decide()
		if len(d.Needs) > 0 {
			h.read(t, d.Needs)
			continue
		}
		if len(d.Actions) == 0 {
			return
		}
		a := d.Actions[0]
		h.apply(t, a)
		h.log = append(h.log, "("+a.ID+")")
		if a.Kind == reconcile.Suspend && h.on[a.Hosting] > 0 && standing(subOf(&h.c, a.Subscription), h.policy, h.now) != "down" {
			h.emptyOnesGo(t, a)
		}
	}
	t.Fatalf("it does not converge: %s", strings.Join(h.log, "; "))
}

// emptyOnesGo checks that each active hosting is suspended as well if it is empty.
func (h *story) emptyOnesGo(t *rapid.T, a reconcile.Action) {
	later := h.decide()
	for _, o := range h.c.Hostings {
		goes := slices.ContainsFunc(later.Actions, func(b reconcile.Action) bool { return b.Hosting == o.ID && b.Kind == reconcile.Suspend })
		if o.ID != a.Hosting && o.State == reconcile.HostingActive && h.on[o.ID] == 0 && !goes {
			t.Fatalf("%s: %s, and hosting %d is up with nothing on it", strings.Join(h.log, "; "), a.ID, o.ID)
		}
	}
}

// read answers with the real content.
func (h *story) read(t *rapid.T, needs []planner.Need) {
	for _, n := range needs {
		if n.Kind != planner.NeedContent {
			h.answer(t, []planner.Need{n})
			continue
		}
		for i := range h.c.Hostings {
			o := &h.c.Hostings[i]
			o.Content = reconcile.Content{ReadAt: h.now}
			if h.on[o.ID] > 0 {
				o.Content.Sites, o.Content.Count = []string{fmt.Sprintf("site%d.example.com", o.ID)}, 1
			}
		}
	}
}

// end is the state that a customer sees: the active hostings, and the sites that are down.
func (h *story) end() (all []string) {
	for _, o := range h.c.Hostings {
		up := o.State == reconcile.HostingActive
		if up || h.on[o.ID] > 0 {
			all = append(all, fmt.Sprintf("plan %d up %v sites %d", map[bool]int{true: o.Plan}[up], up, h.on[o.ID]))
		}
	}
	slices.Sort(all)
	return all
}

// enough reports whether at least as many hostings are paid for in the end as have a site.
func (p plot) enough(h *story) bool {
	paid, used := int64(0), 0
	for i := range h.c.Subscriptions {
		if s := &h.c.Subscriptions[i]; s.Status == reconcile.StatusActive {
			for _, it := range s.Items {
				paid += it.Quantity
			}
		}
	}
	for _, n := range h.on {
		used += n
	}
	return int64(used) <= paid
}
