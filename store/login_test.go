package store

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

func TestANewConnectionHasTheLoginOfItsMoment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "url")
	write := func(url string) {
		t.Helper()
		at := time.Now().Add(-time.Minute)
		for _, err := range []error{os.WriteFile(path, []byte(url), 0o600), os.Chtimes(path, at, at)} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	const before = "postgres://app:first@db.example.com/hosting"
	write(before)
	f, err := secret.Follow("DATABASE_URL", path, nil)
	if err != nil {
		t.Fatal(err)
	}
	login := currentLogin(secret.In(f), before)
	for _, url := range []string{before, "postgres://app2:se%40cond@db.example.com/hosting", before} {
		write(url)
		want, err := pgx.ParseConfig(url)
		if err != nil {
			t.Fatal(err)
		}
		got, err := pgx.ParseConfig(before)
		if err != nil {
			t.Fatal(err)
		}
		if err := login(t.Context(), got); err != nil || got.User != want.User || got.Password != want.Password || got.Host != want.Host {
			t.Errorf("%s logs in with a password of %d characters at %s: %v", got.User, len(got.Password), got.Host, err)
		}
	}
}
