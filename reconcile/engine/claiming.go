package engine

import (
	"context"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// planBatch plans some customers and records it. loaded is the mark of the claims from
// before they were loaded. Customers that another run has at work come last, each as soon
// as it is free; and who was at work meanwhile is loaded again.
func (r *run) planBatch(ctx context.Context, customers []reconcile.Customer, loaded int64) error {
	mine, others := customers[:0:0], []string(nil)
	claimed := make([]func(), 0, len(customers))
	defer func() {
		for _, free := range claimed {
			free()
		}
	}()
	for i := range customers {
		id := customers[i].ID
		switch {
		case !r.together.claims.try(id):
			others = append(others, id)
		case r.together.claims.changedSince(id, loaded):
			r.free(id)
			others = append(others, id)
		default:
			claimed, mine = append(claimed, func() { r.free(id) }), append(mine, customers[i])
		}
	}
	if err := r.planClaimed(ctx, mine); err != nil {
		return err
	}
	for _, free := range claimed {
		free()
	}
	claimed = nil
	for _, id := range others {
		if err := r.planLater(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// planLater plans a customer once it is free. One that needs nothing more by then is
// planned all the same: another run may have left something to this one.
func (r *run) planLater(ctx context.Context, id string) error {
	free, err := r.claim(ctx, id)
	if err != nil {
		return err
	}
	defer free()
	c, err := r.load(ctx, id)
	if err != nil {
		return err
	}
	return r.planClaimed(ctx, []reconcile.Customer{*c})
}

// claim waits until no other run works for a customer.
func (r *run) claim(ctx context.Context, id string) (free func(), err error) {
	if r.flows { // which has claimed its customers for its whole length
		return func() {}, nil
	}
	if err := r.together.claims.wait(ctx, id); err != nil {
		return nil, err
	}
	return func() { r.free(id) }, nil
}

// free lets other runs work for a customer, and has those nudges followed that waited for
// it.
func (r *run) free(id string) {
	if waiting := r.together.claims.release(id); len(waiting) > 0 {
		r.together.ready.add(waiting)
		r.Ready()
	}
}
