package engine

import (
	"context"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

const (
	// maxSteps bounds the actions of one customer in one run.
	maxSteps = 500
)

// apply does the planned actions that are not held: customers in parallel, the actions
// of each one in order, customers that only receive before customers that lose
// something. Customers that failed before go last: a few broken orgs can end a run
// early, and must not delay someone who has just paid.
func (r *run) apply(ctx context.Context) error {
	switch {
	case r.req.Dry:
		return r.rehearse(ctx)
	case r.Policy.Mode == reconcile.Observe:
		return nil
	}
	r.work.applying.Store(true)
	var done atomic.Int32
	for _, turn := range []struct{ failing, takes bool }{{false, false}, {false, true}, {true, false}, {true, true}} {
		g := errgroup.Group{}
		g.SetLimit(r.Concurrency)
		for _, w := range r.work.list {
			if w.failing != turn.failing || (w.takes > 0) != turn.takes || !r.brake.releases(w.id) {
				continue
			}
			if r.halted(ctx) {
				break
			}
			g.Go(guarded(func() error {
				if !r.halted(ctx) {
					defer r.founders.wait(w)()
					r.applyOne(ctx, w.id)
					r.progress.show("applying", int(done.Add(1)), len(r.work.list))
				}
				return nil
			}))
		}
		r.noteLost(g.Wait())
	}
	return nil
}

// applyOne brings one customer as far as it goes. If an action is refused, the actions
// that depend on it are not done, and all others are; see failures.
func (r *run) applyOne(ctx context.Context, id string) {
	defer r.known.forget(id)
	defer r.recoverPanic(ctx, id)
	if err := r.applySteps(ctx, id); err != nil {
		r.failed(ctx, id, err)
		return
	}
	if !r.halted(ctx) {
		r.finish(ctx, id)
	}
}

// applySteps does the actions of one customer in order. Before every step the customer
// is loaded and planned again, so an action that is no longer wanted is dropped, and
// only what the brake let pass is done.
func (r *run) applySteps(ctx context.Context, id string) error {
	before, failed := r.newPreparation(), failures{}
	for range maxSteps {
		if r.halted(ctx) {
			return failed.err
		}
		c, d, err := r.again(ctx, id)
		if err != nil {
			return err
		}
		a, ok := r.next(d, &failed)
		if !ok {
			return failed.err
		}
		read, err := before.prepare(ctx, c, a, d.Contents)
		if err != nil {
			return err
		}
		if read {
			continue // and plan again with the new facts
		}
		if err := r.perform(ctx, c, a); err != nil {
			err = fmt.Errorf("%s: %w", describe(a), err)
			if !r.work.hasFailed(a.ID) || !failed.add(a, err) {
				return err
			}
		}
	}
	return errTooManySteps
}

var errTooManySteps = fault.Errorf(fault.Permanent, "more than %d actions for one customer in one run", maxSteps)

// describe names an action and its customer, as the head of an error.
func describe(a reconcile.Action) string {
	switch {
	case a.Hosting != 0:
		return fmt.Sprintf("%s hosting %d of %s", a.Kind, a.Hosting, a.Subscription)
	case a.Subscription != "":
		return fmt.Sprintf("%s for %s", a.Kind, a.Subscription)
	}
	return fmt.Sprintf("%s for %s", a.Kind, a.Customer)
}

func (r *run) again(ctx context.Context, id string) (*reconcile.Customer, planner.Decision, error) {
	c, err := r.current(ctx, id)
	if err != nil {
		return nil, planner.Decision{}, err
	}
	return r.decide(ctx, c, nil)
}

// next is the first action that may be done now.
func (r *run) next(d planner.Decision, failed *failures) (reconcile.Action, bool) {
	for _, a := range d.Actions {
		if !r.brake.holds(a) && !r.brake.unseen(a) && !failed.blocks(a, r.catalog.Takes(a)) {
			return a, true
		}
	}
	return reconcile.Action{}, false
}

// finish records the holds and the next due time of a customer after its actions. If the
// customer cannot be planned once more, that is its own failure; if the database takes
// no more writes, the run ends.
func (r *run) finish(ctx context.Context, id string) {
	ctx = context.WithoutCancel(ctx)
	c, d, err := r.again(ctx, id)
	if err == nil {
		c, d, err = r.clearBackoff(ctx, c, d)
	}
	if err != nil {
		r.failed(ctx, id, fmt.Errorf("looking after it was done: %w", err))
		return
	}
	if err := r.saveAgain(ctx, r.planned(c, d)); err != nil {
		r.log.WithField("customer", id).WithError(err).Error("outcome not recorded")
		r.outages.stop(err)
	}
}

// saveAgain records the plan of a customer who was planned in this run before.
func (r *run) saveAgain(ctx context.Context, p reconcile.Planned) error {
	if err := r.Queue.SavePlanned(ctx, r.tok, r.rec.ID, []reconcile.Planned{p}, r.now); err != nil {
		return err
	}
	return r.holdAgain(ctx, p.Actions)
}
