package stripe

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// disputeWire is a dispute, or a refund, with its charge.
type disputeWire struct {
	head
	Status   string         `json:"status"`
	Amount   int64          `json:"amount"`
	Currency string         `json:"currency"`
	Created  int64          `json:"created"`
	Charge   disputedCharge `json:"charge"`
}

// disputedCharge is the part of an expanded charge that shows whose it is. The id alone shows
// nothing.
type disputedCharge struct {
	Customer idRef           `json:"customer"`
	Refunded bool            `json:"refunded"`
	Invoice  disputedInvoice `json:"invoice"`
}

// UnmarshalJSON takes an id or an object.
func (w *disputedCharge) UnmarshalJSON(b []byte) error {
	if _, ok, err := bareID(b); ok || err != nil {
		return err
	}
	type plain disputedCharge
	return json.Unmarshal(b, (*plain)(w))
}

// disputedInvoice is an invoice with its subscription, or its id alone.
type disputedInvoice struct {
	ID           string
	Subscription string
}

// UnmarshalJSON takes an id or an object.
func (w *disputedInvoice) UnmarshalJSON(b []byte) error {
	id, ok, err := bareID(b)
	if ok || err != nil {
		w.ID = id
		return err
	}
	var o invoiceWire
	err = json.Unmarshal(b, &o)
	w.ID, w.Subscription = o.ID, string(o.Subscription)
	if w.Subscription == "" {
		w.Subscription = o.Parent.subscription()
	}
	return err
}

var (
	disputes = collection{kind: "dispute"}
	refunds  = collection{kind: "refund", modeless: true}
)

// Disputes lists the disputes since an instant that count, and the charges that were
// refunded in full. It takes a request for a hundred of each, and one for each dispute that
// was lost. Inquiries, and disputes that were won, are left out.
func (c *Client) Disputes(ctx context.Context, since time.Time) ([]reconcile.Dispute, error) {
	from := strconv.FormatInt(max(since.Unix(), 1), 10)
	var all []reconcile.Dispute
	r := get("/v1/disputes", "created[gte]", from, "expand[0]", "data.charge.invoice")
	_, err := readAll(ctx, c, r, disputes, func(page []disputeWire, a answer) error {
		for i := range page {
			if d, ok := page[i].dispute(a.sent); ok {
				all = append(all, d)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range all {
		if err := c.settle(ctx, &all[i]); err != nil {
			return nil, err
		}
	}
	r = get("/v1/refunds", "created[gte]", from, "expand[0]", "data.charge.invoice")
	_, err = readAll(ctx, c, r, refunds, func(page []disputeWire, a answer) error {
		for i := range page {
			if d, ok := page[i].refund(a.sent); ok {
				all = append(all, d)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// Dispute reads one dispute by id. counts is false if it was won, or is an inquiry.
func (c *Client) Dispute(ctx context.Context, id string) (d reconcile.Dispute, counts bool, err error) {
	r := getOne("/v1/disputes", "dispute", id, "expand[0]", "charge.invoice")
	if !reconcile.ValidID("", id) {
		return d, false, badID(r, "dispute", id)
	}
	w, a, err := readOne[disputeWire](ctx, c, r, disputes, id)
	if err != nil {
		return d, false, err
	}
	d, counts = w.dispute(a.sent)
	if counts {
		err = c.settle(ctx, &d)
	}
	return d, counts, err
}

// settle asks whether a later invoice was paid, of a dispute that was lost.
func (c *Client) settle(ctx context.Context, d *reconcile.Dispute) (err error) {
	if d.Status != reconcile.DisputeLost || d.Subscription == "" {
		return nil
	}
	d.PaidAt, err = c.PaidInvoice(ctx, d.Subscription)
	if errors.Is(err, fault.Denied) || errors.Is(err, fault.NotFound) || errors.Is(err, fault.Permanent) {
		d.PaymentUnread, err = true, nil
	}
	return err
}

// dispute turns Stripe's dispute into ours. One whose customer is not shown is of no use.
func (w *disputeWire) dispute(read time.Time) (d reconcile.Dispute, ok bool) {
	d = w.facts(read)
	d.Status = reconcile.ParseDispute(w.Status)
	return d, d.Status != "" && d.StripeCustomer != ""
}

func (w *disputeWire) refund(read time.Time) (d reconcile.Dispute, ok bool) {
	d = w.facts(read)
	d.Status = reconcile.DisputeRefunded
	return d, w.Charge.Refunded && (w.Status == "succeeded" || w.Status == "pending") && d.StripeCustomer != ""
}

func (w *disputeWire) facts(read time.Time) reconcile.Dispute {
	d := reconcile.Dispute{ID: w.ID, StripeCustomer: string(w.Charge.Customer), Invoice: w.Charge.Invoice.ID, Subscription: w.Charge.Invoice.Subscription,
		Amount: w.Amount, Currency: w.Currency, Opened: instant(w.Created), ReadAt: read}
	if !reconcile.ValidCustomerID(d.StripeCustomer) {
		d.StripeCustomer = ""
	}
	if !reconcile.ValidID(subscriptions.prefix, d.Subscription) {
		d.Subscription = ""
	}
	return d
}
