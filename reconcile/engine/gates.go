package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

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
