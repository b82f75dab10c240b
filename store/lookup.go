package store

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// FindCustomers returns the matching customers by id, with up to history journal
// rows each. None is no error.
func (s *Store) FindCustomers(ctx context.Context, l reconcile.CustomerLookup, history int) ([]reconcile.CustomerRecord, error) {
	var records []reconcile.CustomerRecord
	const op = "finding customers"
	err := s.snapshot(ctx, op, func(ctx context.Context, c conn) error {
		records = nil
		ids, err := c.strings(ctx, `SELECT customer_id FROM stripe_customers WHERE email_key <> '' AND email_key = $1
			UNION SELECT customer_id FROM stripe_customers WHERE id = $2
			UNION SELECT id FROM customers WHERE id = $2
			UNION SELECT b.customer_id FROM subscriptions s JOIN stripe_customers b ON b.id = s.stripe_customer_id WHERE s.id = $3`,
			reconcile.EmailKey(l.Email), l.StripeCustomer, l.Subscription)
		if err != nil || len(ids) == 0 {
			return err
		}
		heads, err := loadHeads(ctx, c, "id IN "+c.d.texts(1), "c.id", list(ids))
		if err != nil {
			return err
		}
		customers, err := aggregates(ctx, c, heads)
		if err != nil {
			return err
		}
		for i, customer := range customers {
			r := reconcile.CustomerRecord{Customer: customer, DueAt: heads[i].due}
			if err := complete(ctx, c, &r, history); err != nil {
				return err
			}
			records = append(records, r)
		}
		return nil
	})
	return records, err
}

// complete adds what the planner does not need and a person does.
func complete(ctx context.Context, c conn, r *reconcile.CustomerRecord, history int) error {
	var held []byte
	_, err := c.one(ctx, "SELECT held FROM customers WHERE id = $1", []any{r.ID}, &held)
	if err != nil {
		return err
	}
	if r.Held, err = decodeHolds(r.ID, held); err != nil {
		return err
	}
	return c.each(ctx, recordColumns+"WHERE customer_id = $1 ORDER BY "+happened+" DESC, position DESC, key LIMIT $2", []any{r.ID, history}, func(row scan) error {
		a, _, err := scanRecord(row)
		r.History = append(r.History, a)
		return err
	})
}

// happened is when a row of the journal came to what it is: when it was done, refused or
// given up, else when it was sent, else when it was planned. Rows are shown with it and in
// its order.
const happened = "coalesce(finished_at, sent_at, planned_at)"

// Actions returns journal rows, the newest by when they happened first.
func (s *Store) Actions(ctx context.Context, f reconcile.ActionFilter) ([]reconcile.ActionRecord, error) {
	state := ""
	if f.State != 0 {
		state = f.State.String()
	}
	if f.Limit <= 0 {
		f.Limit = 100
	}
	query, args := recordColumns+"WHERE (CAST($1 AS TEXT) = '' OR state = $1)", []any{state, f.Limit}
	if f.Customer != "" {
		query += " AND customer_id IN (SELECT customer_id FROM stripe_customers WHERE id = $3 UNION SELECT id FROM customers WHERE id = $3)"
		args = append(args, f.Customer)
	}
	if f.Subscription != "" {
		query += " AND subscription_id <> '' AND subscription_id = $" + string(rune('0'+len(args)+1))
		args = append(args, f.Subscription)
	}
	if f.Customer == "" && f.Subscription == "" {
		query += " AND key IN (" + newestKeys() + ")"
	}
	var records []reconcile.ActionRecord
	err := s.query(ctx, "reading the journal", query+" ORDER BY "+happened+" DESC, key DESC LIMIT $2", args, func(row scan) error {
		r, _, err := scanRecord(row)
		records = append(records, r)
		return err
	})
	return records, err
}

// newestKeys are the keys among which the newest rows of the whole journal are: the newest
// of each kind that ended, by the index on that, and those still open. There is no index
// on what happened, and a journal may have millions of rows.
func newestKeys() string {
	const newest = "SELECT key FROM (SELECT key FROM actions WHERE (CAST($1 AS TEXT) = '' OR state = $1) AND "
	parts := []string{newest + "state IN ('planned', 'held', 'sent', 'ambiguous') ORDER BY coalesce(sent_at, planned_at) DESC, key DESC LIMIT $2) o"}
	for _, kind := range reconcile.Kinds() {
		parts = append(parts, newest+"kind = '"+kind.String()+"' AND finished_at IS NOT NULL ORDER BY finished_at DESC LIMIT $2) k"+strconv.Itoa(int(kind)))
	}
	return strings.Join(parts, " UNION ALL ")
}

// Retry releases a customer from parking and back-off and makes it due now. id is
// a journal key, an action id (which means its newest row, open or not), a customer,
// a Stripe customer or a subscription; it returns the customer, or ErrNotFound. No
// lease is needed.
func (s *Store) Retry(ctx context.Context, id string, now time.Time) (customer string, err error) {
	err = s.unfenced(ctx, "retrying "+id, func(ctx context.Context, tx conn) error {
		customer = ""
		// Keys begin with the action's id and "@", the character before "A": a range
		// of the primary key, where action_id alone has an index for open rows only.
		ids, err := tx.strings(ctx, `SELECT customer_id FROM actions WHERE key = $1
			UNION SELECT customer_id FROM (SELECT customer_id FROM actions
				WHERE key > $1 || '@' AND key < $1 || 'A' AND action_id = $1 ORDER BY planned_at DESC, key DESC LIMIT 1) newest
			UNION SELECT id FROM customers WHERE id = $1
			UNION SELECT customer_id FROM stripe_customers WHERE id = $1
			UNION SELECT c.customer_id FROM subscriptions s JOIN stripe_customers c ON c.id = s.stripe_customer_id WHERE s.id = $1`, id)
		if err != nil {
			return err
		}
		for _, candidate := range ids {
			n, err := tx.exec(ctx, "UPDATE customers SET failures = 0, retry_after = NULL, parked_at = NULL, last_error = '' WHERE id = $1", candidate)
			if err != nil {
				return err
			}
			if n > 0 {
				customer = candidate
			}
		}
		if customer == "" {
			return ErrNotFound
		}
		return wake(ctx, tx, []string{customer}, now)
	})
	return customer, err
}
