package store

import (
	"context"
	"database/sql"
	"maps"
	"slices"
	"sync"
)

// statements keeps SQLite's compiled statements between transactions: compiling
// the larger ones takes longer than running them. PostgreSQL has none, because a
// named statement is session state, which a pooler between does not keep.
//
// A transaction holds the only writing connection, so nothing can be prepared for
// keeps inside it: what it had to compile is noted and prepared when it is over.
type statements struct {
	db     *sql.DB
	mu     sync.Mutex // guards all below
	ready  map[string]*sql.Stmt
	wanted map[string]bool
}

func newStatements(db *sql.DB) *statements {
	return &statements{db: db, ready: make(map[string]*sql.Stmt), wanted: make(map[string]bool)}
}

// find returns a compiled statement, or nil and a note to compile it later. The
// texts are constants of this package, so there are a hundred of them at most.
func (s *statements) find(query string) *sql.Stmt {
	s.mu.Lock()
	defer s.mu.Unlock()
	stmt := s.ready[query]
	if stmt == nil {
		s.wanted[query] = true
	}
	return stmt
}

// fill compiles what was noted. A failure is no loss: the statement is then
// compiled each time, and says itself what is wrong with it.
func (s *statements) fill(ctx context.Context) {
	if s == nil {
		return
	}
	for _, query := range s.take() {
		stmt, err := s.db.PrepareContext(ctx, query)
		if err != nil {
			continue
		}
		s.mu.Lock()
		if s.ready[query] == nil {
			s.ready[query], stmt = stmt, nil
		}
		s.mu.Unlock()
		if stmt != nil { // another goroutine was faster
			_ = stmt.Close()
		}
	}
}

// take hands out what was noted, to one goroutine alone.
func (s *statements) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.wanted) == 0 {
		return nil
	}
	queries := slices.Collect(maps.Keys(s.wanted))
	clear(s.wanted)
	return queries
}

// rows and result run a query compiled where that is possible.
func (c conn) rows(ctx context.Context, query string, args []any) (*sql.Rows, error) {
	if stmt := c.compiled(ctx, query); stmt != nil {
		return stmt.QueryContext(ctx, args...)
	}
	return c.q.QueryContext(ctx, query, args...)
}

func (c conn) result(ctx context.Context, query string, args []any) (sql.Result, error) {
	if stmt := c.compiled(ctx, query); stmt != nil {
		return stmt.ExecContext(ctx, args...)
	}
	return c.q.ExecContext(ctx, query, args...)
}

func (c conn) compiled(ctx context.Context, query string) *sql.Stmt {
	if c.kept == nil {
		return nil
	}
	stmt := c.kept.find(query)
	tx, inside := c.q.(*sql.Tx)
	if stmt == nil || !inside {
		return stmt
	}
	return tx.StmtContext(ctx, stmt)
}
