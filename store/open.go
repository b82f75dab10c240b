package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

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
	turn             chan struct{} // full: a write other than webhooks is at work; see first
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

// permanent is a problem that a person has to solve, in words for that person.
func permanent(format string, args ...any) error {
	return fault.Wrap(fault.Permanent, fmt.Errorf(format, args...))
}

// Risk is a setting of the database's server under which a commit may be lost, or the
// database itself, and which no transaction can change.
type Risk struct {
	Setting string // "fsync=off"
	Harm    string // the loss, and when it happens
	Remedy  string
	// Certain: there is no arrangement known to us under which it does no harm.
	Certain bool
}

// Durability looks for such settings. On SQLite there are none: opening fails when
// its settings cannot be had.
//
// Neon runs its PostgreSQL with fsync=off: there a commit waits for a majority of
// other machines that keep the log, which is what synchronous_commit then means.
func (s *Store) Durability(ctx context.Context) ([]Risk, error) {
	if s.d != postgres {
		return nil, nil
	}
	var fsync, pages, standbys, neon string
	err := s.query(ctx, "reading the server's settings", `SELECT current_setting('fsync'), current_setting('full_page_writes'),
		current_setting('synchronous_standby_names'), coalesce(current_setting('neon.timeline_id', true), '')`, nil, func(row scan) error {
		return row(&fsync, &pages, &standbys, &neon)
	})
	if err != nil || neon != "" || strings.Contains(standbys, "walproposer") {
		return nil, err
	}
	const remedy = " in postgresql.conf of the database server, then SELECT pg_reload_conf()"
	var risks []Risk
	if fsync == "off" {
		risks = append(risks, Risk{Setting: "fsync=off", Certain: true, Remedy: "set fsync=on" + remedy,
			Harm: "when the database's machine crashes or loses power, recorded changes may be lost, and hostings are then made twice; the database itself may be damaged"})
	}
	if pages == "off" {
		risks = append(risks, Risk{Setting: "full_page_writes=off", Remedy: "set full_page_writes=on" + remedy,
			Harm: "when the database's machine crashes or loses power, the database may be damaged, unless its storage never writes half a page"})
	}
	return risks, nil
}
