package store

import (
	"cmp"
	"container/heap"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

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

// take takes the next subscriptions from all runs, up to n.
func (r *runs) take(ctx context.Context, s *Store, n int) ([]reconcile.SubscriptionFacts, error) {
	var all []reconcile.SubscriptionFacts
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
