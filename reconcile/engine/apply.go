package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

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
			if w.failing != turn.failing || (w.takes > 0) != turn.takes || w.onlyMails || !r.brake.releases(w.id) {
				continue
			}
			g.Go(guarded(func() error {
				if !r.halted(ctx) {
					r.applyInTurn(ctx, w)
					r.progress.show("applying", int(done.Add(1)), len(r.work.list))
				}
				return nil
			}))
		}
		r.noteLost(g.Wait())
	}
	return nil
}

// applyInTurn brings one customer as far as it goes, one at a time of those who would make
// an org with the same e-mail.
func (r *run) applyInTurn(ctx context.Context, w customerWork) {
	if w.founds != 0 {
		next, err := r.together.turns.take(ctx, founderKey(w.founds), true)
		if err != nil {
			return // this process stopped it; the customer is still due
		}
		defer next()
	}
	r.applyOne(w.urgency(ctx), w.id)
}

// applyOne brings one customer as far as it goes. If an action is refused, the actions
// that depend on it are not done, and all others are; see failures.
func (r *run) applyOne(ctx context.Context, id string) {
	free, err := r.claim(ctx, id)
	if err != nil {
		return // this process stopped it; the customer is still due
	}
	defer free()
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
		err = r.step(ctx, before, c, a, d.Contents, &failed)
		if err != nil && leftAside(a, err) {
			r.log.WithField("action", a.ID).WithField("customer", id).WithError(err).Warn("left for the next run")
			failed.leave(a)
			continue
		}
		if err != nil {
			return err
		}
	}
	return errTooManySteps
}

// step does an action, or reads the facts that it needs; then the customer is planned again with the
// new facts.
func (r *run) step(ctx context.Context, before *preparation, c *reconcile.Customer, a reconcile.Action, contents []string, failed *failures) error {
	read, err := before.prepare(ctx, c, a, contents)
	if err != nil || read {
		return err
	}
	if err := r.perform(ctx, c, a); err != nil {
		err = fmt.Errorf("%s: %w", describe(a), err)
		if leftAside(a, err) || !r.work.hasFailed(a.ID) || !failed.add(a, err) {
			return err
		}
	}
	return nil
}

// leftAside reports whether the other actions of a customer go on after an error of this one.
func leftAside(a reconcile.Action, err error) bool {
	e, _ := effectOf(a.Kind)
	return e.aside && !errors.Is(err, fault.Fenced)
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
		if a.Kind == reconcile.SendMail {
			r.leaves = r.leaves || r.flows
			continue // see sendMails
		}
		if r.flows && r.catalog.Takes(a) {
			r.leaves = true
			continue
		}
		if r.req.Kinds != nil && !slices.Contains(r.req.Kinds, a.Kind) {
			continue
		}
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

// failures are the actions of one customer that were refused in this run. What does
// not depend on them goes on: an address that cannot be invited must not keep a
// customer from the plan that is paid for. The first error is the customer's in the
// end, with its back-off and its hold.
type failures struct {
	refused []reconcile.Action
	err     error // the first
}

// add notes an action that was not done and reports whether the customer may go
// on. It may only after a clear answer about this one action. If the action is not known to
// be undone, it has to be looked for first, and a refused credential, a side in trouble or
// a lost lease concern every further call. Without a binding or an org there is
// nothing to go on with.
func (f *failures) add(a reconcile.Action, err error) bool {
	switch fault.Of(err) {
	case fault.Permanent, fault.Conflict, fault.NotFound:
	case fault.Transient, fault.Throttled, fault.Denied, fault.Ambiguous, fault.Malformed, fault.Canceled, fault.Fenced, fault.Unknown:
		return false
	}
	if a.Kind == reconcile.Link || a.Kind == reconcile.CreateOrg {
		return false
	}
	f.refused = append(f.refused, a)
	if f.err == nil {
		f.err = err
	}
	return true
}

// leave notes an action that was not done, and that nothing waits for.
func (f *failures) leave(a reconcile.Action) { f.refused = append(f.refused, a) }

// blocks reports whether an action waits: it was refused itself, it is about a hosting
// that was not made, or not resumed, which comes before everything else about it;
// or it takes something away while a hosting that is paid for could not be given: the
// one that goes may be all that the customer has.
func (f *failures) blocks(a reconcile.Action, takes bool) bool {
	return slices.ContainsFunc(f.refused, func(r reconcile.Action) bool {
		switch {
		case r.ID == a.ID:
			return true
		case r.Kind == reconcile.CreateSubscription:
			return takes || r.Subscription == a.Subscription && r.Slot == a.Slot
		case r.Kind == reconcile.Resume:
			return takes || r.Hosting == a.Hosting && a.Hosting != 0
		}
		return false
	})
}

// metadataMemory is how long a key that may not write metadata is believed to be
// the same: a permission that an operator grants is noticed within the hour.
const metadataMemory = time.Hour

// metadataDenied notes that the key may read at Stripe and not write there. To
// write the ids there is a convenience, so it ends here: no customer is postponed
// for it, and the run goes on.
func (r *run) metadataDenied() {
	now := r.Now()
	if until := r.denied.Swap(now.Add(metadataMemory).UnixNano()); now.UnixNano() < until {
		return // noted for another customer of this run
	}
	r.note("the Stripe key may not write, so the ids of orgs and hostings are not written to the metadata: give it write on Subscriptions, or set STRIPE_WRITE_METADATA=false")
}

// withoutMetadata drops what would be refused again.
func (r *run) withoutMetadata(d planner.Decision) planner.Decision {
	if r.Now().UnixNano() < r.denied.Load() {
		d.Actions = slices.DeleteFunc(d.Actions, func(a reconcile.Action) bool { return a.Kind == reconcile.WriteMetadata })
	}
	return d
}
