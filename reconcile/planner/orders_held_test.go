package planner_test

import (
	"testing"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// TestAHoldTellsThatItKeepsAnOrder: whoever is to have hosting and has none, for a reason
// that a person has to mend, is told of; nobody else is. Put in once, each went red: a
// addHold of a subscription that has its hosting; one of a subscription that gives none.
func TestAHoldTellsThatItKeepsAnOrder(t *testing.T) {
	gives := map[string]bool{"active": true, "trialing": true, "past_due": true} // within its grace period
	for _, status := range statuses {
		for _, price := range factors[0] {
			for _, panel := range factors[1] {
				t.Run(status.name+"/"+price.name+"/"+panel.name, func(t *testing.T) {
					s := ordinary()
					status.set(&s)
					price.set(&s)
					panel.set(&s)
					lacks := panel.name == "no hosting" && price.name != "mapped" || panel.name == "deleted" || panel.name == "missing"
					got := false
					for _, h := range s.decide().Holds {
						got = got || h.Order
					}
					if want := gives[status.name] && lacks; got != want {
						t.Errorf("an order is held: %t, want %t; %+v", got, want, s.decide())
					}
				})
			}
		}
	}
}

// TestAHoldOfTheWholeCustomerKeepsAnOrder: without an e-mail nobody can be invited.
func TestAHoldOfTheWholeCustomerKeepsAnOrder(t *testing.T) {
	s := ordinary()
	factors[1][0].set(&s)
	s.c.Email = ""
	for i := range s.c.Buyers {
		s.c.Buyers[i].Email = ""
	}
	d := s.decide()
	if len(d.Holds) != 1 || d.Holds[0].Kind != reconcile.HoldNoEmail || !d.Holds[0].Order {
		t.Errorf("%+v", d)
	}
}
