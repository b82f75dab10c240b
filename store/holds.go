package store

import (
	"context"
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

const holdColumns = `SELECT id, stripe_customer_id, subscription_id, kind, until, reason, author, created_at`

func scanHold(row scan) (h reconcile.ManualHold, err error) {
	var kind string
	err = row(&h.ID, &h.Customer, &h.Subscription, &kind, into(&h.Until), &h.Reason, &h.Author, into(&h.Created))
	h.Kind = reconcile.ParseManualKind(kind)
	return h, err
}

// ManualHolds lists the holds that people set and did not remove, oldest first,
// those that ran out before now left out.
func (s *Store) ManualHolds(ctx context.Context, now time.Time) ([]reconcile.ManualHold, error) {
	var holds []reconcile.ManualHold
	query := holdColumns + " FROM holds WHERE removed_at IS NULL AND (until IS NULL OR until > $1) ORDER BY created_at, id"
	err := s.query(ctx, "reading manual holds", query, []any{at(now)}, func(row scan) error {
		h, err := scanHold(row)
		holds = append(holds, h)
		return err
	})
	return holds, err
}

// AddManualHold stores a hold and makes its customer due. Exactly one of Customer
// and Subscription must be set; the id must be new. It reports whether that is known
// already: a hold on one that is not applies from the moment it is seen.
func (s *Store) AddManualHold(ctx context.Context, h reconcile.ManualHold) (known bool, err error) {
	if (h.Customer == "") == (h.Subscription == "") || h.ID == "" || h.Kind == 0 {
		return false, failed("adding a hold", permanent("a hold needs an id, a kind, and either a customer or a subscription"))
	}
	err = s.unfenced(ctx, "adding a hold", func(ctx context.Context, tx conn) error {
		customers, err := heldCustomers(ctx, tx, h)
		if err != nil {
			return err
		}
		known = len(customers) > 0
		if _, err := tx.exec(ctx, `INSERT INTO holds (id, stripe_customer_id, subscription_id, kind, until, reason, author, created_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`, h.ID, h.Customer, h.Subscription, h.Kind.String(), at(h.Until),
			clean(h.Reason), clean(h.Author), at(orEpoch(h.Created))); err != nil {
			return err
		}
		return wake(ctx, tx, customers, h.Created)
	})
	return known, err
}

// RemoveManualHold ends a hold and makes its customer due; false when there is no
// such hold. The row stays as history.
func (s *Store) RemoveManualHold(ctx context.Context, id string, now time.Time) (found bool, err error) {
	err = s.unfenced(ctx, "removing a hold", func(ctx context.Context, tx conn) error {
		var h reconcile.ManualHold
		found = false
		err := tx.each(ctx, holdColumns+" FROM holds WHERE id = $1 AND removed_at IS NULL", []any{id}, func(row scan) (err error) {
			found = true
			h, err = scanHold(row)
			return err
		})
		if err != nil || !found {
			return err
		}
		if _, err := tx.exec(ctx, "UPDATE holds SET removed_at = $2 WHERE id = $1", id, at(now)); err != nil {
			return err
		}
		customers, err := heldCustomers(ctx, tx, h)
		if err != nil {
			return err
		}
		return wake(ctx, tx, customers, now)
	})
	return found, err
}

// heldCustomers are the customers that a hold concerns.
func heldCustomers(ctx context.Context, tx conn, h reconcile.ManualHold) ([]string, error) {
	return tx.strings(ctx, `SELECT customer_id FROM stripe_customers WHERE id = $1
		UNION SELECT id FROM customers WHERE id = $1
		UNION SELECT c.customer_id FROM subscriptions s JOIN stripe_customers c ON c.id = s.stripe_customer_id WHERE s.id = $2`,
		h.Customer, h.Subscription)
}

// loadHolds attaches the holds that people set and did not remove. Whether one
// has run out is decided by the planner, because it knows the time.
func (a *aggregate) loadHolds(ctx context.Context) error {
	named := slices.Concat(sorted(a.buyers), sorted(a.byID))
	query := holdColumns + ` FROM holds WHERE removed_at IS NULL AND id IN (
		SELECT id FROM holds WHERE removed_at IS NULL AND stripe_customer_id IN ` + a.c.d.texts(1) + `
		UNION SELECT id FROM holds WHERE removed_at IS NULL AND subscription_id IN ` + a.c.d.texts(2) + `) ORDER BY created_at, id`
	return a.c.each(ctx, query, []any{list(named), keys(a.subs)}, func(row scan) error {
		h, err := scanHold(row)
		if err != nil {
			return err
		}
		var attached []*reconcile.Customer
		for _, customer := range []*reconcile.Customer{a.buyers[h.Customer], a.byID[h.Customer], a.subs[h.Subscription]} {
			if customer != nil && !slices.Contains(attached, customer) {
				attached = append(attached, customer)
				customer.Manual = append(customer.Manual, h)
			}
		}
		return nil
	})
}

// Holds calls yield with the holds of the last decision of every customer that has any,
// by customer.
func (s *Store) Holds(ctx context.Context, yield func(reconcile.Hold) error) error {
	after := ""
	return stream(yield, func(add func(...reconcile.Hold)) (customers int, err error) {
		query := "SELECT id, held FROM customers WHERE held IS NOT NULL AND id > $1 ORDER BY id LIMIT $2"
		err = s.query(ctx, "reading holds", query, []any{after, pageSize}, func(row scan) error {
			var text []byte
			if err := row(&after, &text); err != nil {
				return err
			}
			customers++
			holds, err := decodeHolds(after, text)
			add(holds...)
			return err
		})
		return customers, err
	})
}
