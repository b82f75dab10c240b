package stripe

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// eventTypes are the events that can change a customer's entitlement, or how long it is
// overdue. Stripe takes at most 20 in one request, and refuses names that the pinned
// version does not have.
var eventTypes = [...]string{
	"charge.dispute.closed",
	"charge.dispute.created",
	"charge.dispute.funds_reinstated",
	"charge.refunded",
	"checkout.session.async_payment_succeeded",
	"checkout.session.completed",
	"customer.deleted",
	"customer.subscription.created",
	"customer.subscription.deleted",
	"customer.subscription.paused",
	"customer.subscription.pending_update_applied",
	"customer.subscription.resumed",
	"customer.subscription.updated",
	"customer.updated",
	"invoice.marked_uncollectible",
	"invoice.paid",
	"invoice.payment_failed",
	"invoice.voided",
}

// Events lists these events since an instant, the second of which is included. It takes
// one request if there are at most 100. Stripe keeps events for 30 days and shows them
// late, so the caller lets its windows overlap.
func (c *Client) Events(ctx context.Context, since time.Time) (reconcile.Events, error) {
	from := max(since.Unix(), 1) // 0 would list everything, silently
	r := get("/v1/events", "created[gte]", strconv.FormatInt(from, 10))
	for i, name := range eventTypes {
		r = r.and(fmt.Sprintf("types[%d]", i), name)
	}
	found := reconcile.Events{AsOf: c.now().UTC()}
	first, err := readAll(ctx, c, r, events, func(page []eventWire, _ answer) error {
		for i := range page {
			if page[i].Created < from {
				return malformed(r, "the event %s, created before the time that was asked for", page[i].ID)
			}
			found.Touched = append(found.Touched, page[i].hint())
		}
		return nil
	})
	if err != nil {
		return reconcile.Events{}, err
	}
	if !first.date.IsZero() {
		found.AsOf = first.date
	}
	return found, nil
}
