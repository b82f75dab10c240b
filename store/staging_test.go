package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/pgtest"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// shuffled is a fleet in another order, in which every third subscription belongs to the
// customer of the one before it in the fleet.
func shuffled(n int) []reconcile.SubscriptionFacts {
	all := fleet(0, n)
	for i := range all {
		if i%3 == 1 {
			all[i].Buyer, all[i].StripeCustomer = all[i-1].Buyer, all[i-1].StripeCustomer
		}
	}
	const step = 7919 // a prime, so that it meets each one once
	mixed := make([]reconcile.SubscriptionFacts, n)
	for i := range mixed {
		mixed[i] = all[i*step%n]
	}
	return mixed
}

// stage stages a listing in pages of 1,000.
func (f *fixture) stage(all []reconcile.SubscriptionFacts) {
	f.Helper()
	for page := range slices.Chunk(all, 1000) {
		f.must(f.Stage(f.Context(), f.tok, page))
	}
}

func (f *fixture) blocks() (n int) {
	f.Helper()
	f.must(f.query(f.Context(), "counting blocks", "SELECT count(*) FROM staged_subscriptions", nil, func(row scan) error { return row(&n) }))
	return n
}

func TestASweepOfSeveralRunsIsMergedWhole(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		const n = 2*runLength + 10
		all := shuffled(n)
		f.must(f.BeginSweep(t.Context(), f.tok))
		f.stage(all)
		same(t, "blocks of two runs", 2*runLength/blockLength, f.blocks())
		changed, err := f.MergeSweep(t.Context(), f.tok, t0)
		f.must(err)
		same(t, "changed", n, changed)
		same(t, "blocks that are left", 0, f.blocks())
		counts, err := f.Counts(t.Context())
		f.must(err)
		customers := n - (n+1)/3
		same(t, "counts", reconcile.Counts{Subscriptions: n, Active: n, Customers: customers, Due: customers}, counts)
		for _, i := range []int{0, 1, runLength, n - 1} {
			var found []reconcile.Subscription
			for _, s := range f.customer(all[i].Buyer.ID).Subscriptions {
				if s.ID == all[i].ID {
					found = append(found, s)
				}
			}
			if len(found) != 1 || !found[0].ReadAt.Equal(all[i].ReadAt) || found[0].Items[0] != all[i].Items[0] {
				t.Errorf("%s: %+v", all[i].ID, found)
			}
		}
		f.must(f.BeginSweep(t.Context(), f.tok))
		f.stage(all)
		changed, err = f.MergeSweep(t.Context(), f.tok, t0)
		f.must(err)
		same(t, "changed by the same listing", 0, changed)
	})
}

// A merge in another order writes a page of each index for each row.
func TestRunsAreMergedInTheOrderOfCustomers(t *testing.T) {
	f := newFixture(t, sqliteURL(t))
	f.must(f.BeginSweep(t.Context(), f.tok))
	f.stage(shuffled(runLength + 500))
	stored, rest, _ := f.Store.sweep.end()
	same(t, "stored runs", []int{runLength / blockLength}, stored)
	same(t, "not stored", 500, len(rest))
	left, err := f.beginRuns(t.Context(), stored, rest)
	f.must(err)
	before, n := "", 0
	for {
		part, err := left.take(t.Context(), f.Store, 777)
		f.must(err)
		if len(part) == 0 {
			break
		}
		for i := range part {
			if now := part[i].Buyer.ID + part[i].ID; now <= before {
				t.Fatalf("%s after %s", now, before)
			} else {
				before = now
			}
			n++
		}
	}
	same(t, "merged", runLength+500, n)
}

// The lease may go to another process between the look at the mirror and the write.
func TestARunIsStoredOnlyWithTheLease(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.must(f.BeginSweep(t.Context(), f.tok))
		page := make([]staged, runLength)
		for i := range page {
			page[i] = staged{buyer: "cus_a", id: fmt.Sprint(i), readAt: t0}
		}
		if err := f.keep(t.Context(), "test", f.tok+1, page); fault.Of(err) != fault.Fenced {
			t.Errorf("%v, want fenced", err)
		}
		same(t, "blocks", 0, f.blocks())
	})
}

// A block that is missing may not make a merge that is shorter.
func TestARunThatIsGoneEndsTheMerge(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		for _, gone := range []string{place(0, 0), place(0, 1)} {
			f.must(f.BeginSweep(t.Context(), f.tok))
			f.stage(fleet(0, runLength))
			f.must(f.unfenced(t.Context(), "test", func(ctx context.Context, tx conn) error {
				_, err := tx.exec(ctx, "DELETE FROM staged_subscriptions WHERE id = $1", gone)
				return err
			}))
			changed, err := f.MergeSweep(t.Context(), f.tok, t0)
			if fault.Of(err) != fault.Fenced || changed != 0 {
				t.Errorf("without %s: %d changed, %v", gone, changed, err)
			}
		}
	})
}

// The part that comes next is read while one is written. A part counts only once the
// part before is written, and an error of either ends the merge.
func TestAPartIsReadBesideTheOneThatIsWritten(t *testing.T) {
	f := newFixture(t, sqliteURL(t))
	f.must(f.BeginSweep(t.Context(), f.tok))
	f.stage(fleet(0, runLength))
	stored, rest, _ := f.Store.sweep.end()
	left, err := f.beginRuns(t.Context(), stored, rest)
	f.must(err)
	first, err := left.take(t.Context(), f.Store, 300)
	f.must(err)
	next, err := left.takeBeside(t.Context(), f.Store, 300, func() error { return nil })
	f.must(err)
	if len(first) != 300 || len(next) != 300 || next[0].Buyer.ID <= first[299].Buyer.ID {
		t.Errorf("%d, then %d, which begin with %s", len(first), len(next), next[0].ID)
	}
	refused := fault.Errorf(fault.Permanent, "it cannot be written")
	if next, err = left.takeBeside(t.Context(), f.Store, 300, func() error { return refused }); next != nil || !errors.Is(err, refused) {
		t.Errorf("%d beside a write that failed: %v", len(next), err)
	}
}

func TestAMergeEndsWhereAPartCannotBeRead(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.must(f.BeginSweep(t.Context(), f.tok))
		f.stage(fleet(0, runLength))
		f.must(f.unfenced(t.Context(), "test", func(ctx context.Context, tx conn) error {
			_, err := tx.exec(ctx, "DELETE FROM staged_subscriptions WHERE id = $1", place(0, mergeChunk/blockLength+1))
			return err
		}))
		changed, err := f.MergeSweep(t.Context(), f.tok, t0)
		if fault.Of(err) != fault.Fenced || changed != mergeChunk {
			t.Errorf("%d changed, %v", changed, err)
		}
		counts, err := f.Counts(t.Context())
		f.must(err)
		same(t, "in the mirror", mergeChunk, counts.Subscriptions)
	})
}

// PostgreSQL knows the size of the tables that a large sweep has filled, before customers are read
// from them one by one.
func TestAfterALargeSweepTheServerKnowsItsTables(t *testing.T) {
	f := newFixture(t, pgtest.New(t, migrateURL))
	f.must(f.BeginSweep(t.Context(), f.tok))
	f.stage(fleet(0, mergeChunk))
	_, err := f.MergeSweep(t.Context(), f.tok, t0)
	f.must(err)
	for _, table := range []string{"customers", "stripe_customers", "subscriptions"} {
		rows := 0
		_, err := f.reader().one(t.Context(), "SELECT CAST(reltuples AS BIGINT) FROM pg_class WHERE oid = CAST($1 AS regclass)", []any{table}, &rows)
		f.must(err)
		if rows < mergeChunk/2 {
			t.Errorf("%s: the server reckons with %d rows of %d", table, rows, mergeChunk)
		}
	}
}

func TestABlockIsReadAsItWasPacked(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var want []reconcile.SubscriptionFacts
		var block []byte
		for i := range rapid.IntRange(0, 4).Draw(rt, "subscriptions") {
			s := cleaned(facts(fmt.Sprint("sub_", i), "cus_a", rapid.String().Draw(rt, "email"),
				readAt(t0.Add(time.Duration(rapid.IntRange(-1e9, 1e9).Draw(rt, "read"))*time.Microsecond)),
				func(f *reconcile.SubscriptionFacts) { f.SendInvoice = rapid.Bool().Draw(rt, "invoice") }))
			want = append(want, s)
			block = (&staged{readAt: s.ReadAt, packed: content(&s)}).pack(block)
		}
		all := func(block []byte) (facts []reconcile.SubscriptionFacts, err error) {
			for r := (unpacker{rest: block}); len(r.rest) > 0 && err == nil; {
				var one reconcile.SubscriptionFacts
				one, err = unpackStaged(&r)
				facts = append(facts, one)
			}
			return facts, err
		}
		got, err := all(block)
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			rt.Fatalf("the block (-want +got):\n%s", diff)
		}
		if len(block) > 0 {
			if _, err := all(block[:len(block)-1]); err == nil {
				rt.Fatal("a block without its end is accepted")
			}
		}
	})
}

// TestEveryDifferenceOnAPageIsStaged: the sums of a page must not hide one.
func TestEveryDifferenceOnAPageIsStaged(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		all := fleet(0, 10)
		f.list(t0, all...)
		f.must(f.MarkGone(t.Context(), f.tok, all[7].ID, t0))
		all[3].Status, all[3].StatusText = reconcile.StatusUnpaid, "unpaid"
		all[4].ID = "sub_new"
		f.must(f.BeginSweep(t.Context(), f.tok))
		f.must(f.Stage(t.Context(), f.tok, all))
		_, rest, _ := f.Store.sweep.end()
		var ids []string
		for _, c := range rest {
			ids = append(ids, c.id)
		}
		same(t, "staged", []string{all[3].ID, "sub_new", all[7].ID}, ids)
	})
}
