package store

import (
	"context"
	"database/sql"
	"errors"
	"hash/maphash"
	"sync"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// mergeChunk is how many staged rows one transaction merges: large enough that
// the commit does not count, small enough that webhooks wait for a fraction of a
// second and memory stays flat at any number of subscriptions.
const mergeChunk = 5_000

// sweep remembers the ids staged so far, unchanged ones included, as 64-bit
// hashes under a random seed: some 20 MB for a million. Two ids collide with
// probability 3·10⁻⁸ at a million, and then the sweep fails once, loudly.
type sweep struct {
	mu   sync.Mutex // guards seen
	seed maphash.Seed
	seen map[uint64]struct{} // nil: no sweep has begun
}

func (w *sweep) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seed, w.seen = maphash.MakeSeed(), make(map[uint64]struct{})
}

// end forgets the ids and reports whether there was a sweep.
func (w *sweep) end() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	was := w.seen != nil
	w.seen = nil
	return was
}

var errNoSweep = fault.Wrap(fault.Permanent, errors.New("no sweep has begun"))

// add notes the ids of facts; an id that was there already is an error.
func (w *sweep) add(facts []reconcile.SubscriptionFacts) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen == nil {
		return errNoSweep
	}
	for i := range facts {
		h := maphash.String(w.seed, facts[i].ID)
		if _, twice := w.seen[h]; twice {
			return fault.Errorf(fault.Malformed, "subscription %s was listed twice in one sweep", facts[i].ID)
		}
		w.seen[h] = struct{}{}
	}
	return nil
}

// BeginSweep empties the staging area.
func (s *Store) BeginSweep(ctx context.Context, tok reconcile.Token) error {
	err := s.fenced(ctx, "beginning a sweep", tok, func(ctx context.Context, tx conn) error {
		_, err := tx.exec(ctx, "DELETE FROM staged_subscriptions")
		return err
	})
	if err == nil {
		s.sweep.begin()
	}
	return err
}

var stageRow = bulk{
	head:    "INSERT INTO staged_subscriptions",
	columns: []column{{"id", "TEXT"}, {"read_at", "TIMESTAMPTZ"}, {"content", "BYTEA"}},
}

// Stage keeps those facts that differ from the mirror. A subscription staged
// twice in one sweep, changed or not, fails with fault.Malformed, and so does
// everything staged after it until the next BeginSweep.
func (s *Store) Stage(ctx context.Context, tok reconcile.Token, facts []reconcile.SubscriptionFacts) error {
	const op = "staging a page"
	if err := s.sweep.add(facts); err != nil {
		s.sweep.end()
		return failed(op, err)
	}
	ids := make([]string, len(facts))
	hashes := make([]int64, len(facts))
	rows := make([][]any, len(facts))
	for i := range facts {
		f := cleaned(facts[i])
		packed := content(&f)
		ids[i] = f.ID
		hashes[i], rows[i] = hash(packed), []any{f.ID, at(orEpoch(f.ReadAt)), packed}
	}
	return s.fenced(ctx, op, tok, func(ctx context.Context, tx conn) error {
		have, err := mirroredHashes(ctx, tx, ids)
		if err != nil {
			return err
		}
		var changed [][]any
		for i, id := range ids {
			if h, ok := have[id]; !ok || h != hashes[i] {
				changed = append(changed, rows[i])
			}
		}
		return tx.bulk(ctx, stageRow, changed)
	})
}

// mirroredHashes maps those of the ids that the mirror has, and not as gone, to
// the hashes of their content.
func mirroredHashes(ctx context.Context, c conn, ids []string) (map[string]int64, error) {
	hashes := make(map[string]int64, len(ids))
	query := "SELECT id, content_hash FROM subscriptions WHERE NOT gone AND id IN " + c.d.texts(1)
	err := c.each(ctx, query, []any{list(ids)}, func(row scan) error {
		var id string
		var hash int64
		err := row(&id, &hash)
		hashes[id] = hash
		return err
	})
	return hashes, err
}

// MergeSweep moves the staging area into the mirror, chunk by chunk, each in a
// transaction with the removal of what it merged: a process that dies midway
// leaves a mirror that is right as far as it goes. It returns how many
// subscriptions changed.
func (s *Store) MergeSweep(ctx context.Context, tok reconcile.Token, now time.Time) (changed int, err error) {
	const op = "merging a sweep"
	if !s.sweep.end() {
		return 0, failed(op, errNoSweep)
	}
	for {
		var merged, staged int
		err := s.fenced(ctx, op, tok, func(ctx context.Context, tx conn) error {
			facts, err := takeStaged(ctx, tx)
			staged = len(facts)
			if err != nil || staged == 0 {
				return err
			}
			m := merge{tx: tx, now: now}
			merged, err = m.save(ctx, facts)
			return err
		})
		if err != nil {
			return changed, err
		}
		changed += merged
		if staged < mergeChunk {
			break
		}
	}
	return changed, s.fenced(ctx, op, tok, recount)
}

// takeStaged reads and removes the next rows of the staging area.
func takeStaged(ctx context.Context, tx conn) ([]reconcile.SubscriptionFacts, error) {
	facts := make([]reconcile.SubscriptionFacts, 0, mergeChunk)
	last := ""
	query := "SELECT id, read_at, content FROM staged_subscriptions ORDER BY id LIMIT $1"
	err := tx.each(ctx, query, []any{mergeChunk}, func(row scan) error {
		var readAt time.Time
		var packed sql.RawBytes
		if err := row(&last, into(&readAt), &packed); err != nil {
			return err
		}
		f, err := unpack(packed)
		f.ReadAt = readAt
		facts = append(facts, f)
		return badRow("staged", last, err)
	})
	if err != nil || len(facts) == 0 {
		return nil, err
	}
	_, err = tx.exec(ctx, "DELETE FROM staged_subscriptions WHERE id <= $1", last)
	return facts, err
}
