package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

func TestAURLNamesAFileOrNone(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for url, want := range map[string]string{
		"sqlite:/var/lib/x.db": "/var/lib/x.db", "sqlite:x.db": filepath.Join(dir, "x.db"), "sqlite:": "", "sqlite::memory:": "", "sqlite::memory:name": "",
		"postgres://h/db": "", "": "",
	} {
		same(t, url, want, File(secret.New(url)))
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Getwd(); err == nil {
		t.Skip("a directory that is gone has a name here")
	}
	same(t, "in a directory that is gone", "x.db", File(secret.New("sqlite:x.db")))
	if _, err := Open(t.Context(), Options{URL: secret.New("sqlite:x.db")}); err == nil {
		t.Error("a database is opened in a directory that is gone")
	}
}

// Who only looks leaves no database behind.
func TestALookMakesNoFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	look := func() *Store {
		s, err := Open(t.Context(), Options{URL: secret.New("sqlite:" + path), Look: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	s := look()
	if version, err := s.Version(t.Context()); err != nil || version != 0 {
		t.Errorf("version %d, %v", version, err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) > 0 {
		t.Errorf("there are %v, %v", entries, err)
	}
	newFixture(t, "sqlite:"+path)
	if version, err := look().Version(t.Context()); err != nil || version == 0 {
		t.Errorf("of a database that is there: version %d, %v", version, err)
	}
	path = filepath.Join(filepath.Dir(path), "none", "x.db")
	_, err = Open(t.Context(), Options{URL: secret.New("sqlite:" + path), Look: true})
	refused(t, "where there is no directory", err, path+" cannot be made", "no such file or directory")
}

func TestOnlyARegularFileIsADatabase(t *testing.T) {
	_, err := Open(t.Context(), Options{URL: secret.New("sqlite:" + os.DevNull)})
	refused(t, "a device", err, os.DevNull, "not a regular file")
	path := filepath.Join(t.TempDir(), "x.db")
	if err := os.WriteFile(path, []byte(sqliteHeader+strings.Repeat("broken", 200)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Options{URL: secret.New("sqlite:" + path)}); fault.Of(err) != fault.Permanent || !strings.Contains(err.Error(), path) {
		t.Errorf("a file with only the header of a database: %v", err)
	}
}

// The settings that make a commit durable are read back, because the driver ignores unknown
// ones.
func TestADatabaseWithoutTheSettingsOfADurableCommitIsRefused(t *testing.T) {
	s := &Store{d: sqlite, path: "x.db"}
	defer s.Close()
	_, _, err := s.connect(t.Context(), "file:/settings?vfs=memdb&"+parameters("memory", false), 1, "wal")
	refused(t, "another journal", err, `x.db: PRAGMA journal_mode is "memory" and not "wal"`, "network or overlay file system")
	_, _, err = s.connect(t.Context(), "file:/no/such/directory/x.db?"+parameters("WAL", false), 1, "wal")
	if err == nil || !strings.Contains(err.Error(), "x.db") {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestReadsHaveAsManyConnectionsAsAreWanted(t *testing.T) {
	for wanted, want := range map[int]int{0: defaultReaders, -1: defaultReaders, 1: 1, 9: 9} {
		s, err := Open(t.Context(), Options{URL: secret.New(sqliteURL(t)), ReadConnections: wanted})
		if err != nil {
			t.Fatal(err)
		}
		same(t, "connections", []int{want, 1}, []int{s.read.Stats().MaxOpenConnections, s.write.Stats().MaxOpenConnections})
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Without a clock of the caller, the system's decides how many customers are due.
func TestCountsGoByTheClockOfTheSystemWhereNoneIsGiven(t *testing.T) {
	s, err := Open(t.Context(), Options{URL: secret.New("sqlite::memory:")})
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{TB: t, Store: s}
	t.Cleanup(func() { _ = s.Close() })
	f.must2(f.Migrate(t.Context(), false))
	f.tok = f.acquire("first", t0, ttl)
	now := time.Now()
	f.save(now.Add(-time.Minute), facts("sub_a", "cus_a", ""))
	f.save(now.Add(time.Hour), facts("sub_b", "cus_b", ""))
	counts, err := f.Counts(t.Context())
	f.must(err)
	same(t, "due", 1, counts.Due)
}

// A lock file that cannot be had is an error, and not a lease without it.
func TestALockFileThatCannotBeOpenedIsAnError(t *testing.T) {
	f := newFixture(t, sqliteURL(t))
	f.must(f.Release(t.Context(), f.tok))
	f.must(os.Remove(f.path + ".lock"))
	f.must(os.Mkdir(f.path+".lock", 0o700))
	if tok, _, _, err := f.Acquire(t.Context(), "second", t0, ttl); err == nil || tok != 0 {
		t.Errorf("the lease is acquired with token %d, %v", tok, err)
	}
	stats, err := f.Stats(t.Context(), t0)
	f.must(err)
	same(t, "the lease", "", stats.Lease.Owner)
	_, _, _, err = f.Acquire(t.Context(), "", t0, ttl)
	refused(t, "an owner without a name", err, "an owner needs a name")

	empty := open(t, sqliteURL(t))
	f.must(os.Mkdir(empty.path+".migrate.lock", 0o700))
	if _, err := empty.Migrate(t.Context(), false); err == nil {
		t.Error("a database is migrated without the lock")
	}
	version, err := empty.Version(t.Context())
	f.must(err)
	same(t, "version", int64(0), version)
}

// Whatever fails while a database is migrated, the next try goes on from there.
func TestAMigrationThatFailsIsTriedAgain(t *testing.T) {
	empties(t, func(t *testing.T, url string) {
		f := &fixture{TB: t, Store: open(t, url)}
		b := breakable(f)
		failures := 0
		for n := 1; ; n++ {
			*b = breaker{armed: true, left: n, parts: true}
			_, err := f.Migrate(t.Context(), false)
			if b.armed = false; err == nil { // goose itself tries some statements again
				break
			}
			if failures++; !strings.Contains(err.Error(), errBroken.Error()) {
				t.Fatalf("with step %d broken: %v", n, err)
			}
		}
		if failures == 0 {
			t.Error("no try failed")
		}
		pending, err := f.Pending(t.Context())
		f.must(err)
		same(t, "pending", 0, len(pending))
		f.tok = f.acquire("first", t0, ttl)
		f.save(t0, facts("sub_a", "cus_a", ""))
	})
}

// An error of the caller ends a stream, and is the stream's.
func TestAStreamEndsWithTheErrorOfItsReader(t *testing.T) {
	f := newFixture(t, "sqlite::memory:")
	crowd(f)
	enough := errors.New("that is enough")
	for name, read := range map[string]func(context.Context, func() error) error{
		"Holds": func(ctx context.Context, use func() error) error {
			return f.Holds(ctx, func(reconcile.Hold) error { return use() })
		},
		"Payers": func(ctx context.Context, use func() error) error {
			return f.Payers(ctx, func(reconcile.Subscription) error { return use() })
		},
		"RunActions": func(ctx context.Context, use func() error) error {
			return f.RunActions(ctx, "run-do", func(reconcile.ActionRecord) error { return use() })
		},
		"Standing": func(ctx context.Context, use func() error) error {
			return f.Standing(ctx, t0, func(reconcile.HeldAction) error { return use() })
		},
		"StandingOf": func(ctx context.Context, use func() error) error {
			return f.StandingOf(ctx, []string{"cus_h", "cus_i"}, t0, func(reconcile.HeldAction) error { return use() })
		},
	} {
		calls := 0
		if err := read(t.Context(), func() error { calls++; return enough }); !errors.Is(err, enough) || calls != 1 {
			t.Errorf("%s: %v after %d", name, err, calls)
		}
	}
}

// A process that does not get the lease gives the lock file back, so that the owner may
// still take it; and the owner keeps it when the lease is renewed.
func TestTheLockFileIsWithTheOwnerOfTheLease(t *testing.T) {
	f := newFixture(t, sqliteURL(t))
	locked := func() (locked bool) {
		f.must(f.query(t.Context(), "looking", "SELECT file_locked FROM leases", nil, func(row scan) error { return row(&locked) }))
		return locked
	}
	f.acquire("first", t0.Add(time.Second), ttl)
	same(t, "the owner has it after renewing", true, locked())

	second, third := &fixture{TB: t, Store: open(t, f.url)}, open(t, f.url)
	late := t0.Add(time.Hour)
	second.acquire("second", late, ttl) // the first is frozen, and has the lock file still
	same(t, "the next owner has it", false, locked())
	f.must(f.Store.lock.close()) // now it ends
	if tok, _, _, err := third.Acquire(t.Context(), "third", late, ttl); tok != 0 || err != nil {
		t.Errorf("a lease that another has is acquired: %d, %v", tok, err)
	}
	second.acquire("second", late.Add(time.Second), ttl)
	same(t, "the owner has it after the third gave it back", true, locked())
}

func TestADatabaseInMemoryLeavesNoFile(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	newFixture(t, "sqlite::memory:").save(t0, facts("sub_a", "cus_a", ""))
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("there are %v, %v", entries, err)
	}
}
