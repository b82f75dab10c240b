package stripe

import (
	"context"
	"errors"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Subscription reads one subscription by its id: its buyer and all its items and, if
// its status requires a payment and the key may read invoices, since when it is unpaid.
func (c *Client) Subscription(ctx context.Context, id string) (reconcile.SubscriptionFacts, error) {
	r := getOne("/v1/subscriptions", "subscription", id, "expand[0]", "customer")
	if !reconcile.ValidID(subscriptions.prefix, id) {
		return reconcile.SubscriptionFacts{}, badID(r, subscriptions.kind, id)
	}
	whole, a, err := readOne[lenientSubscription](ctx, c, r, subscriptions, id)
	if err != nil {
		return reconcile.SubscriptionFacts{}, err
	}
	facts, _, err := c.complete(ctx, r, &whole.subscriptionWire, a)
	if err != nil {
		return reconcile.SubscriptionFacts{}, err
	}
	facts.ByID = true
	if s := facts.Status; s == reconcile.StatusPastDue || s == reconcile.StatusUnpaid || s == reconcile.StatusIncomplete {
		var bills ledger
		bills, err = c.invoices(ctx, id)
		facts.UnpaidSince, facts.LatestDue, facts.PaidAt = bills.oldestDue, bills.latestDue, bills.paidAt
		facts.InvoicesUnread = bills.unread
	}
	return facts, err
}

// complete checks a subscription and reads the items that did not fit into it. requests
// is how many requests that took.
func (c *Client) complete(ctx context.Context, r request, w *subscriptionWire, a answer) (f reconcile.SubscriptionFacts, requests int, err error) {
	if err := w.check(c.live); err != nil {
		return w.heldOr(r, a, err)
	}
	embedded, more, err := w.Items.checked()
	if err != nil {
		return w.heldOr(r, a, unreadablef("its items: %v", err))
	}
	if more {
		embedded, requests, err = c.items(ctx, w.ID)
		switch {
		case errors.Is(err, fault.Malformed):
			f, _, err = w.heldOr(r, a, unreadablef("its items: %v", err))
			return f, requests, err
		case err != nil:
			return f, requests, err
		}
	}
	all, periodEnd, err := lines(embedded, c.live)
	if err != nil {
		f, _, err = w.heldOr(r, a, err)
		return f, requests, err
	}
	return w.facts(all, periodEnd, a.sent), requests, nil
}

// items lists all items of a subscription from the first, because Stripe does not
// document the order of the embedded ones, so that there is no place from which to
// continue.
func (c *Client) items(ctx context.Context, subscription string) (all []itemWire, requests int, err error) {
	r := get("/v1/subscription_items", "subscription", subscription)
	_, err = readAll(ctx, c, r, items, func(page []itemWire, _ answer) error {
		all = append(all, page...)
		requests++
		return nil
	})
	return all, requests, err
}
