package store

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/pgtest"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// private is a fixture on a server of its own, to be stopped and killed.
func private(t *testing.T) (*pgtest.Server, *fixture) {
	t.Helper()
	server, url := pgtest.Private(t)
	f := newFixture(t, url)
	f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
	return server, f
}

func TestAServerThatIsDownIsATransientFault(t *testing.T) {
	server, f := private(t)
	f.must(server.Kill())
	for name, err := range map[string]error{
		"reading": f.Ping(t.Context()),
		"writing": f.SetCursor(t.Context(), f.tok, "c", "v"),
	} {
		if !errors.Is(err, fault.Transient) {
			t.Errorf("%s: %v, want a transient fault", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "throwaway-Pw1") {
			t.Errorf("%s: the error shows the password: %v", name, err)
		}
	}
	f.must(server.Start(t.Context()))
	f.recovers(t)
}

func TestARestartedServerIsUsedAgain(t *testing.T) {
	server, f := private(t)
	f.must(server.Restart(t.Context()))
	f.recovers(t)
}

// recovers writes until it works. If a connection of the pool died with the server, it may
// fail once, and only with a transient fault.
func (f *fixture) recovers(t *testing.T) {
	t.Helper()
	for range 2 * defaultPool {
		err := f.SetCursor(t.Context(), f.tok, "c", "after")
		if err == nil {
			value, err := f.Cursor(t.Context(), "c")
			f.must(err)
			same(t, "cursor", "after", value)
			same(t, "customer", 1, len(f.customer("cus_a").Subscriptions))
			return
		}
		if !errors.Is(err, fault.Transient) {
			t.Fatalf("%v, want a transient fault", err)
		}
	}
	t.Error("still no connection")
}

func TestAServerKilledInATransactionLeavesNothingOfIt(t *testing.T) {
	server, f := private(t)
	err := f.fenced(t.Context(), "half a write", f.tok, func(ctx context.Context, tx conn) error {
		if err := setCursor(ctx, tx, "c", "half"); err != nil {
			return err
		}
		return server.Kill()
	})
	if !errors.Is(err, fault.Transient) {
		t.Errorf("committing on a dead server: %v, want a transient fault", err)
	}
	f.must(server.Start(t.Context()))
	f.recovers(t)
}

func TestADeadlockIsRunAgain(t *testing.T) {
	f := newFixture(t, pgtest.New(t, migrateURL))
	f.save(t0, facts("sub_a", "cus_a", ""), facts("sub_b", "cus_b", ""))
	var meet sync.WaitGroup
	meet.Add(2)
	lock := func(first, second string) error {
		tries := 0
		return f.unfenced(t.Context(), "crossing", func(ctx context.Context, tx conn) error {
			tries++
			if err := wake(ctx, tx, []string{first}, t0); err != nil {
				return err
			}
			if tries == 1 { // both hold one row before either asks for the other
				meet.Done()
				meet.Wait()
			}
			return wake(ctx, tx, []string{second}, t0)
		})
	}
	errs := make([]error, 2)
	var wg sync.WaitGroup
	wg.Go(func() { errs[0] = lock("cus_a", "cus_b") })
	wg.Go(func() { errs[1] = lock("cus_b", "cus_a") })
	wg.Wait()
	f.must(errors.Join(errs...))
}

func TestTheLeaseDoesNotChangeHandsInsideAWrite(t *testing.T) {
	f := newFixture(t, pgtest.New(t, migrateURL))
	took := make(chan reconcile.Token, 1)
	f.must(f.fenced(t.Context(), "a long write", f.tok, func(ctx context.Context, tx conn) error {
		go func() {
			tok, _, _, err := f.Acquire(context.WithoutCancel(ctx), "second", t0.Add(time.Hour), ttl)
			if err != nil {
				t.Error(err)
			}
			took <- tok
		}()
		for waiting := 0; waiting == 0; {
			if len(took) > 0 {
				t.Error("the lease was taken while a write under it was open")
				return nil
			}
			if _, err := tx.one(ctx, "SELECT count(*) FROM pg_locks WHERE NOT granted", nil, &waiting); err != nil {
				return err
			}
		}
		return setCursor(ctx, tx, "c", "in time")
	}))
	if tok := <-took; tok <= f.tok {
		t.Errorf("token %d after %d", tok, f.tok)
	}
	value, err := f.Cursor(t.Context(), "c")
	f.must(err)
	same(t, "what was written under the old lease", "in time", value)
}

func TestACancelledCallIsToldAsCancelledAndLeavesTheStoreUsable(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if err := f.SetCursor(gone, f.tok, "c", "v"); !errors.Is(err, fault.Canceled) {
			t.Errorf("cancelled before: %v, want canceled", err)
		}
		midway, cancel := context.WithCancel(t.Context())
		err := f.fenced(midway, "cancelled midway", f.tok, func(ctx context.Context, tx conn) error {
			if err := setCursor(ctx, tx, "c", "half"); err != nil {
				return err
			}
			cancel()
			return setCursor(ctx, tx, "c", "more")
		})
		if !errors.Is(err, fault.Canceled) {
			t.Errorf("cancelled midway: %v, want canceled", err)
		}
		f.must(f.SetCursor(t.Context(), f.tok, "d", "v"))
		value, err := f.Cursor(t.Context(), "c")
		f.must(err)
		same(t, "what was half written", "", value)
	})
}

func TestTheJournalRefusesStatesThatCannotBe(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		insert := func(key, id, customer, state string, sent, finished, settle any, plan string) error {
			return f.unfenced(t.Context(), "inserting", func(ctx context.Context, tx conn) error {
				_, err := tx.exec(ctx, `INSERT INTO actions (key, action_id, run_id, position, kind, customer_id, state, planned_at, sent_at, finished_at, settle_until, held_plan_id)
					VALUES ($1, $2, 'run', 1, 'suspend', $3, $4, $5, $6, $7, $8, $9)`, key, id, customer, state, at(t0), sent, finished, settle, plan)
				return err
			})
		}
		for name, err := range map[string]error{
			"sent without a time":         insert("k1", "a1", "c1", "sent", nil, nil, nil, ""),
			"planned and sent":            insert("k2", "a2", "c2", "planned", at(t0), nil, nil, ""),
			"applied and open":            insert("k3", "a3", "c3", "applied", at(t0), nil, nil, ""),
			"applied and never sent":      insert("k4", "a4", "c4", "applied", nil, at(t0), nil, ""),
			"open and finished":           insert("k5", "a5", "c5", "sent", at(t0), at(t0), nil, ""),
			"ambiguous without a time":    insert("k6", "a6", "c6", "ambiguous", at(t0), nil, nil, ""),
			"held by nothing":             insert("k7", "a7", "c7", "held", nil, nil, nil, ""),
			"superseded although sent":    insert("k8", "a8", "c8", "superseded", at(t0), at(t0), nil, ""),
			"a word that is no state":     insert("k9", "a9", "c9", "done", nil, at(t0), nil, ""),
			"two open rows of one change": errors.Join(insert("k10", "a10", "c10", "planned", nil, nil, nil, ""), insert("k11", "a10", "c10", "held", nil, nil, nil, "p")),
			"two writes of one customer":  errors.Join(insert("k12", "a12", "c12", "sent", at(t0), nil, nil, ""), insert("k13", "a13", "c12", "sent", at(t0), nil, nil, "")),
			"another billing provider": f.unfenced(t.Context(), "inserting", func(ctx context.Context, tx conn) error {
				_, err := tx.exec(ctx, "INSERT INTO plan_mappings (billing_provider, billing_plan_id, enhance_plan_id) VALUES ('paddle', 'a', 'b')")
				return err
			}),
			"a mapping to nothing": f.unfenced(t.Context(), "inserting", func(ctx context.Context, tx conn) error {
				_, err := tx.exec(ctx, "INSERT INTO plan_mappings (billing_plan_id, enhance_plan_id) VALUES ('a', '')")
				return err
			}),
			"a hold on both": f.unfenced(t.Context(), "inserting", func(ctx context.Context, tx conn) error {
				_, err := tx.exec(ctx, "INSERT INTO holds (id, stripe_customer_id, subscription_id, kind, created_at) VALUES ('h', 'c', 's', 'ignore', $1)", at(t0))
				return err
			}),
			"an approval by nobody": f.unfenced(t.Context(), "inserting", func(ctx context.Context, tx conn) error {
				_, err := tx.exec(ctx, "INSERT INTO plans (id, kind, run_id, reason, created_at, expires_at, approved_at) VALUES ('p', 'suspend', 'r', 'x', $1, $1, $1)", at(t0))
				return err
			}),
		} {
			if err == nil {
				t.Errorf("%s was stored", name)
			} else if kind := fault.Of(err); kind != fault.Permanent && kind != fault.Conflict && !strings.Contains(name, "two") {
				t.Errorf("%s: %v is %s, want permanent or a conflict", name, err, kind)
			}
		}
	})
}
