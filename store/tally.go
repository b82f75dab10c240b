package store

import (
	"context"
)

// Names of the totals. The status classes follow statusTally.
const (
	statusTally    = "subscriptions."
	customersTally = "customers"
	boundTally     = "bindings" // of hostings that we did not terminate
	suspendedTally = "suspended_by_us"
)

// tally is a change of totals, kept in the transaction that changes what they
// count.
type tally map[string]int64

// add applies the change in one statement. Names go in order, so that two writers
// cannot wait for each other.
func (t tally) add(ctx context.Context, tx conn) error {
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
	_, err := tx.exec(ctx, "INSERT INTO tallies (name, n) "+pairs+` WHERE TRUE ORDER BY 1
		ON CONFLICT (name) DO UPDATE SET n = tallies.n + excluded.n`, document(changes))
	return err
}

// loadTallies reads all totals.
func loadTallies(ctx context.Context, c conn) (tally, error) {
	t := tally{}
	err := c.each(ctx, "SELECT name, n FROM tallies", nil, func(row scan) error {
		var name string
		var n int64
		err := row(&name, &n)
		t[name] = n
		return err
	})
	return t, err
}

// countTallies counts what the totals say, from the rows themselves.
func countTallies(ctx context.Context, c conn) (tally, error) {
	t := tally{}
	err := c.each(ctx, `SELECT '`+statusTally+`' || status, count(*) FROM subscriptions GROUP BY status
		UNION ALL SELECT '`+customersTally+`', count(*) FROM customers
		UNION ALL SELECT '`+boundTally+`', count(*) FROM bindings b JOIN hostings h ON h.id = b.hosting_id WHERE h.terminated_by_us IS NULL
		UNION ALL SELECT '`+suspendedTally+`', count(*) FROM hostings WHERE suspended_by_us IS NOT NULL AND terminated_by_us IS NULL`,
		nil, func(row scan) error {
			var name string
			var n int64
			err := row(&name, &n)
			t[name] = n
			return err
		})
	return t, err
}

// recount replaces the totals by what is counted: after a sweep, which looked at
// everything anyway, and so that rows edited by hand are put right within a day.
func recount(ctx context.Context, tx conn) error {
	counted, err := countTallies(ctx, tx)
	if err != nil {
		return err
	}
	kept, err := loadTallies(ctx, tx)
	if err != nil {
		return err
	}
	delta := tally{}
	for name, n := range kept {
		delta[name] = -n
	}
	for name, n := range counted {
		delta[name] += n
	}
	return delta.add(ctx, tx)
}
