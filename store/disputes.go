package store

import (
	"context"
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

const disputeColumns = `SELECT id, stripe_customer_id, subscription_id, invoice_id, status, amount, currency, opened_at, paid_at, payment_unread, read_at FROM disputes`

func scanDispute(row scan) (d reconcile.Dispute, err error) {
	var status string
	err = row(&d.ID, &d.StripeCustomer, &d.Subscription, &d.Invoice, &status, &d.Amount, &d.Currency, into(&d.Opened), into(&d.PaidAt), &d.PaymentUnread, into(&d.ReadAt))
	d.Status = reconcile.DisputeStatus(status)
	return d, err
}

// Disputes returns all disputes and refunds, by id.
func (s *Store) Disputes(ctx context.Context) (all []reconcile.Dispute, err error) {
	err = s.query(ctx, "reading disputes", disputeColumns+" ORDER BY id", nil, func(row scan) error {
		d, err := scanDispute(row)
		all = append(all, d)
		return err
	})
	return all, err
}

// SaveDisputes stores a complete list in the place of the one before, and wakes the
// customers for whom it differs.
func (s *Store) SaveDisputes(ctx context.Context, tok reconcile.Token, all []reconcile.Dispute, now time.Time) error {
	return s.fenced(ctx, "saving disputes", tok, func(ctx context.Context, tx conn) error {
		before := map[string]reconcile.Dispute{}
		err := tx.each(ctx, disputeColumns, nil, func(row scan) error {
			d, err := scanDispute(row)
			before[d.ID] = d
			return err
		})
		if err != nil {
			return err
		}
		var buyers []string
		for _, d := range all {
			d = cleanDispute(d)
			old, known := before[d.ID]
			delete(before, d.ID)
			if !known || !sameDispute(old, d) {
				buyers = append(buyers, d.StripeCustomer, old.StripeCustomer)
			}
			if err := putDispute(ctx, tx, d); err != nil {
				return err
			}
		}
		for id, old := range before {
			buyers = append(buyers, old.StripeCustomer)
			if _, err := tx.exec(ctx, "DELETE FROM disputes WHERE id = $1", id); err != nil {
				return err
			}
		}
		return wakeBuyers(ctx, tx, buyers, now)
	})
}

// SaveDispute stores one dispute as it was read by id, or forgets it if it no longer counts,
// and wakes its customer if it differs.
func (s *Store) SaveDispute(ctx context.Context, tok reconcile.Token, d reconcile.Dispute, counts bool, now time.Time) error {
	d = cleanDispute(d)
	return s.fenced(ctx, "saving a dispute", tok, func(ctx context.Context, tx conn) error {
		var old reconcile.Dispute
		err := tx.each(ctx, disputeColumns+" WHERE id = $1", []any{d.ID}, func(row scan) (err error) {
			old, err = scanDispute(row)
			return err
		})
		if err != nil {
			return err
		}
		if counts && sameDispute(old, d) {
			return putDispute(ctx, tx, d)
		}
		if counts {
			err = putDispute(ctx, tx, d)
		} else {
			_, err = tx.exec(ctx, "DELETE FROM disputes WHERE id = $1", d.ID)
		}
		if err != nil {
			return err
		}
		return wakeBuyers(ctx, tx, []string{d.StripeCustomer, old.StripeCustomer}, now)
	})
}

func cleanDispute(d reconcile.Dispute) reconcile.Dispute {
	d.ID, d.StripeCustomer, d.Subscription, d.Invoice, d.Currency = clean(d.ID), clean(d.StripeCustomer), clean(d.Subscription), clean(d.Invoice), clean(d.Currency)
	return d
}

// sameDispute compares all but the time of reading.
func sameDispute(a, b reconcile.Dispute) bool {
	return a.ID == b.ID && a.StripeCustomer == b.StripeCustomer && a.Subscription == b.Subscription && a.Invoice == b.Invoice && a.Status == b.Status &&
		a.Amount == b.Amount && a.Currency == b.Currency && a.Opened.Equal(b.Opened) && a.PaidAt.Equal(b.PaidAt) && a.PaymentUnread == b.PaymentUnread
}

func putDispute(ctx context.Context, tx conn, d reconcile.Dispute) error {
	_, err := tx.exec(ctx, `INSERT INTO disputes (id, stripe_customer_id, subscription_id, invoice_id, status, amount, currency, opened_at, paid_at, payment_unread, read_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		ON CONFLICT (id) DO UPDATE SET stripe_customer_id = excluded.stripe_customer_id, subscription_id = excluded.subscription_id,
			invoice_id = excluded.invoice_id, status = excluded.status, amount = excluded.amount, currency = excluded.currency,
			opened_at = excluded.opened_at, paid_at = excluded.paid_at, payment_unread = excluded.payment_unread, read_at = excluded.read_at`,
		d.ID, d.StripeCustomer, d.Subscription, d.Invoice, string(d.Status), d.Amount, d.Currency, at(orEpoch(d.Opened)), at(d.PaidAt), d.PaymentUnread, at(orEpoch(d.ReadAt)))
	return err
}

func wakeBuyers(ctx context.Context, tx conn, buyers []string, now time.Time) error {
	buyers = slices.DeleteFunc(buyers, func(id string) bool { return id == "" })
	if len(buyers) == 0 {
		return nil
	}
	customers, err := tx.strings(ctx, "SELECT DISTINCT customer_id FROM stripe_customers WHERE id IN "+tx.d.texts(1), list(buyers))
	if err != nil {
		return err
	}
	return wake(ctx, tx, customers, now)
}

func (a *aggregate) loadDisputes(ctx context.Context) error {
	query := disputeColumns + " WHERE stripe_customer_id IN " + a.c.d.texts(1) + " ORDER BY id"
	return a.c.each(ctx, query, []any{keys(a.buyers)}, func(row scan) error {
		d, err := scanDispute(row)
		if c := a.buyers[d.StripeCustomer]; c != nil {
			c.Disputes = append(c.Disputes, d)
		}
		return err
	})
}
