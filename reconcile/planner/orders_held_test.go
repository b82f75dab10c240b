package planner_test

import (
	"testing"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// A hold keeps an order if the subscription entitles to a hosting and has none, for a
// reason that an operator has to mend. The test fails if a hold is marked so though the
// subscription has its hosting, or entitles to none.
func TestAHoldTellsThatItKeepsAnOrder(t *testing.T) {
	entitles := map[string]bool{"active": true, "trialing": true, "past_due": true} // within its grace period
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
					if want := entitles[status.name] && lacks; got != want {
						t.Errorf("an order is held: %t, want %t; %+v", got, want, s.decide())
					}
				})
			}
		}
	}
}

// Without an e-mail no owner can be invited, so the order waits.
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
