package store

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/pgtest"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// source is a database of SQLite with something in every table, and no run at work.
func source(t *testing.T) *fixture {
	t.Helper()
	f := newFixture(t, sqliteURL(t))
	f.person()
	f.edit("INSERT INTO cursors (name, value) VALUES ('odd', 'ț \"quoted\" \\ Ωж😀')",
		`UPDATE customers SET held = '[{"kind":"grace","n":12345678901234567,"x":1.50,"y":1e3}]' WHERE id = 'cus_b'`,
		"DELETE FROM staged_subscriptions", "INSERT INTO staged_subscriptions (id, read_at, content) VALUES ('sub_x', 1, x'00ff')")
	f.must(f.Release(t.Context(), f.tok))
	return f
}

func TestACopyInPostgreSQLIsTheSameAndGoesOn(t *testing.T) {
	f := source(t)
	url := pgtest.New(t, migrateURL)
	to := open(t, url)
	all, err := f.Copy(t.Context(), to, secret.New(url), "copy", t0.Add(time.Hour))
	f.must(err)
	tables := map[string]int64{}
	for _, one := range all {
		tables[one.Name] = one.Rows
	}
	for i := range personals {
		p := &personals[i]
		if p.table == stagedTable {
			continue
		}
		n := int64(0)
		f.must(f.query(t.Context(), "counting", "SELECT count(*) FROM "+p.table, nil, func(row scan) error { return row(&n) }))
		if got, copied := tables[p.table]; !copied || got != n {
			t.Errorf("%s: %d rows of %d", p.table, got, n)
		}
	}
	before, err := f.Personal(t.Context(), "cus_a")
	f.must(err)
	after, err := to.Personal(t.Context(), "cus_a")
	f.must(err)
	same(t, "all of a customer", before, after)
	cursors, err := to.AllCursors(t.Context())
	f.must(err)
	same(t, "the version that a program needs to know", strconv.FormatInt(neededBy(to.history()), 10), cursors[neededCursor])
	same(t, "odd text", "ț \"quoted\" \\ Ωж😀", cursors["odd"])
	g := &fixture{TB: t, Store: to, url: url}
	same(t, "the customers", []reconcile.Customer{f.customer("cus_b")}, []reconcile.Customer{g.customer("cus_b")})
	g.tok = g.acquire("first here", t0.Add(time.Hour), time.Minute)
	if g.tok <= f.tok {
		t.Errorf("token %d after %d", g.tok, f.tok)
	}
	g.checkTallies()
	g.save(t0.Add(2*time.Hour), facts("sub_new", "cus_new", "new@example.com"))
	f.acquire("first", t0.Add(time.Hour), time.Minute) // the source is free again
}

func TestACopyIsRefusedWhole(t *testing.T) {
	f := source(t)
	refused := func(what, want string, to *Store, url string) {
		t.Helper()
		_, err := f.Copy(t.Context(), to, secret.New(url), "copy", t0)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", what, err, want)
		}
	}
	url := pgtest.New(t, migrateURL)
	to := open(t, url)
	target := &fixture{TB: t, Store: to, url: url}
	count := func() (n int) {
		f.must(to.query(t.Context(), "counting", "SELECT (SELECT count(*) FROM customers) + (SELECT count(*) FROM cursors WHERE name <> '"+neededCursor+"')", nil, func(row scan) error { return row(&n) }))
		return n
	}

	tok := f.acquire("a service", t0, time.Minute)
	refused("a run at work", "a service works on the source until 2026-03-01T12:01:00Z", to, url)
	f.must(f.Release(t.Context(), tok))

	refused("SQLite", "and no other way", f.Store, f.url)
	old := pgtest.Empty(t)
	refused("a target without tables", "of PostgreSQL lacks", open(t, old), old)

	target.edit("INSERT INTO cursors (name, value) VALUES ('x', 'y')")
	refused("a target with a row in one table", "the target is not empty (cursors has rows), and nothing was copied", to, url)
	if n := count(); n != 1 {
		t.Errorf("%d rows in the target that was refused", n)
	}
	target.edit("DELETE FROM cursors WHERE name = 'x'")

	newer := source(t)
	newer.newer("1")
	if _, err := newer.Copy(t.Context(), to, secret.New(url), "copy", t0); err == nil || !strings.Contains(err.Error(), "at version 99") {
		t.Errorf("from a database of a newer program: %v", err)
	}

	// What PostgreSQL would not take as it is ends it, and the tables before stay empty too.
	target.edit("ALTER TABLE runs ADD CONSTRAINT odd CHECK (id = '')")
	refused("a row that does not fit", "table runs", to, url)
	if n := count(); n != 0 {
		t.Errorf("%d rows are left of half a copy", n)
	}
	target.edit("ALTER TABLE runs DROP CONSTRAINT odd")

	// A value that changes on the way is noticed.
	target.edit("CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.value = NEW.value || ' '; RETURN NEW; END $$",
		"CREATE TRIGGER odd BEFORE INSERT ON cursors FOR EACH ROW EXECUTE FUNCTION odd()")
	refused("a value that changes", "arrived; nothing was copied", to, url)
	if n := count(); n != 0 {
		t.Errorf("%d rows are left of a copy that differs", n)
	}
}
