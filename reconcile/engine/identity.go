package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

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

// skew is how far this machine's clock is ahead of Stripe's; 0 while not known.
func (r *run) skew() time.Duration {
	stripe, local := r.Account.ServerTime()
	if stripe.IsZero() {
		return 0
	}
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

// checkPanel asks a changed panel for orgs and hostings that we know: an org is
// ours only where the organisation that sells is its parent.
func (r *run) checkPanel(ctx context.Context) error {
	pin := r.Owners.Fingerprint()
	last, err := r.Cursors.Cursor(ctx, cursorPanel)
	if err != nil || last == pin {
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
	if len(bound) > 0 && !found {
		return r.evidence.abort("the panel is now %s (it was %s) and has none of %d known hostings: it is another panel or organisation, or it was emptied. "+
			"Put the right ENHANCE_API_URL and ENHANCE_ORG_ID back; for another panel use another database", pin, last, len(bound))
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

// cursorSuspender is the name in the panel's suspendedBy for our own suspensions:
// the pin of the panel and the id.
const cursorSuspender = "suspender"

// isOurs reports whether the suspension that a hosting shows is the one that we sent.
// Staff may have suspended it in the same moment, or since a call of ours was lost,
// and a payment must not lift their suspension. We are known as the
// organisation that sells, or, where the panel names another id, by the first call
// that was answered; an unanswered one teaches nothing.
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
