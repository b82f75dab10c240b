package store

import (
	"path/filepath"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/internal/pgtest"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

// TestACommitWaitsForTheDisk: what is not durable is sent a second time after the
// power was lost. Every connection of a pool has to have the settings.
func TestACommitWaitsForTheDisk(t *testing.T) {
	open := func(t *testing.T, url string) *Store {
		t.Helper()
		s, err := Open(t.Context(), Options{URL: secret.New(url)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	shows := func(t *testing.T, s *Store, query, want string) {
		t.Helper()
		for range 3 { // connections held at the same time
			c, err := s.write.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			var have string
			if err := c.QueryRowContext(t.Context(), query).Scan(&have); err != nil {
				t.Fatal(err)
			}
			same(t, query, want, have)
			if s.d == sqlite {
				return // there is one that writes
			}
		}
	}
	t.Run("sqlite", func(t *testing.T) {
		s := open(t, "sqlite:"+filepath.Join(t.TempDir(), "test.db"))
		shows(t, s, "PRAGMA synchronous", "2")
		shows(t, s, "PRAGMA journal_mode", "wal")
	})
	t.Run("postgres", func(t *testing.T) {
		shows(t, open(t, pgtest.Empty(t)), "SHOW synchronous_commit", "on")
	})
}
