package engine

import (
	"context"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// planStored is a dry run over the database. It reads nothing outside.
func (r *run) planStored(ctx context.Context) error {
	r.setMode(reconcile.RunIncremental)
	err := r.inTurn(ctx, []func(context.Context) error{r.loadVerdict, r.loadStoredCatalog, r.chooseStored, r.lookAround, r.planAllStored})
	if err != nil {
		return err
	}
	r.work.complete = true
	return r.applyBrake(ctx)
}

// loadStoredCatalog makes the catalog from the database, and notes that it differs
// from the one that the running process planned with.
func (r *run) loadStoredCatalog(ctx context.Context) error {
	mappings, plans, _, err := r.storedCatalog(ctx)
	if err != nil {
		return err
	}
	last, err := r.Cursors.Cursor(ctx, cursorCatalog)
	if err == nil && last != "" && last != r.premises(mappings, plans) {
		r.notePartial("settings, mappings or plans have changed since the running process last planned. This shows only customers that it has not planned yet; its next run shows the rest")
	}
	return err
}

// chooseStored finds the customers of the subscriptions that a person asked for.
func (r *run) chooseStored(ctx context.Context) (err error) {
	if len(r.req.Subscriptions) == 0 {
		return nil
	}
	r.only, err = r.Queue.CustomersOf(ctx, r.req.Subscriptions)
	if err == nil && len(r.only) == 0 {
		return fault.Errorf(fault.NotFound, "the process at work has stored no subscription %v: ask again when it is idle", r.req.Subscriptions)
	}
	return err
}

// planAllStored plans every customer that is due, without recording it.
func (r *run) planAllStored(ctx context.Context) error {
	return r.due(ctx, func(customers []reconcile.Customer) error {
		for i := range customers {
			d, err := r.decision(&customers[i])
			if err != nil {
				r.undecided(&customers[i], err)
				continue
			}
			r.enqueue(r.planned(&customers[i], d), false)
		}
		return nil
	})
}
