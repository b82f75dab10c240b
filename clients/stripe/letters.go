package stripe

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// addresseeWire is a customer as a mail needs it.
type addresseeWire struct {
	customerWire
	PreferredLocales []string `json:"preferred_locales"`
}

// Addressee reads a customer by id. One that was deleted has no e-mail.
func (c *Client) Addressee(ctx context.Context, customer string) (reconcile.Addressee, error) {
	r := getOne("/v1/customers", "customer", customer)
	if !reconcile.ValidCustomerID(customer) {
		return reconcile.Addressee{}, badID(r, customers.kind, customer)
	}
	w, _, err := readOne[addresseeWire](ctx, c, r, customers, customer)
	if err != nil || w.Deleted {
		return reconcile.Addressee{}, err
	}
	return reconcile.Addressee{Email: strings.TrimSpace(w.Email), Name: w.Name, Locales: w.PreferredLocales}, nil
}

// mostInvoices is how many open invoices a mail lists: more than that have another cause.
const mostInvoices = 5

// OpenInvoices reads the invoices of a subscription that are still to be paid, the one that
// is due first before the others; none if the key may not read invoices, as [Client]
// remembers it.
func (c *Client) OpenInvoices(ctx context.Context, subscription string) ([]reconcile.Invoice, error) {
	now := c.now().Unix()
	if now < c.invoicesDenied.Load() {
		return nil, nil
	}
	r := get("/v1/invoices", "subscription", subscription, "status", "open")
	if !reconcile.ValidID(subscriptions.prefix, subscription) {
		return nil, badID(r, subscriptions.kind, subscription)
	}
	var open []reconcile.Invoice
	_, err := readAll(ctx, c, r, invoices, func(page []invoiceWire, _ answer) error {
		for i := range page {
			w := &page[i]
			if err := w.check(subscription); err != nil {
				return malformed(r, "%v", err)
			}
			if w.owed() {
				open = append(open, reconcile.Invoice{Number: w.Number, Amount: w.AmountRemaining, Currency: w.Currency, Due: instant(w.due()), URL: w.HostedURL})
			}
		}
		return nil
	})
	if errors.Is(err, fault.Denied) {
		c.invoicesDenied.Store(now + int64(denialMemory/time.Second))
		return nil, nil
	}
	slices.SortFunc(open, func(a, b reconcile.Invoice) int { return cmp.Or(a.Due.Compare(b.Due), cmp.Compare(a.Number, b.Number)) })
	return open[:min(len(open), mostInvoices)], err
}
