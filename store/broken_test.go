package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strings"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/pgtest"
)

// breaker makes one step of a database fail: a statement, the beginning or the end of a
// transaction, or one row, which then holds values that nothing can read.
type breaker struct {
	armed bool
	left  int  // steps until one breaks
	rows  bool // rows are the steps
	broke bool
	parts bool // writes are committed; else none is, so that the next try begins as this one did

	rollback error // of every rollback
}

var (
	errBroken      = errors.New("this step was broken")
	errUncommitted = errors.New("nothing is committed here")
)

// unreadable is a value of no type that a row may have.
type unreadable struct{}

func (b *breaker) hits() bool {
	b.left--
	b.broke = b.broke || b.left == 0
	return b.left == 0
}

// step counts a step and returns its error.
func (b *breaker) step() error {
	if b.armed && !b.rows && b.hits() {
		return errBroken
	}
	return nil
}

// row counts a row.
func (b *breaker) row(values []driver.Value) {
	if !b.armed || !b.rows || !b.hits() {
		return
	}
	for i := range values {
		values[i] = unreadable{}
	}
}

// breakable puts a breaker before the database of a store.
func breakable(f *fixture) *breaker {
	b := new(breaker)
	wrap := func(db *sql.DB) *sql.DB {
		wrapped := sql.OpenDB(&brokenConnector{db, b})
		wrapped.SetMaxOpenConns(db.Stats().MaxOpenConnections)
		f.close = append([]func() error{wrapped.Close}, f.close...)
		return wrapped
	}
	alone := f.read == f.write
	if f.write = wrap(f.write); alone {
		f.read = f.write
	} else {
		f.read = wrap(f.read)
	}
	return b
}

// brokenConnector connects by connections of another pool.
type brokenConnector struct {
	db *sql.DB
	b  *breaker
}

func (c *brokenConnector) Driver() driver.Driver { return c.db.Driver() }

func (c *brokenConnector) Connect(ctx context.Context) (driver.Conn, error) {
	owner, err := c.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	made := &brokenConn{owner: owner, b: c.b}
	err = owner.Raw(func(inner any) error {
		made.Conn = inner.(driver.Conn)
		return nil
	})
	return made, err
}

type brokenConn struct {
	driver.Conn
	owner *sql.Conn
	b     *breaker
	wrote bool // in this transaction
}

func (c *brokenConn) Close() error { return c.owner.Close() }

func (c *brokenConn) CheckNamedValue(v *driver.NamedValue) error {
	if checker, ok := c.Conn.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

func (c *brokenConn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	if err := c.b.step(); err != nil {
		return nil, err
	}
	c.wrote = false
	tx, err := c.Conn.(driver.ConnBeginTx).BeginTx(ctx, o)
	return &brokenTx{tx, c}, err
}

func (c *brokenConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.b.step(); err != nil {
		return nil, err
	}
	c.wrote = c.wrote || !strings.HasPrefix(query, "SELECT")
	rows, err := c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
	if err != nil || strings.HasPrefix(query, "SELECT 1 ") || strings.HasPrefix(query, "SELECT set_config") {
		return rows, err // the caller does not look into its rows
	}
	return &brokenRows{rows, c.b}, nil
}

func (c *brokenConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.b.step(); err != nil {
		return nil, err
	}
	c.wrote = true
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
}

func (c *brokenConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if err := c.b.step(); err != nil {
		return nil, err
	}
	c.wrote = true
	stmt, err := c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, query)
	return &brokenStmt{stmt, c.b}, err
}

type brokenTx struct {
	driver.Tx
	c *brokenConn
}

func (tx *brokenTx) Commit() error {
	err := tx.c.b.step()
	if err == nil && tx.c.b.armed && tx.c.wrote && !tx.c.b.parts {
		err = errUncommitted
	}
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Tx.Commit()
}

func (tx *brokenTx) Rollback() error { return errors.Join(tx.Tx.Rollback(), tx.c.b.rollback) }

type brokenRows struct {
	driver.Rows
	b *breaker
}

func (r *brokenRows) Next(values []driver.Value) error {
	if err := r.Rows.Next(values); err != nil {
		return err
	}
	r.b.row(values)
	return nil
}

type brokenStmt struct {
	driver.Stmt
	b *breaker
}

func (s *brokenStmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	if err := s.b.step(); err != nil {
		return nil, err
	}
	return s.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
}

// call is a call of the store, to be made again and again.
type call struct {
	name  string
	make  func(context.Context) error
	first func() // before every try
	parts bool   // it has several transactions that write
	blind int    // so many of its rows are not looked into

	refused fault.Kind // of its error if nothing is broken; 0: it has none
}

// mostSteps is more than any call here has: one that takes more never ends.
const mostSteps = 500

// breaks makes a call with each of its steps and rows broken in turn. Each time it has to
// return that error, and without parts nothing may have changed afterwards.
func (b *breaker) breaks(t *testing.T, f *fixture, c call) {
	t.Helper()
	if c.first != nil {
		c.first()
	}
	before := f.dump()
	for _, rows := range []bool{true, false} {
		unnoticed, ended := 0, false
		for n := 1; n <= mostSteps; n++ {
			if c.first != nil {
				c.first()
			}
			*b = breaker{armed: true, left: n, rows: rows, parts: c.parts}
			err := c.make(t.Context())
			b.armed = false
			if !b.broke {
				if err != nil && !errors.Is(err, errUncommitted) && fault.Of(err) != c.refused {
					t.Errorf("%s with nothing broken: %v", c.name, err)
				}
				ended = true
				break
			}
			if rows && (err == nil || !strings.Contains(err.Error(), "store.unreadable")) {
				unnoticed++
				if unnoticed > c.blind {
					t.Errorf("%s with row %d unreadable: %v", c.name, n, err)
				}
			}
			if !rows && !errors.Is(err, errBroken) {
				t.Errorf("%s with step %d broken: %v", c.name, n, err)
			}
		}
		if !ended {
			t.Fatalf("%s has more than %d steps", c.name, mostSteps)
		}
	}
	if !c.parts {
		same(t, "the database after "+c.name, before, f.dump())
	}
	if c.first != nil {
		c.first()
	}
	if err := c.make(t.Context()); (err != nil) != (c.refused != 0) {
		t.Errorf("%s with nothing broken: %v", c.name, err)
	}
}

// broken makes calls, of a fixture in which there is a row of everything, on both databases.
func broken(t *testing.T, calls func(f *fixture) []call) {
	t.Helper()
	test := func(t *testing.T, url string) {
		f := newFixture(t, url)
		b := breakable(f)
		crowd(f)
		for _, c := range calls(f) {
			b.breaks(t, f, c)
		}
	}
	t.Run("sqlite", func(t *testing.T) { test(t, "sqlite::memory:") })
	t.Run("postgres", func(t *testing.T) { test(t, pgtest.New(t, migrateURL)) })
}
