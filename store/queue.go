package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Due returns complete customers that are due, a page at a time, in the order in
// which they became due. It reads what is due and nothing else, however much is
// stored.
func (s *Store) Due(ctx context.Context, now time.Time, after string, limit int) ([]reconcile.Customer, string, error) {
	const op = "reading the queue"
	since, id, err := parsePosition(after)
	if err != nil {
		return nil, "", failed(op, err)
	}
	var customers []reconcile.Customer
	next := ""
	err = s.snapshot(ctx, op, func(ctx context.Context, c conn) error {
		heads, err := loadHeads(ctx, c, `due_at <= $1 AND (due_at, id) > ($2, $3) ORDER BY due_at, id LIMIT $4`,
			at(now), at(since), id, limit)
		if err != nil || len(heads) == 0 {
			return err
		}
		if last := heads[len(heads)-1]; len(heads) == limit {
			next = position(last.due, last.ID)
		}
		customers, err = aggregates(ctx, c, heads)
		return err
	})
	return customers, next, err
}

// position is a place in the queue: the due time in microseconds and the id.
func position(due time.Time, id string) string {
	return strconv.FormatInt(due.UnixMicro(), 10) + ":" + id
}

// beginning is before every due time that is ever stored.
var beginning = time.Unix(-1<<33, 0)

func parsePosition(p string) (time.Time, string, error) {
	if p == "" {
		return beginning, "", nil
	}
	us, id, ok := strings.Cut(p, ":")
	n, err := strconv.ParseInt(us, 10, 64)
	if !ok || err != nil {
		return time.Time{}, "", permanent("no position in the queue: %q", p)
	}
	return time.UnixMicro(n), id, nil
}

// Customers returns complete customers by their ids, ordered by id; unknown ids
// are left out.
func (s *Store) Customers(ctx context.Context, ids []string) ([]reconcile.Customer, error) {
	var customers []reconcile.Customer
	err := s.snapshot(ctx, "reading customers", func(ctx context.Context, c conn) error {
		heads, err := loadHeads(ctx, c, "id IN "+c.d.texts(1)+" ORDER BY id", list(ids))
		if err != nil || len(heads) == 0 {
			return err
		}
		customers, err = aggregates(ctx, c, heads)
		return err
	})
	return customers, err
}

// CustomersOf returns the ids of the customers of these subscriptions, each once,
// in order.
func (s *Store) CustomersOf(ctx context.Context, subscriptions []string) ([]string, error) {
	var ids []string
	query := `SELECT DISTINCT c.customer_id FROM subscriptions s JOIN stripe_customers c ON c.id = s.stripe_customer_id
		WHERE s.id IN ` + s.d.texts(1) + ` ORDER BY c.customer_id`
	err := s.query(ctx, "finding customers", query, []any{list(subscriptions)}, func(row scan) error {
		var id string
		err := row(&id)
		ids = append(ids, id)
		return err
	})
	return ids, err
}

// head is a row of customers: the root of an aggregate.
type head struct {
	reconcile.Customer
	key string // of the e-mail
	org string
	due time.Time
}

// loadHeads reads rows of customers by a condition.
func loadHeads(ctx context.Context, c conn, where string, args ...any) ([]head, error) {
	var heads []head
	query := `SELECT id, email, email_key, name, coalesce(org_id, ''), org_guest, org_named, invited_at, invited_email, due_at, wakes,
		failures, retry_after, parked_at, last_error, planned_at, words FROM customers WHERE ` + where
	err := c.each(ctx, query, args, func(row scan) error {
		heads = append(heads, head{})
		h := &heads[len(heads)-1]
		return row(&h.ID, &h.Email, &h.key, &h.Name, &h.org, &h.OrgGuest, &h.OrgNamed, into(&h.Invited), &h.InvitedEmail, into(&h.due), &h.Version,
			&h.Failures, into(&h.RetryAfter), into(&h.Parked), &h.LastError, into(&h.PlannedAt), &h.Instructions)
	})
	return heads, err
}

// badRow names the row that holds something unreadable.
func badRow(what string, id any, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %v: %w", what, id, err)
}
