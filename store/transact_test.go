package store

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

// The tests that kill the process end it at these steps.
func TestAWriteHasAStepBeforeItsCommitAndOneAfterIt(t *testing.T) {
	f := newFixture(t, sqliteURL(t))
	var steps []string
	f.failpoint = func(step, operation string) { steps = append(steps, step+" of "+operation) }
	f.must(f.SetCursor(t.Context(), f.tok, "c", "v"))
	same(t, "a write", []string{"before-commit of moving a cursor", "after-commit of moving a cursor"}, steps)
	steps = nil
	if err := f.SetCursor(t.Context(), f.tok+1, "c", "v"); err == nil {
		t.Error("a write without the lease is accepted")
	}
	same(t, "a write that is refused", []string(nil), steps)

	f.edit("CREATE TABLE one (id INTEGER PRIMARY KEY, other INTEGER REFERENCES one (id) DEFERRABLE INITIALLY DEFERRED)")
	steps = nil
	err := f.unfenced(t.Context(), "refused at the end", func(ctx context.Context, tx conn) error {
		_, err := tx.exec(ctx, "INSERT INTO one (id, other) VALUES (1, 2)")
		return err
	})
	if err == nil {
		t.Error("a commit that is refused is no error")
	}
	same(t, "a commit that is refused", []string{"before-commit of refused at the end"}, steps)
}

func TestTheStepsOfAMigrationAreSeenOnce(t *testing.T) {
	var steps []string
	s, err := Open(t.Context(), Options{URL: secret.New(sqliteURL(t)), Failpoint: func(step, operation string) { steps = append(steps, step+" of "+operation) }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for range 2 {
		if _, err := s.Migrate(t.Context(), false); err != nil {
			t.Fatal(err)
		}
	}
	same(t, "steps", []string{"before-commit of migrating", "after-commit of migrating", "before-commit of recording which programs may begin", "after-commit of recording which programs may begin"}, steps)
}

// The lock of a table that is being read ends the attempt, and the next one begins afresh.
func TestAnAttemptThatTheDatabaseRefusesIsRepeated(t *testing.T) {
	f := newFixture(t, sqliteURL(t))
	tries := 0
	refusedFor := func(times int) error {
		tries = 0
		return f.unfenced(t.Context(), "writing", func(ctx context.Context, tx conn) error {
			if tries++; tries > times {
				return setCursor(ctx, tx, "tries", strings.Repeat("x", tries))
			}
			if err := setCursor(ctx, tx, "half", "written"); err != nil {
				return err
			}
			return tx.each(ctx, "SELECT name FROM cursors", nil, func(scan) error {
				_, err := tx.exec(ctx, "DROP TABLE cursors")
				return err
			})
		})
	}
	f.must(refusedFor(attempts - 1))
	same(t, "tries", attempts, tries)
	all, err := f.AllCursors(t.Context())
	f.must(err)
	delete(all, neededCursor) // of the migrations
	same(t, "what is written", map[string]string{"tries": "xxxxx"}, all)

	err = refusedFor(attempts)
	if fault.Of(err) != fault.Transient || !strings.Contains(err.Error(), "another process keeps "+f.path+" locked") {
		t.Errorf("after the last try: %v", err)
	}
	same(t, "tries in vain", attempts, tries)
}

// If the context ends while a write waits for its next try, or for its turn, it does not run.
func TestAWriteThatIsGivenUpDoesNotRun(t *testing.T) {
	f := newFixture(t, sqliteURL(t))
	ctx, cancel := context.WithCancel(t.Context())
	tries := 0
	err := f.unfenced(ctx, "writing", func(context.Context, conn) error {
		tries++
		cancel()
		return liteError(5)
	})
	if tries != 1 || fault.Of(err) != fault.Canceled {
		t.Errorf("given up between two tries: %v after %d", err, tries)
	}

	f.turn <- struct{}{} // another write is at work, for long
	err = f.SetCursor(ctx, f.tok, "c", "v")
	if fault.Of(err) != fault.Canceled || !strings.Contains(err.Error(), "moving a cursor") {
		t.Errorf("given up while it waits for its turn: %v", err)
	}
	<-f.turn
	f.must(f.SetCursor(t.Context(), f.tok, "c", "v"))
}

// If a rollback fails, the error has both reasons.
func TestARollbackThatFailsIsTold(t *testing.T) {
	f := newFixture(t, "sqlite::memory:")
	b := breakable(f)
	b.rollback = errors.New("the rollback failed")
	err := f.unfenced(t.Context(), "writing", func(context.Context, conn) error { return ErrNotFound })
	if !errors.Is(err, b.rollback) || !errors.Is(err, ErrNotFound) {
		t.Errorf("an error and a failed rollback: %v", err)
	}
}

// A snapshot does not see the writes of others.
func TestASnapshotIsOfOneMoment(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.must(f.snapshot(t.Context(), "looking", func(ctx context.Context, c conn) error {
			for i := range 3 {
				var n int
				if _, err := c.one(ctx, "SELECT count(*) FROM customers", nil, &n); err != nil {
					return err
				}
				same(t, "customers", 0, n)
				f.save(t0, fleet(i, i+1)...)
			}
			return nil
		}))
		same(t, "customers afterwards", 3, len(f.customerIDs()))
	})
}

// If one who waits for rows gives up midway, nothing of many rows is stored.
func TestManyRowsAreGivenUpBetweenTwo(t *testing.T) {
	f := newFixture(t, sqliteURL(t))
	ctx, cancel := context.WithCancel(t.Context())
	var rows [][]any
	for _, s := range []string{"evt_1", "evt_2", "evt_3"} {
		rows = append(rows, []any{s, at(t0)})
	}
	written := 0
	err := f.fenced(ctx, "writing", f.tok, func(ctx context.Context, tx conn) error {
		return tx.rowByRow(ctx, insertEvent, rows, func(int, int64) { written++; cancel() })
	})
	if fault.Of(err) != fault.Canceled || written != 1 {
		t.Errorf("%v after %d rows", err, written)
	}
	unseen, err := f.UnseenEvents(t.Context(), []string{"evt_1"})
	f.must(err)
	same(t, "unseen", []string{"evt_1"}, unseen)
}

func TestAllOfALargeFleetAreMadeDue(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.edit(`INSERT INTO customers (id, email, email_key, name, created_at) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i <= 10000)
			SELECT 'cus_' || i, '', '', '', (SELECT expires_at FROM leases) FROM n`)
		f.must(f.MakeDue(t.Context(), f.tok, nil, t0.Add(time.Minute)))
		n, err := f.DueCount(t.Context(), t0.Add(time.Minute))
		f.must(err)
		same(t, "due", allChunk+1, n)
		same(t, "each once", int64(1), f.customer("cus_9").Version)
	})
}
