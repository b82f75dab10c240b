package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

// CopiedTable is one table as it is in both databases.
type CopiedTable struct {
	Name string
	Rows int64
	Hash string // of the rows, in whatever order
}

// copyLease is how long the source is kept from runs at most, if the process dies.
const copyLease = time.Hour

// stagedTable is the table of a sweep that is under way. Without a run there is no sweep, and
// what one that never ended has left is deleted by the next.
const stagedTable = "staged_subscriptions"

// Copy copies a whole database of SQLite into an empty one of PostgreSQL with the same
// tables, in one transaction there: it is copied whole, or the target stays empty. No run
// may be at work on the source, and none can begin meanwhile. Both sides are read again
// before the commit, and have to have as many rows with the same content.
func (s *Store) Copy(ctx context.Context, to *Store, target secret.Text, owner string, now time.Time) (all []CopiedTable, err error) {
	if s.d != sqlite || to.d != postgres {
		return nil, permanent("a database of SQLite is copied to one of PostgreSQL, and no other way")
	}
	for _, one := range []*Store{s, to} {
		if pending, err := one.Pending(ctx); err != nil || len(pending) > 0 {
			return nil, errors.Join(err, permanent("the database of %s lacks %d migrations: run `stripe-enhance migrate` on it first", one.d.name(), len(pending)))
		}
		// Of a newer one this program does not know all tables.
		if version, err := one.Version(ctx); err != nil || version != Schema() {
			return nil, errors.Join(err, permanent("the database of %s is at version %d, and this program copies version %d alone: use the program that migrated it", one.d.name(), version, Schema()))
		}
	}
	tok, holder, until, err := s.Acquire(ctx, owner, now, copyLease)
	switch {
	case err != nil:
		return nil, err
	case tok == 0:
		return nil, permanent("%s works on the source until %s: end the service, and every timer that starts a run, and repeat this", holder, until.UTC().Format(time.RFC3339))
	}
	defer func() { err = errors.Join(err, s.Release(context.WithoutCancel(ctx), tok)) }()
	tx, err := s.read.BeginTx(ctx, nil) // one state of the source
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rollback(tx)) }()
	from := conn{tx, s.d}
	order, err := tablesInOrder(ctx, from)
	if err != nil {
		return nil, err
	}
	all, err = copyAll(ctx, from, target, order)
	return all, failed("copying", err)
}

// name is the name of the database for people.
func (d dialect) name() string {
	if d == postgres {
		return "PostgreSQL"
	}
	return "SQLite"
}

// tablesInOrder are all tables that are copied, those first that others refer to.
func tablesInOrder(ctx context.Context, c conn) ([]string, error) {
	refers := map[string][]string{}
	for i := range personals {
		table := personals[i].table
		if table == stagedTable {
			continue
		}
		others, err := c.strings(ctx, `SELECT DISTINCT "table" FROM pragma_foreign_key_list($1)`, table)
		if err != nil {
			return nil, err
		}
		refers[table] = others
	}
	var order []string
	for len(order) < len(refers) {
		before := len(order)
		for _, table := range sorted(refers) {
			ready := !slices.ContainsFunc(refers[table], func(other string) bool { return other != table && !slices.Contains(order, other) })
			if ready && !slices.Contains(order, table) {
				order = append(order, table)
			}
		}
		if len(order) == before {
			return nil, permanent("tables refer to each other in a circle: %v", refers)
		}
	}
	return order, nil
}

// copiedColumn is a column with its type in PostgreSQL.
type copiedColumn struct{ name, kind string }

// copyAll copies and compares, in one transaction of the target.
func copyAll(ctx context.Context, from conn, target secret.Text, order []string) (all []CopiedTable, err error) {
	config, err := postgresConfig(target.Reveal())
	if err != nil {
		return nil, err
	}
	hidden := func(err error) error {
		if err == nil {
			return nil
		}
		return withoutPassword(target.Reveal(), err)
	}
	db, err := pgx.ConnectConfig(ctx, config.ConnConfig)
	if err != nil {
		return nil, hidden(err)
	}
	defer func() { err = errors.Join(err, hidden(db.Close(context.WithoutCancel(ctx)))) }()
	tx, err := db.Begin(ctx)
	if err != nil {
		return nil, hidden(err)
	}
	defer func() {
		if err := tx.Rollback(context.WithoutCancel(ctx)); err != nil && !errors.Is(err, pgx.ErrTxClosed) {
			all = nil
		}
	}()
	for _, table := range order {
		columns, err := lockedEmpty(ctx, tx, table)
		if err != nil {
			return nil, hidden(err)
		}
		one, err := copyTable(ctx, from, tx, table, columns)
		if err != nil {
			return nil, hidden(err)
		}
		all = append(all, one)
	}
	return all, hidden(tx.Commit(ctx))
}

// lockedEmpty locks a table of the target, and returns its columns. It is an error if the
// table has rows.
func lockedEmpty(ctx context.Context, tx pgx.Tx, table string) (columns []copiedColumn, err error) {
	if _, err := tx.Exec(ctx, "LOCK TABLE "+table+" IN EXCLUSIVE MODE"); err != nil {
		return nil, err
	}
	if table == "cursors" { // what migrating has left there comes from the source again
		if _, err := tx.Exec(ctx, "DELETE FROM cursors WHERE name = $1", neededCursor); err != nil {
			return nil, err
		}
	}
	var has bool
	if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM "+table+")").Scan(&has); err != nil {
		return nil, err
	}
	if has {
		return nil, permanent("the target is not empty (%s has rows), and nothing was copied: name an empty database", table)
	}
	rows, err := tx.Query(ctx, "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = $1 ORDER BY column_name", table)
	if err != nil {
		return nil, err
	}
	columns, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (c copiedColumn, err error) {
		err = row.Scan(&c.name, &c.kind)
		return c, err
	})
	if err == nil && len(columns) == 0 {
		err = permanent("the target has no table %s", table)
	}
	return columns, err
}

// copyTable copies the rows of one table, and compares what both databases have then.
func copyTable(ctx context.Context, from conn, tx pgx.Tx, table string, columns []copiedColumn) (one CopiedTable, err error) {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	var sent, arrived tableHash
	rows, err := from.q.QueryContext(ctx, "SELECT "+strings.Join(names, ", ")+" FROM "+table)
	if err != nil {
		return one, err
	}
	source := &copySource{rows: rows, columns: columns, table: table, hash: &sent}
	_, err = tx.CopyFrom(ctx, pgx.Identifier{table}, names, source)
	if err = errors.Join(err, source.err, rows.Err(), rows.Close()); err != nil {
		return one, fmt.Errorf("table %s: %w", table, err)
	}
	for i, c := range columns {
		if c.kind == "jsonb" { // as it is written, because a number may be longer than a float64
			names[i] = "CAST(" + c.name + " AS TEXT)"
		}
	}
	back, err := tx.Query(ctx, "SELECT "+strings.Join(names, ", ")+" FROM "+table)
	if err != nil {
		return one, err
	}
	defer back.Close()
	for back.Next() {
		values, err := back.Values()
		if err != nil {
			return one, err
		}
		if err := arrived.add(columns, values); err != nil {
			return one, err
		}
	}
	if err := back.Err(); err != nil {
		return one, err
	}
	if sent != arrived {
		return one, permanent("table %s: %d rows with the hash %s were sent, and %d with %s arrived; nothing was copied", table, sent.rows, sent, arrived.rows, arrived)
	}
	return CopiedTable{Name: table, Rows: sent.rows, Hash: sent.String()}, nil
}

// copySource gives the rows of SQLite as PostgreSQL takes them.
type copySource struct {
	rows    *sql.Rows
	columns []copiedColumn
	table   string
	hash    *tableHash
	err     error
}

func (s *copySource) Next() bool { return s.err == nil && s.rows.Next() }

func (s *copySource) Err() error { return errors.Join(s.err, s.rows.Err()) }

func (s *copySource) Values() ([]any, error) {
	values, into := make([]any, len(s.columns)), make([]any, len(s.columns))
	for i := range values {
		into[i] = &values[i]
	}
	s.err = s.rows.Scan(into...)
	for i := 0; s.err == nil && i < len(values); i++ {
		if s.table == "leases" {
			values[i] = freeLease(s.columns[i].name, values[i])
		}
		values[i], s.err = s.columns[i].value(values[i])
	}
	if s.err == nil {
		s.err = s.hash.add(s.columns, values)
	}
	return values, s.err
}

// freeLease is a value of the lease as Release leaves it: the source is held by this process.
func freeLease(column string, v any) any {
	switch column {
	case "owner":
		return ""
	case "expires_at":
		return int64(0)
	case "file_locked":
		return int64(0)
	}
	return v
}

// value is a value of SQLite in the type of the column in PostgreSQL.
func (c copiedColumn) value(v any) (any, error) {
	if v == nil {
		return nil, nil
	}
	switch c.kind {
	case "timestamp with time zone":
		var at time.Time
		err := into(&at).Scan(v)
		return at.UTC(), err
	case "boolean":
		switch b := v.(type) {
		case int64:
			return b != 0, nil
		case bool:
			return b, nil
		}
	case "jsonb":
		switch text := v.(type) {
		case string:
			return json.RawMessage(text), nil
		case []byte:
			return json.RawMessage(text), nil
		}
	case "bytea":
		if b, ok := v.([]byte); ok {
			return b, nil
		}
	case "integer", "bigint", "smallint":
		if n, ok := v.(int64); ok {
			return n, nil
		}
	case "text":
		switch text := v.(type) {
		case string:
			return text, nil
		case []byte:
			return string(text), nil
		}
	}
	return nil, permanent("column %s: a %T does not fit into %s", c.name, v, c.kind)
}

// tableHash is the number of rows, and the sum of the hashes of all of them: the order in
// which rows come does not matter.
type tableHash struct {
	rows int64
	sum  [4]uint64
}

// String is the beginning of the sum.
func (h tableHash) String() string {
	var b [32]byte
	for i, n := range h.sum {
		binary.BigEndian.PutUint64(b[8*i:], n)
	}
	return hex.EncodeToString(b[:8])
}

func (h *tableHash) add(columns []copiedColumn, values []any) error {
	d := sha256.New()
	for i, v := range values {
		text, err := canonical(columns[i], v)
		if err != nil {
			return fmt.Errorf("column %s: %w", columns[i].name, err)
		}
		_, _ = fmt.Fprintf(d, "%d:%s;", len(text), text)
	}
	var sum [32]byte
	d.Sum(sum[:0])
	for i := range h.sum {
		h.sum[i] += binary.BigEndian.Uint64(sum[8*i:])
	}
	h.rows++
	return nil
}

// canonical is a value as text, the same from both databases.
func canonical(c copiedColumn, v any) (string, error) {
	switch x := v.(type) {
	case nil:
		return "-", nil
	case time.Time:
		return fmt.Sprint(x.UnixMicro()), nil
	}
	if c.kind != "jsonb" {
		return fmt.Sprintf("%v", v), nil
	}
	var raw []byte
	switch x := v.(type) {
	case json.RawMessage:
		raw = x
	case string:
		raw = []byte(x)
	}
	var parsed any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&parsed); err != nil {
		return "", err
	}
	text, err := json.Marshal(plainNumbers(parsed))
	return string(text), err
}

// plainNumbers writes numbers with a fraction or an exponent in one way.
func plainNumbers(v any) any {
	switch x := v.(type) {
	case json.Number:
		if f, err := x.Float64(); err == nil && strings.ContainsAny(x.String(), ".eE") {
			return f
		}
	case []any:
		for i := range x {
			x[i] = plainNumbers(x[i])
		}
	case map[string]any:
		for k := range x {
			x[k] = plainNumbers(x[k])
		}
	}
	return v
}
