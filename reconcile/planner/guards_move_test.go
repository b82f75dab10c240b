package planner_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// A person may move a hosting from one subscription to another that lives. The one that has
// lost it gets no other by itself.
func TestAHostingIsMoved(t *testing.T) {
	second := func(c *reconcile.Customer) { // sub_1 has hosting 7, and sub_2 none
		c.Subscriptions[0].DomainChecked = true
		s := c.Subscriptions[0]
		s.ID, s.Items = "sub_2", []reconcile.Item{{ID: "si_2", Price: "price_basic", Quantity: 1}}
		c.Subscriptions = append(c.Subscriptions, s)
	}
	word := reconcile.Instruction{Kind: reconcile.InstructBind, Subscription: "sub_2", Move: true, Author: "ada@desk", Reason: "ordered again", At: noon}
	move := func(w reconcile.Instruction, change func(c *reconcile.Customer)) (reconcile.BindingChange, reconcile.Customer, error) {
		c := world(func(c *reconcile.Customer) {
			second(c)
			change(c)
		})
		w.Hosting = c.Hostings[0]
		var bound []reconcile.CustomerBinding
		for _, b := range c.Bindings {
			bound = append(bound, reconcile.CustomerBinding{Binding: b, Customer: c.ID, Ended: c.Subscription(b.Subscription).Status.Ended()})
		}
		ch, err := planner.Instruct(w, catalog(), "")(&c, bound)
		return ch, c, err
	}
	ch, c, err := move(word, func(*reconcile.Customer) {})
	if err != nil || len(ch.Leaves) != 1 || len(ch.Unbinds) != 0 || ch.Bind == nil || ch.Bind.Hosting != 7 {
		t.Fatalf("%+v %v", ch, err)
	}
	ch.Apply(&c)
	if got := c.BindingsOf("sub_2"); len(got) != 1 || got[0].Hosting != 7 || len(c.BindingsOf("sub_1")) != 0 {
		t.Errorf("bindings: %+v", c.Bindings)
	}
	d := planner.Decide(&c, catalog(), policy(), noon)
	if summary(d) != "link:sub_2/1:7:si_2, hold adopt" { // the link is the item's
		t.Errorf("the next run: %s", summary(d))
	}
	word.Move = false
	if _, _, err := move(word, func(*reconcile.Customer) {}); err == nil || !strings.Contains(err.Error(), "is bound to sub_1 of cus_1, which has not ended") {
		t.Errorf("bind takes it too: %v", err)
	}
	word.Move = true
	var no reconcile.InstructionRefused
	ended := func(c *reconcile.Customer) {
		c.Subscriptions[1].Status, c.Subscriptions[1].StatusText = reconcile.StatusCanceled, "canceled"
	}
	if _, _, err := move(word, ended); !errors.As(err, &no) || !strings.Contains(err.Error(), "would be suspended") {
		t.Errorf("to a subscription that has ended: %v", err)
	}
	both := func(c *reconcile.Customer) { // it serves both already
		c.Bindings = append(c.Bindings, reconcile.Binding{Subscription: "sub_2", Item: "si_2", Slot: 1, Org: "org-1", Hosting: 7, How: reconcile.BoundByAdopt})
	}
	ch, c, err = move(word, both)
	if err != nil || ch.None() || len(ch.Leaves) != 1 || ch.Bind != nil {
		t.Errorf("from one of two: %+v %v", ch, err)
	}
	if ch.Apply(&c); len(c.Bindings) != 1 || c.Bindings[0].Subscription != "sub_2" {
		t.Errorf("from one of two: %+v", c.Bindings)
	}
}
