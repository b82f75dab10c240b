package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// How long the database may take, from the outside in. They are kept by the
// context, not by the server's settings, so that no session state is needed; only
// what must hold when this process is not there to look is the server's, set for
// the one transaction.
const (
	// transactionLimit bounds one attempt of a write: ten times what merging a
	// chunk of a sweep takes on a slow disk.
	transactionLimit = 60 * time.Second
	// readLimit bounds one read of a bounded number of rows.
	readLimit = 30 * time.Second
	// lockLimit is how long a statement waits for a row that another holds.
	lockLimit = "5s"
	// idleLimit is how long a transaction may stand still between two statements.
	// Every write locks the lease's row, so a writer that is frozen or cut off in
	// the middle of one would keep other processes from taking over until TCP gives up,
	// hours later. The server ends such a session.
	idleLimit = "10s"
	// attempts a transaction has when the database asks to repeat it; the pause
	// before each doubles from firstPause, with jitter so that two who collided
	// do not collide again.
	attempts   = 5
	firstPause = 10 * time.Millisecond
)

// querier is what *sql.DB and *sql.Tx have in common.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// conn is a connection pool or a transaction with its dialect.
type conn struct {
	q querier
	d dialect
}

// scan reads the columns of the present row.
type scan func(dst ...any) error

// each runs a query and calls row for every row. No other statement may run on a
// transaction meanwhile.
func (c conn) each(ctx context.Context, query string, args []any, row func(scan) error) error {
	rows, err := c.q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// one reads the only row of a query into dst; false when there is none.
func (c conn) one(ctx context.Context, query string, args []any, dst ...any) (found bool, err error) {
	err = c.each(ctx, query, args, func(s scan) error {
		found = true
		return s(dst...)
	})
	return found, err
}

// exec runs a statement and returns how many rows it changed.
func (c conn) exec(ctx context.Context, query string, args ...any) (int64, error) {
	result, err := c.q.ExecContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// fenced runs fn in a write transaction that proceeds only while tok is the
// lease's token. fn may run several times and must start afresh each time.
func (s *Store) fenced(ctx context.Context, op string, tok reconcile.Token, fn func(context.Context, conn) error) error {
	return s.transact(ctx, op, func(ctx context.Context, tx conn) error {
		if err := checkToken(ctx, tx, tok); err != nil {
			return err
		}
		return fn(ctx, tx)
	})
}

// unfenced runs fn in a write transaction that needs no lease: nudges and what people
// change.
func (s *Store) unfenced(ctx context.Context, op string, fn func(context.Context, conn) error) error {
	return s.transact(ctx, op, withSettings(fn))
}

// first is unfenced for webhooks, whose sender waits. It does not line up for a turn: of
// all other writes, however many wait, at most one comes before it.
func (s *Store) first(ctx context.Context, op string, fn func(context.Context, conn) error) error {
	return s.repeat(ctx, op, withSettings(fn))
}

// withSettings makes the settings of a transaction before fn.
func withSettings(fn func(context.Context, conn) error) func(context.Context, conn) error {
	return func(ctx context.Context, tx conn) error {
		if tx.d == postgres {
			if err := tx.each(ctx, "SELECT "+settings(1), []any{lockLimit, idleLimit}, ignore); err != nil {
				return err
			}
		}
		return fn(ctx, tx)
	}
}

func ignore(scan) error { return nil }

// settings are the settings of one transaction on PostgreSQL, the first of its two
// parameters having number n: lockLimit, idleLimit, and that the commit is durable when
// it returns. A role, a database or the URL may set something else (synchronous_commit=off
// to be faster, remote_write or local not to wait for a standby), and then a crash or a
// failover forgets an intent, an outcome, an approval, a webhook that was acknowledged,
// or who has the lease. Set for the transaction alone, it costs no round trip and
// leaves no state behind in a pooler's session.
func settings(n int) string {
	return fmt.Sprintf(`set_config('lock_timeout', $%d, true), set_config('idle_in_transaction_session_timeout', $%d, true),
		set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true)`, n, n+1)
}

// checkToken compares the token and keeps the lease row from changing hands until
// the transaction ends. On PostgreSQL the same round trip makes the settings of the
// transaction.
func checkToken(ctx context.Context, tx conn, tok reconcile.Token) error {
	query, args := "SELECT token FROM leases WHERE name = $1", []any{leaseName}
	var have int64
	var found bool
	var err error
	if tx.d == postgres {
		var lock, idle, durable string
		query = "SELECT token, " + settings(2) + " FROM leases WHERE name = $1" + tx.d.forShare()
		found, err = tx.one(ctx, query, append(args, lockLimit, idleLimit), &have, &lock, &idle, &durable)
	} else {
		found, err = tx.one(ctx, query, args, &have)
	}
	switch {
	case err != nil:
		return err
	case !found || have != int64(tok):
		return lostLease(tok, have)
	}
	return nil
}

func lostLease(tok reconcile.Token, have int64) error {
	return fault.Errorf(fault.Fenced, "token %d is no longer the lease's (%d)", tok, have)
}

// transact runs fn in a transaction on the writing side when it is its turn.
func (s *Store) transact(ctx context.Context, op string, fn func(context.Context, conn) error) error {
	if s.d == sqlite { // it has one connection that writes
		select {
		case s.turn <- struct{}{}:
			defer func() { <-s.turn }()
		case <-ctx.Done():
			return failed(op, ctx.Err())
		}
	}
	return s.repeat(ctx, op, fn)
}

// repeat runs fn in a transaction on the writing side, again when the database asks for
// that.
func (s *Store) repeat(ctx context.Context, op string, fn func(context.Context, conn) error) error {
	for attempt := 1; ; attempt++ {
		err := s.attempt(ctx, s.write, nil, func(ctx context.Context, tx conn) error {
			err := fn(ctx, tx)
			if err == nil {
				s.failpoint("before-commit", op)
			}
			return err
		})
		if err == nil {
			s.failpoint("after-commit", op)
		}
		if err == nil || attempt == attempts || !repeatable(err) {
			return failed(op, advise(s.path, err))
		}
		pause(ctx, firstPause<<attempt)
	}
}

// snapshot runs fn over one consistent state of the database, for reads of
// several statements.
func (s *Store) snapshot(ctx context.Context, op string, fn func(context.Context, conn) error) error {
	var opts *sql.TxOptions
	if s.d == postgres {
		opts = &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
	}
	return failed(op, s.attempt(ctx, s.read, opts, fn))
}

func (s *Store) attempt(ctx context.Context, db *sql.DB, opts *sql.TxOptions, fn func(context.Context, conn) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, transactionLimit)
	defer cancel()
	tx, err := db.BeginTx(ctx, opts)
	if err != nil {
		return err
	}
	if err := fn(ctx, conn{tx, s.d}); err != nil {
		return errors.Join(err, rollback(tx))
	}
	return tx.Commit()
}

// rollback reports only what the caller does not know already.
func rollback(tx *sql.Tx) error {
	if err := tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
		return err
	}
	return nil
}

// reader is the reading side without a transaction.
func (s *Store) reader() conn { return conn{s.read, s.d} }

// query runs one read outside a transaction.
func (s *Store) query(ctx context.Context, op, query string, args []any, row func(scan) error) error {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	return failed(op, s.reader().each(ctx, query, args, row))
}

// strings runs one read of one column outside a transaction.
func (s *Store) strings(ctx context.Context, op, query string, args ...any) (values []string, err error) {
	err = s.query(ctx, op, query, args, func(row scan) error {
		var v string
		err := row(&v)
		values = append(values, v)
		return err
	})
	return values, err
}

// pageSize is how many rows a stream reads in one query. Nothing stays open between
// pages, so the caller may use the store meanwhile.
const pageSize = 500

// stream hands over values page by page. read runs the query of one page, adds the values
// of its rows, and returns how many rows there were.
func stream[T any](use func(T) error, read func(add func(...T)) (rows int, err error)) error {
	for {
		var page []T
		rows, err := read(func(more ...T) { page = append(page, more...) })
		if err != nil {
			return err
		}
		for _, one := range page {
			if err := use(one); err != nil {
				return err
			}
		}
		if rows < pageSize {
			return nil
		}
	}
}

// pause waits d, give or take a half, or until ctx ends, which the next transaction reports.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d/2 + rand.N(d))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// strings collects the only column of a query.
func (c conn) strings(ctx context.Context, query string, args ...any) ([]string, error) {
	var values []string
	err := c.each(ctx, query, args, func(row scan) error {
		var v string
		err := row(&v)
		values = append(values, v)
		return err
	})
	return values, err
}
