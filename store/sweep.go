package store

import (
	"context"
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
	mu      sync.Mutex // guards all below
	seed    maphash.Seed
	seen    map[uint64]struct{} // nil: no sweep has begun
	changed []staged            // not stored as a run yet
	runs    []int               // how many blocks each stored run has
}

func (w *sweep) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seed, w.seen = maphash.MakeSeed(), make(map[uint64]struct{})
	w.changed, w.runs = nil, nil
}

// end forgets the sweep and returns its runs and the rest. ok reports whether there was one.
func (w *sweep) end() (runs []int, rest []staged, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	runs, rest, ok = w.runs, w.changed, w.seen != nil
	w.seen, w.changed, w.runs = nil, nil, nil
	return runs, rest, ok
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
	err := s.fenced(ctx, "beginning a sweep", tok, emptyStaging)
	if err == nil {
		s.sweep.begin()
	}
	return err
}

func emptyStaging(ctx context.Context, tx conn) error {
	_, err := tx.exec(ctx, "DELETE FROM staged_subscriptions")
	return err
}

// Stage keeps those facts that differ from the mirror. A subscription staged
// twice in one sweep, changed or not, fails with fault.Malformed, and so does
// everything staged after it until the next BeginSweep.
//
// It writes nothing until runLength of them differ, so a sweep that finds little to
// change leaves the writer to others.
func (s *Store) Stage(ctx context.Context, tok reconcile.Token, facts []reconcile.SubscriptionFacts) error {
	const op = "staging a page"
	if err := s.sweep.add(facts); err != nil {
		s.sweep.end()
		return failed(op, err)
	}
	page := make([]staged, len(facts))
	for i := range facts {
		f := cleaned(facts[i])
		page[i] = staged{buyer: f.Buyer.ID, id: f.ID, readAt: f.ReadAt, packed: content(&f)}
	}
	changed, err := s.differing(ctx, op, tok, page)
	if err != nil {
		return err
	}
	return s.keep(ctx, op, tok, changed)
}

// differing returns the subscriptions of a page that are new, or not as the mirror has
// them. Two sums are compared first, because mostly nothing has changed, and one row
// costs less to read than a hundred.
func (s *Store) differing(ctx context.Context, op string, tok reconcile.Token, page []staged) ([]staged, error) {
	ids := make([]string, len(page))
	hashes := make([]int64, len(page))
	var want, have pageSum
	for i := range page {
		ids[i], hashes[i] = page[i].id, hash(page[i].packed)
		want.add(hashes[i])
	}
	var lease int64
	query := `SELECT coalesce((SELECT token FROM leases WHERE name = '` + leaseName + `'), 0), count(*),
		CAST(coalesce(sum(content_hash >> 32), 0) AS BIGINT), CAST(coalesce(sum(content_hash & 4294967295), 0) AS BIGINT)
		FROM subscriptions WHERE NOT gone AND id IN ` + s.d.texts(1)
	err := s.query(ctx, op, query, []any{list(ids)}, func(row scan) error { return row(&lease, &have.n, &have.high, &have.low) })
	switch {
	case err != nil:
		return nil, err
	case lease != int64(tok):
		return nil, failed(op, lostLease(tok, lease))
	case have == want:
		return nil, nil
	case have.n == 0:
		return page, nil
	}
	mirrored, err := mirroredHashes(ctx, s, op, ids)
	if err != nil {
		return nil, err
	}
	changed := page[:0]
	for i := range page {
		if h, ok := mirrored[page[i].id]; !ok || h != hashes[i] {
			changed = append(changed, page[i])
		}
	}
	return changed, nil
}

// pageSum is the sum of hashes, in halves that cannot overflow.
type pageSum struct{ n, high, low int64 }

func (s *pageSum) add(hash int64) {
	s.n++
	s.high += hash >> 32
	s.low += hash & (1<<32 - 1)
}

// keep collects changed subscriptions, and stores them as soon as they are enough for a run.
func (s *Store) keep(ctx context.Context, op string, tok reconcile.Token, changed []staged) error {
	w := &s.sweep
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range changed {
		c.packed = slices.Clone(c.packed) // content leaves room for more
		w.changed = append(w.changed, c)
	}
	if len(w.changed) < runLength {
		return nil
	}
	sortStaged(w.changed)
	blocks := 0
	err := s.fenced(ctx, op, tok, func(ctx context.Context, tx conn) (err error) {
		blocks, err = storeRun(ctx, tx, len(w.runs), w.changed)
		return err
	})
	if err == nil {
		w.runs, w.changed = append(w.runs, blocks), nil
	}
	return err
}

// mirroredHashes maps those of the ids that the mirror has, and not as gone, to
// the hashes of their content.
func mirroredHashes(ctx context.Context, s *Store, op string, ids []string) (map[string]int64, error) {
	hashes := make(map[string]int64, len(ids))
	query := "SELECT id, content_hash FROM subscriptions WHERE NOT gone AND id IN " + s.d.texts(1)
	err := s.query(ctx, op, query, []any{list(ids)}, func(row scan) error {
		var id string
		var hash int64
		err := row(&id, &hash)
		hashes[id] = hash
		return err
	})
	return hashes, err
}

// MergeSweep moves what was staged into the mirror, chunk by chunk, each in a
// transaction of its own: a process that dies midway leaves a mirror that is right as
// far as it goes, and the next sweep finds what is missing. It returns how many
// subscriptions changed.
func (s *Store) MergeSweep(ctx context.Context, tok reconcile.Token, now time.Time) (changed int, err error) {
	const op = "merging a sweep"
	stored, rest, ok := s.sweep.end()
	if !ok {
		return 0, failed(op, errNoSweep)
	}
	left, err := s.beginRuns(ctx, stored, rest)
	if err != nil {
		return 0, err
	}
	for {
		facts, err := left.take(ctx, s, mergeChunk)
		if err != nil {
			return changed, err
		}
		if len(facts) == 0 {
			break
		}
		var merged int
		err = s.fenced(ctx, op, tok, func(ctx context.Context, tx conn) (err error) {
			m := merge{tx: tx, now: now, present: s.now()}
			merged, err = m.save(ctx, facts)
			return err
		})
		if err != nil {
			return changed, err
		}
		changed += merged
	}
	if len(stored) > 0 { // else nothing was stored
		if err := s.fenced(ctx, op, tok, emptyStaging); err != nil {
			return changed, err
		}
	}
	return changed, s.fenced(ctx, op, tok, recount)
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
