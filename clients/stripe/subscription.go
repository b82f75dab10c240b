package stripe

import (
	"context"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Subscription reads one subscription by its id: who buys it, all its items, and
// since when it is unpaid where that matters and may be read.
func (c *Client) Subscription(ctx context.Context, id string) (reconcile.SubscriptionFacts, error) {
	r := getOne("/v1/subscriptions", "subscription", id, "expand[0]", "customer")
	if !reconcile.ValidID(subscriptions.prefix, id) {
		return reconcile.SubscriptionFacts{}, badID(r, subscriptions.kind, id)
	}
	wire, a, err := readOne[subscriptionWire](ctx, c, r, subscriptions, id)
	if err != nil {
		return reconcile.SubscriptionFacts{}, err
	}
	facts, _, err := c.complete(ctx, r, &wire, a)
	if err != nil {
		return reconcile.SubscriptionFacts{}, err
	}
	facts.ByID = true
	switch facts.Status {
	case reconcile.StatusPastDue, reconcile.StatusUnpaid, reconcile.StatusIncomplete:
		var bills ledger
		bills, err = c.invoices(ctx, id)
		facts.UnpaidSince, facts.LatestDue, facts.PaidAt = bills.oldestDue, bills.latestDue, bills.paidAt
		facts.InvoicesUnread = bills.unread
	}
	return facts, err
}

// complete checks a subscription and adds the items that did not fit into it.
// requests is how many it took.
func (c *Client) complete(ctx context.Context, r request, w *subscriptionWire, a answer) (f reconcile.SubscriptionFacts, requests int, err error) {
	if err := w.check(c.live); err != nil {
		return f, 0, malformed(r, "%v", err)
	}
	embedded, more, err := w.Items.open()
	if err != nil {
		return f, 0, malformed(r, "the items of %s: %v", w.ID, err)
	}
	if more {
		if embedded, requests, err = c.items(ctx, w.ID); err != nil {
			return f, requests, err
		}
	}
	all, periodEnd, err := lines(embedded, c.live)
	if err != nil {
		return f, requests, malformed(r, "the items of %s: %v", w.ID, err)
	}
	return w.facts(all, periodEnd, a.sent), requests, nil
}

// items lists all items of a subscription, from the first: how the embedded ones
// are ordered is not documented, so there is no place to go on from.
func (c *Client) items(ctx context.Context, subscription string) (all []itemWire, requests int, err error) {
	r := get("/v1/subscription_items", "subscription", subscription)
	_, err = readAll(ctx, c, r, items, func(page []itemWire, _ answer) error {
		all = append(all, page...)
		requests++
		return nil
	})
	return all, requests, err
}
