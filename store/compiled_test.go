package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"testing"
)

// numbers are the rows of a text in a pool, as one after another is read; each is called
// with every one.
func numbers(t *testing.T, q querier, text string, each func(int)) {
	t.Helper()
	rows, err := q.QueryContext(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var n int
		if err := rows.Scan(&n); err != nil {
			t.Fatal(err)
		}
		each(n)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

const three = "SELECT value FROM json_each('[1,2,3]')"

// While rows of a text are read, the same text may be run again on the same connection. If
// both shared one compiled statement, the second would rewind the first, or end it.
func TestAStatementThatIsInUseIsNotUsedTwice(t *testing.T) {
	f := newFixture(t, sqliteURL(t))
	tx, err := f.read.BeginTx(t.Context(), nil)
	f.must(err)
	defer tx.Rollback()
	var seen []string
	for _, use := range []string{"compiled just now", "kept"} {
		seen = nil
		numbers(t, tx, three, func(a int) {
			numbers(t, tx, three, func(b int) { seen = append(seen, fmt.Sprint(a, b)) })
			if len(seen) > 9 {
				t.Fatalf("%s: the rows begin again and again: %v", use, seen)
			}
		})
		same(t, use, []string{"1 1", "1 2", "1 3", "2 1", "2 2", "2 3", "3 1", "3 2", "3 3"}, seen)
	}
	prepared, err := tx.PrepareContext(t.Context(), three)
	f.must(err)
	seen = nil
	numbers(t, tx, three, func(a int) { seen = append(seen, fmt.Sprint(a)) })
	f.must(prepared.Close())
	numbers(t, tx, three, func(a int) { seen = append(seen, fmt.Sprint(a)) })
	same(t, "beside one who has it prepared, and after", []string{"1", "2", "3", "1", "2", "3"}, seen)
}

// A statement that failed, or whose rows were left early, serves the next one who runs it.
func TestAStatementServesAgainAfterItFailed(t *testing.T) {
	f := newFixture(t, sqliteURL(t))
	const insert, find = "INSERT INTO cursors (name, value) VALUES ($1, $2)", "SELECT value FROM cursors WHERE name = $1"
	add := func(name string) error {
		_, err := f.write.ExecContext(t.Context(), insert, name, "of "+name)
		return err
	}
	f.must(add("a"))
	if add("a") == nil {
		t.Fatal("the same name was added twice")
	}
	f.must(add("b"))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.write.QueryContext(ended, find, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end of its context: %v", err)
	}
	for _, name := range []string{"a", "b", "a"} {
		var value string
		f.must(f.write.QueryRowContext(t.Context(), find, name).Scan(&value))
		same(t, name, "of "+name, value)
	}
}

// A kept statement stays right when another connection changes the schema.
func TestAKeptStatementSeesAChangedSchema(t *testing.T) {
	f := newFixture(t, sqliteURL(t))
	change := func(text string) {
		t.Helper()
		_, err := f.write.ExecContext(t.Context(), text)
		f.must(err)
	}
	columns := func() (names []string) {
		t.Helper()
		rows, err := f.read.QueryContext(t.Context(), "SELECT * FROM tried")
		f.must(err)
		defer rows.Close()
		names, err = rows.Columns()
		f.must(err)
		return names
	}
	change("CREATE TABLE tried (a INTEGER)")
	change("INSERT INTO tried (a) VALUES (1)")
	same(t, "before", []string{"a"}, columns())
	change("ALTER TABLE tried ADD COLUMN b INTEGER")
	same(t, "after", []string{"a", "b"}, columns())
	change("DROP TABLE tried")
	if _, err := f.read.QueryContext(t.Context(), "SELECT * FROM tried"); err == nil {
		t.Error("a table that is gone was read")
	}
}

// A text is compiled once on each connection, however often it is run; what changes the
// schema or a setting is not kept. Many goroutines share the pool, which the race detector
// watches (make race).
func TestManyCompileStatementsAtOnce(t *testing.T) {
	f := newFixture(t, sqliteURL(t))
	const goroutines, queries = 8, 40
	text := func(n int) string { return fmt.Sprintf("SELECT %d", n) }
	before, run := len(f.reading.texts), f.reading.run.Load()
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			for n := range queries {
				var got int
				if err := f.read.QueryRowContext(t.Context(), text((n+g)%queries)).Scan(&got); err != nil || got != (n+g)%queries {
					t.Errorf("%s is %d: %v", text((n+g)%queries), got, err)
				}
			}
		})
	}
	all.Wait()
	same(t, "texts kept", queries, len(f.reading.texts)-before)
	same(t, "statements run", int64(goroutines*queries), f.reading.run.Load()-run)
	var mode string
	f.must(f.read.QueryRowContext(t.Context(), "PRAGMA journal_mode").Scan(&mode))
	same(t, "texts kept after a setting was read", queries, len(f.reading.texts)-before)

	held, err := f.read.Conn(t.Context())
	f.must(err)
	defer held.Close()
	f.must(held.Raw(func(c any) error {
		k := c.(*keeper)
		had := len(k.kept)
		for range 3 {
			rows, err := k.QueryContext(t.Context(), three, nil)
			if err != nil {
				return err
			}
			if err := rows.Close(); err != nil {
				return err
			}
		}
		same(t, "kept by one connection that ran a new text three times", had+1, len(k.kept))
		return nil
	}))
}

var _ querier = (*sql.Tx)(nil)
