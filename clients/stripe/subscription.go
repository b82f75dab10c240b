package stripe

import (
	"context"
	"errors"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
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
		var known bool
		facts.UnpaidSince, known, err = c.unpaidSince(ctx, id)
		facts.InvoicesUnread = !known
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

// invoiceWire is as much of an invoice as grace is measured by.
type invoiceWire struct {
	head
	Status          string `json:"status"`
	Subscription    idRef  `json:"subscription"`
	Created         int64  `json:"created"`
	DueDate         int64  `json:"due_date"`
	AmountRemaining int64  `json:"amount_remaining"`
	Transitions     struct {
		FinalizedAt int64 `json:"finalized_at"`
	} `json:"status_transitions"`
	Parent parentRef `json:"parent"`
}

// parentRef is where API versions since 2025-03-31 tell an invoice's subscription.
type parentRef struct {
	Details *struct {
		Subscription idRef `json:"subscription"`
	} `json:"subscription_details"`
}

func (p parentRef) subscription() string {
	if p.Details == nil {
		return ""
	}
	return string(p.Details.Subscription)
}

var invoices = collection{kind: "invoice"}

// unpaidSince is the due date of the oldest open invoice of a subscription, or
// when it was finalised where it has none; zero where nothing is open. It is not
// known where the key may not read invoices, which is remembered, so that it costs
// one request an hour.
func (c *Client) unpaidSince(ctx context.Context, subscription string) (since time.Time, known bool, err error) {
	now := c.now().Unix()
	if now < c.noInvoices.Load() {
		return time.Time{}, false, nil
	}
	var oldest int64
	r := get("/v1/invoices", "subscription", subscription, "status", "open")
	_, err = readAll(ctx, c, r, invoices, func(page []invoiceWire, _ answer) error {
		for i := range page {
			due, err := page[i].due(subscription)
			if err != nil {
				return malformed(r, "%v", err)
			}
			if due != 0 && (oldest == 0 || due < oldest) {
				oldest = due
			}
		}
		return nil
	})
	if errors.Is(err, fault.Denied) {
		c.noInvoices.Store(now + int64(denialMemory/time.Second))
		return time.Time{}, false, nil
	}
	return instant(oldest), true, err
}

// due is when an invoice should have been paid, 0 when nothing is left to pay.
func (w *invoiceWire) due(subscription string) (int64, error) {
	of := string(w.Subscription)
	if of == "" {
		of = w.Parent.subscription()
	}
	switch {
	case w.Status != "open":
		return 0, errors.New("an invoice that is not open among the open ones")
	case of != "" && of != subscription:
		return 0, errors.New("an invoice of another subscription")
	case w.AmountRemaining <= 0:
		return 0, nil
	}
	for _, at := range []int64{w.DueDate, w.Transitions.FinalizedAt, w.Created} {
		if at > 0 {
			return at, nil
		}
	}
	return 0, errors.New("an invoice without any date")
}
