package pgtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/internal/needs"
)

// Migrate brings the database behind a URL to the schema that tests expect. It is
// a parameter because this package must not know the store, which is tested with
// it.
type Migrate func(ctx context.Context, url string) error

// shared is the server of this test binary. It is started by the first test that
// asks and dies with the process.
var shared struct {
	once   sync.Once
	server *Server
	err    error
	mu     sync.Mutex // guards migrated, and the template while it is copied
	done   bool
}

var databases atomic.Int64

const template = "template_migrated"

// New returns the URL of a fresh, migrated database that is dropped after the
// test. All calls in one test binary must pass the same migration.
func New(tb testing.TB, migrate Migrate) string {
	tb.Helper()
	s := server(tb)
	ctx := tb.Context()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if !shared.done {
		if err := s.exec(ctx, "postgres", "CREATE DATABASE "+template); err != nil {
			tb.Fatalf("pgtest: template: %v", err)
		}
		if err := migrate(ctx, s.URL(template)); err != nil {
			tb.Fatalf("pgtest: migrating the template: %v", err)
		}
		shared.done = true
	}
	return s.database(tb, template)
}

// Empty returns the URL of a fresh database without any table.
func Empty(tb testing.TB) string {
	tb.Helper()
	s := server(tb)
	shared.mu.Lock()
	defer shared.mu.Unlock()
	return s.database(tb, "template0")
}

// Private starts a server for this test alone, to be stopped and killed at will,
// and returns it with the URL of an empty database in it.
func Private(tb testing.TB) (*Server, string) {
	tb.Helper()
	s, err := start(tb.Context())
	if err != nil {
		absent(tb, err)
	}
	tb.Cleanup(func() {
		_ = s.Stop() // it may be dead already
		if err := s.remove(); err != nil {
			tb.Errorf("pgtest: %v", err)
		}
	})
	return s, s.database(tb, "template0")
}

// Close stops the shared server and removes its data. Call it from TestMain.
func Close() error {
	if shared.server == nil {
		return nil
	}
	return errors.Join(shared.server.Stop(), shared.server.remove())
}

func server(tb testing.TB) *Server {
	tb.Helper()
	shared.once.Do(func() { shared.server, shared.err = start(context.Background()) })
	if shared.err != nil {
		absent(tb, shared.err)
	}
	return shared.server
}

// absent ends a test that cannot have its server: a skip where PostgreSQL is not
// installed, a failure in CI and for every other reason.
func absent(tb testing.TB, err error) {
	tb.Helper()
	if _, missing := binaries(); missing != nil {
		needs.Missing(tb, "PostgreSQL is not installed here, so only SQLite is tested: %v", missing)
	}
	tb.Fatalf("pgtest: %v", err)
}

// database copies a template; file_copy takes a third of the time of the default
// strategy for a database this small.
func (s *Server) database(tb testing.TB, template string) string {
	tb.Helper()
	name := fmt.Sprintf("test_%d", databases.Add(1))
	statement := "CREATE DATABASE " + name + " TEMPLATE " + template + " STRATEGY file_copy"
	if err := s.exec(tb.Context(), "postgres", statement); err != nil {
		if !strings.Contains(err.Error(), "STRATEGY") && !strings.Contains(err.Error(), "strategy") { // before version 15
			tb.Fatalf("pgtest: %v", err)
		}
		if err := s.exec(tb.Context(), "postgres", strings.TrimSuffix(statement, " STRATEGY file_copy")); err != nil {
			tb.Fatalf("pgtest: %v", err)
		}
	}
	tb.Cleanup(func() {
		// A server that the test stopped takes its databases with it.
		_ = s.exec(context.Background(), "postgres", "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)")
	})
	return s.URL(name)
}
