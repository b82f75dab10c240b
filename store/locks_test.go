package store

import (
	"context"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/internal/pgtest"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// waitsFor waits until do stands at a lock of the server, or is done, which is an error.
func (f *fixture) waitsFor(done chan error, what string) {
	f.Helper()
	for waiting := 0; waiting == 0; {
		select {
		case err := <-done:
			f.Errorf("%s did not wait: %v", what, err)
			done <- err
			return
		default:
		}
		_, err := f.reader().one(f.Context(), "SELECT count(*) FROM pg_locks WHERE NOT granted", nil, &waiting)
		f.must(err)
	}
}

// An instruction needs no lease. On PostgreSQL it keeps the writer out by a lock, from before
// it is decided until it is stored.
func TestAWriteWaitsWhileAnInstructionIsDecided(t *testing.T) {
	f := newFixture(t, pgtest.New(t, migrateURL))
	f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
	w, done := instruction(reconcile.InstructNew, "sub_a", reconcile.Hosting{}), make(chan error, 1)
	_, err := f.RecordInstruction(t.Context(), w, func(c *reconcile.Customer, b []reconcile.CustomerBinding) (reconcile.BindingChange, error) {
		go func() { done <- f.SetCursor(context.WithoutCancel(t.Context()), f.tok, "c", "v") }()
		f.waitsFor(done, "a write")
		return planner.Instruct(w, offered(), "")(c, b)
	})
	f.must(err)
	f.must(<-done)
}

// Two that take nudges get different ones, and a nudge that comes again at that moment is left
// for the next time: waiting for it could end in a circle.
func TestANudgeThatComesAgainIsNotWaitedFor(t *testing.T) {
	f := newFixture(t, pgtest.New(t, migrateURL))
	f.nudge(t0, "sub_a", "sub_b")
	f.must(f.unfenced(t.Context(), "nudging again", func(ctx context.Context, tx conn) error {
		if _, err := tx.exec(ctx, "UPDATE nudges SET created_at = created_at WHERE subscription_id = 'sub_a'"); err != nil {
			return err
		}
		ids, err := f.TakeNamed(t.Context(), f.tok, 10)
		same(t, "taken meanwhile", []string{"sub_b"}, ids)
		return err
	}))
	ids, err := f.TakeNamed(t.Context(), f.tok, 10)
	f.must(err)
	same(t, "taken afterwards", []string{"sub_a"}, ids)
}
