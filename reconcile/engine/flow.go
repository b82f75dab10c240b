package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

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

// errCrowd ends a flow run whose subscription is one of very many known ones, because a run
// reads them all in fewer requests.
var errCrowd = errors.New("one of many that are left to the next run")

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
	r.losses = r.together.trust.losses()
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
	ctx, end := r.Trace.Begin(ctx, "flow", r.rec.ID)
	defer end()
	err = fault.Guard(func() error { return r.serve(ctx, subscription) })
	if errors.Is(err, errAtWork) {
		return s, nil
	}
	if errors.Is(err, errCrowd) {
		return s, r.settleNudge(ctx, subscription, false) // the loop looks for what is left each second, by when more of them have come
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

// leaveCrowd leaves the known subscriptions that were nudged to the next run, if they are so
// many that it reads them in fewer requests than one by one. One by one they would also
// slow down its sweep, which is less urgent. Who is nudged after that is served by itself
// again, and a newcomer always is.
func (r *run) leaveCrowd(ctx context.Context) error {
	most, err := r.together.crowd.most(func() (int, error) { return r.mostByID(ctx) })
	if err != nil {
		return err
	}
	left, err := r.Leases.LeaveCrowd(ctx, r.tok, most)
	if left {
		return errors.Join(errCrowd, err)
	}
	return err
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
	for name, pin := range map[string]string{cursorKey: r.Account.Fingerprint(), cursorPanel: r.Owners.Fingerprint(), cursorToken: r.Owners.Credential()} {
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
	} else if err := r.leaveCrowd(ctx); err != nil {
		return err
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

// together is what the runs of one process share, because several of them are under way
// at the same time: one that reads everything, and any number that serve who has just
// paid.
type together struct {
	claims *claims // which run works for a customer
	turns  *turns  // who reads or writes an object
	orders orders  // creates that a brake has let pass and that are not done yet
	trust  trust   // when the account and the panel were last recognised
	// unlistable are orgs whose hostings could not be listed lately.
	unlistable unlistable
	cursors    cursorCache // of the runs under way
	ready      readyNudges // nudges that waited for their customer
	crowd      crowd       // how many nudges are too many for flow runs
}

func newTogether() *together { return &together{claims: newClaims(), turns: newTurns()} }

// orders are the creates that the brake of a run has let pass and that are not in the
// journal as done yet. The brakes of other runs count them, so that runs that are under
// way together do not each make as many as one may. Safe for concurrent use.
type orders struct {
	// judging is held while a brake counts and decides.
	judging sync.Mutex

	mu   sync.Mutex     // guards left
	left map[string]int // by run
}

// others is how many creates the other runs may still do.
func (o *orders) others(run string) (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for id, left := range o.left {
		if id != run {
			n += left
		}
	}
	return n
}

// let notes how many creates a run may do.
func (o *orders) let(run string, n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.left == nil {
		o.left = map[string]int{}
	}
	o.left[run] = n
}

// done notes that the journal has the outcome of one of them.
func (o *orders) done(run string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.left[run] > 0 {
		o.left[run]--
	}
}

// end forgets a run that has ended.
func (o *orders) end(run string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.left, run)
}

// trustFor is how long an account or a panel that was recognised is taken to be the same
// by a run that serves who has just paid. A run that looks at more asks by itself.
const trustFor = time.Minute

// trust is when this process last recognised the account and the panel, by the process
// clock. Safe for concurrent use.
type trust struct {
	mu             sync.Mutex // guards all below
	account, panel time.Time
	key, place     string // the fingerprints that were recognised
	lostTimes      int
}

// recognised notes that the account, or the panel, is the one that we know.
func (t *trust) recognised(at *time.Time, pinned *string, pin string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*at, *pinned = time.Now(), pin
}

// lost notes that it is not: whoever relies on it sends nothing more, and asks again.
func (t *trust) lost(at *time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*at = time.Time{}
	t.lostTimes++
}

// losses counts how often that was noted.
func (t *trust) losses() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.lostTimes
}

// stillTrusted is an error if another run has found, since this flow run began, that the
// account or the panel is not the one that we know.
func (r *run) stillTrusted() error {
	if r.flows && r.together.trust.losses() != r.losses {
		return fault.Wrap(fault.Canceled, fmt.Errorf("%w: another run has found that the account or the panel is not the one that we know", errLeft))
	}
	return nil
}

// holds reports whether that was within trustFor.
func (t *trust) holds(at *time.Time, pinned *string, pin string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return *pinned == pin && !at.IsZero() && time.Since(*at) < trustFor
}

// crowd remembers for trustFor, by the process clock, how many known subscriptions are read
// one by one at most. Safe for concurrent use.
type crowd struct {
	mu   sync.Mutex // guards both
	at   time.Time
	size int
}

// most is that number; read finds it out.
func (c *crowd) most(read func() (int, error)) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.at.IsZero() && time.Since(c.at) < trustFor {
		return c.size, nil
	}
	size, err := read()
	if err == nil {
		c.at, c.size = time.Now(), size
	}
	return size, err
}

// unlistable remembers for trustFor, by the process clock, which orgs could not be listed,
// so that a flow run need not wait for each of them again. Safe for concurrent use.
type unlistable struct {
	mu  sync.Mutex // guards why
	why map[string]failedList
}

type failedList struct {
	at  time.Time
	err error
}

// note notes how listing the hostings of an org ended.
func (u *unlistable) note(org string, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch kind := fault.Of(err); {
	case kind == fault.Canceled, kind == fault.Fenced: // of this process
	case err == nil:
		delete(u.why, org)
	case u.why == nil:
		u.why = map[string]failedList{org: {time.Now(), err}}
	default:
		u.why[org] = failedList{time.Now(), err}
	}
}

// lately is why an org could not be listed; nil: it could, or that was long ago.
func (u *unlistable) lately(org string) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if f, failed := u.why[org]; failed && time.Since(f.at) < trustFor {
		return f.err
	}
	return nil
}

// readyNudges are nudges that a flow run has taken and left to the run that had the
// customer at work, and that can be served now. Safe for concurrent use.
type readyNudges struct {
	mu  sync.Mutex // guards ids
	ids []string
}

func (n *readyNudges) add(ids []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ids = append(n.ids, ids...)
}

// take takes one of them; "": there is none.
func (n *readyNudges) take() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.ids) == 0 {
		return ""
	}
	id := n.ids[0]
	n.ids = n.ids[1:]
	return id
}

// cursorCache is the cursors of the runs that are under way, which share them because one
// may move what another has read. It is dropped with the last of them, and with the token
// that they run under. Safe for concurrent use.
type cursorCache struct {
	mu    sync.Mutex // guards all below
	users int
	tok   reconcile.Token
	at    *loadedCursors
}

// use returns the shared cursors; free must be called when the run has ended.
func (c *cursorCache) use(port Cursors, tok reconcile.Token) (shared *loadedCursors, free func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.users == 0 || c.tok != tok {
		c.users, c.tok, c.at = 0, tok, &loadedCursors{Cursors: port}
	}
	c.users++
	mine := c.at
	return mine, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.at == mine {
			c.users--
		}
	}
}
