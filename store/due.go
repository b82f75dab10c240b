package store

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
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
// It is not raised if the writer stores something without making a customer due: intents,
// outcomes, plans, times of reading, owners, domains, sites and the content of hostings.
// Only the process with the lease stores those, so it knows of them: a customer whose
// version is the one it was loaded with has changed by nothing else.
//
// If a decision is saved with an older version, the customer stays due: the decision did
// not know of the wake-up.
func wake(ctx context.Context, tx conn, customers []string, now time.Time) error {
	if len(customers) == 0 {
		return nil
	}
	slices.Sort(customers) // one order for all transactions that lock several rows
	_, err := tx.exec(ctx, `UPDATE customers SET wakes = wakes + 1,
		due_at = CASE WHEN due_at <= $1 THEN due_at ELSE $1 END
		WHERE id IN `+tx.d.texts(2), at(now), list(slices.Compact(customers)))
	return err
}

// wakeOf wakes the customer of a subscription.
func wakeOf(ctx context.Context, tx conn, subscription string, now time.Time) error {
	customers, err := tx.strings(ctx, `SELECT c.customer_id FROM subscriptions s JOIN stripe_customers c ON c.id = s.stripe_customer_id
		WHERE s.id = $1`, subscription)
	if err != nil {
		return err
	}
	return wake(ctx, tx, customers, now)
}

// Postpone records a customer's failure and when it is due again. Without an
// error it clears failures, back-off and parking. Either counts as a wake-up: who
// loaded the customer before does not know of it.
//
// A customer that was woken since b was judged keeps its time, and its back-off and
// parking as they are: a person may have released it meanwhile, and the failure is
// of an attempt that began before. The failure itself is counted nevertheless.
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
		last, n := "", 0
		err := s.fenced(ctx, op, tok, func(ctx context.Context, tx conn) error {
			query := "SELECT coalesce(max(id), ''), count(*) FROM (SELECT id FROM customers WHERE id > $1 ORDER BY id LIMIT $2) page"
			if _, err := tx.one(ctx, query, []any{after, allChunk}, &last, &n); err != nil || n == 0 {
				return err
			}
			return wakeRange(ctx, tx, after, last, now)
		})
		if err != nil || n < allChunk {
			return err
		}
		after = last
	}
}

// wakeRange is wake for the customers after one id up to another. On SQLite, who is due
// already keeps the place in the queue without a write to its index, which costs a third;
// PostgreSQL finds out by itself, and there another writer could come between the two
// statements.
func wakeRange(ctx context.Context, tx conn, after, last string, now time.Time) error {
	const in = " WHERE id > $2 AND id <= $3"
	statements := []string{
		"UPDATE customers SET wakes = wakes + 1, due_at = CASE WHEN due_at <= $1 THEN due_at ELSE $1 END" + in,
	}
	if tx.d == sqlite {
		statements = []string{
			"UPDATE customers SET wakes = wakes + 1" + in + " AND (due_at <= $1) IS TRUE",
			"UPDATE customers SET wakes = wakes + 1, due_at = $1" + in + " AND (due_at <= $1) IS NOT TRUE",
		}
	}
	for _, statement := range statements {
		if _, err := tx.exec(ctx, statement, at(now), after, last); err != nil {
			return err
		}
	}
	return nil
}

// DueCount is how many customers are due at now.
func (s *Store) DueCount(ctx context.Context, now time.Time) (int, error) {
	n := 0
	err := s.query(ctx, "counting the queue", "SELECT count(*) FROM customers WHERE due_at <= $1", []any{at(now)}, func(row scan) error {
		return row(&n)
	})
	return n, err
}

// Retry releases a customer from parking and back-off and makes it due now. id is
// a journal key, an action id (which means its newest row, open or not), a customer,
// a Stripe customer or a subscription; it returns the customer, or ErrNotFound. No
// lease is needed.
func (s *Store) Retry(ctx context.Context, id string, now time.Time) (customer string, err error) {
	return s.retry(ctx, id, "", now)
}

// RetryWaiting is Retry, but it fails with fault.Conflict, and changes nothing, if the
// customer is neither parked nor backing off.
func (s *Store) RetryWaiting(ctx context.Context, id string, now time.Time) (customer string, err error) {
	return s.retry(ctx, id, " AND (parked_at IS NOT NULL OR retry_after IS NOT NULL OR failures > 0)", now)
}

func (s *Store) retry(ctx context.Context, id, only string, now time.Time) (customer string, err error) {
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
			n, err := tx.exec(ctx, "UPDATE customers SET failures = 0, retry_after = NULL, parked_at = NULL, last_error = '' WHERE id = $1"+only, candidate)
			if err != nil {
				return err
			}
			if n > 0 {
				customer = candidate
			}
		}
		switch {
		case customer == "" && only != "" && len(ids) > 0:
			return conflict(nil, "customer %s neither is parked nor waits after a failure", ids[0])
		case customer == "":
			return ErrNotFound
		}
		return wake(ctx, tx, []string{customer}, now)
	})
	return customer, err
}

// Due returns complete customers that are due, a page at a time, in the order in
// which they became due. It reads the due customers and nothing else, however many are
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
		heads, err := loadHeads(ctx, c, `due_at <= $1 AND (due_at, id) > ($2, $3) ORDER BY due_at, id LIMIT $4`, "c.due_at, c.id",
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

// beginning is before every due time that is stored.
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
