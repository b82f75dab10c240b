package stripe

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// invoiceWire is the part of an invoice that decides about grace.
type invoiceWire struct {
	head
	Status          string `json:"status"`
	BillingReason   string `json:"billing_reason"`
	Subscription    idRef  `json:"subscription"`
	Created         int64  `json:"created"`
	DueDate         int64  `json:"due_date"`
	AmountPaid      int64  `json:"amount_paid"`
	AmountRemaining int64  `json:"amount_remaining"`
	Currency        string `json:"currency"`
	Number          string `json:"number"`
	HostedURL       string `json:"hosted_invoice_url"`
	Transitions     struct {
		FinalizedAt int64 `json:"finalized_at"`
		PaidAt      int64 `json:"paid_at"`
	} `json:"status_transitions"`
	Parent parentRef `json:"parent"`
}

// parentRef is where API versions since 2025-03-31 put an invoice's subscription.
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

// ledger sums up the invoices of a subscription.
type ledger struct {
	// oldestDue is the due date of the oldest open invoice that is not paid in full.
	// latestDue is that of the invoice that became due last, or, if none is due yet,
	// will next. Zero if there is no such invoice.
	oldestDue, latestDue time.Time
	// owed is the invoice of oldestDue.
	owed reconcile.OpenInvoice
	// paidAt is when the invoice that was the latest at that time was last paid; zero:
	// never.
	paidAt time.Time
	// changeDue is the due date of the oldest open invoice that a change within the
	// subscription made. Zero if there is none.
	changeDue time.Time
	// unread: the key may not read invoices.
	unread bool
}

// invoices reads all invoices of a subscription. If the key may not, the client
// remembers that, so that it costs one request an hour.
func (c *Client) invoices(ctx context.Context, subscription string) (ledger, error) {
	now := c.now().Unix()
	if now < c.invoicesDenied.Load() {
		return ledger{unread: true}, nil
	}
	r := get("/v1/invoices", "subscription", subscription)
	var all []invoiceWire
	_, err := readAll(ctx, c, r, invoices, func(page []invoiceWire, _ answer) error {
		for i := range page {
			if err := page[i].check(subscription); err != nil {
				return malformed(r, "%v", err)
			}
		}
		all = append(all, page...)
		return nil
	})
	if errors.Is(err, fault.Denied) {
		c.invoicesDenied.Store(now + int64(denialMemory/time.Second))
		return ledger{unread: true}, nil
	}
	if err != nil {
		return ledger{}, err
	}
	return balance(all, now), nil
}

// check refuses an invoice of another subscription, and one without a date.
func (w *invoiceWire) check(subscription string) error {
	of := string(w.Subscription)
	if of == "" {
		of = w.Parent.subscription()
	}
	switch {
	case of != "" && of != subscription:
		return errors.New("an invoice of another subscription")
	case w.Status == "":
		return errors.New("an invoice without a status")
	case w.due() == 0:
		return errors.New("an invoice without any date")
	}
	return nil
}

// due is when an invoice should have been paid.
func (w *invoiceWire) due() int64 {
	for _, at := range []int64{w.DueDate, w.Transitions.FinalizedAt, w.Created} {
		if at > 0 {
			return at
		}
	}
	return 0
}

// byChange is the billing reason of an invoice for a change of price or quantity.
const byChange = "subscription_update"

func (w *invoiceWire) owed() bool { return w.Status == "open" && w.AmountRemaining > 0 }

// balance sums up invoices in any order.
func balance(all []invoiceWire, now int64) ledger {
	var oldest, latest, paid, change int64
	var owed reconcile.OpenInvoice
	for i := range all {
		w := &all[i]
		if endsArrears(w, all) {
			paid = max(paid, w.Transitions.PaidAt)
		}
		if !w.owed() {
			continue
		}
		open := owed.Open + 1
		if oldest == 0 || w.due() < oldest {
			oldest = w.due()
			owed = reconcile.OpenInvoice{ID: w.ID, Due: instant(oldest), Left: w.AmountRemaining, Currency: w.Currency, URL: payPage(w.HostedURL)}
		}
		owed.Open = open
		if w.due() <= now {
			latest = max(latest, w.due())
		}
		if w.BillingReason == byChange && (change == 0 || w.due() < change) {
			change = w.due()
		}
	}
	return ledger{oldestDue: instant(oldest), latestDue: instant(cmp.Or(latest, oldest)), paidAt: instant(paid), changeDue: instant(change), owed: owed}
}

// payPage is the address of Stripe's page for an invoice; "" if it is not one that a
// person may be sent to.
func payPage(text string) string {
	if u, err := url.Parse(text); err != nil || u.Scheme != "https" || u.Host == "" || len(text) > 2000 {
		return ""
	}
	return text
}

// endsArrears reports whether an invoice was paid, with money, while no later one was
// owed, because that is when Stripe makes a subscription active again. If several are
// open, paying an older one leaves it past_due.
func endsArrears(w *invoiceWire, all []invoiceWire) bool {
	at := w.Transitions.PaidAt
	if w.Status != "paid" || w.AmountPaid <= 0 || at <= 0 {
		return false
	}
	for i := range all {
		later := &all[i]
		if later.Created > w.Created && later.Created < at && (later.owed() || later.Status == "paid" && later.Transitions.PaidAt > at) {
			return false
		}
	}
	return true
}
