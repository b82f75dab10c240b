package engine

import (
	"context"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// planStored is a dry run over what is stored, reading nothing outside.
func (r *run) planStored(ctx context.Context) error {
	r.setMode(reconcile.RunIncremental)
	if err := r.loadVerdict(ctx); err != nil {
		return err
	}
	mappings, err := r.Catalogue.Mappings(ctx)
	if err != nil {
		return err
	}
	plans, _, err := r.Catalogue.Plans(ctx)
	if err != nil {
		return err
	}
	r.catalog = reconcile.NewCatalog(mappings, plans)
	if len(r.req.Subscriptions) > 0 {
		if r.only, err = r.Queue.CustomersOf(ctx, r.req.Subscriptions); err != nil {
			return err
		}
		if len(r.only) == 0 {
			return fault.Errorf(fault.NotFound, "the process at work has stored no subscription %v: ask again when it is idle", r.req.Subscriptions)
		}
	}
	if last, err := r.Cursors.Cursor(ctx, cursorCatalog); err != nil || last != "" && last != r.premises(mappings, plans) {
		if err != nil {
			return err
		}
		r.notePartial("the settings, mappings or plans are others than the process at work planned with last: this shows only whom it has not planned yet; what the change means for the others shows when a run has begun with it")
	}
	if err := r.lookAround(ctx); err != nil {
		return err
	}
	err = r.due(ctx, func(customers []reconcile.Customer) error {
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
	if err != nil {
		return err
	}
	r.work.complete = true
	return r.applyBrake(ctx)
}
