package engine

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

const (
	// parkAfter is how many failures of its own, in a row, set a customer aside.
	parkAfter = 8
	// parkProbe is how often a parked customer is still tried.
	parkProbe = 6 * time.Hour
	// breakAfter is how many calls to Enhance in a row may fail for reasons of the
	// panel before the rest of the run is left for later.
	breakAfter = 5
	// denyAfter is how many customers in a row are refused before the run concludes
	// that the credential is refused. One refusal may be about one org, and must not
	// delay all other customers.
	denyAfter = 3
	// denyWait is when a customer is tried again that was refused, or for whom nothing
	// may be created: soon after a person has repaired the credential or the org.
	// RetryMax bounds it as well.
	denyWait = 5 * time.Minute
	// repeatLimit is how many customers that failed before may fail again during
	// planning; the others of them are left for the next run. It is lower than the
	// number of failures that opens the panel's breaker, which would delay every
	// other customer as well.
	repeatLimit = 3
)

// outages counts the failures of a run that are not a customer's own, and ends the
// run when there are too many in a row. It also decides when a customer that failed
// is tried again.
type outages struct {
	retryMin, retryMax time.Duration
	rand               func() float64

	misses  atomic.Int32 // transient failures of Enhance in a row
	denials atomic.Int32 // customers refused in a row
	repeats atomic.Int32 // customers that failed before and failed again during planning
	reason  atomic.Pointer[error]
}

// stop keeps further customers from being begun; the first reason stays.
func (o *outages) stop(err error) { o.reason.CompareAndSwap(nil, &err) }

// stopped returns why the run ends early; nil: it goes on.
func (o *outages) stopped() error {
	if err := o.reason.Load(); err != nil {
		return *err
	}
	return nil
}

// succeeded ends the rows of failures.
func (o *outages) succeeded() {
	o.misses.Store(0)
	o.denials.Store(0)
}

// triesRepeats reports whether customers that failed before are still planned.
func (o *outages) triesRepeats() bool { return o.repeats.Load() < repeatLimit }

// add counts the failure of one customer. own means that the failure is the
// customer's; repeated, that the customer had failed before and fails again during
// planning.
func (o *outages) add(err error, own, repeated bool) {
	switch {
	case errors.Is(err, errCreationBlocked): // concerns no other customer
	case own:
		o.misses.Store(0)
	case repeated:
		o.repeats.Add(1)
	case fault.Of(err) == fault.Denied:
		if o.denials.Add(1) >= denyAfter {
			o.stop(fmt.Errorf("refused for %d customers in a row, so every further call would be refused too: %w", denyAfter, err))
		}
	case o.misses.Add(1) >= breakAfter:
		o.stop(fmt.Errorf("%d customers in a row failed for reasons that are not theirs, the rest is left for the next run: %w", breakAfter, err))
	}
}

// backoff says when a customer is tried again: RetryMin doubling to RetryMax, half
// of it jitter, and parked after parkAfter failures of its own. Outages of a side
// delay and never count.
func (o *outages) backoff(c *reconcile.Customer, err error, now time.Time) reconcile.Backoff {
	b := reconcile.Backoff{Customer: c.ID, Version: c.Version, Error: err.Error()}
	switch fault.Of(err) {
	case fault.Permanent, fault.Conflict, fault.NotFound, fault.Unknown:
		b.Counts = true
	case fault.Transient, fault.Throttled, fault.Denied, fault.Ambiguous, fault.Malformed, fault.Canceled, fault.Fenced:
	}
	n := c.Failures
	wait := o.retryMin
	for range min(n, 30) {
		wait = min(wait*2, o.retryMax)
	}
	wait = wait/2 + time.Duration(o.rand()*float64(wait/2))
	switch {
	case b.Counts && n+1 >= parkAfter:
		b.Parked, wait = true, parkProbe
	case fault.Of(err) == fault.Denied || errors.Is(err, errCreationBlocked):
		wait = min(denyWait, o.retryMax)
	}
	b.Due = now.Add(wait)
	return b
}

// failing reports whether the last attempt for a customer did not succeed, for any reason.
func failing(c *reconcile.Customer) bool { return c.LastError != "" || !c.Parked.IsZero() }

func (r *run) halted(ctx context.Context) bool { return ctx.Err() != nil || r.outages.stopped() != nil }

// failed handles an error about one customer: it records when the customer is tried
// again, and ends the run if the error concerns every further customer.
func (r *run) failed(ctx context.Context, id string, err error) {
	if errors.Is(err, context.Canceled) || fault.Of(err) == fault.Canceled {
		return // this process stopped it; the customer is still due
	}
	ctx = context.WithoutCancel(ctx)
	if fault.Of(err) == fault.Fenced {
		r.outages.stop(err)
		return
	}
	c, loadErr := r.load(ctx, id)
	if loadErr != nil {
		r.outages.stop(errors.Join(err, loadErr))
		return
	}
	b := r.outages.backoff(c, err, r.clock())
	if saveErr := r.postpone(ctx, err, b); saveErr != nil {
		r.outages.stop(errors.Join(err, saveErr))
		return
	}
	r.outages.add(err, b.Counts, !r.work.applying.Load() && failing(c))
}

// postpone records a failure and logs it. A dry run, and a customer for whom nothing
// was tried, have only a note: that customer stays due like one that has not failed.
func (r *run) postpone(ctx context.Context, err error, b reconcile.Backoff) error {
	switch {
	case r.req.Dry:
		r.notePartial("%s could not be planned: %v", b.Customer, err)
		return nil
	case errors.Is(err, fault.LeftAlone):
		r.notePartial("%s is left for the next run: %v", b.Customer, err)
		return nil
	}
	r.log.WithFields(logrus.Fields{"customer": b.Customer, "due": b.Due, "parked": b.Parked, "kind": fault.Of(err).String()}).WithError(err).Warn("customer postponed")
	return r.recordFailure(ctx, b)
}

func (r *run) recordFailure(ctx context.Context, b reconcile.Backoff) error {
	if err := r.Timetable.Postpone(ctx, r.tok, b, r.now); err != nil {
		return err
	}
	c, err := r.load(ctx, b.Customer)
	if err != nil {
		return err
	}
	p := reconcile.Planned{Customer: c.ID, Version: c.Version, Undecided: true, Due: b.Due}
	if d, err := r.decision(c); err == nil {
		p = r.planned(c, d)
	} else if h, ok := planner.HoldForFailure(c, r.now); ok {
		p.Holds = []reconcile.Hold{h}
	}
	if c.RetryAfter.Equal(b.Due.Truncate(time.Microsecond)) { // else it became due meanwhile, and is tried as planned
		p.Due = b.Due
		if at := r.lookAgain(c); at.After(r.now) && at.Before(p.Due) {
			p.Due = at
		}
	}
	return r.saveAgain(ctx, p)
}

// clearBackoff ends the back-off of a customer that could be looked at and for which
// nothing is left to do: failures count only if they come in a row.
func (r *run) clearBackoff(ctx context.Context, c *reconcile.Customer, d planner.Decision) (*reconcile.Customer, planner.Decision, error) {
	if r.req.Dry || c.Failures == 0 && c.Parked.IsZero() && c.LastError == "" || len(c.Pending) > 0 {
		return c, d, nil
	}
	if err := r.Timetable.Postpone(ctx, r.tok, reconcile.Backoff{Customer: c.ID, Version: c.Version, Due: r.nextRun()}, r.now); err != nil {
		return c, d, err
	}
	return r.again(ctx, c.ID)
}
