package planner

import (
	"fmt"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// tooManyInRun is for more changes than one run may make.
func tooManyInRun(l BrakeLoad, limit int) string {
	return fmt.Sprintf("%d × %s in one run, more than the limit of %d (%d bound)",
		l.Planned+l.AtWork, l.Kind.Brake(), limit, l.Bound)
}

// tooManyInDay is for more changes than 24 hours may have.
func tooManyInDay(l BrakeLoad, day int) string {
	return fmt.Sprintf("%d × %s planned and %d done in the last 24 hours, more than the limit of %d (%d bound)",
		l.Planned+l.AtWork, l.Kind.Brake(), l.Performed, day, l.Bound)
}

// Reason is why the order of a customer is held by itself, as a sentence.
func (v OrdersVerdict) Reason(customer string, o Order) string {
	n := o.Held + o.New
	what := fmt.Sprintf("%d × %s for %s", n, reconcile.CreateSubscription, customer)
	switch {
	case o.Alone:
		return fmt.Sprintf("%s, with which the fleet is over its limit of %d in one run", what, v.Limit)
	case n > v.Most:
		return fmt.Sprintf("%s in one run, more than the %d that one customer plausibly orders", what, v.Most)
	}
	return fmt.Sprintf("%s planned and %d done in the last 24 hours, more than the %d that one customer plausibly orders",
		what, o.Done, int(float64(v.Most)*dayFactor))
}
