package store

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/pgtest"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// tables are the names of our tables.
func (f *fixture) tables() []string {
	f.Helper()
	query := "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'goose%' ORDER BY name"
	if f.d == postgres {
		query = "SELECT CAST(table_name AS TEXT) FROM information_schema.tables WHERE table_schema = 'public' AND table_name NOT LIKE 'goose%' ORDER BY 1"
	}
	names, err := f.reader().strings(f.Context(), query)
	f.must(err)
	slices.Sort(names)
	return names
}

// columns are the columns of a table in order, each with whether it may be NULL.
func (f *fixture) columns(table string) []string {
	f.Helper()
	query := `SELECT name || CASE WHEN "notnull" = 0 THEN ' null' ELSE '' END FROM pragma_table_info($1) ORDER BY cid`
	if f.d == postgres {
		query = `SELECT column_name || CASE WHEN is_nullable = 'YES' THEN ' null' ELSE '' END
			FROM information_schema.columns WHERE table_schema = 'public' AND table_name = $1 ORDER BY ordinal_position`
	}
	columns, err := f.reader().strings(f.Context(), query, table)
	f.must(err)
	return columns
}

func (f *fixture) columnList(table string) string {
	f.Helper()
	var names []string
	for _, column := range f.columns(table) {
		name, _, _ := strings.Cut(column, " ")
		names = append(names, "CASE WHEN typeof("+name+") = 'blob' THEN hex("+name+") ELSE "+name+" END")
	}
	return strings.Join(names, ", ")
}

func TestBothDatabasesHaveTheSameTablesColumnsAndNullability(t *testing.T) {
	lite, pg := newFixture(t, sqliteURL(t)), newFixture(t, pgtest.New(t, migrateURL))
	same(t, "tables (-sqlite +postgres)", lite.tables(), pg.tables())
	for _, table := range lite.tables() {
		same(t, table+" (-sqlite +postgres)", lite.columns(table), pg.columns(table))
	}
	names := func(all []MigrationInfo) (names []string) {
		for _, m := range all {
			names = append(names, m.Name)
		}
		return names
	}
	same(t, "files (-sqlite +postgres)", names(lite.history()), names(pg.history()))
}

// empties runs a test on an empty database of each kind.
func empties(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, sqliteURL(t)) })
	t.Run("postgres", func(t *testing.T) { test(t, pgtest.Empty(t)) })
}

func TestADryRunShowsTheSQLAndChangesNothing(t *testing.T) {
	empties(t, func(t *testing.T, url string) {
		f := &fixture{TB: t, Store: open(t, url)}
		pending, err := f.Migrate(t.Context(), true)
		f.must(err)
		if len(pending) == 0 || pending[0].Version != 1 || !strings.Contains(pending[0].SQL, "CREATE TABLE plan_mappings") {
			t.Errorf("pending: %+v", pending)
		}
		same(t, "tables", []string(nil), f.tables())
		version, err := f.Version(t.Context())
		f.must(err)
		same(t, "version", int64(0), version)
	})
}

func TestMigratingTwiceDoesNothingTheSecondTime(t *testing.T) {
	empties(t, func(t *testing.T, url string) {
		f := &fixture{TB: t, Store: open(t, url)}
		first, err := f.Migrate(t.Context(), false)
		f.must(err)
		again, err := f.Migrate(t.Context(), false)
		f.must(err)
		version, err := f.Version(t.Context())
		f.must(err)
		same(t, "applied first, applied again, version", []any{true, 0, first[len(first)-1].Version}, []any{len(first) > 0, len(again), version})
	})
}

// Databases in use have these. One that was at 8 would never get a migration with a
// smaller number that came later.
func TestAMigrationThatComesLaterHasAHigherNumber(t *testing.T) {
	released := []int64{1, 2, 3, 5, 6, 8}
	empties(t, func(t *testing.T, url string) {
		all := open(t, url).history()
		if len(all) < len(released) {
			t.Fatalf("only %d migrations", len(all))
		}
		for i, m := range all {
			if m.SQL == "" {
				t.Errorf("%s is empty", m.Name)
			}
			if i < len(released) && m.Version != released[i] || i >= len(released) && m.Version <= released[len(released)-1] {
				t.Errorf("%s stands where a database in use has none", m.Name)
			}
		}
	})
}

func TestManyMayMigrateAtOnce(t *testing.T) {
	empties(t, func(t *testing.T, url string) {
		var wg sync.WaitGroup
		errs := make([]error, 6)
		for i := range errs {
			s := open(t, url)
			wg.Go(func() { _, errs[i] = s.Migrate(t.Context(), false) })
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Error(err)
		}
	})
}

// Another process may migrate at any point at which this one has read half.
// It fails if the version is not read again after the tables.
func TestWhatAnotherProcessMigratesMeanwhileIsNoProgramOfOthers(t *testing.T) {
	empties(t, func(t *testing.T, url string) {
		s, other := open(t, url), open(t, url)
		var others error
		s.failpoint = func(step, operation string) {
			if operation == "reading the tables" && others == nil {
				_, others = other.Migrate(t.Context(), false)
			}
		}
		applied, err := s.Migrate(t.Context(), false)
		if err := errors.Join(err, others); err != nil || len(applied) > 0 {
			t.Errorf("applied %v: %v", applied, err)
		}
	})
}

// newer makes the database one of version 99, which needs a program that knows that version.
// Empty: the program that migrated it did not record one.
func (f *fixture) newer(needed string) {
	f.Helper()
	f.must(f.unfenced(f.Context(), "growing old", func(ctx context.Context, tx conn) error {
		if _, err := tx.exec(ctx, "INSERT INTO "+versionTable+" (version_id, is_applied) VALUES (99, TRUE)"); err != nil {
			return err
		}
		if needed == "" {
			_, err := tx.exec(ctx, "DELETE FROM cursors WHERE name = $1", neededCursor)
			return err
		}
		return setCursor(ctx, tx, neededCursor, needed)
	}))
}

func TestADatabaseOfANewerVersionIsRefusedAndLeftAlone(t *testing.T) {
	for _, needed := range []string{"", "99", strconv.FormatInt(Schema()+1, 10)} {
		conform(t, func(t *testing.T, f *fixture) {
			f.newer(needed)
			before := f.dump()
			_, err := f.Migrate(t.Context(), false)
			refused(t, "migrating", err, "version 99", "newer program", "nothing was changed")
			_, err = Open(t.Context(), Options{URL: secret.New(f.url)})
			refused(t, "opening", err, "version 99", "newer program", "nothing was changed")
			same(t, "database", before, f.dump())
		})
	}
}

// If the migrations that a program does not know only add, it begins and works, and leaves
// what they did alone.
func TestAProgramOfBeforeWorksIfTheMigrationsSinceOnlyAdd(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.newer(strconv.FormatInt(Schema(), 10))
		f.edit("ALTER TABLE customers ADD COLUMN of_the_newer TEXT")
		before := f.dump()
		s := open(t, f.url)
		applied, err := s.Migrate(t.Context(), false)
		f.must(err)
		same(t, "applied", 0, len(applied))
		same(t, "database", before, f.dump())
		f.must(s.SetMapping(t.Context(), reconcile.Mapping{BillingID: "price_older", Plan: "1"}, "test", t0))
		needed, err := s.needed(t.Context())
		f.must(err)
		same(t, "the version that a program needs to know", Schema(), needed)
	})
}

// Otherwise a program that they shut out begins between the migration and the record.
func TestTheNeededVersionIsRecordedBeforeTheMigrations(t *testing.T) {
	want := neededBy((&Store{d: sqlite}).history())
	if want < 23 || want > Schema() {
		t.Fatalf("a program needs to know version %d", want)
	}
	for _, fill := range []func(*testing.T, string){loadDump, func(*testing.T, string) {}} {
		empties(t, func(t *testing.T, url string) {
			fill(t, url)
			s := open(t, url)
			before, err := s.Version(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			migrating := int64(-1)
			s.failpoint = func(step, operation string) {
				if step == "before-commit" && operation == "migrating" && before > 0 {
					migrating, err = s.needed(t.Context())
				}
			}
			_, failed := s.Migrate(t.Context(), false)
			needed, unread := s.needed(t.Context())
			if err := errors.Join(err, failed, unread); err != nil {
				t.Fatal(err)
			}
			same(t, "afterwards", want, needed)
			if before > 0 {
				same(t, "before the migrations", want, migrating)
			}
		})
	}
}

// refused fails unless err is permanent and contains all of the words.
func refused(t *testing.T, what string, err error, words ...string) {
	t.Helper()
	if !errors.Is(err, fault.Permanent) {
		t.Errorf("%s: %v, want a permanent error", what, err)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%s: %q does not say %q", what, err, word)
		}
	}
}

func TestAPathThatCannotBeADatabaseIsRefusedWithWhatToDo(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	foreign := filepath.Join(dir, "foreign.db")
	db, err := sql.Open("sqlite", foreign)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE orders (id INTEGER)"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name, path string
		words      []string
	}{
		{"no path", "", []string{"needs a path", "sqlite:stripe-enhance.db"}},
		{"parameters, which might weaken a commit", filepath.Join(dir, "x.db") + "?_pragma=synchronous(OFF)", []string{"no parameters"}},
		{"a directory that does not exist", filepath.Join(dir, "no", "such.db"), []string{"directory", "DATABASE_URL"}},
		{"a directory", dir, []string{dir, "writable"}},
		{"below a file", filepath.Join(write("plain", "x"), "x.db"), []string{"not a directory", "DATABASE_URL"}},
		{"a text file", write("notes.txt", "these are my notes, not a database"), []string{"not a SQLite database", "nothing was changed", "DATABASE_URL"}},
		{"a short file", write("short", "x"), []string{"not a SQLite database"}},
		{"a database of something else", foreign, []string{"something else", "nothing was changed", "DATABASE_URL"}},
		{"a file that may not be made", "/proc/stripe-enhance.db", []string{"/proc/stripe-enhance.db"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			before, _ := os.ReadFile(c.path) // nil where there is none
			s, err := Open(t.Context(), Options{URL: secret.New("sqlite:" + c.path)})
			if err == nil {
				_ = s.Close()
			}
			refused(t, "opening", err, c.words...)
			after, _ := os.ReadFile(c.path)
			same(t, "file", before, after)
		})
	}
}

func TestAnotherSchemeIsRefused(t *testing.T) {
	for _, url := range []string{"", "mysql://u:hunter2@h/d", "stripe-enhance.db", "SQLITE:x"} {
		_, err := Open(t.Context(), Options{URL: secret.New(url)})
		refused(t, url, err, "sqlite:", "postgres://")
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
}

func TestNoErrorOfConnectingShowsThePassword(t *testing.T) {
	const password = "p%40ss-hunter2" // p@ss-hunter2
	for _, url := range []string{
		"postgres://user:" + password + "@127.0.0.1:1/db?sslmode=disable&connect_timeout=1",
		"postgres://user:" + password + "@127.0.0.1:notaport/db",
		"postgres://user:" + password + "@127.0.0.1:1/db?sslmode=perhaps",
		"postgres://user:" + password + "@127.0.0.1:1/db?pool_max_conns=many",
		"postgresql://127.0.0.1:1/db?user=u&password=" + password + "&sslmode=disable",
		"postgres://user:hunter2 with spaces@[::bad/db",
	} {
		s, err := Open(t.Context(), Options{URL: secret.New(url)})
		if err == nil {
			_ = s.Close()
			t.Errorf("opened %s", url)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
}

func TestAWrongPasswordIsToldWithoutIt(t *testing.T) {
	url := strings.Replace(pgtest.Empty(t), "throwaway-Pw1", "hunter2-wrong", 1)
	_, err := Open(t.Context(), Options{URL: secret.New(url)})
	if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "refuses the password of tester") {
		t.Errorf("error: %v", err)
	}
}

func TestTheFileIsForItsOwnerAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "with space &#%41.db")
	f := newFixture(t, "sqlite:"+path)
	f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
	for _, suffix := range []string{"", "-wal", "-shm", ".lock", ".migrate.lock"} {
		info, err := os.Stat(path + suffix)
		f.must(err)
		same(t, "mode of "+suffix, os.FileMode(0o600), info.Mode().Perm())
	}
}

func TestMemoryDatabasesAreSharedByNameAlone(t *testing.T) {
	one, other := newFixture(t, "sqlite::memory:shared by name"), open(t, "sqlite::memory:shared by name")
	one.save(t0, facts("sub_a", "cus_a", "a@example.com"))
	all, err := other.Customers(t.Context(), []string{"cus_a"})
	one.must(err)
	same(t, "customers in the shared one", 1, len(all))
	nameless := newFixture(t, "sqlite::memory:")
	same(t, "customers in a nameless one", []string(nil), nameless.customerIDs())
	nameless.save(t0, facts("sub_b", "cus_b", ""))
	same(t, "customers in the next one", []string(nil), newFixture(t, "sqlite::memory:").customerIDs())
}

const seed = `INSERT INTO plan_mappings (billing_provider, billing_plan_id, enhance_plan_id) VALUES
('stripe', 'price_basic_monthly', 'basic-hosting-plan'),
('stripe', 'price_pro_monthly', 'pro-hosting-plan');`

func TestTheSeedOfTheReadmeWorksInBothShells(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		name, args := "psql", []string{"--no-psqlrc", "--set=ON_ERROR_STOP=1", f.url}
		if f.d == sqlite {
			name, args = "sqlite3", []string{"-bail", f.path}
		}
		shell := func() (string, error) {
			if _, err := exec.LookPath(name); err != nil {
				// The statement itself is tested without the shell too.
				err := f.unfenced(t.Context(), "seeding", func(ctx context.Context, tx conn) error { _, err := tx.exec(ctx, seed); return err })
				if err != nil {
					return err.Error(), err
				}
				return "", nil
			}
			cmd := exec.CommandContext(t.Context(), name, args...)
			cmd.Stdin = strings.NewReader(seed)
			out, err := cmd.CombinedOutput()
			return string(out), err
		}
		if out, err := shell(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		want := []reconcile.Mapping{{BillingID: "price_basic_monthly", Plan: "basic-hosting-plan"}, {BillingID: "price_pro_monthly", Plan: "pro-hosting-plan"}}
		got, err := f.Mappings(t.Context())
		f.must(err)
		same(t, "mappings", want, got)
		if out, err := shell(); err == nil || !strings.Contains(strings.ToLower(out), "unique") {
			t.Errorf("twice: %v, %s; want a unique violation", err, out)
		}
	})
}
