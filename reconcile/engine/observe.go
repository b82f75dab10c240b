package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Names of the cursors.
const (
	cursorEvents   = "events"   // RFC 3339: events created before are followed
	cursorKey      = "key"      // fingerprint of the last Stripe key that proved right
	cursorPanel    = "panel"    // pin of the last panel that proved right
	cursorOrgs     = "orgs"     // RFC 3339: the index of orgs is complete up to here
	cursorNewest   = "newest"   // RFC 3339, the panel's clock: orgs that are not newer are all in the index
	cursorRecovery = "recovery" // RFC 3339, the panel's clock: orgs that are not newer were there when we knew nothing of the panel
	cursorUnread   = "unread"   // id of the org after which the next look goes on; "": from the first
	cursorLost     = "lost"     // plans that the panel's list has lost, by id; "": none
	cursorVerdict  = "listing"  // what was wrong with the last complete listing; "": nothing
	cursorCatalog  = "mappings" // digest of the mappings, plans and settings last planned with
)

const (
	// eventOverlap is listed again each time: events become visible late and in
	// any order; the ids already followed are remembered for as long.
	eventOverlap = 10 * time.Minute
	// eventLag is how far behind Stripe's clock the cursor stays.
	eventLag = time.Minute
	// eventHorizon is below Stripe's retention of 30 days; older: a full sweep.
	eventHorizon = 25 * 24 * time.Hour
)

// chooseMode chooses how much this run reads: the subscriptions that a person named,
// everything, or what changed since the cursor.
func (r *run) chooseMode(ctx context.Context) error {
	since, err := r.eventCursor(ctx)
	switch {
	case err != nil:
		return err
	case len(r.req.Subscriptions) > 0:
		r.setMode(reconcile.RunTargeted)
		return nil
	case r.req.Full || since.IsZero():
		r.everyHosting = r.req.Full && !r.req.Scheduled
		r.setMode(reconcile.RunFull)
		return nil
	}
	r.setMode(reconcile.RunIncremental)
	r.since = since
	if r.req.Dry {
		return nil
	}
	full, err := r.Leases.FullNudged(ctx)
	if full { // a person has asked for it
		r.setMode(reconcile.RunFull)
		r.everyHosting = true
	}
	return err
}

func (r *run) setMode(m reconcile.RunMode) { r.mode, r.rec.Mode = m, m.String() }

// observe brings the mirror up to date, as much as the mode wants.
func (r *run) observe(ctx context.Context) error {
	if r.mode == reconcile.RunTargeted {
		return r.observeThese(ctx)
	}
	nudged, err := r.Leases.TakeNudges(ctx, r.tok, r.leftToFlow())
	if err != nil {
		return fmt.Errorf("taking the nudges: %w", err)
	}
	named := slices.DeleteFunc(slices.Clone(nudged), func(id string) bool { return id == reconcile.NudgeAll })
	if r.mode == reconcile.RunFull {
		err = r.sweep(ctx)
	} else {
		err = r.follow(ctx, r.since, named)
	}
	if err == nil && len(named) < len(nudged) && (r.mode != reconcile.RunFull || r.req.Dry) {
		err = r.nudgeAgain(ctx, []string{reconcile.NudgeAll}) // this run was not it
	}
	if err != nil {
		return errors.Join(err, r.nudgeAgain(context.WithoutCancel(ctx), nudged))
	}
	// Not before: a caller that was answered "asked for" relies on it, and this process may
	// die. Nudges that came again, from here or from outside, stay.
	return r.Leases.ForgetNudges(ctx, r.tok, nudged)
}

// leftToFlow is from when on webhooks are left to flow runs, if there are any: in a run
// that reads everything they would wait for its end.
func (r *run) leftToFlow() time.Time {
	if !r.flowsServe() {
		return time.Time{}
	}
	return r.Now().Add(-reconcile.FlowPatience)
}

// eventCursor is zero when only a full sweep will do.
func (r *run) eventCursor(ctx context.Context) (time.Time, error) {
	text, err := r.Cursors.Cursor(ctx, cursorEvents)
	if err != nil || text == "" {
		return time.Time{}, err
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil || r.now.Sub(at) > eventHorizon {
		return time.Time{}, nil //nolint:nilerr // an unreadable cursor is no cursor
	}
	return at, nil
}

// sweep lists everything. The pages are staged as they come and reach the mirror
// only when the listing is complete.
func (r *run) sweep(ctx context.Context) error {
	if err := r.Mirror.BeginSweep(ctx, r.tok); err != nil {
		return fmt.Errorf("beginning the sweep: %w", err)
	}
	anchors, err := r.Evidence.KnownSubscriptions(ctx, anchorSample)
	if err != nil {
		return err
	}
	entitled := 0
	listing, err := r.Billing.Sweep(ctx, func(page []reconcile.SubscriptionFacts) error {
		for i := range page {
			page[i].ReadAt = page[i].ReadAt.Add(-r.wrong())
			r.evidence.accountKnown = r.evidence.accountKnown || slices.Contains(anchors, page[i].ID)
			if s := page[i].Status; s == reconcile.StatusActive || s == reconcile.StatusTrialing || s == reconcile.StatusPastDue {
				entitled++
			}
		}
		r.progress.show("listing", r.findings.addRead(len(page)), 0)
		return r.Mirror.Stage(ctx, r.tok, page)
	})
	if err != nil {
		return fmt.Errorf("listing subscriptions: %w", err)
	}
	if err := r.trustStripe(ctx); err != nil {
		return err
	}
	r.passedOver(listing.PassedOver)
	if err := r.judgeListing(ctx, listing, entitled); err != nil {
		return err
	}
	changed, err := r.Mirror.MergeSweep(ctx, r.tok, r.now)
	if err != nil {
		return fmt.Errorf("storing the listing: %w", err)
	}
	r.log.WithField("subscriptions", listing.Count).WithField("changed", changed).Debug("sweep complete")
	if err := r.lookAtTouched(ctx); err != nil {
		return err
	}
	return r.Cursors.SetCursor(ctx, r.tok, cursorEvents, listing.AsOf.Add(-eventLag).UTC().Format(time.RFC3339))
}

// passedOver notes the subscriptions that exist and whose customer cannot be read.
func (r *run) passedOver(why []string) {
	const most = 5
	for _, text := range why[:min(len(why), most)] {
		r.notePartial("a subscription at Stripe is skipped, and its stored state is kept: %s", text)
	}
	if more := len(why) - most; more > 0 {
		r.notePartial("%d more subscriptions at Stripe are skipped like these", more)
	}
}

// follow reads what the events since the cursor touched.
func (r *run) follow(ctx context.Context, since time.Time, nudged []string) error {
	events, err := r.Billing.Events(ctx, since.Add(-eventOverlap))
	if err != nil {
		return fmt.Errorf("listing events: %w", err)
	}
	if err := r.checkClock(); err != nil {
		return err
	}
	fresh, err := r.unseen(ctx, events.Touched)
	if err != nil {
		return err
	}
	r.rec.Events, r.followed = len(fresh), fresh
	touched, err := r.touched(ctx, fresh)
	if err != nil {
		return err
	}
	for _, id := range nudged {
		if id != "" { // an empty one only asks for a run
			touched = append(touched, id)
		}
	}
	if len(touched) > 0 {
		if err := r.trustStripe(ctx); err != nil {
			return err
		}
	}
	again, err := r.readMany(ctx, distinct(touched))
	if err != nil {
		return err
	}
	if len(touched) > 0 {
		if err := r.Timetable.LookAgain(ctx, r.tok, distinct(touched)); err != nil {
			return err
		}
	}
	if len(again) > 0 {
		// The cursor stays, so the same events are followed again next time; what
		// could be read is in the mirror and is planned in this run.
		return r.nudgeAgain(ctx, slices.DeleteFunc(slices.Clone(nudged), func(id string) bool { return !slices.Contains(again, id) }))
	}
	cursor := events.AsOf.Add(-eventLag)
	if cursor.Before(since) {
		cursor = since
	}
	return r.Cursors.SawEvents(ctx, r.tok, fresh, cursor.UTC().Format(time.RFC3339), cursor.Add(-eventOverlap-time.Minute))
}

// manyTouched is how many subscriptions are read one by one in any case. A sweep also finds
// what no event has named, so a few more requests are no loss.
const manyTouched = 200

// readMany reads the touched subscriptions in the way that takes fewer requests: one by
// one, or by a sweep, which has a hundred in a request. It returns those to read again.
func (r *run) readMany(ctx context.Context, ids []string) (again []string, err error) {
	if len(ids) > manyTouched {
		counts, err := r.History.Counts(ctx)
		if err != nil {
			return nil, err
		}
		const page, margin = 100, 2 // subscriptions in a request; a sweep takes some more
		if len(ids) > margin*counts.Subscriptions/page {
			return nil, r.sweep(ctx)
		}
	}
	return r.readTouched(ctx, ids)
}

// readTouched reads the touched subscriptions, and returns those to read again. One
// that Stripe refuses for good, an id of the other mode for instance, or that this
// program panics at, is passed over: asked for ever, it would keep the cursor from
// ever moving. Should it be one of
// ours all the same, the next full run lists it.
func (r *run) readTouched(ctx context.Context, ids []string) (again []string, err error) {
	var later, never error
	for _, f := range r.read(ctx, ids, false) {
		switch {
		case errors.Is(f.err, fault.Denied) || ctx.Err() != nil:
			return nil, f.err
		case f.refused && fault.Of(f.err) == fault.Permanent, fault.StackOf(f.err) != "":
			never = errors.Join(never, f.err)
		default:
			later, again = errors.Join(later, f.err), append(again, f.id)
		}
	}
	if never != nil {
		r.notePartial("some changed subscriptions cannot be read, and are passed over: %v", never)
	}
	if later != nil {
		r.notePartial("some changed subscriptions could not be read and are read again in the next run: %v", later)
	}
	return again, nil
}

// nudgeAgain puts back the nudges of a run that could not follow them.
func (r *run) nudgeAgain(ctx context.Context, subs []string) error {
	if len(subs) == 0 {
		return nil
	}
	return r.Leases.Nudge(ctx, subs, "retry", r.now)
}

func (r *run) unseen(ctx context.Context, events []reconcile.Event) ([]reconcile.Event, error) {
	if len(events) == 0 {
		return nil, nil
	}
	ids := make([]string, len(events))
	for i := range events {
		ids[i] = events[i].ID
	}
	left, err := r.Cursors.UnseenEvents(ctx, ids)
	if err != nil {
		return nil, err
	}
	unseen := make(map[string]bool, len(left))
	for _, id := range left {
		unseen[id] = true
	}
	return slices.DeleteFunc(events, func(ev reconcile.Event) bool { return !unseen[ev.ID] }), nil
}

// observeThese reads the subscriptions that a person asked for, and only those.
func (r *run) observeThese(ctx context.Context) error {
	ids := distinct(r.req.Subscriptions)
	if err := r.trustStripe(ctx); err != nil {
		return err
	}
	var failed error
	for _, f := range r.read(ctx, ids, true) {
		failed = errors.Join(failed, f.err)
	}
	if err := errors.Join(failed, r.checkClock()); err != nil { // the first of them may have been Stripe's first answer
		return err
	}
	customers, err := r.Queue.CustomersOf(ctx, ids)
	if err != nil {
		return err
	}
	if len(customers) == 0 {
		return fault.Errorf(fault.NotFound, "Stripe knows no subscription %v in this account and mode", ids)
	}
	r.only = customers
	return r.nameUnknown(ctx, ids)
}

// nameUnknown notes which of the subscriptions that a person asked for do not exist,
// and never did as far as we know.
func (r *run) nameUnknown(ctx context.Context, ids []string) error {
	for _, id := range ids {
		known, err := r.Queue.CustomersOf(ctx, []string{id})
		if err != nil {
			return err
		}
		if len(known) == 0 {
			r.notePartial("Stripe knows no subscription %s in this account and mode", id)
		}
	}
	return nil
}

// unreadSub is a subscription that could not be read.
type unreadSub struct {
	id      string
	err     error
	refused bool // by Stripe; else it was read and could not be stored
}

// read brings subscriptions up to date one by one. One that fails does not keep
// the others from being read; those come back together, by id.
func (r *run) read(ctx context.Context, ids []string, force bool) []unreadSub {
	var mu sync.Mutex
	var failed []unreadSub
	var done atomic.Int32
	g := errgroup.Group{}
	g.SetLimit(r.Concurrency)
	for _, id := range ids {
		g.Go(guarded(func() error {
			err := fault.Guard(func() error { return r.readOne(ctx, id, force) })
			r.logPanic(id, err)
			r.progress.show("reading", int(done.Add(1)), len(ids))
			if err != nil {
				mu.Lock()
				var stripes refusedRead
				failed = append(failed, unreadSub{id, fmt.Errorf("reading %s: %w", id, err), errors.As(err, &stripes)})
				mu.Unlock()
			}
			return nil
		}))
	}
	_ = g.Wait()
	slices.SortFunc(failed, func(a, b unreadSub) int { return cmpText(a.id, b.id) })
	return failed
}

// refusedRead is Stripe's error, and not the database's.
type refusedRead struct{ error }

func (e refusedRead) Unwrap() error { return e.error }

func (r *run) readOne(ctx context.Context, id string, force bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return r.together.turns.alone(ctx, subscriptionKey(id), func() error {
		facts, err := r.subscription(ctx, id)
		if errors.Is(err, fault.NotFound) {
			return r.Mirror.MarkGone(ctx, r.tok, id, r.now)
		}
		if err != nil {
			return refusedRead{err}
		}
		r.findings.addRead(1)
		if force {
			r.findings.addRequest(id, facts.Request)
		}
		return r.Mirror.SaveFacts(ctx, r.tok, []reconcile.SubscriptionFacts{facts}, force, r.now)
	})
}
