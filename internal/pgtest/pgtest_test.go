package pgtest

import (
	"context"
	"database/sql"
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := Close(); err != nil {
		println(err.Error())
		code = 1
	}
	os.Exit(code)
}

func table(ctx context.Context, url string) error {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.ExecContext(ctx, "CREATE TABLE marks (n INTEGER)")
	return err
}

func count(t *testing.T, url string) (n int) {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM marks").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func insert(t *testing.T, url string) {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "INSERT INTO marks VALUES (1)"); err != nil {
		t.Fatal(err)
	}
}

func TestEachTestHasADatabaseOfItsOwn(t *testing.T) {
	first, second := New(t, table), New(t, table)
	insert(t, first)
	if n := count(t, first); n != 1 {
		t.Errorf("first database has %d rows, want 1", n)
	}
	if n := count(t, second); n != 0 {
		t.Errorf("second database has %d rows, want 0", n)
	}
}

func TestAPrivateServerKeepsWhatWasCommittedWhenKilledAndRestarted(t *testing.T) {
	s, url := Private(t)
	if err := table(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	insert(t, url)
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := s.exec(t.Context(), "postgres", "SELECT 1"); err == nil {
		t.Error("a killed server still answers")
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := count(t, url); n != 1 {
		t.Errorf("%d rows after the kill, want 1", n)
	}
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := count(t, url); n != 1 {
		t.Errorf("%d rows after the restart, want 1", n)
	}
}
