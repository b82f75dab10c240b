package store

import (
	"context"
	"database/sql"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Payers calls yield with the id, buyer and items of every subscription of the mirror that
// is active, trialing or past_due and that Stripe does not deny, by id.
func (s *Store) Payers(ctx context.Context, yield func(reconcile.Subscription) error) error {
	after := ""
	for {
		var page []reconcile.Subscription
		err := s.query(ctx, "reading who pays", `SELECT id, stripe_customer_id, items FROM subscriptions
			WHERE id > $1 AND NOT gone AND status IN ('active', 'trialing', 'past_due') ORDER BY id LIMIT $2`,
			[]any{after, pageSize}, func(row scan) error {
				var one reconcile.Subscription
				var items sql.RawBytes
				err := row(&one.ID, &one.StripeCustomer, &items)
				if err == nil {
					one.Items, err = decodeItems(items)
				}
				if err != nil {
					return badRow("subscription", one.ID, err)
				}
				page = append(page, one)
				return nil
			})
		if err != nil {
			return err
		}
		for _, one := range page {
			after = one.ID
			if err := yield(one); err != nil {
				return err
			}
		}
		if len(page) < pageSize {
			return nil
		}
	}
}
