package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

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
