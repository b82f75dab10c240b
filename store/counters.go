package store

import (
	"context"
	"fmt"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Names of the totals. The status classes follow statusCounter.
const (
	statusCounter    = "subscriptions."
	customersCounter = "customers"
	boundCounter     = "bindings" // of hostings that we did not terminate
	suspendedCounter = "suspended_by_us"
)

// counters is a change of totals, stored in the same transaction as the rows that they
// count.
type counters map[string]int64

// add applies the change to table tallies.
func (t counters) add(ctx context.Context, tx conn) error { return t.addTo(ctx, tx, "tallies") }

// addTo applies the change to a table in one statement. Names go in order, so that two
// writers cannot wait for each other.
func (t counters) addTo(ctx context.Context, tx conn, table string) error {
	changes := make(map[string]int64, len(t))
	for name, n := range t {
		if n != 0 {
			changes[name] = n
		}
	}
	if len(changes) == 0 {
		return nil
	}
	pairs := "SELECT key, value FROM json_each($1)"
	if tx.d == postgres {
		pairs = "SELECT key, CAST(value AS BIGINT) FROM jsonb_each_text(CAST($1 AS JSONB))"
	}
	_, err := tx.exec(ctx, "INSERT INTO "+table+" (name, n) "+pairs+` WHERE TRUE ORDER BY 1
		ON CONFLICT (name) DO UPDATE SET n = `+table+`.n + excluded.n`, document(changes))
	return err
}

// loadCounters reads all totals.
func loadCounters(ctx context.Context, c conn) (counters, error) {
	t := counters{}
	return t, c.each(ctx, "SELECT name, n FROM tallies", nil, t.read)
}

// read adds one row with a name and a number.
func (t counters) read(row scan) error {
	var name string
	var n int64
	err := row(&name, &n)
	t[name] = n
	return err
}

// countRows counts the totals from the rows themselves.
func countRows(ctx context.Context, c conn) (counters, error) {
	t := counters{}
	err := c.each(ctx, `SELECT '`+statusCounter+`' || status, count(*) FROM subscriptions GROUP BY status
		UNION ALL SELECT '`+customersCounter+`', count(*) FROM customers
		UNION ALL SELECT '`+boundCounter+`', count(*) FROM bindings b JOIN hostings h ON h.id = b.hosting_id WHERE h.terminated_by_us IS NULL
		UNION ALL SELECT '`+suspendedCounter+`', count(*) FROM hostings WHERE suspended_by_us IS NOT NULL AND terminated_by_us IS NULL`,
		nil, func(row scan) error {
			var name string
			var n int64
			err := row(&name, &n)
			t[name] = n
			return err
		})
	return t, err
}

// recount replaces the totals by a new count. It runs after a sweep, which has looked at
// every row anyway, so that the totals are right within a day if a person edited rows.
func recount(ctx context.Context, tx conn) error {
	counted, err := countRows(ctx, tx)
	if err != nil {
		return err
	}
	kept, err := loadCounters(ctx, tx)
	if err != nil {
		return err
	}
	delta := counters{}
	for name, n := range kept {
		delta[name] = -n
	}
	for name, n := range counted {
		delta[name] += n
	}
	return delta.add(ctx, tx)
}

// Stats is the state of the store for health and metrics.
type Stats struct {
	reconcile.Totals
	Nudges int
	Lease  Lease
}

// Lease is the lease as it stands in the database.
type Lease struct {
	Owner string // "" if it is free
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
			(SELECT count(*) FROM nudges)`,
			[]any{at(now)}, &st.Due, into(&st.OldestDue), &st.Nudges); err != nil {
			return err
		}
		var token int64
		_, err := c.one(ctx, "SELECT owner, expires_at, token FROM leases WHERE name = $1", []any{leaseName}, &st.Lease.Owner, into(&st.Lease.Until), &token)
		st.Lease.Token = reconcile.Token(token)
		return err
	})
	return st, err
}

// Counts are the totals for health and for the brake's percentages. Only due,
// parked and ambiguous rows are counted; the rest is stored (table tallies).
func (s *Store) Counts(ctx context.Context) (counts reconcile.Counts, err error) {
	err = s.snapshot(ctx, "counting", func(ctx context.Context, c conn) error {
		const due, parked, ambiguous = "now:due", "now:parked", "now:ambiguous" // no counter has such a name
		t := counters{}
		query := "SELECT name, n FROM tallies UNION ALL SELECT '" + due + "', count(*) FROM customers WHERE due_at IS NOT NULL AND due_at <= $1" +
			" UNION ALL SELECT '" + parked + "', count(*) FROM customers WHERE parked_at IS NOT NULL" +
			" UNION ALL SELECT '" + ambiguous + "', count(*) FROM actions WHERE state = 'ambiguous'"
		err := c.each(ctx, query, []any{at(s.now())}, t.read)
		counts = t.counts()
		counts.Due, counts.Parked, counts.Ambiguous = int(t[due]), int(t[parked]), int(t[ambiguous])
		return err
	})
	return counts, err
}

// counts reads the totals as the report knows them.
func (t counters) counts() reconcile.Counts {
	c := reconcile.Counts{Customers: int(t[customersCounter]), Bound: int(t[boundCounter]), Suspended: int(t[suspendedCounter])}
	for status := reconcile.StatusActive; status <= reconcile.StatusUnknown; status++ {
		n := int(t[statusCounter+status.String()])
		c.Subscriptions += n
		switch status {
		case reconcile.StatusActive, reconcile.StatusTrialing, reconcile.StatusPastDue:
			c.Active += n
		case reconcile.StatusCanceled:
			c.Canceled += n
		default: // the report has no number of these alone
		}
	}
	return c
}

// How many bindings are of hostings that we did not terminate, and how many hostings we
// keep suspended, among the hostings of parameter 1.
const (
	boundCount     = "(SELECT count(*) FROM bindings b JOIN hostings h ON h.id = b.hosting_id WHERE h.terminated_by_us IS NULL AND b.hosting_id IN %s)"
	suspendedCount = "(SELECT count(*) FROM hostings WHERE suspended_by_us IS NOT NULL AND terminated_by_us IS NULL AND id IN %s)"
)

// measured keeps the totals of bindings and suspensions right across fn, which
// changes these hostings and nothing else that is counted.
func measured(ctx context.Context, tx conn, hostings []int64, fn func() error) error {
	if len(hostings) == 0 {
		return fn()
	}
	in := tx.d.ints(1)
	countBound, countSuspended := fmt.Sprintf(boundCount, in), fmt.Sprintf(suspendedCount, in)
	var bound, suspended int64
	if _, err := tx.one(ctx, "SELECT "+countBound+", "+countSuspended, []any{list(hostings)}, &bound, &suspended); err != nil {
		return err
	}
	if err := fn(); err != nil {
		return err
	}
	_, err := tx.exec(ctx, "INSERT INTO tallies (name, n) SELECT name, n FROM (SELECT '"+boundCounter+"' AS name, "+countBound+` - $2 AS n
		UNION ALL SELECT '`+suspendedCounter+"', "+countSuspended+` - $3) changes WHERE n <> 0
		ON CONFLICT (name) DO UPDATE SET n = tallies.n + excluded.n`, list(hostings), bound, suspended)
	return err
}
