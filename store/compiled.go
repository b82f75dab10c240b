package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"strings"
	"sync"
	"sync/atomic"
)

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
