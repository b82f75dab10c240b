package store

import (
	"context"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Postpone records a customer's failure and when it is due again. Without an
// error it clears failures, back-off and parking. Either counts as a wake-up: who
// loaded the customer before does not know of it.
//
// A customer that was woken since b was judged keeps its time, and its back-off and
// parking as they are: a person may have released it meanwhile, and the failure is
// of an attempt that began before. The failure itself is counted all the same.
func (s *Store) Postpone(ctx context.Context, tok reconcile.Token, b reconcile.Backoff, now time.Time) error {
	return s.fenced(ctx, "postponing "+b.Customer, tok, func(ctx context.Context, tx conn) error {
		counts := 0
		if b.Counts {
			counts = 1
		}
		parked := b.Error != "" && b.Parked
		_, err := tx.exec(ctx, `UPDATE customers SET
			failures    = CASE WHEN $2 THEN failures + $3 WHEN wakes <> $8 THEN failures ELSE 0 END,
			retry_after = CASE WHEN wakes <> $8 THEN retry_after WHEN $2 THEN CAST($4 AS TIMESTAMPTZ) ELSE NULL END,
			parked_at   = CASE WHEN wakes <> $8 THEN parked_at WHEN NOT $2 THEN NULL
				WHEN $5 THEN coalesce(parked_at, CAST($6 AS TIMESTAMPTZ)) ELSE parked_at END,
			last_error  = CASE WHEN NOT $2 AND wakes <> $8 THEN last_error ELSE $7 END,
			due_at      = CASE WHEN CAST($4 AS TIMESTAMPTZ) IS NULL OR wakes <> $8 THEN due_at
				WHEN due_at IS NULL OR due_at <= $6 OR due_at > $4 THEN $4 ELSE due_at END,
			wakes       = wakes + 1
			WHERE id = $1`,
			b.Customer, b.Error != "", counts, at(b.Due), parked, at(now), clean(b.Error), b.Version)
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

// LookAgain makes bound hostings due to be compared with the panel: those of these
// subscriptions, or all when it is nil. When they were seen last is forgotten.
func (s *Store) LookAgain(ctx context.Context, tok reconcile.Token, subscriptions []string) error {
	const op = "making hostings due for a look"
	return s.fenced(ctx, op, tok, func(ctx context.Context, tx conn) error {
		if subscriptions == nil {
			_, err := tx.exec(ctx, "UPDATE hostings SET observed_at = $1 WHERE bound AND terminated_by_us IS NULL AND observed_at > $1", at(orEpoch(time.Time{})))
			return err
		}
		_, err := tx.exec(ctx, `UPDATE hostings SET observed_at = $1 WHERE bound AND terminated_by_us IS NULL AND observed_at > $1
			AND id IN (SELECT hosting_id FROM bindings WHERE subscription_id IN `+tx.d.texts(2)+")", at(orEpoch(time.Time{})), list(subscriptions))
		return err
	})
}
