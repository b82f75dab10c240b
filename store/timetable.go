package store

import (
	"context"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Postpone records a customer's failure and when it is due again. Without an
// error it clears failures, back-off and parking. A customer that was woken since
// it was loaded keeps its earlier time.
func (s *Store) Postpone(ctx context.Context, tok reconcile.Token, b reconcile.Backoff, now time.Time) error {
	return s.fenced(ctx, "postponing "+b.Customer, tok, func(ctx context.Context, tx conn) error {
		counts := 0
		if b.Counts {
			counts = 1
		}
		parked := b.Error != "" && b.Parked
		_, err := tx.exec(ctx, `UPDATE customers SET
			failures    = CASE WHEN $2 THEN failures + $3 ELSE 0 END,
			retry_after = CASE WHEN $2 THEN CAST($4 AS TIMESTAMPTZ) ELSE NULL END,
			parked_at   = CASE WHEN NOT $2 THEN NULL WHEN $5 THEN coalesce(parked_at, CAST($6 AS TIMESTAMPTZ)) ELSE parked_at END,
			last_error  = $7,
			due_at      = CASE WHEN CAST($4 AS TIMESTAMPTZ) IS NULL OR ($8 >= 0 AND wakes <> $8) THEN due_at
				WHEN due_at IS NULL OR due_at <= $6 OR due_at > $4 THEN $4 ELSE due_at END
			WHERE id = $1`,
			b.Customer, b.Error != "", counts, at(b.Due), parked, at(now), clean(b.Error), s.woken.seen(b.Customer))
		return err
	})
}

// allChunk is how many customers one transaction makes due when all are.
const allChunk = 10_000

// MakeDue makes customers due at now, unless they are due earlier: these, or all
// when ids is nil.
func (s *Store) MakeDue(ctx context.Context, tok reconcile.Token, ids []string, now time.Time) error {
	const op = "making customers due"
	if ids != nil {
		return s.fenced(ctx, op, tok, func(ctx context.Context, tx conn) error { return wake(ctx, tx, append([]string(nil), ids...), now) })
	}
	after := ""
	for {
		var page []string
		err := s.fenced(ctx, op, tok, func(ctx context.Context, tx conn) error {
			var err error
			page, err = tx.strings(ctx, "SELECT id FROM customers WHERE id > $1 ORDER BY id LIMIT $2", after, allChunk)
			if err != nil || len(page) == 0 {
				return err
			}
			return wake(ctx, tx, page, now)
		})
		if err != nil || len(page) < allChunk {
			return err
		}
		after = page[len(page)-1]
	}
}

// DueCount is how many customers are due at now.
func (s *Store) DueCount(ctx context.Context, now time.Time) (int, error) {
	n := 0
	err := s.query(ctx, "counting the queue", "SELECT count(*) FROM customers WHERE due_at <= $1", []any{at(now)}, func(row scan) error {
		return row(&n)
	})
	return n, err
}
