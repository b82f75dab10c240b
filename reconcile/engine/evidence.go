package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/fence"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// evidence is how far a run may rely on its readings, and the actions that it must not do
// because of that. A gate is a reason for which it must not.
type evidence struct {
	// These are written by the steps before customers are worked on in parallel.

	accountKnown  bool                   // this is the Stripe account that we know
	panelKnown    bool                   // this is the panel that we know
	clockOffset   time.Duration          // how far ahead our own clock is, if that is too far to use it
	verdict       listingVerdict         // why the last listing was rejected, if it was
	measure       *reconcile.ListedState // the listing that later ones are compared with; nil: the stored one
	suspender     string                 // cursorSuspender as the run began
	needsApproval string                 // why removals wait for approval; "": they do not

	mu              sync.Mutex      // guards all below
	gates           []string        // every reason, in order
	removalsBlocked string          // why nothing may be taken away; "": it may
	createsBlocked  string          // why nothing may be created; "": it may
	createsWait     string          // why nothing is created before a person has acted; "": it is
	recovered       map[string]bool // customers for whom a lost write was found
	lossNoted       bool            // it was noted that this database is new or older than the panel
	lossFound       bool            // this run found that the database is older than the panel
	perhapsOurs     []int64         // hostings whose suspension is perhaps ours
}

func newEvidence() *evidence { return &evidence{recovered: map[string]bool{}} }

// again is the evidence for a plan that is made again in the same run.
func (e *evidence) again() *evidence {
	e.mu.Lock()
	defer e.mu.Unlock()
	next := newEvidence()
	next.accountKnown, next.panelKnown, next.clockOffset = e.accountKnown, e.panelKnown, e.clockOffset
	next.verdict, next.measure, next.suspender = e.verdict, e.measure, e.suspender
	next.gates, next.removalsBlocked, next.createsBlocked, next.createsWait = e.gates, e.removalsBlocked, e.createsBlocked, e.createsWait
	next.lossNoted = e.lossNoted
	return next
}

// add puts a reason behind those before it.
func add(reasons *string, reason string) {
	if *reasons != "" {
		*reasons += "; "
	}
	*reasons += reason
}

// blockRemovals closes a gate: nothing is taken away in this run.
func (e *evidence) blockRemovals(reason string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	add(&e.removalsBlocked, reason)
	e.gates = append(e.gates, reason)
}

// requireApproval makes removals wait for a person.
func (e *evidence) requireApproval(reason string) {
	add(&e.needsApproval, reason)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.gates = append(e.gates, reason)
}

// waitForPerson notes why nothing is created before a person has acted.
func (e *evidence) waitForPerson(reason string) (news bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if strings.Contains(e.createsWait, reason) {
		return false // a plan that is made again has it already
	}
	add(&e.createsWait, reason)
	e.gates = append(e.gates, reason)
	return true
}

// blockCreates keeps everything from being created in this run. It reports whether
// the reason is the first one; later ones change nothing.
func (e *evidence) blockCreates(reason string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.createsBlocked != "" {
		return false
	}
	e.createsBlocked = reason
	return true
}

// abort is the error of a run that must not do anything: the account or the panel is not ours.
// The reason stands among the gates, so that it is reported like one.
func (e *evidence) abort(format string, args ...any) error {
	reason := fmt.Sprintf(format, args...)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.gates = append(e.gates, reason)
	return fault.Errorf(fault.Permanent, "nothing was done: %s", reason)
}

// removalsAreBlocked reports whether nothing may be taken away.
func (e *evidence) removalsAreBlocked() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.removalsBlocked != ""
}

// createsAreBlocked reports whether nothing may be created.
func (e *evidence) createsAreBlocked() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.createsBlocked != ""
}

// withhold turns the actions of a decision that this run must not do into holds.
func (e *evidence) withhold(d planner.Decision, c *planner.Catalog) planner.Decision {
	e.mu.Lock()
	creates, removals := e.createsBlocked, e.removalsBlocked
	e.mu.Unlock()
	if creates != "" {
		d = planner.WithholdCreates(d, creates)
	}
	if removals != "" {
		d = planner.Withhold(d, c, reconcile.HoldEvidence, removals)
	}
	return d
}

// closed is every reason for which this run must not do something.
func (e *evidence) closed() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.gates)
}

// waitsFor is why nothing is created before a person has acted.
func (e *evidence) waitsFor() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.createsWait
}

// addRecovered notes a customer for whom a lost write was found: a marker that turns
// up there is no sign of an old database.
func (e *evidence) addRecovered(customer string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.recovered[customer] = true
}

// setLossNoted notes that the report shows already that this database is new or old.
func (e *evidence) setLossNoted() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lossNoted = true
}

// findLoss notes that a marker of ours was found at a customer which nothing in the
// database accounts for. It reports whether that shows an old database for the first
// time in this run.
func (e *evidence) findLoss(customer string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.lossNoted || e.recovered[customer] {
		return false
	}
	e.lossNoted, e.lossFound = true, true
	return true
}

// addPerhapsOurs notes a hosting whose suspension is perhaps ours.
func (e *evidence) addPerhapsOurs(hosting int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !slices.Contains(e.perhapsOurs, hosting) {
		e.perhapsOurs = append(e.perhapsOurs, hosting)
	}
}

// clock is the time, as far as this run knows: that of our clock, or Stripe's if ours
// is wrong.
func (r *run) clock() time.Time { return r.Now().Add(-r.evidence.clockOffset).UTC() }

// blockRemovals closes a gate, and notes it.
func (r *run) blockRemovals(reason string) {
	r.evidence.blockRemovals(reason)
	r.note("nothing is taken away in this run: %s", reason)
}

// requireApproval makes removals wait for a person, and notes it.
func (r *run) requireApproval(reason string) {
	r.evidence.requireApproval(reason)
	r.note("what takes something away waits for approval: %s", reason)
}

// waitForPerson notes why nothing is created.
func (r *run) waitForPerson(reason string) {
	if r.evidence.waitForPerson(reason) {
		r.note("%s", reason)
	}
}

const (
	// maxSkew is how far our clock and the database's may be from Stripe's when
	// grace and retention periods are to be believed.
	maxSkew = time.Minute
	// premiseSample is how many known subscriptions must all be there still, and
	// priceSample how many mapped prices are asked for until one is there.
	premiseSample, priceSample = 3, 10
	// minForDoubt: fleets too small for a half to mean anything are left to the
	// brake.
	minForDoubt = 10
)

// gates asks whether the evidence is good enough. A run that is about to do
// anything makes sure of the account; one that is about to take something away
// asks the rest. If a gate of fact is closed, the run takes nothing away, and
// notes which gate and why: no person can overrule a fact. Numbers that look wrong are for
// a person to judge, see suspected.
func (r *run) gates(ctx context.Context) error {
	if err := r.fellBack(ctx); err != nil {
		return err
	}
	if len(r.work.list) == 0 {
		return nil
	}
	if err := r.trustStripe(ctx); err != nil {
		return err
	}
	if r.brake.expects(reconcile.CreateSubscription) {
		if err := r.lookForPanel(ctx); err != nil {
			return err
		}
	}
	if !r.work.hasTakers() {
		return nil
	}
	for _, gate := range []func(context.Context) (string, error){r.anchorGate, r.priceGate, r.clockGate} {
		reason, err := gate(ctx)
		if err != nil {
			return err
		}
		if reason != "" {
			r.blockRemovals(reason)
		}
	}
	if !r.evidence.removalsAreBlocked() {
		return nil
	}
	return r.planAgain(ctx)
}

// planAgain plans customers anew after a gate has failed, so that each
// removal becomes a hold with the gate's reason.
func (r *run) planAgain(ctx context.Context) error {
	ids := r.work.dropTakers()
	for len(ids) > 0 {
		n, loaded := min(len(ids), planBatch), r.together.claims.mark()
		customers, err := r.Queue.Customers(ctx, ids[:n])
		if err != nil {
			return err
		}
		if err := r.planBatch(ctx, customers, loaded); err != nil {
			return err
		}
		ids = ids[n:]
	}
	return nil
}

// clockGate holds three clocks together: Stripe dates payments, ours decides when
// that was too long ago, and the database stores both. It is the last gate, because the
// answers that the others have just had measure Stripe's clock anew.
func (r *run) clockGate(ctx context.Context) (string, error) {
	if skew := r.wrong(); skew != 0 {
		return apart("this machine's clock", skew) + ": set it right (NTP)", nil
	}
	off, err := r.Evidence.ClockSkew(ctx)
	if err != nil {
		return "", err
	}
	if off.Abs() > maxSkew {
		return fmt.Sprintf("the database's clock is %s off this machine's: set it right (NTP)", off.Abs().Round(time.Second)), nil
	}
	return "", nil
}

// anchorGate asks for those bound longest, all of them. recognise has found that
// this is the right account; one that is missing from the right account is an
// oddity to hold. One whose answer cannot be read is its customer's hold, and blocks
// no other removal; if that is true of all of them, the answers are wrong.
func (r *run) anchorGate(ctx context.Context) (string, error) {
	anchors, err := r.Evidence.KnownSubscriptions(ctx, premiseSample)
	if err != nil {
		return "", err
	}
	unreadable := 0
	for _, id := range anchors {
		_, err := r.subscription(ctx, id)
		switch {
		case errors.Is(err, fault.Malformed) && unreadable+1 < len(anchors):
			unreadable++
		case errors.Is(err, fault.NotFound):
			if err := r.Mirror.MarkGone(ctx, r.tok, id, r.now); err != nil {
				return "", err
			}
			return fmt.Sprintf("%s has a hosting but no longer exists at Stripe, which never deletes subscriptions: `stripe-enhance check` shows which account the key belongs to, and `%s` whether the subscription is in it",
				id, planner.LookCommand(id)), nil
		case err != nil:
			return fmt.Sprintf("%s, which has a hosting, could not be read again: %v", id, err), nil
		}
	}
	return "", nil
}

// priceGate asks for mapped prices until one is there. A mapping that this key may not
// check, such as that of a feature, is no evidence for anything.
func (r *run) priceGate(ctx context.Context) (string, error) {
	mappings, err := r.PlanStore.Mappings(ctx)
	if err != nil {
		return "", err
	}
	var denied error
	mappings = mappings[:min(len(mappings), priceSample)]
	for _, m := range mappings {
		ok, err := r.Account.Known(ctx, m.BillingID)
		if refused := errors.Is(err, fault.Denied) || errors.Is(err, fault.Permanent); refused && reconcile.MayBeFeature(m.BillingID) {
			denied = err
			continue
		}
		if err != nil {
			return "the mapped prices could not be checked: " + err.Error(), nil //nolint:nilerr // it closes the gate, and does not end the run
		}
		if ok {
			return "", nil
		}
	}
	switch {
	case len(mappings) == 0:
		return "", nil
	case denied != nil:
		return "the mapped prices could not be checked: " + denied.Error(), nil //nolint:nilerr // it closes the gate, and does not end the run
	}
	return fmt.Sprintf("none of %d mapped prices exists in this Stripe account: correct the mappings", len(mappings)), nil
}

// suspectOurselves is asked by the brake, once the approvals are known: when
// most of the world looks dead, the observer is more likely broken than the world.
func (r *run) suspectOurselves(counts reconcile.Counts) {
	takes, up := r.brake.removals(), counts.Bound-counts.Suspended
	if takes >= minForDoubt && takes*2 > up {
		r.requireApproval(fmt.Sprintf("%d of %d hostings that are up would be taken away at once; more than half is more likely a mistake than a fact", takes, up))
	}
}

const (
	// anchorSample is how many known objects are asked for before we conclude that
	// this is not the account or the panel we work for. The first one that is
	// there settles it, so the number is only paid for when something is wrong.
	anchorSample = 20
	// wildSkew is how wrong our clock may be for a run to do anything at all: on a
	// machine whose clock is days off, more is wrong than the clock.
	wildSkew = 24 * time.Hour
)

// checkIdentity notices another Stripe account or another panel behind the same
// configuration. A changed key or address has to prove itself by objects that we know to
// exist; one that cannot makes a run that does nothing at all.
//
// An unchanged one is taken at its word while nothing comes of it: a run that
// finds nothing new costs one request. Before anything from Stripe is
// stored, and before anything is sent, recognise asks all the same.
func (r *run) checkIdentity(ctx context.Context) error {
	if err := r.checkKey(ctx); err != nil {
		return err
	}
	return r.checkPanel(ctx)
}

// pinned ends a run as soon as a credential is not the one that it began with, because it
// was rotated meanwhile: the run has made sure of account and panel with the other one. The
// next run makes sure of them anew.
func (r *run) pinned(ctx context.Context, end context.CancelCauseFunc) context.Context {
	account, panel := r.Account.Fingerprint(), r.Owners.Credential()
	return fence.Pin(ctx, func() error {
		var changed string
		switch {
		case r.Account.Fingerprint() != account:
			changed = "STRIPE_SECRET_KEY"
		case r.Owners.Credential() != panel:
			changed = "ENHANCE_API_TOKEN"
		default:
			return nil
		}
		err := fault.Errorf(fault.Fenced, "%s has changed during the run: the next run first makes sure that it is of the same account or panel", changed)
		end(err)
		return err
	})
}

func (r *run) checkKey(ctx context.Context) error {
	pin := r.Account.Fingerprint()
	last, err := r.Cursors.Cursor(ctx, cursorKey)
	if err != nil || last == pin {
		return err
	}
	if err := r.trustStripe(ctx); err != nil {
		return err
	}
	return r.Cursors.SetCursor(ctx, r.tok, cursorKey, pin)
}

// trustStripe is asked before anything from Stripe is stored, and before
// anything is sent because of it.
func (r *run) trustStripe(ctx context.Context) error {
	if err := r.recognise(ctx); err != nil {
		return err
	}
	return r.checkClock()
}

// recognise makes sure, once in a run, that Stripe still knows one of the
// subscriptions that we know. In another account there is none of them: a person who
// pays there is not our customer, and even a hosting made for them is harm.
func (r *run) recognise(ctx context.Context) error {
	t, pin := &r.together.trust, r.Account.Fingerprint()
	if r.evidence.accountKnown || r.flows && t.holds(&t.account, &t.key, pin) {
		return nil
	}
	anchors, err := r.Evidence.KnownSubscriptions(ctx, anchorSample)
	if err != nil {
		return err
	}
	found, last, err := anyExists(len(anchors), func(i int) error {
		_, err := r.subscription(ctx, anchors[i])
		return err
	})
	if err != nil {
		return fmt.Errorf("checking that this is the right Stripe account: %w", err)
	}
	if len(anchors) > 0 && !found {
		t.lost(&t.account)
		return r.evidence.abort("Stripe (%s) knows none of %v, which this database knows: the key belongs to another account or mode. "+
			"Put the right STRIPE_SECRET_KEY and STRIPE_API_URL back; for another account use another database (%v)", r.Account.Fingerprint(), few(anchors), last)
	}
	r.evidence.accountKnown = true
	t.recognised(&t.account, &t.key, pin)
	return nil
}

// anyExists reads known objects until one is there. An object that cannot be read
// is passed over, so that a broken one does not stop everything, but it is no proof
// of absence either: where nothing was found and something could not be read, the
// error is returned. A refusal may be about the one object, and those that are
// refused are the ones not seen for longest: any number of them is passed over.
func anyExists(n int, read func(i int) error) (found bool, absent, err error) {
	const patience = 3 // objects that cannot be read, before it is the side's fault
	failed := 0
	for i := 0; i < n && failed < patience; i++ {
		one := read(i)
		switch fault.Of(one) {
		case fault.NotFound, fault.Permanent: // Permanent: Stripe's "exists in the other mode"
			absent = one
			continue
		case fault.Denied:
			err = one
			continue
		case fault.Canceled, fault.Fenced:
			return false, absent, one
		case fault.Transient, fault.Throttled, fault.Conflict, fault.Ambiguous, fault.Malformed, fault.Unknown:
		}
		if one == nil {
			return true, nil, nil
		}
		failed++
		err = one
	}
	return false, absent, err
}

// few shortens a list for a sentence.
func few(ids []string) []string {
	const most = 3
	if len(ids) <= most {
		return ids
	}
	return append(slices.Clone(ids[:most]), fmt.Sprintf("and %d more", len(ids)-most))
}

// skew is how far this machine's clock is ahead of Stripe's; 0 while not known, because both
// are zero then.
func (r *run) skew() time.Duration {
	stripe, local := r.Account.ServerTime()
	return local.Sub(stripe)
}

// wrong is skew where it is too far to go by our clock, else 0.
func (r *run) wrong() time.Duration {
	if skew := r.skew(); skew.Abs() > maxSkew {
		return skew
	}
	return 0
}

// checkClock takes Stripe's clock for ours where that is wrong, and refuses to go on
// where it is wildly wrong. It is asked after Stripe's first answer and before the
// first thing is stored: what a wrong clock writes (deadlines, back-offs, the brake's
// window) would stay wrong for as long as it was off, and who is owed service would
// wait for it.
func (r *run) checkClock() error {
	if r.evidence.clockOffset == 0 {
		r.evidence.clockOffset = r.wrong()
		r.now, r.rec.Started = r.now.Add(-r.evidence.clockOffset), r.rec.Started.Add(-r.evidence.clockOffset)
	}
	skew := r.skew()
	if skew.Abs() <= wildSkew {
		return nil
	}
	return r.evidence.abort("%s. Set it right (NTP); the next run goes on as if nothing had been", apart("this machine's clock", skew))
}

// subscription reads one subscription by its id.
func (r *run) subscription(ctx context.Context, id string) (reconcile.SubscriptionFacts, error) {
	facts, err := r.Billing.Subscription(ctx, id)
	facts.ReadAt = facts.ReadAt.Add(-r.wrong())
	return facts, err
}

// apart describes how far a clock is from Stripe's.
func apart(whose string, skew time.Duration) string {
	direction := "ahead of"
	if skew < 0 {
		direction = "behind"
	}
	return fmt.Sprintf("%s is %s %s Stripe's", whose, skew.Abs().Round(time.Second), direction)
}

// checkPanel asks a changed panel, or a panel with a changed token, for orgs and hostings
// that we know: an org is ours only where the organisation that sells is its parent.
func (r *run) checkPanel(ctx context.Context) error {
	pin, token := r.Owners.Fingerprint(), r.Owners.Credential()
	last, err := r.Cursors.Cursor(ctx, cursorPanel)
	if err != nil {
		return err
	}
	proved, err := r.Cursors.Cursor(ctx, cursorToken)
	if err != nil || last == pin && proved == token {
		return err
	}
	if err := r.lookForPanel(ctx); err != nil {
		return err
	}
	bound, err := r.someBound(ctx)
	if err != nil {
		return err
	}
	found, _, err := anyExists(len(bound), func(i int) error {
		_, err := r.Panel.Hosting(ctx, bound[i].Org, bound[i].ID)
		return err
	})
	if err != nil {
		return fmt.Errorf("checking that this is the right panel: %w", err)
	}
	if len(bound) > 0 && !found && last == pin {
		return r.evidence.abort("with the new ENHANCE_API_TOKEN the panel %s shows none of %d known hostings: it is a token of another organisation, or the panel was emptied. "+
			"Put the right ENHANCE_API_TOKEN back, or restore the panel", pin, len(bound))
	}
	if len(bound) > 0 && !found {
		return r.evidence.abort("the panel is now %s (it was %s) and has none of %d known hostings: it is another panel or organisation, or it was emptied. "+
			"Put the right ENHANCE_API_URL and ENHANCE_ORG_ID back; for another panel use another database", pin, last, len(bound))
	}
	if err := r.Cursors.SetCursor(ctx, r.tok, cursorToken, token); err != nil {
		return err
	}
	return r.Cursors.SetCursor(ctx, r.tok, cursorPanel, pin)
}

// someBound is some bound hostings: those that were read last, which are most likely to
// answer now, and then those that were not read for longest. If only the latter were asked
// for, a few orgs that give no answer would keep everybody from a hosting, because such
// orgs are never read.
func (r *run) someBound(ctx context.Context) ([]reconcile.Hosting, error) {
	bound, err := r.Inventory.SeenLast(ctx, anchorSample/2)
	if err != nil {
		return nil, err
	}
	all := r.now.Add(r.DriftInterval)
	others, err := r.Inventory.DriftDue(ctx, all, all, anchorSample/2)
	for _, h := range others {
		if !slices.ContainsFunc(bound, func(b reconcile.Hosting) bool { return b.ID == h.ID }) {
			bound = append(bound, h)
		}
	}
	return bound, err
}

// lookForPanel makes sure, before the orgs are listed and before the first creation
// of a run, that the panel still has an org that we know: an emptied one would get
// every new customer, and the next backup that is restored would lose them.
func (r *run) lookForPanel(ctx context.Context) error {
	t, pin := &r.together.trust, r.Owners.Fingerprint()
	if r.evidence.panelKnown || r.flows && t.holds(&t.panel, &t.place, pin) {
		return nil
	}
	bound, err := r.someBound(ctx)
	if err != nil {
		return err
	}
	found, _, err := anyExists(len(bound), func(i int) error {
		_, err := r.Panel.Org(ctx, bound[i].Org)
		return err
	})
	if err != nil {
		return fmt.Errorf("checking that this is the right panel: %w", err)
	}
	r.evidence.panelKnown = found
	if len(bound) > 0 && !found {
		t.lost(&t.panel)
		return r.evidence.abort("the panel %s has none of the orgs in which the known hostings are (%s and others): it is another panel or organisation, or it was emptied. "+
			"Put the right ENHANCE_API_URL and ENHANCE_ORG_ID back, or restore the panel", r.Owners.Fingerprint(), bound[0].Org)
	}
	t.recognised(&t.panel, &t.place, pin)
	return nil
}

// cursorSuspender is the name in the panel's suspendedBy for our own suspensions: the pin of
// the panel and the id, after maybe if one call alone has shown that id.
const (
	cursorSuspender = "suspender"
	maybe           = "? "
)

// isOurs reports whether the suspension that a hosting shows is the one that we sent.
// Staff may have suspended it in the same moment, or since a call of ours was lost,
// and a payment must not lift their suspension. We are known as the
// organisation that sells, or, where the panel names another id, by the calls that were
// answered; an unanswered one teaches nothing. If the first one of all shows another id, the
// suspension is taken for ours, but a second one has to show the same before the id counts:
// staff may have been first by a moment.
func (r *run) isOurs(ctx context.Context, h reconcile.Hosting, answered bool) (bool, error) {
	pin := r.Owners.Fingerprint()
	known, err := r.Cursors.Cursor(ctx, cursorSuspender)
	if err != nil {
		return false, err
	}
	us := pin + " " + h.SuspendedBy
	switch {
	case known == us:
		return true, nil
	case strings.HasSuffix(pin, " "+h.SuspendedBy):
	case !answered || strings.HasPrefix(known, pin+" "):
		r.note("hosting %d of org %s was to be suspended by us and is suspended by %s: it is left to them", h.ID, h.Org, h.SuspendedBy)
		return false, nil
	case known != maybe+us:
		us = maybe + us
	}
	return true, r.Cursors.SetCursor(ctx, r.tok, cursorSuspender, us)
}

// namesUs marks each hosting of which the panel says that we suspended it: as the
// organisation that sells, or as it named us when we suspended something.
func (r *run) namesUs(c *reconcile.Customer) {
	pin := r.Owners.Fingerprint()
	for i := range c.Hostings {
		h := &c.Hostings[i]
		h.NamesUs = h.SuspendedBy != "" && (strings.HasSuffix(pin, " "+h.SuspendedBy) || r.evidence.suspender == pin+" "+h.SuspendedBy)
	}
}

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
	r.Trace.Failed(ctx, err)
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
