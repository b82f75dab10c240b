package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// dialect is the difference between the two databases, as far as queries see it.
type dialect uint8

const (
	sqlite dialect = iota + 1
	postgres
)

func (d dialect) String() string {
	switch d {
	case sqlite:
		return "sqlite"
	case postgres:
		return "postgres"
	}
	return "unknown"
}

// texts is a sub-select over parameter n, a JSON array of strings: the portable
// form of "IN (…)" for any number of values.
func (d dialect) texts(n int) string {
	if d == postgres {
		return fmt.Sprintf("(SELECT jsonb_array_elements_text(CAST($%d AS JSONB)))", n)
	}
	return fmt.Sprintf("(SELECT value FROM json_each($%d))", n)
}

// ints is texts for a JSON array of integers.
func (d dialect) ints(n int) string {
	if d == postgres {
		return fmt.Sprintf("(SELECT CAST(value AS BIGINT) FROM jsonb_array_elements_text(CAST($%d AS JSONB)))", n)
	}
	return fmt.Sprintf("(SELECT value FROM json_each($%d))", n)
}

// forShare keeps a row from changing until the transaction ends. SQLite needs
// nothing: its writer is alone.
func (d dialect) forShare() string {
	if d == postgres {
		return " FOR SHARE"
	}
	return ""
}

// forUpdate is forShare for rows that this transaction is about to change.
func (d dialect) forUpdate() string {
	if d == postgres {
		return " FOR UPDATE"
	}
	return ""
}

// column is a column of a bulk write and its PostgreSQL type.
type column struct{ name, kind string }

// bulk is a statement that runs once for each of many rows. In its tail, {name}
// stands for the row's value of that column.
//
// PostgreSQL gets one statement over unnest and SQLite one prepared statement a
// row: on each the fastest of the ways measured, five to ten times faster than
// multi-row VALUES on SQLite.
type bulk struct {
	head    string // "INSERT INTO t" or "UPDATE t SET a = {a}"
	columns []column
	tail    string // INSERT: "ON CONFLICT …"; UPDATE: "t.id = {id}"

	// computed is one more column of an INSERT, and derived is its value: an expression
	// of {names}. "": there is none.
	computed, derived string
}

// text renders the statement for a dialect.
func (b bulk) text(d dialect) string {
	names := make([]string, len(b.columns))
	given := make([]string, len(b.columns)) // as PostgreSQL's rows name them, unlike any column
	slots := make([]string, len(b.columns))
	pairs := make([]string, 0, 2*len(b.columns))
	for i, c := range b.columns {
		names[i], given[i] = c.name, "new_"+c.name
		if d == postgres {
			slots[i] = fmt.Sprintf("CAST($%d AS %s[])", i+1, c.kind)
			pairs = append(pairs, "{"+c.name+"}", "x."+given[i])
		} else {
			slots[i] = fmt.Sprintf("$%d", i+1)
			pairs = append(pairs, "{"+c.name+"}", slots[i])
		}
	}
	fill := strings.NewReplacer(pairs...).Replace
	list, params, rows := strings.Join(names, ", "), strings.Join(slots, ", "), strings.Join(given, ", ")
	insert, values := strings.HasPrefix(b.head, "INSERT"), "*"
	if b.computed != "" {
		value := ", " + fill(b.derived)
		list, values = list+", "+b.computed, values+value
		if d == sqlite {
			params += value
		}
	}
	switch {
	case insert && d == postgres:
		return fmt.Sprintf("%s (%s) SELECT %s FROM unnest(%s) AS x (%s) %s", b.head, list, values, params, rows, fill(b.tail))
	case insert:
		return fmt.Sprintf("%s (%s) VALUES (%s) %s", b.head, list, params, fill(b.tail))
	case d == postgres:
		return fmt.Sprintf("%s FROM unnest(%s) AS x (%s) WHERE %s", fill(b.head), params, rows, fill(b.tail))
	default:
		return fmt.Sprintf("%s WHERE %s", fill(b.head), fill(b.tail))
	}
}

// bulk runs b for every row; a row has one value for each column, in order. No
// two rows may have the same key: PostgreSQL refuses to touch a row twice.
func (c conn) bulk(ctx context.Context, b bulk, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	if c.d == postgres {
		_, err := c.exec(ctx, b.text(c.d), b.arrays(rows)...)
		return err
	}
	return c.rowByRow(ctx, b, rows, func(int, int64) {})
}

// bulkNew is bulk for an INSERT that leaves out the rows whose keys are there already. It
// calls inserted with the position of each row that was not. A row's first value is its
// key, a text.
func (c conn) bulkNew(ctx context.Context, b bulk, rows [][]any, inserted func(i int)) error {
	if c.d == sqlite { // RETURNING would cost more than the insertion
		return c.rowByRow(ctx, b, rows, func(i int, changed int64) {
			if changed > 0 {
				inserted(i)
			}
		})
	}
	position := make(map[string]int, len(rows))
	for i, row := range rows {
		position[row[0].(string)] = i
	}
	return c.each(ctx, b.text(c.d)+" RETURNING "+b.columns[0].name, b.arrays(rows), func(row scan) error {
		var key string
		if err := row(&key); err != nil {
			return err
		}
		inserted(position[key])
		return nil
	})
}

// rowByRow runs b on SQLite, and calls done after each row with how many it changed.
func (c conn) rowByRow(ctx context.Context, b bulk, rows [][]any, done func(i int, changed int64)) error {
	stmt, err := c.q.(*sql.Tx).PrepareContext(ctx, b.text(c.d))
	if err != nil {
		return err
	}
	defer stmt.Close()
	// A context that cannot end spares the driver a goroutine for every row; this
	// loop looks at ctx itself.
	endless := context.WithoutCancel(ctx)
	for i, row := range rows {
		if err := ctx.Err(); err != nil {
			return err
		}
		r, err := stmt.ExecContext(endless, row...)
		if err != nil {
			return err
		}
		changed, _ := r.RowsAffected() // SQLite always knows
		done(i, changed)
	}
	return nil
}

// sortRows orders rows by a column of text.
func sortRows(rows [][]any, column int) {
	slices.SortFunc(rows, func(a, b []any) int { return strings.Compare(a[column].(string), b[column].(string)) })
}

// arrays are the rows as PostgreSQL gets them: one parameter a column.
func (b bulk) arrays(rows [][]any) []any {
	arrays := make([]any, len(b.columns))
	for i := range b.columns {
		values := make([]any, len(rows))
		for j, row := range rows {
			values[j] = row[i]
		}
		arrays[i] = values
	}
	return arrays
}

// at is a time as a parameter: UTC, in the microseconds both databases keep, and
// NULL for the zero time.
func at(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Truncate(time.Microsecond)
}

// stamp scans a time column of either database; NULL is the zero time. It takes
// integers too because SQLite stores them and because max() and coalesce() lose
// the column's type.
type stamp time.Time

// Scan implements sql.Scanner.
func (s *stamp) Scan(v any) error {
	switch v := v.(type) {
	case nil:
		*s = stamp{}
	case time.Time:
		*s = stamp(v.UTC())
	case int64:
		*s = stamp(time.UnixMicro(v).UTC())
	default:
		return fmt.Errorf("a time stored as %T", v)
	}
	return nil
}

// into scans a time column into t.
func into(t *time.Time) *stamp { return (*stamp)(t) }

// clean makes text that both databases store: no NUL, valid UTF-8.
func clean(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "\uFFFD")
}

// list is a JSON array as the parameter of dialect.texts or dialect.ints.
func list[T string | int64](values []T) string {
	if len(values) == 0 {
		return "[]"
	}
	b, err := json.Marshal(values)
	if err != nil {
		panic(err) // strings and integers always encode
	}
	return string(b)
}

// document is a value as a JSON parameter.
func document(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // every caller passes plain structs of this package
	}
	return string(b)
}

// orEpoch stands in for a time that is missing in a column that needs one.
func orEpoch(t time.Time) time.Time {
	if t.IsZero() {
		return time.Unix(0, 0)
	}
	return t
}
