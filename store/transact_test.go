package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
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
	steps = slices.DeleteFunc(steps, func(s string) bool { return !strings.Contains(s, "-commit of ") })
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

// lineUp lets writes line up while the turn is taken, and then runs them. It returns the
// error of each.
func lineUp(f *fixture, writes ...func(context.Context, conn) error) []error {
	var queue []func() error
	for i, write := range writes {
		queue = append(queue, func() error { return f.unfenced(f.Context(), fmt.Sprint("write ", i), write) })
	}
	return queueUp(f, queue...)
}

// queueUp is lineUp for writes that line up by themselves, each once at first.
func queueUp(f *fixture, writes ...func() error) []error {
	errs := make([]error, len(writes))
	var ended sync.WaitGroup
	f.turn <- struct{}{}
	for i, write := range writes {
		ended.Go(func() { errs[i] = write() })
		for waits := 0; waits <= i; { // in this order
			f.line.mu.Lock()
			waits = len(f.line.waiting)
			f.line.mu.Unlock()
			time.Sleep(time.Millisecond)
		}
	}
	<-f.turn
	ended.Wait()
	return errs
}

// note adds a row, so that a write that is done twice shows.
func note(name string) func(context.Context, conn) error {
	return func(ctx context.Context, tx conn) error {
		_, err := tx.exec(ctx, "INSERT INTO notes (name) VALUES ($1)", name)
		return err
	}
}

// Writes that wait are committed together, and none of them sees whether it was alone.
//
// With each of these mistakes put in once, it went red: the rows of a failed write
// stay; a write is done before the commit; a write that wants to be repeated fails; one
// that has ended the transaction takes the others with it.
func TestWritesThatWaitShareACommit(t *testing.T) {
	refused := errors.New("refused")
	half := func(err error) func(context.Context, conn) error { // writes, and fails
		return func(ctx context.Context, tx conn) error {
			return errors.Join(note("half")(ctx, tx), err)
		}
	}
	busy, tries := liteError(5), 0
	for _, test := range []struct {
		name  string
		among func(context.Context, conn) error
		err   error
		alone bool // each write is committed on its own
	}{
		{"all are well", note("among"), nil, false},
		{"one fails", half(refused), refused, false},
		{"one panics", func(context.Context, conn) error { panic(refused) }, errors.New("a panic"), false},
		{"one wants to be repeated", func(ctx context.Context, tx conn) error {
			if tries++; tries == 1 {
				return half(busy)(ctx, tx)
			}
			return note("among")(ctx, tx)
		}, nil, true},
		{"one ends the transaction", func(ctx context.Context, tx conn) error {
			_, err := tx.exec(ctx, "ROLLBACK")
			return errors.Join(refused, err)
		}, refused, true},
		{"the commit is refused for one", func(ctx context.Context, tx conn) error {
			_, err := tx.exec(ctx, "INSERT INTO one (id, other) VALUES (1, 2)")
			return err
		}, liteError(787), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := newFixture(t, sqliteURL(t))
			f.edit("CREATE TABLE notes (name TEXT)", "CREATE TABLE one (id INTEGER PRIMARY KEY, other INTEGER REFERENCES one (id) DEFERRABLE INITIALLY DEFERRED)")
			var steps []string
			f.failpoint = func(step, _ string) { steps = append(steps, step) }
			errs := lineUp(f, note("before"), test.among, note("after"))
			if errs[0] != nil || errs[2] != nil || (errs[1] == nil) != (test.err == nil) ||
				test.err != nil && !strings.Contains(errs[1].Error(), test.err.Error()) && !isLite(errs[1], test.err) {
				t.Errorf("%q", errs)
			}
			together := strings.Contains(strings.Join(steps, " "), "after-commit after-commit")
			if together == test.alone {
				t.Errorf("committed together: %v, %v", together, steps)
			}
			written, err := f.strings(t.Context(), "reading", "SELECT name FROM notes ORDER BY name")
			f.must(err)
			want := []string{"after", "before"}
			if test.err == nil {
				want = []string{"after", "among", "before"}
			}
			same(t, "what is written", want, written)
		})
	}
}

// isLite reports whether both are the same error of SQLite.
func isLite(err, want error) bool {
	var a, b sqliteError
	return errors.As(err, &a) && errors.As(want, &b) && a.Code() == b.Code()
}

// A write whose context ends while it waits, or while it runs beside others, is given up
// alone.
func TestAWriteThatIsGivenUpSpoilsNoOther(t *testing.T) {
	f := newFixture(t, sqliteURL(t))
	f.edit("CREATE TABLE notes (name TEXT)")
	ctx, cancel := context.WithCancel(t.Context())
	errs := lineUp(f, note("before"), func(mine context.Context, tx conn) error {
		cancel()
		return errors.Join(note("among")(mine, tx), ctx.Err())
	}, note("after"))
	if errs[0] != nil || !errors.Is(errs[1], context.Canceled) || errs[2] != nil {
		t.Errorf("%q", errs)
	}
	m := &queued{ctx: ctx, op: "given up", done: make(chan struct{}), fn: func(context.Context, conn) error { t.Error("it runs"); return nil }}
	other := &queued{ctx: t.Context(), op: "other", done: make(chan struct{}), fn: note("other")}
	f.runGroup([]*queued{other, m})
	if fault.Of(m.err) != fault.Canceled || other.err != nil {
		t.Errorf("given up: %v, the other one: %v", m.err, other.err)
	}
}

// However many wait, the webhooks' turn comes after a bounded number.
func TestAGroupIsBounded(t *testing.T) {
	var l line
	all := make([]*queued, 3*mostTogether)
	for i := range all {
		all[i] = &queued{}
		l.add(all[i])
	}
	last := all[len(all)-1]
	first := l.take(last)
	if len(first) != mostTogether || first[0] != last || first[1] != all[0] || l.take(all[0]) != nil {
		t.Errorf("a group of %d", len(first))
	}
	if second := l.take(all[mostTogether-1]); len(second) != mostTogether || second[1] != all[mostTogether] {
		t.Errorf("then a group of %d", len(second))
	}
}

// A write of thousands of rows shares its transaction with no other, whichever comes first, and
// keeps nobody behind it waiting for longer.
func TestALargeWriteIsAlone(t *testing.T) {
	var l line
	small, large, last := &queued{}, &queued{alone: true}, &queued{}
	for _, m := range []*queued{small, large, last} {
		l.add(m)
	}
	if group := l.take(small); !slices.Equal(group, []*queued{small, last}) {
		t.Errorf("with the first one: %d writes", len(group))
	}
	l.add(last)
	if group := l.take(large); !slices.Equal(group, []*queued{large}) {
		t.Errorf("with the large one: %d writes", len(group))
	}
	if group := l.take(last); !slices.Equal(group, []*queued{last}) {
		t.Errorf("what is left: %d writes", len(group))
	}
}

// A part of a sweep is such a write, and so is waking everybody. Behind a savepoint SQLite kept
// 200 MB of a sweep of a million in memory.
func TestASweepSharesNoTransaction(t *testing.T) {
	f := newFixture(t, sqliteURL(t))
	f.edit("CREATE TABLE notes (name TEXT)")
	for name, large := range map[string]func() error{
		"beginning": func() error { return f.BeginSweep(t.Context(), f.tok) },
		"merging":   func() error { _, err := f.MergeSweep(t.Context(), f.tok, t0); return err },
		"waking":    func() error { return f.MakeDue(t.Context(), f.tok, nil, t0) },
	} {
		f.must(f.BeginSweep(t.Context(), f.tok))
		f.must(f.Stage(t.Context(), f.tok, []reconcile.SubscriptionFacts{{Subscription: reconcile.Subscription{ID: "sub_1", Status: reconcile.StatusActive, ReadAt: t0}, Buyer: reconcile.StripeCustomer{ID: "cus_1"}}}))
		var steps []string
		f.failpoint = func(step, _ string) { steps = append(steps, step) }
		for _, err := range queueUp(f, func() error { return f.unfenced(t.Context(), "a note", note(name)) }, large) {
			f.must(err)
		}
		f.failpoint = func(string, string) {}
		if text := strings.Join(steps, " "); strings.Contains(text, "before-commit before-commit") {
			t.Errorf("%s shares a transaction: %s", name, text)
		}
	}
}
