package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// begin begins a run, which counts the holds if that is needed.
func (f *fixture) begin() {
	f.Helper()
	f.must(f.BeginRun(f.Context(), f.tok, reconcile.RunRecord{ID: "run-begun", Trigger: "test", Mode: "incremental", Started: t0}))
}

// holdThese stores decisions with these holds.
func (f *fixture) holdThese(holds map[string][]reconcile.Hold) {
	f.Helper()
	var planned []reconcile.Planned
	for _, customer := range sorted(holds) {
		for i := range holds[customer] {
			holds[customer][i].Customer = customer
		}
		planned = append(planned, reconcile.Planned{Customer: customer, Holds: holds[customer]})
	}
	f.must(f.SavePlanned(f.Context(), f.tok, "run-held", planned, t0))
}

// allHolds reads every hold.
func (f *fixture) allHolds() (all []reconcile.Hold) {
	f.Helper()
	f.must(f.Holds(f.Context(), func(h reconcile.Hold) error { all = append(all, h); return nil }))
	return all
}

// kept is whether the counts are kept.
func (f *fixture) countsAreKept() (kept bool) {
	f.Helper()
	_, kept, err := keptCounts(f.Context(), f.reader())
	f.must(err)
	return kept
}

// checkHolds compares the counts and the first holds of each kind with all of them.
func (f *fixture) checkHolds() {
	f.Helper()
	all := f.allHolds()
	var want reconcile.HoldCounts
	want.Add(all)
	counts, err := f.HoldCounts(f.Context())
	f.must(err)
	same(f, "counts", want, counts)
	for _, most := range []int{100, 1, 2, 100} { // the last is the first of the next check: what was read then may be used again
		for name, without := range map[string]func(string) bool{"all": nil, "without some": func(id string) bool { return id[len(id)-1]%2 == 0 }} {
			var first []reconcile.Hold
			listed := map[reconcile.HoldKind]int{}
			for _, h := range all {
				if without != nil && without(h.Customer) {
					continue
				}
				if listed[h.Kind]++; listed[h.Kind] <= most {
					first = append(first, h)
				}
			}
			got, counts, err := f.FirstHolds(f.Context(), most, without)
			f.must(err)
			same(f, fmt.Sprintf("the first %d of each kind, %s", most, name), first, got)
			same(f, "counts beside them", want, counts)
		}
	}
}

// Reports read each customer that has holds, so one without any is none of them.
func TestACustomerWithoutHoldsIsNotReadForThem(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", ""))
		f.holdThese(map[string][]reconcile.Hold{"cus_a": {{Kind: reconcile.HoldGrace, Reason: "it waits"}}})
		f.settled(t0, "cus_a")
		n := -1
		f.must(f.query(t.Context(), "counting", "SELECT count(*) FROM customers WHERE held IS NOT NULL OR held_kinds IS NOT NULL", nil, func(row scan) error { return row(&n) }))
		same(t, "customers with holds", 0, n)
	})
}

func someHold(rt *rapid.T) reconcile.Hold {
	return reconcile.Hold{
		Kind:         rapid.SampledFrom([]reconcile.HoldKind{reconcile.HoldUnmapped, reconcile.HoldGrace, reconcile.HoldManual, reconcile.HoldParked}).Draw(rt, "kind"),
		Subscription: rapid.SampledFrom([]string{"", "sub_1", "sub_2"}).Draw(rt, "subscription"),
		Reason:       rapid.SampledFrom([]string{"one", "two"}).Draw(rt, "reason"),
		Manual:       rapid.SampledFrom([]reconcile.ManualKind{0, reconcile.Ignore, reconcile.NoSuspend}).Draw(rt, "manual"),
		Order:        rapid.Bool().Draw(rt, "order"),
	}
}

// TestHoldsAreCountedInEveryHistory plays random histories of decisions by this version and
// an earlier one, which keeps no counts, and of processes that take turns.
func TestHoldsAreCountedInEveryHistory(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := newFixture(&quiet{TB: t, rt: rt}, "sqlite::memory:")
		defer func() { f.must(f.Store.Close()) }()
		ids := []string{"cus_0000000", "cus_0000001", "cus_0000002", "cus_0000003", "cus_0000004"}
		f.save(t0, fleet(0, len(ids))...)
		now, turns := t0, 0
		drawn := func(rt *rapid.T) map[string][]reconcile.Hold {
			holds := map[string][]reconcile.Hold{}
			for range rapid.IntRange(1, 3).Draw(rt, "customers") {
				holds[rapid.SampledFrom(ids).Draw(rt, "customer")] = rapid.SliceOfN(rapid.Custom(someHold), 0, 3).Draw(rt, "holds")
			}
			return holds
		}
		rt.Repeat(map[string]func(*rapid.T){
			"decide": func(rt *rapid.T) { f.holdThese(drawn(rt)) },
			"begin a run": func(*rapid.T) {
				f.begin()
				if !f.countsAreKept() {
					f.Errorf("a run has begun and the counts are not kept")
				}
			},
			"another process": func(*rapid.T) {
				now, turns = now.Add(time.Hour), turns+1
				before := f.countsAreKept()
				f.tok = f.acquire(fmt.Sprint("process-", turns), now, time.Minute)
				if f.countsAreKept() != before {
					f.Errorf("the counts were kept: %v, and are after another process took the lease: %v", before, !before)
				}
			},
			"give back and take again": func(*rapid.T) {
				before := f.countsAreKept()
				f.must(f.Release(f.Context(), f.tok))
				f.tok = f.acquire("again", now, time.Minute)
				if f.countsAreKept() != before {
					f.Errorf("the counts were kept: %v, and are after the lease was given back: %v", before, !before)
				}
			},
			"an earlier version decides": func(rt *rapid.T) {
				now, turns = now.Add(time.Hour), turns+1
				f.tok = f.earlierVersion(now, fmt.Sprint("earlier-", turns), drawn(rt))
			},
			"a decision too late": func(rt *rapid.T) {
				err := f.SavePlanned(f.Context(), f.tok+7, "run-late", []reconcile.Planned{{Customer: ids[0], Holds: []reconcile.Hold{someHold(rt)}}}, now)
				if !errors.Is(err, fault.Fenced) {
					f.Errorf("%v, want fenced", err)
				}
			},
			"": func(*rapid.T) { f.checkHolds() },
		})
	})
}

// earlierVersion is a process that was started before the database had counts: it takes the
// lease and stores decisions as it always has.
func (f *fixture) earlierVersion(now time.Time, owner string, holds map[string][]reconcile.Hold) (tok reconcile.Token) {
	f.Helper()
	f.must(f.unfenced(f.Context(), "the version before", func(ctx context.Context, tx conn) error {
		if _, err := tx.exec(ctx, "UPDATE leases SET owner = $2, token = token + 1, expires_at = $3 WHERE name = $1", leaseName, owner, at(now.Add(time.Minute))); err != nil {
			return err
		}
		for _, customer := range slices.Sorted(maps.Keys(holds)) {
			if _, err := tx.exec(ctx, "UPDATE customers SET held = $2, planned_at = $3 WHERE id = $1", customer, encodeHolds(holds[customer]), at(now)); err != nil {
				return err
			}
		}
		_, err := tx.one(ctx, "SELECT token FROM leases WHERE name = $1", []any{leaseName}, (*int64)(&tok))
		return err
	}))
	return tok
}

// The same on both databases, for what random histories on one of them do not show.
func TestHoldCountsAreKeptAndCorrected(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, fleet(0, pageSize+20)...)
		f.checkHolds()
		f.begin()
		holds := map[string][]reconcile.Hold{}
		for i := range pageSize + 20 {
			id := fmt.Sprintf("cus_%07d", i)
			holds[id] = []reconcile.Hold{{Kind: reconcile.HoldUnmapped, Subscription: "sub_x", Order: true, Reason: "no mapping"}}
			if i%9 == 0 {
				holds[id] = append(holds[id], reconcile.Hold{Kind: reconcile.HoldGrace, Reason: "grace"}, reconcile.Hold{Kind: reconcile.HoldUnmapped, Subscription: "sub_x", Order: true, Reason: "again"})
			}
		}
		f.holdThese(holds)
		f.checkHolds()
		if !f.countsAreKept() {
			t.Error("the counts are not kept")
		}
		f.holdThese(map[string][]reconcile.Hold{"cus_0000000": nil, "cus_0000001": {{Kind: reconcile.HoldParked, Manual: reconcile.Ignore, Reason: "ignored"}}})
		f.checkHolds()
		of, err := f.HoldsOf(t.Context(), []string{"cus_0000001", "cus_0000000", "cus_0000009", "cus_unknown"})
		f.must(err)
		same(t, "holds of some", []reconcile.HoldKind{reconcile.HoldParked, reconcile.HoldUnmapped, reconcile.HoldGrace, reconcile.HoldUnmapped}, kindsIn(of))

		f.tok = f.earlierVersion(t0.Add(time.Hour), "earlier", map[string][]reconcile.Hold{
			"cus_0000002": nil, "cus_0000003": {{Kind: reconcile.HoldGone, Reason: "gone"}}})
		if f.countsAreKept() {
			t.Error("an earlier version had the lease, and the counts pass for kept")
		}
		f.checkHolds()
		f.tok = f.acquire("after it", t0.Add(2*time.Hour), time.Minute)
		f.checkHolds()
		f.begin()
		if !f.countsAreKept() {
			t.Error("a run has begun, and the counts are not kept")
		}
		f.checkHolds()
	})
}

func kindsIn(holds []reconcile.Hold) (kinds []reconcile.HoldKind) {
	for _, h := range holds {
		kinds = append(kinds, h.Kind)
	}
	return kinds
}

// A decision that repeats the one before changes no count, so that what was read of the
// holds stays valid.
func TestADecisionThatRepeatsTheHoldsChangesNothing(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		f.begin()
		changes := func() int64 {
			counts, _, err := keptCounts(t.Context(), f.reader())
			f.must(err)
			return counts[holdsChanged]
		}
		hold := func(reason string) {
			f.holdThese(map[string][]reconcile.Hold{"cus_a": {{Kind: reconcile.HoldGrace, Reason: reason, Until: t0.Add(time.Hour + time.Nanosecond)}}})
		}
		before := changes()
		hold("one")
		hold("one")
		same(t, "changes after a hold and its repetition", before+1, changes())
		f.checkHolds()
		hold("two")
		same(t, "changes after another reason", before+2, changes())
		f.checkHolds()
	})
}

// While a process has the lease under which it saw that the counts are kept, its runs need
// not look again.
func TestARunDoesNotLookAgainWhetherTheCountsAreKept(t *testing.T) {
	f := newFixture(t, sqliteURL(t))
	statements := func(write func()) int64 {
		before := f.Statements()
		write()
		return f.Statements() - before
	}
	end := func() { f.must(f.EndRun(t.Context(), f.tok, reconcile.RunRecord{ID: "run-begun", Mode: "full"}, nil)) }
	f.begin() // the first one of a database counts
	f.must(f.Release(t.Context(), f.tok))
	f.tok = f.acquire("second", t0, ttl)
	same(t, "a run of the next process", statements(end), statements(f.begin))
	f.countedFor.Store(0)
	f.edit("UPDATE leases SET counted = 0")
	if statements(f.begin) == statements(end) {
		t.Error("a run of a process that does not know counts nothing")
	}
	same(t, "the run after it", statements(end), statements(f.begin))
}

// A service has many runs in which no hold changes, so the answer is kept until one does. An
// answer that could not be read whole is not.
func TestTheFirstHoldsAreReadOnceUntilOneChanges(t *testing.T) {
	f := newFixture(t, "sqlite::memory:")
	b := breakable(f)
	f.save(t0, fleet(0, 3)...)
	f.begin()
	hold := func(reason string) {
		f.holdThese(map[string][]reconcile.Hold{"cus_0000000": {{Kind: reconcile.HoldGrace, Reason: reason}}, "cus_0000001": {{Kind: reconcile.HoldUnmapped, Reason: reason}}})
	}
	first := func() (reasons []string, err error) {
		holds, _, err := f.FirstHolds(t.Context(), 5, nil)
		for _, h := range holds {
			reasons = append(reasons, h.Reason)
		}
		return reasons, err
	}
	hold("one")
	for n := 3; n < 6; n++ { // the first two begin to read and read the counts
		*b = breaker{armed: true, left: n}
		_, err := first()
		if b.armed = false; !errors.Is(err, errBroken) {
			t.Errorf("with step %d broken: %v", n, err)
		}
		holds, err := first()
		f.must(err)
		same(t, "after that", []string{"one", "one"}, holds)
		hold("two")
		holds, err = first()
		f.must(err)
		same(t, "after a change", []string{"two", "two"}, holds)
		hold("one")
	}
	holds, err := first()
	f.must(err)
	before := f.Statements()
	again, err := first()
	f.must(err)
	same(t, "statements of the same answer", int64(1), f.Statements()-before)
	same(t, "the answer", holds, again)
}
