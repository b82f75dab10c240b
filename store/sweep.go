package store

import (
	"context"
	"database/sql"
	"errors"
	"hash/maphash"
	"slices"
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
// transaction with the removal of the rows it merged: a process that dies midway
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

// KnownSubscriptions returns up to n subscriptions that are bound and known to Stripe, those
// bound longest first. Where nothing is bound, any that the mirror has will do.
func (s *Store) KnownSubscriptions(ctx context.Context, n int) ([]string, error) {
	const op = "choosing anchors"
	var ids []string
	take := func(row scan) error {
		var id string
		if err := row(&id); err != nil {
			return err
		}
		if len(ids) < n && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
		return nil
	}
	// Several slots of one subscription lie together, so a small multiple of n
	// rows yields n subscriptions wherever there are that many, or nearly.
	query := `SELECT b.subscription_id FROM bindings b JOIN subscriptions s ON s.id = b.subscription_id
		WHERE NOT s.gone ORDER BY b.bound_at, b.subscription_id LIMIT $1`
	err := s.query(ctx, op, query, []any{8 * n}, take)
	if err != nil || len(ids) > 0 {
		return ids, err
	}
	return ids, s.query(ctx, op, "SELECT id FROM subscriptions WHERE NOT gone ORDER BY id LIMIT $1", []any{n}, take)
}

// unlistedPage is how many ids of the mirror are compared with a sweep in one page.
const unlistedPage = 20_000

// Unlisted compares the sweep under way with the mirror: up to limit ids of
// subscriptions, not gone and created before the instant, that were not staged,
// and how many there are in all. It is asked after the last page and before
// MergeSweep.
func (s *Store) Unlisted(ctx context.Context, before time.Time, limit int) (ids []string, total int, err error) {
	query := "SELECT id FROM subscriptions WHERE id > $1 AND NOT gone AND created_at < $2 ORDER BY id LIMIT $3"
	return s.unstaged(ctx, query, before, limit)
}

// Gone counts the subscriptions that were marked gone after the instant, and that
// neither were read since nor are staged by the sweep under way. The zero time
// counts all of them. It is asked when Unlisted is.
func (s *Store) Gone(ctx context.Context, since time.Time) (int, error) {
	// A subscription that is gone is read no more: read_at is when it was found gone.
	query := "SELECT id FROM subscriptions WHERE id > $1 AND gone AND read_at > $2 ORDER BY id LIMIT $3"
	_, n, err := s.unstaged(ctx, query, since, 0)
	return n, err
}

// unstaged pages through the ids of a query about an instant and finds those that
// were not staged.
func (s *Store) unstaged(ctx context.Context, query string, instant time.Time, limit int) (ids []string, total int, err error) {
	const op = "looking for subscriptions that were not listed"
	for last := ""; ; {
		page := make([]string, 0, unlistedPage)
		err := s.query(ctx, op, query, []any{last, at(orEpoch(instant)), unlistedPage}, func(row scan) error {
			err := row(&last)
			page = append(page, last)
			return err
		})
		if err != nil {
			return nil, 0, err
		}
		missing, err := s.sweep.lacks(page)
		if err != nil {
			return nil, 0, failed(op, err)
		}
		total += len(missing)
		ids = append(ids, missing[:min(len(missing), limit-len(ids))]...)
		if len(page) < unlistedPage {
			return ids, total, nil
		}
	}
}

// lacks returns those of the ids that were not staged.
func (w *sweep) lacks(ids []string) (missing []string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen == nil {
		return nil, errNoSweep
	}
	for _, id := range ids {
		if _, staged := w.seen[maphash.String(w.seed, id)]; !staged {
			missing = append(missing, id)
		}
	}
	return missing, nil
}
