package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
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
	for _, stage := range stages {
		g := errgroup.Group{}
		g.SetLimit(r.inHand())
		for _, w := range r.work.list {
			if !stage.has(w) || !r.brake.releases(w.id) {
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

// inHand is how many customers a run serves at once. Each of them waits for one side or the
// other, so that twice as many as either side takes requests keep both of them busy. In the
// service they would stand in line before those who have just paid.
func (r *run) inHand() int {
	if r.KeepLease || r.Concurrency == 1 {
		return r.Concurrency
	}
	return 2 * r.Concurrency
}

// stage is customers who are applied together, before those of the next one. Those who are
// bound to an org that is there come first: after a lost database it may be only by their
// hostings that another customer with the same e-mail finds the org, and else makes a second one.
type stage struct{ failing, takes, linked bool }

var stages = [...]stage{{linked: true}, {}, {takes: true}, {failing: true}, {failing: true, takes: true}}

func (s stage) has(w customerWork) bool {
	takes := w.takes > 0
	return w.failing == s.failing && takes == s.takes && s.linked == (w.linked && !takes && !w.failing) && !w.onlyMails
}

// applyInTurn brings one customer as far as it goes, one at a time of those who would make
// an org with the same e-mail. If an action is refused, the actions that depend on it are not
// done, and all others are; see failures. The claim comes first: a flow run has it before it
// asks for the turn, and two that wait for each other would wait for ever.
func (r *run) applyInTurn(ctx context.Context, w customerWork) {
	free, err := r.claim(ctx, w.id)
	if err != nil {
		return // this process stopped it; the customer is still due
	}
	defer free()
	if w.founds != 0 {
		next, err := r.together.turns.take(ctx, founderKey(w.founds), true)
		if err != nil {
			return // the same
		}
		defer next()
	}
	ctx, end := r.Trace.Begin(w.urgency(ctx), "apply customer", w.id)
	defer end()
	defer r.known.forget(w.id)
	defer r.recoverPanic(ctx, w.id)
	held, err := r.heldMeanwhile(ctx, w.id)
	if err != nil {
		r.failed(ctx, w.id, err)
		return
	}
	if held {
		return // the flow run has done all that is not held, with newer facts
	}
	if err := r.applySteps(ctx, w.id); err != nil {
		r.failed(ctx, w.id, err)
		return
	}
	if !r.halted(ctx) {
		r.finish(ctx, w.id)
	}
}

// heldMeanwhile reports whether a flow run has put an action of a customer into a plan
// after the brake of this run has judged it. This run would make what waits for approval.
func (r *run) heldMeanwhile(ctx context.Context, id string) (held bool, err error) {
	if r.flows || !r.together.claims.changedSince(id, r.judged) {
		return false, nil
	}
	err = r.Plans.StandingOf(ctx, []string{id}, r.now, func(h reconcile.HeldAction) error {
		held = held || !h.Released && !r.brake.standing.has(h.ID)
		return nil
	})
	return held, err
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

// turns keep reads and writes of one object apart: who reads it and stores the answer
// shares it with other readers, who writes it has it alone. So no answer that took long
// replaces what a write of ours has stored meanwhile. Those who wait come in their order,
// so neither side waits for good. Safe for concurrent use.
type turns struct {
	waits func() // called when a caller begins to wait; nil: not called

	mu sync.Mutex // guards at and all that is in it
	at map[string]*turn
}

// turn is who has one object, and who waits for it. It exists while there are any.
type turn struct {
	readers int
	writing bool
	queue   []*waiter
}

type waiter struct {
	alone bool
	ready chan struct{} // closed when the object is the waiter's
}

// orgKey, lookKey, subscriptionKey, productKey and founderKey name what turns are about.
// Hostings are read and written in their org. Customers of one run who share an org look
// into it one after the other: see lookOnce. Customers with the same e-mail make an org one
// after the other, so that the second one finds the org of the first.
func orgKey(id string) string          { return "org " + id }
func lookKey(run, org string) string   { return "look " + run + " " + org }
func subscriptionKey(id string) string { return "subscription " + id }
func productKey(id string) string      { return "product " + id }
func founderKey(email uint64) string   { return "founder " + strconv.FormatUint(email, 36) }

func newTurns() *turns { return &turns{at: map[string]*turn{}} }

// take waits for an object, to have it alone or to share it. done gives it back, and must
// be called once. The error is the context's.
func (t *turns) take(ctx context.Context, object string, alone bool) (done func(), err error) {
	w := &waiter{alone: alone, ready: make(chan struct{})}
	t.mu.Lock()
	at := t.at[object]
	if at == nil {
		at = &turn{}
		t.at[object] = at
	}
	at.queue = append(at.queue, w)
	at.next()
	t.mu.Unlock()
	select {
	case <-w.ready:
	default:
		if t.waits != nil {
			t.waits()
		}
	}
	select {
	case <-w.ready:
		return func() { t.giveBack(object, w) }, nil
	case <-ctx.Done():
		t.giveBack(object, w)
		return nil, context.Cause(ctx)
	}
}

// alone calls use while the caller has an object alone.
func (t *turns) alone(ctx context.Context, object string, use func() error) error {
	done, err := t.take(ctx, object, true)
	if err != nil {
		return err
	}
	defer done()
	return use()
}

// next lets those at the head of the queue pass, as far as they may.
func (at *turn) next() {
	for len(at.queue) > 0 {
		w := at.queue[0]
		if at.writing || w.alone && at.readers > 0 {
			return
		}
		at.queue = at.queue[1:]
		at.writing = w.alone
		if !w.alone {
			at.readers++
		}
		close(w.ready)
	}
}

// giveBack ends the use of an object, or the wait for it.
func (t *turns) giveBack(object string, w *waiter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := t.at[object]
	select {
	case <-w.ready:
		if w.alone {
			at.writing = false
		} else {
			at.readers--
		}
	default:
		at.queue = slices.DeleteFunc(at.queue, func(other *waiter) bool { return other == w })
	}
	at.next()
	if at.readers == 0 && !at.writing && len(at.queue) == 0 {
		delete(t.at, object)
	}
}

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

// claims let one run at a time work for a customer, when several are under way in this
// process: see flow. A run that has claimed a customer reads, plans and applies it, and
// releases it. Safe for concurrent use.
type claims struct {
	mu    sync.Mutex // guards all below
	taken map[string]*claim
	// freed is when a customer was last released, as a number of that release. A customer
	// that was loaded before it may have changed since.
	freed map[string]int64
	n     int64 // releases so far
	floor int64 // everything that was loaded before this release counts as changed
}

// claim is one customer at work.
type claim struct {
	free    chan struct{} // closed when the customer is released
	waiting []string      // subscriptions that a flow run is to serve after that
}

// maxFreed bounds the memory of past releases.
const maxFreed = 10_000

func newClaims() *claims { return &claims{taken: map[string]*claim{}, freed: map[string]int64{}} }

// mark is the moment to compare with in changedSince; it is asked before a customer is
// loaded.
func (c *claims) mark() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// try claims a customer, if it is free.
func (c *claims) try(customer string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.taken[customer] != nil {
		return false
	}
	c.taken[customer] = &claim{free: make(chan struct{})}
	return true
}

// wait claims a customer as soon as it is free. The error is the context's.
func (c *claims) wait(ctx context.Context, customer string) error {
	for {
		c.mu.Lock()
		at := c.taken[customer]
		if at == nil {
			c.taken[customer] = &claim{free: make(chan struct{})}
		}
		c.mu.Unlock()
		if at == nil {
			return nil
		}
		select {
		case <-at.free:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// leave leaves subscriptions to the run that has claimed the customer; false: the
// customer is free.
func (c *claims) leave(customer string, subscriptions []string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.taken[customer]
	if at == nil {
		return false
	}
	at.waiting = append(at.waiting, subscriptions...)
	return true
}

// release lets others work for a customer. It returns the subscriptions that wait for
// that.
func (c *claims) release(customer string) (waiting []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.taken[customer]
	if at == nil {
		return nil
	}
	delete(c.taken, customer)
	c.n++
	if len(c.freed) >= maxFreed {
		c.freed, c.floor = map[string]int64{}, c.n
	}
	c.freed[customer] = c.n
	close(at.free)
	return at.waiting
}

// changedSince reports whether a customer was released after a mark, so that what was
// loaded at the mark may be old.
func (c *claims) changedSince(customer string, mark int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return mark < c.floor || c.freed[customer] > mark
}
