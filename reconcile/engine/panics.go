package engine

import (
	"context"
	"fmt"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// A panic about one customer is that customer's: it is backed off and set aside like
// any other failure of its own, and the run goes on with the others. So the planner
// is asked in this file alone, and whatever works on one customer, one subscription
// or one hosting in a goroutine of its own is guarded.

// guarded is f for a goroutine.
func guarded(f func() error) func() error {
	return func() error { return fault.Guard(f) }
}

// recoverPanic keeps a panic about one customer from stopping the others. What failed
// there once may fail there again while it is being recorded: then the customer is
// left as it is, which is due.
func (r *run) recoverPanic(ctx context.Context, customer string) {
	v := recover()
	if v == nil {
		return
	}
	err := fault.Caught(v)
	r.logPanic(customer, err)
	if again := fault.Guard(func() error { r.failed(ctx, customer, err); return nil }); again != nil {
		r.logPanic(customer, again)
		r.notePartial("%s is left as it is: %v", customer, again)
	}
}

// noteLost notes of a panic that was not even about one customer.
func (r *run) noteLost(err error) {
	if err != nil {
		r.logPanic("", err)
		r.notePartial("not everything was looked at: %v", err)
	}
}

func (r *run) logPanic(customer string, err error) {
	if stack := fault.StackOf(err); stack != "" {
		r.log.WithField("customer", customer).WithField("stack", stack).Error("panic")
	}
}

// bareDecision asks the planner about a customer. A panic in it is an error.
func (r *run) bareDecision(c *reconcile.Customer) (d planner.Decision, err error) {
	r.namesUs(c)
	err = fault.Guard(func() error {
		d = r.Decide(c, r.features.of(r.catalog), r.Policy, r.now)
		return nil
	})
	r.logPanic(c.ID, err)
	return d, err
}

// decision is the planner's decision, without the actions that this run must not do.
func (r *run) decision(c *reconcile.Customer) (planner.Decision, error) {
	d, err := r.bareDecision(c)
	if err == nil {
		d = r.withhold(d)
	}
	return d, err
}

// undecided stands for the decision about a customer of whom there is none, in a
// plan that changes nothing, and notes the error.
func (r *run) undecided(c *reconcile.Customer, err error) planner.Decision {
	r.notePartial("%s could not be planned: %v", c.ID, err)
	return planner.Decision{Holds: []reconcile.Hold{{Kind: reconcile.HoldRetry, Customer: c.ID, Reason: fmt.Sprintf("could not be planned: %v", err)}}}
}
