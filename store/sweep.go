package store

import (
	"cmp"
	"container/heap"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

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
	err := s.fencedAlone(ctx, "beginning a sweep", tok, emptyStaging)
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
		FROM subscriptions WHERE NOT gone AND id ` + s.d.anyText(1)
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
	query := "SELECT id, content_hash FROM subscriptions WHERE NOT gone AND id " + s.d.anyText(1)
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
	facts, err := left.take(ctx, s, mergeChunk)
	total := 0
	for err == nil && len(facts) > 0 {
		total += len(facts)
		facts, err = left.takeBeside(ctx, s, mergeChunk, func() error {
			merged := 0
			err := s.fencedAlone(ctx, op, tok, func(ctx context.Context, tx conn) (err error) {
				m := merge{tx: tx, now: now, present: s.now()}
				merged, err = m.save(ctx, facts)
				return err
			})
			if err == nil {
				changed += merged
			}
			return err
		})
	}
	if err != nil {
		return changed, err
	}
	if len(stored) > 0 { // else nothing was stored
		if err := s.fencedAlone(ctx, op, tok, emptyStaging); err != nil {
			return changed, err
		}
	}
	if changed >= max(mergeChunk, total/10) {
		s.sample(ctx)
	}
	return changed, s.fenced(ctx, op, tok, recount)
}

// sample lets PostgreSQL look at what a sweep has filled. Until it does so by itself, which may
// be a minute later, its planner takes the tables for nearly empty, and reads them whole for one
// customer. A server that does not let us is only slower: the error is of no interest.
func (s *Store) sample(ctx context.Context) {
	if s.d == postgres {
		_, _ = conn{s.write, s.d}.exec(ctx, "ANALYZE (SKIP_LOCKED) customers, stripe_customers, subscriptions")
	}
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

// A sweep merges changed subscriptions in the order of their customers' ids, because five
// of the seven indexes that a new subscription enters are in that order. In the order in
// which Stripe lists, or in that of subscriptions, each row of a large mirror would change
// a page of its own in each index, and a subscription of a million would cost more than
// one of a hundred thousand.
//
// A million do not fit into memory, so it is the usual external sort: they are collected,
// and runLength of them at a time are sorted and stored as a run. Merging takes the first
// of all runs again and again. A run is stored in blocks, because a row for each
// subscription costs as much as all the rest of staging.
const (
	runLength   = 10_000 // some 5 MB in memory
	blockLength = 100    // of each run, merging has one block in memory
)

// staged is a subscription that differs from the mirror.
type staged struct {
	buyer, id string
	readAt    time.Time
	packed    []byte // see content
}

func sortStaged(all []staged) {
	slices.SortFunc(all, func(a, b staged) int {
		return cmp.Or(strings.Compare(a.buyer, b.buyer), strings.Compare(a.id, b.id))
	})
}

// facts is the inverse of Stage.
func (c *staged) facts() (reconcile.SubscriptionFacts, error) {
	f, err := unpack(c.packed)
	f.ReadAt = c.readAt
	return f, badRow("staged", c.id, err)
}

// pack appends a staged subscription to a block.
func (c *staged) pack(block []byte) []byte {
	block = binary.AppendVarint(block, orEpoch(c.readAt).UnixMicro())
	block = binary.AppendUvarint(block, uint64(len(c.packed)))
	return append(block, c.packed...)
}

// unpackStaged reads the next subscription of a block.
func unpackStaged(block *unpacker) (reconcile.SubscriptionFacts, error) {
	readAt, packed := time.UnixMicro(block.number()).UTC(), block.bytes()
	if block.err != nil {
		return reconcile.SubscriptionFacts{}, block.err
	}
	f, err := unpack(packed)
	f.ReadAt = readAt
	return f, err
}

// stageBlock stores a block. Its id is its place, and its time that of its first
// subscription, for people who look into the table.
var stageBlock = bulk{
	head:    "INSERT INTO staged_subscriptions",
	columns: []column{{"id", "TEXT"}, {"read_at", "TIMESTAMPTZ"}, {"content", "BYTEA"}},
}

// place is the id of a block. The places of one sweep are in the order in which they are
// stored, so that the index grows at its end.
func place(run, block int) string { return fmt.Sprintf("run %06d block %06d", run, block) }

// storeRun stores a sorted run and returns how many blocks it has.
func storeRun(ctx context.Context, tx conn, run int, all []staged) (blocks int, err error) {
	var rows [][]any
	for block := range slices.Chunk(all, blockLength) {
		var packed []byte
		for i := range block {
			packed = block[i].pack(packed)
		}
		rows = append(rows, []any{place(run, len(rows)), at(orEpoch(block[0].readAt)), packed})
	}
	return len(rows), tx.bulk(ctx, stageBlock, rows)
}

// run is a sorted run that is being merged.
type run struct {
	first  reconcile.SubscriptionFacts // the next one to merge
	ended  bool                        // there is none
	rest   []staged                    // of the run that was never stored
	block  unpacker                    // the rest of the present block
	number int
	next   int // block
	blocks int
}

// advance replaces first by the one after it.
func (r *run) advance(ctx context.Context, s *Store) (err error) {
	if len(r.rest) > 0 {
		r.first, err = r.rest[0].facts()
		r.rest = r.rest[1:]
		return err
	}
	if len(r.block.rest) == 0 {
		if r.next == r.blocks {
			r.ended = true
			return nil
		}
		if err := r.load(ctx, s); err != nil {
			return err
		}
	}
	r.first, err = unpackStaged(&r.block)
	return badRow("staged", place(r.number, r.next-1), err)
}

// load reads the next block.
func (r *run) load(ctx context.Context, s *Store) error {
	const op = "reading a staged run"
	id := place(r.number, r.next)
	r.next++
	err := s.query(ctx, op, "SELECT content FROM staged_subscriptions WHERE id = $1", []any{id}, func(row scan) error {
		return row(&r.block.rest)
	})
	if err == nil && len(r.block.rest) == 0 {
		err = failed(op, fault.Errorf(fault.Fenced, "%s is gone: another process has begun a sweep", id))
	}
	return err
}

// runs are runs that are not used up, the one with the first customer first.
type runs []*run

func (r runs) Len() int { return len(r) }
func (r runs) Less(i, j int) bool {
	a, b := &r[i].first, &r[j].first
	return cmp.Or(strings.Compare(a.Buyer.ID, b.Buyer.ID), strings.Compare(a.ID, b.ID)) < 0
}
func (r runs) Swap(i, j int) { r[i], r[j] = r[j], r[i] }
func (r *runs) Push(x any)   { *r = append(*r, x.(*run)) }
func (r *runs) Pop() any {
	last := len(*r) - 1
	x := (*r)[last]
	*r = (*r)[:last]
	return x
}

// beginRuns begins each run, of which blocks has the lengths, and one of the rest, which was
// never stored.
func (s *Store) beginRuns(ctx context.Context, blocks []int, rest []staged) (runs, error) {
	sortStaged(rest)
	all := make(runs, 0, len(blocks)+1)
	for number, n := range append(blocks, 0) {
		r := &run{number: number, blocks: n}
		if n == 0 {
			r.rest = rest
		}
		if err := r.advance(ctx, s); err != nil {
			return nil, err
		}
		if !r.ended {
			all = append(all, r)
		}
	}
	heap.Init(&all)
	return all, nil
}

// atMost is how many subscriptions are left, or a few more: so much room is made for them
// at once.
func (r runs) atMost() (n int) {
	for _, one := range r {
		n += 1 + len(one.rest)
		if one.blocks > 0 {
			n += (one.blocks - one.next + 1) * blockLength // with the rest of the present block
		}
	}
	return n
}

// take takes the next subscriptions from all runs, up to n.
func (r *runs) take(ctx context.Context, s *Store, n int) ([]reconcile.SubscriptionFacts, error) {
	all := make([]reconcile.SubscriptionFacts, 0, min(n, r.atMost()))
	for len(*r) > 0 && len(all) < n {
		first := (*r)[0]
		all = append(all, first.first)
		if err := first.advance(ctx, s); err != nil {
			return nil, err
		}
		if first.ended {
			heap.Pop(r)
		} else {
			heap.Fix(r, 0)
		}
	}
	return all, nil
}

// takeBeside is take while the subscriptions that were taken before are written. Where
// writing fails, so does it, and it does not go on reading.
func (r *runs) takeBeside(ctx context.Context, s *Store, n int, write func() error) (next []reconcile.SubscriptionFacts, err error) {
	reading, stop := context.WithCancel(ctx)
	defer stop()
	var g errgroup.Group
	g.Go(func() error {
		return fault.Guard(func() (err error) { next, err = r.take(reading, s, n); return err })
	})
	if err := write(); err != nil {
		stop()
		_ = g.Wait()
		return nil, err
	}
	err = g.Wait()
	return next, err
}
