package store

import (
	"context"
	"slices"
	"time"
)

// wake makes customers due at now, unless they are due earlier, and raises their
// version (column wakes, reconcile.Customer.Version).
//
// The version is raised whenever a customer is made due: by facts of Stripe that differ
// from those stored or that were read with force, by a subscription that Stripe no longer
// knows or that has another customer now, by a hosting whose state, plan, suspension or
// marker is another, by a second org with its marker, by adding and removing a manual
// hold, by an instruction, an approval, a retry, and by MakeDue, which the engine calls
// for a changed mapping, plan or setting. Postpone raises it too.
//
// It is not raised by what the writer stores without making anybody due: intents,
// outcomes, plans, times of reading, owners, domains, sites and what is on a hosting.
// Only the process with the lease stores those, so it knows of them: a customer whose
// version is the one it was loaded with has changed by nothing else.
//
// What is saved with an older version does not undo a wake-up that it knows nothing of.
func wake(ctx context.Context, tx conn, customers []string, now time.Time) error {
	if len(customers) == 0 {
		return nil
	}
	slices.Sort(customers) // one order for everybody who locks several rows
	_, err := tx.exec(ctx, `UPDATE customers SET wakes = wakes + 1,
		due_at = CASE WHEN due_at <= $1 THEN due_at ELSE $1 END
		WHERE id IN `+tx.d.texts(2), at(now), list(slices.Compact(customers)))
	return err
}

// wakeOf wakes the customers behind bindings or subscriptions: column is
// "subscription_id" or "stripe_customer_id".
func wakeOf(ctx context.Context, tx conn, column string, ids []string, now time.Time) error {
	query := `SELECT c.customer_id FROM stripe_customers c WHERE c.id IN ` + tx.d.texts(1)
	if column == "subscription_id" {
		query = `SELECT c.customer_id FROM subscriptions s JOIN stripe_customers c ON c.id = s.stripe_customer_id
			WHERE s.id IN ` + tx.d.texts(1)
	}
	customers, err := tx.strings(ctx, query, list(ids))
	if err != nil {
		return err
	}
	return wake(ctx, tx, customers, now)
}

// strings collects the only column of a query.
func (c conn) strings(ctx context.Context, query string, args ...any) ([]string, error) {
	var values []string
	err := c.each(ctx, query, args, func(row scan) error {
		var v string
		err := row(&v)
		values = append(values, v)
		return err
	})
	return values, err
}
