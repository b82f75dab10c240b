package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/priority"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// A flow run serves one subscription that a webhook has named, beside any other run that
// is under way: who has just paid waits for no sweep, for no other customer, and for no
// org that hangs. It does the steps of a run for this one customer, and only what gives:
//
//  1. takeNamed: a nudge that names a subscription, newcomers first.
//  2. read: the subscription, by id. Together with it: is this the account that we know,
//     and for a newcomer the panel, its newest orgs, and the domain that was ordered.
//  3. claim: no other run works for the customer at the same time.
//  4. plan, brake and apply as in any run, without what takes something away.
//
// It leaves the nudge to the next run, which takes all that waits, if there is anything
// that is not its own: something to take away, a customer that failed before, a database
// that seems to be old, a changed key or panel, or a read that failed. Then [reconcile.Served]
// asks for that run.

// errLeft ends a flow run that leaves its customer to the next run, for a reason.
var errLeft = errors.New("left to the next run")

// errAtWork ends a flow run whose customer another run has at work. The nudge is served
// when that run has released the customer.
var errAtWork = errors.New("another run works for the customer")

// Flow serves one nudged subscription, if one waits. It is for services with KeepLease;
// without the lease it does nothing. It may be called from several goroutines, and while
// Run is at work.
func (e *Engine) Flow(ctx context.Context) (s reconcile.Served, err error) {
	if !e.flowsServe() || !e.Leading() {
		return s, nil
	}
	e.atWork.RLock()
	defer e.atWork.RUnlock()
	r := e.newRun(Request{Trigger: "webhook"})
	r.flows, r.progress = true, &progress{call: func(reconcile.Progress) {}}
	r.setMode(reconcile.RunIncremental)
	ctx, done, err := r.acquireLease(ctx)
	if err != nil {
		return s, err
	}
	defer done()
	subscription, err := r.takeNamed(ctx)
	if err != nil || subscription == "" {
		return s, err
	}
	s.Taken = true
	err = fault.Guard(func() error { return r.serve(ctx, subscription) })
	if errors.Is(err, errAtWork) {
		return s, nil
	}
	err = errors.Join(err, r.settleNudge(ctx, subscription, err == nil))
	s.Left = err != nil || r.leaves
	if err == nil {
		s.Subscription = subscription
	}
	s.Report = r.flowReport(ctx, err)
	if errors.Is(err, errLeft) {
		r.log.WithField("subscription", subscription).WithError(err).Debug("left to the next run")
		err = nil
	}
	r.logPanic("", err)
	return s, err
}

// flowsServe reports whether Flow serves anybody. A run of a command is alone, and with
// MODE=observe nothing is done.
func (e *Engine) flowsServe() bool { return e.KeepLease && e.Policy.Mode != reconcile.Observe }

// takeNamed takes a nudge that no other run follows; "": none waits.
func (r *run) takeNamed(ctx context.Context) (string, error) {
	if id := r.together.ready.take(); id != "" {
		return id, nil
	}
	ids, err := r.Leases.TakeNamed(ctx, r.tok, 1)
	if err != nil || len(ids) == 0 {
		return "", err
	}
	return ids[0], nil
}

// settleNudge removes the nudge of a subscription that was followed to the end, or leaves
// it to the next run.
func (r *run) settleNudge(ctx context.Context, subscription string, followed bool) error {
	ctx, ids := context.WithoutCancel(ctx), []string{subscription}
	if followed {
		return r.Leases.ForgetNamed(ctx, r.tok, ids)
	}
	return r.Leases.LeaveNudges(ctx, r.tok, ids)
}

// serve is the run as a list.
func (r *run) serve(ctx context.Context, subscription string) error {
	if err := r.checkPins(ctx); err != nil {
		return err
	}
	if err := r.loadCatalogBeside(ctx); err != nil {
		return err
	}
	if err := r.readNudged(ctx, subscription); err != nil {
		return err
	}
	customers, err := r.Queue.CustomersOf(ctx, []string{subscription})
	if err != nil || len(customers) == 0 {
		return err // Stripe does not know it, and neither do we
	}
	free, err := r.claimFor(customers[0], subscription)
	if err != nil {
		return err
	}
	defer free()
	r.only = customers[:1]
	if err := r.Timetable.LookAgain(ctx, r.tok, []string{subscription}); err != nil {
		return err
	}
	if err := r.existing(ctx); err != nil {
		return err
	}
	c, err := r.load(ctx, customers[0])
	switch {
	case err != nil:
		return err
	case failing(c):
		return fmt.Errorf("%w: %s failed before", errLeft, c.ID)
	}
	return r.inTurn(priority.With(ctx, priority.Urgent), []func(context.Context) error{
		func(ctx context.Context) error { return r.planClaimed(ctx, []reconcile.Customer{*c}) },
		r.flowGates, r.applyBrake, r.apply,
	})
}

// checkPins makes sure that key, panel and index are those that a run has proved right. A
// change is for the next run.
func (r *run) checkPins(ctx context.Context) error {
	for name, pin := range map[string]string{cursorKey: r.Account.Fingerprint(), cursorPanel: r.Owners.Fingerprint()} {
		last, err := r.Cursors.Cursor(ctx, name)
		if err != nil {
			return err
		}
		if last != pin {
			return fmt.Errorf("%w: the %s has changed", errLeft, name)
		}
	}
	indexed, err := r.Cursors.Cursor(ctx, cursorOrgs)
	if err != nil {
		return err
	}
	if indexed == "" {
		return fmt.Errorf("%w: the orgs of the panel are not known yet", errLeft)
	}
	r.evidence.suspender, err = r.Cursors.Cursor(ctx, cursorSuspender)
	return err
}

// loadCatalogBeside makes the catalog from the database. If it is not the one that the
// last run planned with, the next run is to make every customer due.
func (r *run) loadCatalogBeside(ctx context.Context) error {
	mappings, plans, readAt, err := r.storedCatalog(ctx)
	if err != nil {
		return err
	}
	last, err := r.Cursors.Cursor(ctx, cursorCatalog)
	if err != nil {
		return err
	}
	if age := r.now.Sub(readAt); last != r.premises(mappings, plans) || age > planAge || age < 0 {
		r.leaves = true
	}
	return nil
}

// readNudged reads the subscription, and stores it once the account is recognised. For one
// that we do not know it reads at the same time what a new customer needs.
func (r *run) readNudged(ctx context.Context, subscription string) error {
	known, err := r.Queue.CustomersOf(ctx, []string{subscription})
	if err != nil {
		return err
	}
	if len(known) == 0 {
		ctx = priority.With(ctx, priority.Urgent) // a new customer
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(r.Concurrency) // with one, they come one after the other, in this order
	trusted := make(chan struct{})
	g.Go(guarded(func() error {
		if err := r.recognise(ctx); err != nil {
			return err
		}
		close(trusted)
		return nil
	}))
	if len(known) == 0 {
		// What fails here is asked for again before something is made.
		g.Go(guarded(func() error { r.lookAhead(ctx); return nil }))
	}
	g.Go(guarded(func() error { return r.storeNudged(ctx, subscription, trusted) }))
	if err := g.Wait(); err != nil {
		return err
	}
	return r.checkClock()
}

// storeNudged reads the subscription, and stores it as soon as the account is trusted.
func (r *run) storeNudged(ctx context.Context, subscription string, trusted <-chan struct{}) error {
	return r.together.turns.alone(ctx, subscriptionKey(subscription), func() error {
		facts, err := r.subscription(ctx, subscription)
		if err != nil && !errors.Is(err, fault.NotFound) {
			return fmt.Errorf("%w: reading %s: %w", errLeft, subscription, err)
		}
		select {
		case <-trusted:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if skew := r.wrong(); skew != 0 {
			return fmt.Errorf("%w: %s", errLeft, apart("this machine's clock", skew))
		}
		if err != nil {
			return r.Mirror.MarkGone(ctx, r.tok, subscription, r.now)
		}
		r.findings.addRead(1)
		return r.Mirror.SaveFacts(ctx, r.tok, []reconcile.SubscriptionFacts{facts}, false, r.now)
	})
}

// lookAhead makes the reads before a creation that do not depend on the customer.
func (r *run) lookAhead(ctx context.Context) {
	err := r.lookForPanel(ctx)
	if err == nil {
		err = r.freshIndex(ctx)
	}
	if err != nil {
		r.log.WithError(err).Debug("looking ahead")
	}
}

// claimFor claims the customer, or leaves the nudge to the run that has it at work.
func (r *run) claimFor(customer, subscription string) (free func(), err error) {
	for !r.together.claims.try(customer) {
		if r.together.claims.leave(customer, []string{subscription}) {
			return nil, errAtWork
		}
	}
	return func() { r.free(customer) }, nil
}

// recordFlow records that a flow run has begun, if it has something to do; else its end is
// record enough.
func (r *run) recordFlow(ctx context.Context, planned []reconcile.Planned) error {
	if !r.flows || r.recorded || !slices.ContainsFunc(planned, func(p reconcile.Planned) bool { return len(p.Actions) > 0 }) {
		return nil
	}
	if err := r.History.BeginRun(ctx, r.tok, r.rec); err != nil {
		return fmt.Errorf("recording the run: %w", err)
	}
	r.recorded = true
	return nil
}

// flowGates are the gates of what gives. What takes something away has more of them, and
// is not done here.
func (r *run) flowGates(ctx context.Context) error {
	switch {
	case r.evidence.lossFound, len(r.evidence.perhapsOurs) > 0:
		if err := r.Timetable.MakeDue(ctx, r.tok, r.only, r.now); err != nil {
			return err
		}
		return fmt.Errorf("%w: this database may be older than the panel", errLeft)
	case r.work.hasTakers():
		r.leaves = true
	}
	if r.brake.expects(reconcile.CreateSubscription) {
		return r.lookForPanel(ctx)
	}
	return nil
}

// flowReport records the run. One that did nothing and leaves its subscription to the next
// run has no record of its own.
func (r *run) flowReport(ctx context.Context, runErr error) (rep reconcile.Report) {
	if !r.recorded && runErr != nil {
		return rep
	}
	ctx = context.WithoutCancel(ctx)
	r.findings.fill(&rep)
	w := &writing{run: r, rep: &rep, states: map[reconcile.ActionState]int{}, withheld: newWithheld(r.brake.orders)}
	rep.Omitted.Actions = map[reconcile.ActionClass]int{}
	err := r.History.RunActions(ctx, r.rec.ID, func(a reconcile.ActionRecord) error { w.action(a); return nil })
	r.rec.Finished, r.rec.Subscriptions = r.clock(), r.findings.addRead(0)
	r.rec.StripeCalls, r.rec.EnhanceCalls = r.Account.Requests()-r.rec.StripeCalls, r.Owners.Requests()-r.rec.EnhanceCalls
	if runErr != nil && !errors.Is(runErr, errLeft) {
		r.rec.Error = reportedError(runErr)
	}
	r.rec.Gates = r.evidence.closed()
	w.withheld.fill(&rep)
	r.rec.Held = w.withheld.count()
	rep.Plans, rep.Waits, rep.Run = r.brake.plans, r.evidence.waitsFor(), r.rec
	converged := err == nil && rep.Converged() && !r.leaves
	r.rec.Converged = &converged
	rep.Run = r.rec
	if err = errors.Join(err, r.History.EndRun(ctx, r.tok, r.rec, nil)); err != nil {
		r.log.WithError(err).Warn("run not recorded")
	}
	r.log.WithFields(logrus.Fields{"mode": r.rec.Mode, "planned": r.rec.Planned, "applied": r.rec.Applied, "failed": r.rec.Failed,
		"held": r.rec.Held, "stripe_requests": r.rec.StripeCalls, "enhance_requests": r.rec.EnhanceCalls}).Info("run finished")
	return rep
}
