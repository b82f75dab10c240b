package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
)

// liteError is an error of SQLite with a code.
type liteError int

func (e liteError) Error() string { return fmt.Sprintf("SQLite's code %d", int(e)) }
func (e liteError) Code() int     { return int(e) }

// The kind decides whether a run tries again, lets a person look, or takes the world for
// changed.
func TestEachErrorOfADatabaseHasItsKind(t *testing.T) {
	for _, c := range []struct {
		err  error
		want fault.Kind
	}{
		{context.Canceled, fault.Canceled},
		{context.DeadlineExceeded, fault.Transient},
		{&pgconn.PgError{Code: "23505"}, fault.Conflict},
		{&pgconn.PgError{Code: "23514"}, fault.Permanent},
		{&pgconn.PgError{Code: "40001"}, fault.Transient},
		{&pgconn.PgError{Code: "40P01"}, fault.Transient},
		{&pgconn.PgError{Code: "08006"}, fault.Transient},
		{&pgconn.PgError{Code: "53300"}, fault.Transient},
		{&pgconn.PgError{Code: "55P03"}, fault.Transient},
		{&pgconn.PgError{Code: "57014"}, fault.Transient},
		{&pgconn.PgError{Code: "25P03"}, fault.Transient},
		{&pgconn.PgError{Code: "25006"}, fault.Permanent},
		{&pgconn.PgError{Code: "4"}, fault.Unknown},
		{liteError(sqlite3.SQLITE_CONSTRAINT_UNIQUE), fault.Conflict},
		{liteError(sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY), fault.Conflict},
		{liteError(sqlite3.SQLITE_CONSTRAINT_CHECK), fault.Permanent},
		{liteError(sqlite3.SQLITE_BUSY_SNAPSHOT), fault.Transient},
		{liteError(sqlite3.SQLITE_LOCKED), fault.Transient},
		{liteError(sqlite3.SQLITE_FULL), fault.Permanent},
		{&net.OpError{Op: "read", Err: errors.New("connection reset by peer")}, fault.Transient},
		{driver.ErrBadConn, fault.Transient},
		{&pgconn.ConnectError{}, fault.Transient},
		{sql.ErrConnDone, fault.Transient},
		{fmt.Errorf("%w: %w", liteError(sqlite3.SQLITE_INTERRUPT), context.DeadlineExceeded), fault.Transient},
		{fmt.Errorf("%w: %w", liteError(sqlite3.SQLITE_INTERRUPT), context.Canceled), fault.Canceled},
		{errors.New("conn closed"), fault.Transient},
		{errors.New("no such table"), fault.Unknown},
		{ErrNotFound, fault.NotFound},
		{fault.Errorf(fault.Fenced, "lost: %w", context.Canceled), fault.Fenced},
	} {
		err := failed("writing", fmt.Errorf("within: %w", c.err))
		if kind := fault.Of(err); kind != c.want || !errors.Is(err, c.err) || !strings.HasPrefix(err.Error(), "store: writing: within: ") {
			t.Errorf("%v is %s, want %s", err, kind, c.want)
		}
	}
	if err := failed("writing", nil); err != nil {
		t.Errorf("no error is %v", err)
	}
}

// An error of the file comes with what to do about it.
func TestAnErrorOfTheFileIsToldWithWhatToDo(t *testing.T) {
	for _, c := range []struct {
		path string
		err  error
		want string
	}{
		{"/d/x.db", liteError(sqlite3.SQLITE_FULL), "make room on the disk of /d/x.db"},
		{"/d/x.db", liteError(sqlite3.SQLITE_IOERR_WRITE), "look at the disk of /d/x.db"},
		{"/d/x.db", liteError(sqlite3.SQLITE_READONLY_DBMOVED), "check the owner and mode of /d/x.db"},
		{"/d/x.db", liteError(sqlite3.SQLITE_CANTOPEN), "check the owner and mode of /d/x.db"},
		{"/d/x.db", liteError(sqlite3.SQLITE_BUSY), "another process keeps /d/x.db locked"},
		{"/d/x.db", liteError(sqlite3.SQLITE_LOCKED_SHAREDCACHE), "another process keeps /d/x.db locked"},
		{"/d/x.db", context.DeadlineExceeded, "another process keeps /d/x.db locked"},
		{"/d/x.db", liteError(sqlite3.SQLITE_CORRUPT), ""},
		{"/d/x.db", ErrNotFound, ""},
		{"", liteError(sqlite3.SQLITE_FULL), ""},
		{"/d/x.db", nil, ""},
	} {
		got := advise(c.path, c.err)
		if !errors.Is(got, c.err) {
			t.Errorf("%v becomes %v", c.err, got)
		}
		if c.want == "" && got != c.err { //nolint:errorlint // the very same error
			t.Errorf("%v, which needs no advice, becomes %v", c.err, got)
		}
		if c.want != "" && !strings.Contains(got.Error(), c.want) {
			t.Errorf("%v does not say %q", got, c.want)
		}
	}
}

func TestAFileThatCannotBeOpenedIsToldWithWhatToDo(t *testing.T) {
	denied, readonly := fmt.Errorf("%w: %w", liteError(sqlite3.SQLITE_IOERR), fs.ErrPermission), fmt.Errorf("attempt to write a readonly database: %w", liteError(8))
	for _, c := range []struct {
		path string
		err  error
		want []string
	}{
		{"/d/x.db", readonly, []string{"/d/x.db cannot be written", "owner and mode"}},
		{"/d/x.db", denied, []string{"/d/x.db: ", "check the owner and mode of the file"}},
		{"/d/x.db", liteError(sqlite3.SQLITE_FULL), []string{"/d/x.db: ", "make room"}},
	} {
		err := explain(c.path, c.err)
		for _, word := range c.want {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%v does not say %q", err, word)
			}
		}
	}
	other := errors.New("something else")
	if explain("/d/x.db", other) != other || explain("", denied) != denied { //nolint:errorlint // the very same error
		t.Error("an error that is not the file's is changed")
	}
}
