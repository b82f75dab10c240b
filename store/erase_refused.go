package store

import (
	"context"
	"fmt"
	"time"
)

// refuse returns why the customer cannot be erased now, and what to do first.
//
// No tombstone keeps the name of a customer that exists at Stripe from being stored again. A
// customer that was deleted there comes without name and e-mail for ever, and can never pay
// again: nothing that serves a payer rests on the erased values.
func (e *erasing) refuse(ctx context.Context, c conn) error {
	for _, check := range []func(context.Context, conn) (string, error){
		e.stillSubscribed, e.stillAtStripe, e.stillHosted, e.stillOpen, e.stillHeld, e.stillAnOrg,
	} {
		why, err := check(ctx, c)
		if err != nil {
			return err
		}
		if why != "" {
			return noSense("%s", why)
		}
	}
	return e.leftStaged(ctx, c)
}

const thenRepeat = "; then run `stripe-enhance reconcile --full`, and repeat this"

func (e *erasing) stillSubscribed(ctx context.Context, c conn) (why string, err error) {
	var sub, status string
	found, err := c.one(ctx, "SELECT id, status_text FROM subscriptions s WHERE NOT gone AND "+liveSubscription+" AND id IN ("+itsSubscriptions+") ORDER BY id LIMIT 1",
		[]any{e.Customer}, &sub, &status)
	if found {
		why = fmt.Sprintf("subscription %s of customer %s is %s: cancel it at Stripe, and delete the customer there (which cancels all its subscriptions)%s", sub, e.Customer, status, thenRepeat)
	}
	return why, err
}

func (e *erasing) stillAtStripe(ctx context.Context, c conn) (why string, err error) {
	var buyer string
	found, err := c.one(ctx, `SELECT b.id FROM stripe_customers b WHERE b.customer_id = $1 AND NOT b.deleted
		AND (EXISTS (SELECT 1 FROM subscriptions s WHERE s.stripe_customer_id = b.id AND NOT s.gone)
			OR NOT EXISTS (SELECT 1 FROM subscriptions s WHERE s.stripe_customer_id = b.id)) ORDER BY b.id LIMIT 1`, []any{e.Customer}, &buyer)
	if found {
		why = fmt.Sprintf("customer %s still exists at Stripe, and the next full run would store its name and its e-mail again: delete it there first (`stripe customers delete %s`)%s", buyer, buyer, thenRepeat)
	}
	return why, err
}

func (e *erasing) stillHosted(ctx context.Context, c conn) (why string, err error) {
	var id int64
	var state string
	found, err := c.one(ctx, "SELECT id, state FROM hostings WHERE (id IN ("+itsHostings+") OR org_id IN ("+itsOrg+`))
		AND terminated_by_us IS NULL AND state NOT IN ('deleted', 'missing') ORDER BY id LIMIT 1`, []any{e.Customer}, &id, &state)
	if found {
		why = fmt.Sprintf("hosting %d of customer %s is still at the panel (%s), with its content: delete it in the panel, or wait until it is deleted after RETENTION_PERIOD%s", id, e.Customer, state, thenRepeat)
	}
	return why, err
}

func (e *erasing) stillOpen(ctx context.Context, c conn) (why string, err error) {
	var kind, state string
	found, err := c.one(ctx, "SELECT kind, state FROM actions WHERE state IN ('planned', 'held', 'sent', 'ambiguous') AND customer_id = $1 ORDER BY key LIMIT 1",
		[]any{e.Customer}, &kind, &state)
	if found {
		why = fmt.Sprintf("%s of customer %s has no outcome yet (%s): repeat this after the run that gives it one", kind, e.Customer, state)
	}
	return why, err
}

func (e *erasing) stillHeld(ctx context.Context, c conn) (why string, err error) {
	var plan string
	found, err := c.one(ctx, `SELECT p.id FROM plan_actions i JOIN plans p ON p.id = i.plan_id
		WHERE i.customer_id = $1 AND i.left_at IS NULL AND p.closed_at IS NULL ORDER BY p.id LIMIT 1`,
		[]any{e.Customer}, &plan)
	if found {
		why = fmt.Sprintf("held plan %s has a change for customer %s: approve the plan, or wait until the change is no longer wanted (`stripe-enhance plans`), and repeat this", plan, e.Customer)
	}
	return why, err
}

// stillAnOrg looks for an org at the panel that nobody pays for, and whose owner has the
// e-mail: each listing reads it again.
func (e *erasing) stillAnOrg(ctx context.Context, c conn) (why string, err error) {
	var org string
	found, err := c.one(ctx, `SELECT o.id FROM orgs o WHERE NOT o.deleted AND NOT EXISTS (SELECT 1 FROM customers c WHERE c.org_id = o.id)
		AND (o.marker_id <> '' AND o.marker_id IN (`+itsBuyers+`) OR o.owner_email_key <> '' AND o.owner_email_key IN `+c.d.texts(2)+") ORDER BY o.id LIMIT 1",
		[]any{e.Customer, list(sorted(e.others.emails))}, &org)
	if found {
		why = fmt.Sprintf("organisation %s at the panel belongs to no customer, and has the same owner as customer %s: delete it in the panel%s", org, e.Customer, thenRepeat)
	}
	return why, err
}

// leftStaged refuses while a full run has stored subscriptions that it has not merged yet,
// because they may have the name. Rows of one whose process died are deleted.
func (e *erasing) leftStaged(ctx context.Context, c conn) error {
	var id string
	found, err := c.one(ctx, "SELECT id FROM staged_subscriptions LIMIT 1", nil, &id)
	if err != nil || !found {
		return err
	}
	var lease time.Time
	if _, err := c.one(ctx, "SELECT expires_at FROM leases WHERE name = $1", []any{leaseName}, into(&lease)); err != nil {
		return err
	}
	if lease.After(e.At) {
		return noSense("a full run is reading Stripe at this moment, and may have read customer %s before it was deleted: repeat this when it has ended", e.Customer)
	}
	e.staged = true
	return nil
}
