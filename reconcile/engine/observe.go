package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// Names of the cursors.
const (
	cursorEvents   = "events"   // RFC 3339: events created before are followed
	cursorKey      = "key"      // fingerprint of the last Stripe key that proved right
	cursorPanel    = "panel"    // pin of the last panel that proved right
	cursorToken    = "token"    // fingerprint of the last token for the panel that proved right
	cursorPruned   = "pruned"   // reconcile.Pruning as JSON
	cursorOrgPage  = "org_page" // the panel, and the largest page of orgs that it gives
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
		most, err := r.mostByID(ctx)
		if err != nil {
			return nil, err
		}
		if len(ids) > most {
			return nil, r.sweep(ctx)
		}
	}
	return r.readTouched(ctx, ids)
}

// mostByID is how many subscriptions are read one by one at most, because a sweep takes
// fewer requests for more of them.
func (r *run) mostByID(ctx context.Context) (int, error) {
	counts, err := r.History.Counts(ctx)
	const page, margin = 100, 2 // subscriptions in a request; a sweep takes some more
	return max(manyTouched, margin*counts.Subscriptions/page), err
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

// features is the owner of the features of products in a run. Each product is asked for once
// a run at most.
type features struct {
	mu    sync.Mutex // guards all below
	known map[string]reconcile.ProductFeatures
	// asked has the products that were asked for, with how many had been by then.
	asked map[string]int
	// refused means that it was noted that the key may not read them.
	refused bool
	// on and with are the catalog without and with the features that are known; with is nil
	// if it has to be made anew.
	on, with *planner.Catalog
}

func newFeatures() *features {
	return &features{known: map[string]reconcile.ProductFeatures{}, asked: map[string]int{}}
}

// again is the features for a plan that is made again in the same run.
func (f *features) again() *features {
	f.mu.Lock()
	defer f.mu.Unlock()
	return &features{known: maps.Clone(f.known), asked: maps.Clone(f.asked), refused: f.refused}
}

// load takes the stored ones.
func (f *features) load(all []reconcile.ProductFeatures) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, one := range all {
		f.known[one.Product] = one
	}
	f.with = nil
}

// of is a catalog with the features that are known by now.
func (f *features) of(c *planner.Catalog) *planner.Catalog {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.with == nil || f.on != c {
		f.on, f.with = c, c.WithFeatures(slices.Collect(maps.Values(f.known))...)
	}
	return f.with
}

// get returns the features of a product that are known, and whether it was asked for in this run.
func (f *features) get(product string) (reconcile.ProductFeatures, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.known[product], f.asked[product] > 0
}

func (f *features) put(one reconcile.ProductFeatures) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.known[one.Product], f.asked[one.Product], f.with = one, len(f.asked)+1, nil
}

// refuse notes that the key may not read features, and reports whether that is new.
func (f *features) refuse() (first bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	first, f.refused = !f.refused, true
	return first
}

// forgetUnmapped makes the products whose features lead to no plan asked for again: the
// mappings have changed, and an operator who maps a feature has often just made it.
func (f *features) forgetUnmapped(c *planner.Catalog) {
	f.mu.Lock()
	defer f.mu.Unlock()
	with := c.WithFeatures(slices.Collect(maps.Values(f.known))...)
	for product, one := range f.known {
		if len(with.Unserved([]reconcile.Item{{Product: product}})) > 0 {
			one.AskedAt = time.Time{}
			f.known[product] = one
		}
	}
	f.with = nil
}

// answers is how many products were asked for in this run.
func (f *features) answers() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.asked)
}

// unanswered leaves out the products that were asked for in this run, as far as a decision
// knew of it that was made after so many answers. A product that was asked for meanwhile, for
// another customer, stays: the decision is made again with its features.
func (f *features) unanswered(needs []planner.Need, answers int) []planner.Need {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(needs, func(n planner.Need) bool {
		at := f.asked[n.Product]
		return n.Kind == planner.NeedFeatures && at > 0 && at <= answers
	})
}

// loadFeatures loads the features that were read before. A run about some subscriptions,
// which a person has asked for, reads theirs again.
func (r *run) loadFeatures(ctx context.Context) error {
	if !r.catalog.AsksFeatures() {
		return nil
	}
	all, err := r.FeatureStore.Features(ctx)
	if err != nil {
		return err
	}
	if r.mode == reconcile.RunTargeted && !r.flows {
		for i := range all {
			all[i].AskedAt = time.Time{}
		}
	}
	r.features.load(all)
	return nil
}

// readFeatures reads the features of a product. One that Stripe does not show, for whatever
// reason, keeps those that it had; without any, a failure is that of the customer.
func (r *run) readFeatures(ctx context.Context, product string) error {
	return r.together.turns.alone(ctx, productKey(product), func() error {
		f, asked := r.features.get(product)
		if asked {
			return nil
		}
		keys, err := r.Ports.Features.ProductFeatures(ctx, product)
		if err != nil && !standsWithout(f, err) {
			return err
		}
		before := f
		f = readNow(f, product, keys, err, r.clock())
		if err := r.FeatureStore.SaveFeatures(ctx, r.tok, f); err != nil {
			return err
		}
		r.features.put(f)
		r.noteFeatures(f, err)
		if before.Product == "" || slices.Equal(before.Keys, f.Keys) && before.Emptied == f.Emptied {
			return nil
		}
		return r.Timetable.MakeDue(ctx, r.tok, nil, r.now) // others may have the product too
	})
}

// standsWithout reports whether a run goes on although Stripe has not shown the features of
// a product: because it will not show them to this key, or because they are known from
// before.
func standsWithout(f reconcile.ProductFeatures, err error) bool {
	switch fault.Of(err) {
	case fault.Canceled, fault.Fenced:
		return false
	case fault.Denied, fault.NotFound, fault.Permanent:
		return true
	case fault.Transient, fault.Throttled, fault.Conflict, fault.Ambiguous, fault.Malformed, fault.Unknown:
	}
	return len(f.Keys) > 0
}

// readNow is the features of a product after Stripe was asked. The keys that it had stay
// until Stripe shows others.
func readNow(f reconcile.ProductFeatures, product string, keys []string, err error, now time.Time) reconcile.ProductFeatures {
	f.Product, f.AskedAt, f.Unread = product, now, ""
	switch {
	case err != nil:
		f.Unread = err.Error()
	case len(keys) == 0:
		f.ReadAt, f.Emptied = now, len(f.Keys) > 0
	default:
		f.ReadAt, f.Emptied, f.Keys = now, false, keys
	}
	return f
}

func (r *run) noteFeatures(f reconcile.ProductFeatures, err error) {
	switch {
	case errors.Is(err, fault.Denied) && !r.features.refuse():
	case errors.Is(err, fault.Denied):
		r.note("the Stripe key may not read the features of products: those that were read before stand, and else a mapping of a feature does not count; allow the key to read Entitlements and Products")
	case err != nil:
		r.note("%s", r.catalog.FeaturesUnread(f))
	}
}

const (
	// cursorDisputes is when disputes were listed last, RFC 3339; disputesDenied in its place:
	// the key may not.
	cursorDisputes = "disputes"
	disputesDenied = "denied"
	// disputesBack is how far back disputes and refunds count.
	disputesBack = 365 * 24 * time.Hour
	// disputesAge is how old the list may be if no event is about any.
	disputesAge = 24 * time.Hour
)

// readDisputes lists disputes and refunds where they may have changed: in a full run, after
// an event about one, and once a day. If Stripe does not show them, those of before stay,
// and suspend nothing: see planner.judgeDispute.
func (r *run) readDisputes(ctx context.Context) error {
	before, err := r.DisputeStore.Disputes(ctx)
	if err != nil {
		return err
	}
	last, err := r.Cursors.Cursor(ctx, cursorDisputes)
	if err != nil || !r.disputesMayDiffer(before, last) {
		return err
	}
	now := r.clock()
	all, err := r.Ports.Disputes.Disputes(ctx, now.Add(-disputesBack))
	cursor := now.Format(time.RFC3339)
	switch {
	case errors.Is(err, fault.Canceled) || errors.Is(err, fault.Fenced):
		return err
	case errors.Is(err, fault.Denied):
		cursor, all = disputesDenied, nil
		if last != disputesDenied {
			r.note("the Stripe key may not read disputes and refunds: none is known, and DISPUTE has no effect; allow the key to read Disputes and Charges")
		}
	case err != nil:
		r.note("disputes and refunds could not be read, and nothing is suspended because of one: %v", err)
		return nil
	}
	if err := r.DisputeStore.SaveDisputes(ctx, r.tok, all, r.now); err != nil {
		return err
	}
	r.noteDisputes(before, all)
	if last == cursor {
		return nil
	}
	return r.Cursors.SetCursor(ctx, r.tok, cursorDisputes, cursor)
}

// disputesMayDiffer reports whether disputes are to be listed.
func (r *run) disputesMayDiffer(before []reconcile.Dispute, last string) bool {
	if r.mode == reconcile.RunFull {
		return true
	}
	for _, ev := range r.followed {
		about := strings.HasPrefix(ev.Type, "charge.")
		if about || slices.ContainsFunc(before, func(d reconcile.Dispute) bool { return d.Subscription != "" && d.Subscription == ev.Subscription }) {
			return true
		}
	}
	at, err := time.Parse(time.RFC3339, last)
	return r.mode == reconcile.RunIncremental && last != disputesDenied && (err != nil || r.now.Sub(at) > disputesAge)
}

// noteDisputes notes the disputes and refunds that were not known before, each once.
func (r *run) noteDisputes(before, all []reconcile.Dispute) {
	const most = 20
	noted := 0
	for i := range all {
		d := &all[i]
		if d.Settled() || slices.ContainsFunc(before, func(b reconcile.Dispute) bool { return b.ID == d.ID && b.Status == d.Status }) {
			continue
		}
		if noted++; noted <= most {
			r.note("%s: %s", d.StripeCustomer, d.Describe())
		}
	}
	if noted > most {
		r.note("%d more charges are disputed or were refunded in full", noted-most)
	}
}

// readDispute reads one dispute by id. If Stripe does not show it, it stays as it was read.
func (r *run) readDispute(ctx context.Context, id string) error {
	d, counts, err := r.Ports.Disputes.Dispute(ctx, id)
	if err != nil {
		return err
	}
	d.ID = id
	return r.DisputeStore.SaveDispute(ctx, r.tok, d, counts, r.nextRun())
}

// answerDispute is readDispute for the planner, once a run: without an answer the dispute
// stays old, and an old one suspends nothing.
func (r *run) answerDispute(ctx context.Context, id string) error {
	r.work.addRead(id)
	err := r.readDispute(ctx, id)
	if err == nil || errors.Is(err, fault.Canceled) || errors.Is(err, fault.Fenced) {
		return err
	}
	r.note("the dispute %s could not be read again, and suspends nothing: %v", id, err)
	return nil
}

// readDisputesOf reads the disputes again on which a suspension may rest.
func (r *run) readDisputesOf(ctx context.Context, c *reconcile.Customer, served []string) error {
	if r.Policy.Dispute != reconcile.SuspendDisputes {
		return nil
	}
	for i := range c.Disputes {
		if d := &c.Disputes[i]; !d.Refund() && slices.Contains(served, d.Subscription) {
			if err := r.readDispute(ctx, d.ID); err != nil {
				return err
			}
		}
	}
	return nil
}
