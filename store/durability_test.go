package store

import (
	"path/filepath"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/internal/pgtest"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Every connection of a pool has to wait for the disk, because a write that is lost with the
// power would be sent a second time.
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

// Triggers on every table refuse a write if its transaction would not wait for the disk,
// which may be the default of a role, of a database or of the URL. So the test fails if a
// transaction does not set synchronous_commit itself.
func TestEveryWriteIsDurableWhateverTheDatabaseSays(t *testing.T) {
	for _, c := range []struct{ setting, want string }{
		{"off", "on"}, {"local", "on"}, {"remote_write", "on"}, {"on", "on"}, {"remote_apply", "remote_apply"},
	} {
		t.Run(c.setting, func(t *testing.T) {
			url := pgtest.New(t, migrateURL)
			f := newFixture(t, url)
			f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
			must := func(statement string) {
				t.Helper()
				_, err := f.write.ExecContext(t.Context(), statement)
				f.must(err)
			}
			must(`CREATE FUNCTION durable() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
				IF current_setting('synchronous_commit') <> '` + c.want + `' THEN
					RAISE EXCEPTION 'not durable: % in %', current_setting('synchronous_commit'), TG_TABLE_NAME;
				END IF; RETURN NULL; END $$`)
			for _, table := range f.tables() {
				must("CREATE TRIGGER durable BEFORE INSERT OR UPDATE OR DELETE ON " + table + " FOR EACH STATEMENT EXECUTE FUNCTION durable()")
			}
			f.Store = open(t, url+"&synchronous_commit="+c.setting)
			var have string
			f.must(f.write.QueryRowContext(t.Context(), "SHOW synchronous_commit").Scan(&have))
			same(t, "what the session says", c.setting, have)

			f.must(f.Nudge(t.Context(), []string{"sub_a"}, "test", t0))
			for name, write := range writes(f) {
				if name == "Release" {
					continue // the last
				}
				if err := write(t.Context(), f.tok); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			a := action("suspend:sub_a/1:43", reconcile.Suspend, "cus_a", "sub_a")
			f.plan("cus_a", a)
			p := f.hold("run-plan", held("plan-1", reconcile.Suspend, t0, a))
			_, err := f.Approve(t.Context(), p.ID, 0, "op", t0)
			f.must(err)
			_, err = f.AddManualHold(t.Context(), reconcile.ManualHold{ID: "h1", Customer: "cus_a", Kind: reconcile.Ignore, Created: t0})
			f.must(err)
			_, err = f.RemoveManualHold(t.Context(), "h1", t0)
			f.must(err)
			_, err = f.Retry(t.Context(), "cus_a", t0)
			f.must(err)
			_, err = f.LogWebhook(t.Context(), "evt_1", "invoice.paid", "sub_a", true, t0)
			f.must(err)
			f.must(f.WebhookResult(t.Context(), "sub_a", t0, "", t0))
			f.must(f.SetMapping(t.Context(), reconcile.Mapping{BillingID: "price_a", Plan: "2"}, "op", t0))
			_, err = f.DeleteMapping(t.Context(), "price_a")
			f.must(err)
			f.acquire("first", t0, ttl)
			f.must(f.Release(t.Context(), f.tok))
		})
	}
}

// The servers of these tests run with fsync=off, which no transaction can set.
func TestWhatNoTransactionCanSetIsTold(t *testing.T) {
	names := func(url string) (all []string) {
		t.Helper()
		risks, err := open(t, url).Durability(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range risks {
			all = append(all, r.Setting)
		}
		return all
	}
	url := pgtest.Empty(t)
	same(t, "a server that loses commits", []string{"fsync=off", "full_page_writes=off"}, names(url))
	same(t, "Neon, where others keep the log", []string(nil), names(url+"&neon.timeline_id=1f3a"))
	same(t, "SQLite", []string(nil), names(sqliteURL(t)))
}
