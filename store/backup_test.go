package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

// TestABackupIsTheDatabaseOfOneMoment: rows that belong together are both in it or neither,
// however much is written meanwhile.
func TestABackupIsTheDatabaseOfOneMoment(t *testing.T) {
	f := newFixture(t, sqliteURL(t))
	stop := make(chan struct{})
	var writer sync.WaitGroup
	writer.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			f.edit(fmt.Sprintf("INSERT INTO cursors (name, value) VALUES ('a%d', '')", i), fmt.Sprintf("INSERT INTO cursors (name, value) VALUES ('b%d', '')", i))
		}
	})
	dir := t.TempDir()
	for i := range 5 {
		b, err := f.Backup(t.Context(), filepath.Join(dir, fmt.Sprintf("backup-%d.db", i)))
		f.must(err)
		copied := open(t, "sqlite:"+b.File)
		names, err := copied.strings(t.Context(), "reading", "SELECT name FROM cursors WHERE name LIKE 'a%' OR name LIKE 'b%' ORDER BY substr(name, 2), name")
		f.must(err)
		if len(names)%2 != 0 {
			t.Errorf("%d rows of pairs", len(names))
		}
		version, err := f.Version(t.Context())
		f.must(err)
		if b.Schema != version || b.Rows < int64(len(names)) || b.Bytes == 0 {
			t.Errorf("%+v, of a database at %d", b, version)
		}
	}
	close(stop)
	writer.Wait()
}

func TestABackupIsForItsOwnerAndReplacesNothing(t *testing.T) {
	f := newFixture(t, sqliteURL(t))
	dir := t.TempDir()
	path := filepath.Join(dir, "backup.db")
	_, err := f.Backup(t.Context(), path)
	f.must(err)
	info, err := os.Stat(path)
	f.must(err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode().Perm())
	}
	if err := os.WriteFile(path, []byte("something else"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "link.db")); err != nil {
		t.Fatal(err)
	}
	for _, taken := range []string{path, filepath.Join(dir, "link.db")} {
		if _, err := f.Backup(t.Context(), taken); !errors.Is(err, ErrBackupExists) {
			t.Errorf("%s: %v", taken, err)
		}
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != "something else" {
		t.Errorf("the file that was there is now %q (%v)", text, err)
	}
	if _, err := f.Backup(t.Context(), filepath.Join(dir, "none", "backup.db")); err == nil || !strings.Contains(err.Error(), "cannot be written") {
		t.Errorf("in a folder that does not exist: %v", err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*.part-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}

// What cannot be trusted is no backup: the check reads every page.
func TestADamagedBackupIsNotTaken(t *testing.T) {
	f := newFixture(t, sqliteURL(t))
	for i := range 300 {
		f.insertOld(oldAction{key: fmt.Sprintf("%0200d", i), kind: "resume", state: "failed", customer: "cus_a"})
	}
	path := filepath.Join(t.TempDir(), "backup.db")
	b, err := f.Backup(t.Context(), path)
	f.must(err)
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	f.must(err)
	_, err = file.WriteAt(make([]byte, 8192), b.Bytes/2)
	f.must(errors.Join(err, file.Close()))
	if _, err := verify(t.Context(), path); err == nil {
		t.Error("two pages of zeros are taken for good")
	}
	empty := open(t, sqliteURL(t))
	if _, err := empty.Backup(t.Context(), filepath.Join(t.TempDir(), "empty.db")); err == nil || !strings.Contains(err.Error(), "no tables of this program") {
		t.Errorf("a backup of nothing: %v", err)
	}
}

func TestPostgreSQLIsBackedUpByItsOwnProgram(t *testing.T) {
	const url = "postgres://app:CANARY@db.example.com:5433/hosting?sslmode=require"
	want := "pg_dump -Fc -h db.example.com -p 5433 -U app -d hosting -f /b/x.dump"
	if got := DumpCommand(secret.New(url), "/b/x.dump"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := DumpCommand(secret.New("sqlite:state.db"), "x"); got != "" {
		t.Errorf("for SQLite: %s", got)
	}
}
