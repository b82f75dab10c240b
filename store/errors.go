package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
)

// ErrNotFound is what a method that names one thing returns when there is no such
// thing. It is fault.NotFound too.
var ErrNotFound = fault.Wrap(fault.NotFound, errors.New("not found"))

// failed gives an error of the database its operation and its kind. Errors that
// were classified inside keep their kind. A nil error stays nil.
func failed(op string, err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("store: %s: %w", op, err)
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
