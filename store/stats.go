package store

import (
	"context"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Stats is the state of the store for health and metrics.
type Stats struct {
	reconcile.Totals
	Held   int // customers with something withheld
	Nudges int
	Lease  Lease
}

// Lease is the lease as it stands in the database.
type Lease struct {
	Owner string // "" when nobody has it
	Until time.Time
	Token reconcile.Token
}

// Stats reads it as of now.
func (s *Store) Stats(ctx context.Context, now time.Time) (Stats, error) {
	var st Stats
	counts, err := s.Counts(ctx)
	if err != nil {
		return st, err
	}
	st.Counts = counts
	err = s.snapshot(ctx, "reading statistics", func(ctx context.Context, c conn) error {
		if _, err := c.one(ctx, `SELECT (SELECT count(*) FROM customers WHERE due_at <= $1),
			(SELECT min(due_at) FROM customers WHERE due_at <= $1),
			(SELECT count(*) FROM customers WHERE held IS NOT NULL), (SELECT count(*) FROM nudges)`,
			[]any{at(now)}, &st.Due, into(&st.OldestDue), &st.Held, &st.Nudges); err != nil {
			return err
		}
		var token int64
		_, err := c.one(ctx, "SELECT owner, expires_at, token FROM leases WHERE name = $1", []any{leaseName}, &st.Lease.Owner, into(&st.Lease.Until), &token)
		st.Lease.Token = reconcile.Token(token)
		return err
	})
	return st, err
}
