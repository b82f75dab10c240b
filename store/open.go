package store

import (
	"context"
	"crypto/tls"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// This file is longer than others because a sign-up passes each part of it: opening, the
// transactions that share a commit, errors, and the statements that are kept. A file for each
// part would be one more to open for who follows it through the program.

// Options choose the database to open.
type Options struct {
	// URL is "sqlite:PATH", "postgres://…" or "postgresql://…". It is a secret
	// because it may hold a password; no error of this package shows it.
	//
	// "sqlite::memory:" is an empty database that lives as long as the Store;
	// "sqlite::memory:NAME" is shared by all Stores of this process that name it,
	// and lives as long as one of them.
	URL secret.Text
	// Look leaves no file behind where there is none: an empty database in memory
	// stands for it, if it could be made in that directory. For those who only look.
	Look bool
	// ReadConnections is how many reads may run together beside the writer; 0 is 4
	// on SQLite. PostgreSQL takes pool_max_conns of the URL instead, else 8.
	ReadConnections int
	// Now is the clock for the one question that is asked without a time, how many
	// customers are due (Counts). nil is time.Now.
	Now func() time.Time
	// Secured is called with the TLS of each new connection to PostgreSQL. nil: not called.
	Secured func(*tls.ConnectionState)
	// Failpoint is called right before and right after a write is committed, with
	// the steps before-commit and after-commit and the operation, so that a test
	// may end the process there. Migrating as a whole counts as one. nil: never.
	Failpoint func(step, operation string)
}

// Store is the database. Methods are safe for concurrent use. One Store belongs
// to one process; several processes may open the same database, and the lease
// decides which of them writes.
type Store struct {
	d                dialect
	write            *sql.DB   // SQLite: one connection, BEGIN IMMEDIATE
	read             *sql.DB   // PostgreSQL: the same pool as write
	writing, reading *compiled // nil on PostgreSQL
	path             string    // of the SQLite file; "" otherwise
	server           server    // the PostgreSQL server; zero otherwise
	lock             *fileLock
	sweep            sweep
	webhookBatch     webhookBatch
	firstHolds       firstHolds
	counting         sync.RWMutex  // held while holds are counted anew, and shared by what changes them
	countedFor       atomic.Int64  // the token with which the counts of holds were seen to be kept
	turn             chan struct{} // full: writes other than webhooks are at work; see first
	line             line          // the writes that wait for the turn
	now              func() time.Time
	failpoint        func(step, operation string)
	close            []func() error // in the order in which they are to be called
}

// Open connects and checks that the database is one this version can work with.
// It changes nothing in it: an empty database stays empty until Migrate.
func Open(ctx context.Context, o Options) (*Store, error) {
	scheme, rest, _ := strings.Cut(o.URL.Reveal(), ":")
	var s *Store
	var err error
	switch scheme {
	case "sqlite":
		s, err = openSQLite(ctx, rest, o)
	case "postgres", "postgresql":
		s, err = openPostgres(ctx, o)
	default:
		return nil, fault.Errorf(fault.Permanent, "store: the database URL must begin with sqlite:, postgres:// or postgresql://")
	}
	if err != nil {
		return nil, failed("opening the database", err)
	}
	s.turn = make(chan struct{}, 1)
	if s.now = o.Now; s.now == nil {
		s.now = time.Now
	}
	if s.failpoint = o.Failpoint; s.failpoint == nil {
		s.failpoint = func(string, string) {}
	}
	if err := s.refuseNewer(ctx); err != nil {
		return nil, failed("opening the database", errors.Join(s.server.explain(err), s.Close()))
	}
	return s, nil
}

// File is the absolute path of the file that a URL names; "" for a database that has
// none, on a server or in memory.
func File(u secret.Text) string {
	path, ok := strings.CutPrefix(u.Reveal(), "sqlite:")
	if !ok || path == "" || strings.HasPrefix(path, memory) {
		return ""
	}
	if whole, err := filepath.Abs(path); err == nil {
		return whole
	}
	return path
}

// Close gives back connections and locks. A lease that was not released stays in
// the database until it expires or, on SQLite, until another process acquires it.
func (s *Store) Close() error {
	var errs []error
	for _, f := range s.close {
		errs = append(errs, f())
	}
	s.close = nil
	return errors.Join(errs...)
}

// Dialect is "sqlite" or "postgres", for reports.
func (s *Store) Dialect() string { return s.d.String() }

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	var one int
	_, err := s.reader().one(ctx, "SELECT 1", nil, &one)
	return failed("asking the database", err)
}

// Size is how many bytes the database takes, with its indexes and what is free in it.
func (s *Store) Size(ctx context.Context) (bytes int64, err error) {
	query := "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
	if s.d == postgres {
		query = "SELECT pg_database_size(current_database())"
	}
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	_, err = s.reader().one(ctx, query, nil, &bytes)
	return bytes, failed("measuring the database", err)
}

// permanent is a problem that a person has to solve, in words for that person.
func permanent(format string, args ...any) error {
	return fault.Wrap(fault.Permanent, fmt.Errorf(format, args...))
}

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
	return s.transact(ctx, &queued{op: op, fn: withToken(tok, fn)})
}

// fencedAlone is fenced for a write of thousands of rows, which shares its transaction with no
// other: behind a savepoint SQLite keeps a copy of each changed page in memory.
func (s *Store) fencedAlone(ctx context.Context, op string, tok reconcile.Token, fn func(context.Context, conn) error) error {
	return s.transact(ctx, &queued{op: op, fn: withToken(tok, fn), alone: true})
}

func withToken(tok reconcile.Token, fn func(context.Context, conn) error) func(context.Context, conn) error {
	return func(ctx context.Context, tx conn) error {
		if err := checkToken(ctx, tx, tok); err != nil {
			return err
		}
		return fn(ctx, tx)
	}
}

// unfenced runs fn in a write transaction that needs no lease: nudges and what people
// change.
func (s *Store) unfenced(ctx context.Context, op string, fn func(context.Context, conn) error) error {
	return s.transact(ctx, &queued{op: op, fn: withSettings(fn)})
}

// first is unfenced for webhooks, whose sender waits. It does not line up for a turn: of
// all other writes, however many wait, at most one group comes before it.
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
// leaves no state behind in a pooler's session. And the server compiles no statement: see
// withoutJIT.
func settings(n int) string {
	return fmt.Sprintf(`set_config('lock_timeout', $%d, true), set_config('idle_in_transaction_session_timeout', $%d, true), set_config('jit', 'off', true),
		set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true)`, n, n+1)
}

// manyRows is how many rows a read must have to be worth a round trip of withoutJIT.
const manyRows = 20

// withoutJIT keeps PostgreSQL from compiling the statements of this transaction. It takes
// some 0.3 s each time for a statement that reads 200 customers in 10 ms, because while
// tables are being filled it expects far more rows than there are.
func (c conn) withoutJIT(ctx context.Context) error {
	if c.d != postgres {
		return nil
	}
	return c.each(ctx, "SELECT set_config('jit', 'off', true)", nil, ignore)
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
		var lock, idle, jit, durable string
		query = "SELECT token, " + settings(2) + " FROM leases WHERE name = $1" + tx.d.forShare()
		found, err = tx.one(ctx, query, append(args, lockLimit, idleLimit), &have, &lock, &idle, &jit, &durable)
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

// transact runs a write in a transaction on the writing side when it is its turn. On SQLite,
// which has one connection that writes, those who wait meanwhile share the next transaction,
// and so one fsync: see runGroup.
func (s *Store) transact(ctx context.Context, m *queued) error {
	if s.d != sqlite {
		return s.repeat(ctx, m.op, m.fn)
	}
	m.ctx, m.done = ctx, make(chan struct{})
	s.line.add(m)
	select {
	case s.turn <- struct{}{}:
		s.runGroup(s.line.take(m))
		<-s.turn
	case <-m.done:
	case <-ctx.Done():
		if s.line.withdraw(m) {
			return failed(m.op, ctx.Err())
		}
		<-m.done
	}
	return m.err
}

// queued is a write that waits for its turn.
type queued struct {
	op    string
	fn    func(context.Context, conn) error
	alone bool // it shares its transaction with no other
	ctx   context.Context
	err   error         // set before done is closed
	done  chan struct{} // closed when the write is durable, or has failed
}

// line is the writes that wait for their turn, in their order. Whoever has the turn takes
// them out, so that it is empty or waits. Safe for concurrent use.
type line struct {
	mu      sync.Mutex // guards waiting
	waiting []*queued
}

// mostTogether bounds the writes of one transaction: webhooks wait for one such transaction.
const mostTogether = 16

func (l *line) add(m *queued) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, m)
}

// take takes m out of the line with those who wait as well and can share a transaction, m
// first. There are none if the one who had the turn before has run m.
func (l *line) take(m *queued) (group []*queued) {
	if !l.withdraw(m) {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	group = []*queued{m}
	if m.alone {
		return group
	}
	n := min(len(l.waiting), mostTogether-1)
	left := make([]*queued, 0, len(l.waiting))
	for _, other := range l.waiting[:n] {
		if other.alone {
			left = append(left, other)
			continue
		}
		group = append(group, other)
	}
	l.waiting = append(left, l.waiting[n:]...)
	return group
}

// withdraw takes m out of the line, if it is still there.
func (l *line) withdraw(m *queued) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.waiting, m)
	if i < 0 {
		return false
	}
	l.waiting = slices.Delete(l.waiting, i, i+1)
	return true
}

// runGroup runs writes in one transaction, or, if that cannot be, each in its own. None of
// them sees whether it was alone: one that fails leaves nothing behind and spoils no other,
// and none is done before the commit that makes it durable.
func (s *Store) runGroup(group []*queued) {
	together := len(group) > 1 && s.attemptGroup(group)
	for _, m := range group {
		if !together {
			m.err = fault.Guard(func() error { return s.repeat(m.ctx, m.op, m.fn) })
		}
		close(m.done)
	}
}

// attemptGroup runs writes in one transaction, each behind a savepoint. It reports false if
// nothing of it was committed.
func (s *Store) attemptGroup(group []*queued) bool {
	errs := make([]error, len(group))
	err := s.attempt(context.WithoutCancel(group[0].ctx), s.write, nil, func(ctx context.Context, tx conn) (err error) {
		for i, m := range group {
			if errs[i], err = m.run(ctx, tx); err != nil {
				return err
			}
		}
		s.passEach(group, errs, "before-commit")
		return nil
	})
	if err != nil {
		return false
	}
	s.passEach(group, errs, "after-commit")
	for i, m := range group {
		m.err = failed(m.op, advise(s.path, errs[i]))
	}
	return true
}

// run runs the write behind a savepoint. spoilt means that the transaction of the group has
// to be given up: SQLite has ended it, or wants the write repeated.
func (m *queued) run(ctx context.Context, tx conn) (err, spoilt error) {
	if err := m.ctx.Err(); err != nil {
		return err, nil
	}
	if _, err := tx.exec(ctx, "SAVEPOINT one"); err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(m.ctx, transactionLimit)
	defer cancel()
	if err = fault.Guard(func() error { return m.fn(limited, tx) }); repeatable(err) {
		return nil, err
	}
	if err != nil {
		_, spoilt = tx.exec(ctx, "ROLLBACK TO one")
	}
	if spoilt == nil {
		_, spoilt = tx.exec(ctx, "RELEASE one")
	}
	return err, spoilt
}

// passEach passes a step for each write that has not failed.
func (s *Store) passEach(group []*queued, errs []error, step string) {
	for i, m := range group {
		if errs[i] == nil {
			s.failpoint(step, m.op)
		}
	}
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

// ErrNotFound is what a method that names one thing returns when there is no such
// thing. It is fault.NotFound too.
var ErrNotFound = fault.Wrap(fault.NotFound, errors.New("not found"))

// failed gives an error of the database its operation and its kind. Errors that
// were classified inside keep their kind. A nil error stays nil.
func failed(op string, err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("store: %s: %w", op, withPooler(err))
	if fault.Of(err) != fault.Unknown {
		return err
	}
	return fault.Wrap(kindOf(err), err)
}

// sqliteError is an error of SQLite's driver.
type sqliteError interface {
	error
	Code() int // the extended result code (sqlite.org/rescode.html)
}

func kindOf(err error) fault.Kind {
	switch {
	case errors.Is(err, context.Canceled):
		return fault.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return fault.Transient
	case uniqueViolation(err):
		return fault.Conflict
	case repeatable(err):
		return fault.Transient
	}
	var pg *pgconn.PgError
	var lite sqliteError
	var network net.Error
	switch {
	case errors.As(err, &pg):
		return postgresKind(pg.Code)
	case errors.As(err, &lite):
		return fault.Permanent // disk full, read-only, corrupt, violated check: for a person
	case errors.As(err, &network), errors.Is(err, driver.ErrBadConn), errors.Is(err, sql.ErrConnDone):
		return fault.Transient
	}
	var connecting *pgconn.ConnectError
	if errors.As(err, &connecting) || pgconn.Timeout(err) || strings.Contains(err.Error(), "conn closed") {
		return fault.Transient
	}
	return fault.Unknown
}

// postgresKind classifies by the class of SQLSTATE (PostgreSQL manual, appendix A).
func postgresKind(code string) fault.Kind {
	switch {
	case len(code) < 2:
		return fault.Unknown
	case code == "25P03": // the transaction stood still for too long: we were frozen or cut off
		return fault.Transient
	}
	switch code[:2] {
	case "08", "53", "55", "57": // connection, resources, lock not available, shutdown or cancel
		return fault.Transient
	}
	return fault.Permanent
}

// repeatable reports whether the database rolled the transaction back and asks
// for it to be run again.
func repeatable(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "40001" || pg.Code == "40P01"
	}
	var lite sqliteError
	if errors.As(err, &lite) {
		primary := lite.Code() & 0xff
		return primary == sqlite3.SQLITE_BUSY || primary == sqlite3.SQLITE_LOCKED
	}
	return false
}

func uniqueViolation(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "23505"
	}
	var lite sqliteError
	if errors.As(err, &lite) {
		return lite.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || lite.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
	}
	return false
}

// advise adds to an error how a person can make a SQLite file writable again. The error
// keeps its kind. Without a path, as on PostgreSQL, it is returned unchanged.
func advise(path string, err error) error {
	if err == nil || path == "" {
		return err
	}
	code := 0
	var lite sqliteError
	if errors.As(err, &lite) {
		code = lite.Code() & 0xff
	}
	var advice string
	switch {
	case code == sqlite3.SQLITE_FULL:
		advice = "there is no room left; make room on the disk of " + path
	case code == sqlite3.SQLITE_IOERR:
		advice = "the disk is full, at a limit, or broken; look at the disk of " + path
	case code == sqlite3.SQLITE_READONLY, code == sqlite3.SQLITE_CANTOPEN:
		advice = "check the owner and mode of " + path + " and of its directory, and whether the disk is mounted read-only"
	case code == sqlite3.SQLITE_BUSY, code == sqlite3.SQLITE_LOCKED, errors.Is(err, context.DeadlineExceeded):
		advice = "another process keeps " + path + " locked; if that one is stuck or stopped, end it"
	default:
		return err
	}
	return fmt.Errorf("%w; %s, and run this again: everything recorded stays valid", err, advice)
}

// badRow names the row that holds something unreadable.
func badRow(what string, id any, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %v: %w", what, id, err)
}

// compiled is a pool of SQLite connections, each of which keeps what it has compiled:
// compiling the larger statements takes longer than running them, and the texts are
// constants of this package, a few hundred of them. PostgreSQL has none, because a named
// statement is session state, which a pooler between does not keep.
type compiled struct {
	driver driver.Driver
	dsn    string
	run    atomic.Int64 // how many statements were run

	mu    sync.Mutex // guards all below
	texts map[string]bool
}

// newCompiled is a connector for the driver that is registered under a name.
func newCompiled(name, dsn string) (*compiled, error) {
	db, err := sql.Open(name, dsn) // connects nowhere
	if err != nil {
		return nil, err
	}
	defer db.Close()
	return &compiled{driver: db.Driver(), dsn: dsn, texts: make(map[string]bool)}, nil
}

// Statements is how many statements this process has run since it opened the database,
// without BEGIN and COMMIT. It counts on SQLite only, for tests.
func (s *Store) Statements() (n int64) {
	for _, c := range s.pools() {
		n += c.run.Load()
	}
	return n
}

// pools are the two pools of SQLite, or the one of a database in memory.
func (s *Store) pools() []*compiled {
	switch {
	case s.reading == nil:
		return nil
	case s.reading == s.writing:
		return []*compiled{s.reading}
	}
	return []*compiled{s.writing, s.reading}
}

// Connect implements driver.Connector.
func (c *compiled) Connect(context.Context) (driver.Conn, error) {
	plain, err := c.driver.Open(c.dsn)
	if err != nil {
		return nil, err
	}
	return &keeper{liteConn: plain.(liteConn), pool: c, kept: make(map[string]*keptStmt)}, nil
}

// Driver implements driver.Connector.
func (c *compiled) Driver() driver.Driver { return c.driver }

// note records that a connection keeps a text, for tests of all statements.
func (c *compiled) note(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.texts[text] = true
}

// liteConn is what SQLite's driver can do, and what database/sql asks a connection for.
type liteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// liteStmt is what a compiled statement of SQLite's driver can do.
type liteStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// keeper is a connection that keeps what it compiles. Like any driver's connection, it is
// used by one goroutine at a time; what it keeps ends with it.
type keeper struct {
	liteConn
	pool *compiled
	kept map[string]*keptStmt
}

// keptStmt is one kept statement. It is busy while rows of it are read, or while somebody
// has it prepared: the same text is then compiled again, for that once.
type keptStmt struct {
	liteStmt
	busy bool
}

// take returns a kept statement, compiled if it was not, and marks it busy. nil: the text
// cannot be kept, or the one that is kept is busy.
func (k *keeper) take(ctx context.Context, text string) (*keptStmt, error) {
	k.pool.run.Add(1)
	if s := k.kept[text]; s != nil {
		if s.busy {
			return nil, nil //nolint:nilnil // described above
		}
		s.busy = true
		return s, nil
	}
	if !keepable(text) {
		return nil, nil //nolint:nilnil // described above
	}
	plain, err := k.liteConn.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	s := &keptStmt{liteStmt: plain.(liteStmt), busy: true}
	k.kept[text] = s
	k.pool.note(text)
	return s, nil
}

// keepable reports whether a text reads or changes rows. Anything else (a setting, a
// change of the schema) is run once, and so is a statement of a migration, which ends with
// a semicolon.
func keepable(text string) bool {
	text = strings.TrimSpace(text)
	verb, _, _ := strings.Cut(text, " ")
	switch verb {
	case "SELECT", "INSERT", "UPDATE", "DELETE", "WITH":
		return !strings.HasSuffix(text, ";")
	default:
		return false
	}
}

// QueryContext implements driver.QueryerContext.
func (k *keeper) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	s, err := k.take(ctx, text)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return k.liteConn.QueryContext(ctx, text, args)
	}
	rows, err := s.QueryContext(ctx, args)
	if err != nil {
		s.busy = false
		return nil, err
	}
	return &keptRows{rows, s}, nil
}

// ExecContext implements driver.ExecerContext.
func (k *keeper) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	s, err := k.take(ctx, text)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return k.liteConn.ExecContext(ctx, text, args)
	}
	defer func() { s.busy = false }()
	return s.ExecContext(ctx, args)
}

// PrepareContext implements driver.ConnPrepareContext: the kept statement, until Close.
func (k *keeper) PrepareContext(ctx context.Context, text string) (driver.Stmt, error) {
	s, err := k.take(ctx, text)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return k.liteConn.PrepareContext(ctx, text)
	}
	return lent{s}, nil
}

// lent is a kept statement in the hands of one who prepared it.
type lent struct{ *keptStmt }

// Close gives the statement back.
func (l lent) Close() error {
	l.busy = false
	return nil
}

// keptRows are the rows of a kept statement.
type keptRows struct {
	driver.Rows
	of *keptStmt
}

// Close gives the statement back.
func (r *keptRows) Close() error {
	err := r.Rows.Close()
	r.of.busy = false
	return err
}

// Close ends the connection and what it keeps.
func (k *keeper) Close() error {
	for _, s := range k.kept {
		_ = s.liteStmt.Close() // if something is wrong, closing the connection reports it
	}
	clear(k.kept)
	return k.liteConn.Close()
}
