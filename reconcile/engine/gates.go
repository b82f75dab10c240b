package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

const (
	// maxSkew is how far our clock may be from Stripe's when grace and retention
	// periods are to be believed.
	maxSkew = time.Minute
	// anchorSample is how many known subscriptions and mappings must still resolve.
	anchorSample = 3
	// suspicion: when more than half of all bound hostings are to be taken down at
	// once, we suspect ourselves. Fleets too small for a half to mean anything are
	// left to the brake.
	suspicionFloor = 10
)

// checkIdentity notices another Stripe account or another panel behind the same
// configuration. A changed key or address has to prove itself by what we know to
// exist; one that cannot makes a run that does nothing at all.
func (r *run) checkIdentity(ctx context.Context) error {
	if err := r.checkKey(ctx); err != nil {
		return err
	}
	return r.checkPanel(ctx)
}

func (r *run) checkKey(ctx context.Context) error {
	mode := "test"
	if r.Account.Livemode() {
		mode = "live"
	}
	pin := mode + " " + r.Account.Fingerprint()
	last, err := r.Cursors.Cursor(ctx, cursorKey)
	if err != nil || last == pin {
		return err
	}
	anchors, err := r.Catalogue.Anchors(ctx, anchorSample)
	if err != nil {
		return err
	}
	missing := 0
	for _, id := range anchors {
		_, err := r.Billing.Subscription(ctx, id)
		switch {
		case errors.Is(err, fault.NotFound):
			missing++
		case err != nil:
			return fmt.Errorf("checking that this is the right Stripe account: %w", err)
		}
	}
	if len(anchors) > 0 && missing == len(anchors) {
		return fault.Errorf(fault.Denied, "the Stripe key is new and knows none of %v, which have hosting here: it belongs to another account or mode; nothing was done; put the right STRIPE_SECRET_KEY back", anchors)
	}
	return r.Cursors.SetCursor(ctx, r.tok, cursorKey, pin)
}

func (r *run) checkPanel(ctx context.Context) error {
	pin := r.Owners.Pin()
	last, err := r.Cursors.Cursor(ctx, cursorPanel)
	if err != nil || last == pin {
		return err
	}
	bound, err := r.Inventory.DriftDue(ctx, r.now.Add(r.DriftInterval), anchorSample)
	if err != nil {
		return err
	}
	missing := 0
	for _, h := range bound {
		_, err := r.Panel.Hosting(ctx, h.Org, h.ID)
		switch {
		case errors.Is(err, fault.NotFound):
			missing++
		case err != nil:
			return fmt.Errorf("checking that this is the right panel: %w", err)
		}
	}
	if len(bound) > 0 && missing == len(bound) {
		return fault.Errorf(fault.Denied, "the panel is now %s (it was %s) and has none of %d known hostings: nothing was done; put the right ENHANCE_API_URL and ENHANCE_ORG_ID back", pin, last, len(bound))
	}
	return r.Cursors.SetCursor(ctx, r.tok, cursorPanel, pin)
}

// believeListing holds against the last complete listing what must never shrink.
func (r *run) believeListing(l reconcile.Listing, entitled int, last reconcile.ListedState) {
	switch {
	case last.At.IsZero():
	case l.Count < last.Count:
		r.give(fmt.Sprintf("Stripe listed %d subscriptions, and %d at %s; a listing of all of them never shrinks", l.Count, last.Count, last.At.Format(time.RFC3339)))
	case last.Entitled >= suspicionFloor && entitled*2 < last.Entitled:
		r.give(fmt.Sprintf("only %d of the %d subscriptions that were entitled at %s still are", entitled, last.Entitled, last.At.Format(time.RFC3339)))
	}
}

// gates asks whether the evidence is good enough to take anything away. It is
// asked only by runs that are about to; a gate that fails makes a run that only
// gives, and says which gate and why.
func (r *run) gates(ctx context.Context) error {
	takers, takes := r.takers()
	if len(takers) == 0 {
		return nil
	}
	for _, gate := range []func(context.Context, int) (string, error){r.clockGate, r.anchorGate, r.suspicionGate} {
		reason, err := gate(ctx, takes)
		if err != nil {
			return err
		}
		if reason != "" {
			r.give(reason)
		}
	}
	if r.giveOnly.Load() == nil {
		return nil
	}
	return r.planAgain(ctx, takers)
}

func (r *run) takers() (ids []string, takes int) {
	for _, w := range r.work {
		if w.takes > 0 {
			ids = append(ids, w.id)
			takes += int(w.takes)
		}
	}
	return ids, takes
}

// planAgain plans customers anew after a gate has failed, so that what they were
// to lose becomes a hold with the gate's reason.
func (r *run) planAgain(ctx context.Context, ids []string) error {
	r.work = slices.DeleteFunc(r.work, func(w customerWork) bool { return w.takes > 0 })
	for _, b := range r.braked {
		for _, id := range ids {
			b.customers.remove(id)
		}
	}
	for len(ids) > 0 {
		n := min(len(ids), planBatch)
		customers, err := r.Queue.Customers(ctx, ids[:n])
		if err != nil {
			return err
		}
		if err := r.planBatch(ctx, customers); err != nil {
			return err
		}
		ids = ids[n:]
	}
	return nil
}

func (r *run) clockGate(context.Context, int) (string, error) {
	stripe, local := r.Account.ServerTime()
	if stripe.IsZero() {
		return "", nil
	}
	skew := local.Sub(stripe)
	if skew.Abs() <= maxSkew {
		return "", nil
	}
	return fmt.Sprintf("this machine's clock is %s off Stripe's: set it right (NTP)", skew.Round(time.Second)), nil
}

// anchorGate makes sure of the account: a mapped price and known subscriptions
// must still be there.
func (r *run) anchorGate(ctx context.Context, _ int) (string, error) {
	mappings, err := r.Catalogue.Mappings(ctx)
	if err != nil {
		return "", err
	}
	known, asked := 0, 0
	for _, m := range mappings {
		if asked == anchorSample {
			break
		}
		ok, err := r.Account.Known(ctx, m.BillingID)
		if err != nil {
			return "the mapped prices could not be checked: " + err.Error(), nil
		}
		asked++
		if ok {
			known++
		}
	}
	if asked > 0 && known == 0 {
		return fmt.Sprintf("none of %d mapped prices exists in this Stripe account", asked), nil
	}
	anchors, err := r.Catalogue.Anchors(ctx, anchorSample)
	if err != nil {
		return "", err
	}
	for _, id := range anchors {
		if _, err := r.Billing.Subscription(ctx, id); err != nil {
			return fmt.Sprintf("%s, which has hosting here, could not be read again: %v", id, err), nil
		}
	}
	return "", nil
}

// suspicionGate suspects ourselves when most of the world looks dead.
func (r *run) suspicionGate(ctx context.Context, takes int) (string, error) {
	counts, err := r.History.Counts(ctx)
	if err != nil {
		return "", err
	}
	up := counts.Bound - counts.Suspended
	if takes < suspicionFloor || takes*2 <= up {
		return "", nil
	}
	return fmt.Sprintf("%d of %d hostings that are up would be taken away at once: more than half is more likely a mistake than a fact", takes, up), nil
}
