package simtest

import (
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
)

// number reads a variable of the environment, for `make sim SEEDS=… SEED=…`.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// TestEverySeedKeepsThePromises plays the scenarios of seeds FROM, FROM+1, …, SEEDS of
// them; or the one of SEED, and then prints all its events.
func TestEverySeedKeepsThePromises(t *testing.T) {
	if seed := number(t, "SEED", 0); seed != 0 {
		report(t, seed)
		return
	}
	keepPromises(t, number(t, "FROM", 1), number(t, "SEEDS", usualSeeds))
}

// TestSeedsWithPoliciesKeepThePromises plays some of the seeds from [firstWithPolicies] on.
func TestSeedsWithPoliciesKeepThePromises(t *testing.T) {
	if os.Getenv("SEEDS") != "" || os.Getenv("SEED") != "" {
		t.Skip("other seeds are asked for")
	}
	keepPromises(t, firstWithPolicies, usualSeeds/4)
}

// keepPromises plays a row of seeds.
func keepPromises(t *testing.T, from, seeds uint64) {
	t.Helper()
	const often = 800 // in percent: the worlds are small, and a quarter of the time went into tidying up after them
	defer debug.SetGCPercent(debug.SetGCPercent(often))
	var next, runs, flows, calls, effects atomic.Int64
	next.Store(int64(from) - 1)
	var mu sync.Mutex // guards broken
	broken := map[Invariant][]uint64{}
	var players sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		players.Go(func() {
			for seed := uint64(next.Add(1)); seed < from+seeds; seed = uint64(next.Add(1)) {
				o, err := Play(Generate(seed), false)
				if err != nil {
					t.Errorf("seed %d: %v", seed, err)
					return
				}
				runs.Add(int64(o.Runs))
				flows.Add(int64(o.Flows))
				calls.Add(int64(o.Calls))
				effects.Add(int64(o.Effects))
				if o.Violation != nil {
					mu.Lock()
					broken[o.Violation.Invariant] = append(broken[o.Violation.Invariant], seed)
					mu.Unlock()
				}
			}
		})
	}
	players.Wait()
	t.Logf("%d seeds, %d runs, %d flow runs, %d calls, %d effects", seeds, runs.Load(), flows.Load(), calls.Load(), effects.Load())
	for which, seeds := range broken {
		t.Errorf("%s: broken by %d seeds, the first of them %v", which, len(seeds), seeds[:min(len(seeds), 20)])
		report(t, seeds[0])
	}
}

// report plays one seed, makes it small if it breaks a promise, and prints how to see it
// again.
func report(t *testing.T, seed uint64) {
	t.Helper()
	const budget = 1500 // scenarios played to make one small
	s := Generate(seed)
	o, err := Play(s, true)
	if err != nil {
		t.Fatal(err)
	}
	if o.Violation == nil {
		t.Logf("seed %d keeps every promise:\n%s\n%s", seed, s, o.Trace)
		return
	}
	small, v, err := Shrink(s, *o.Violation, budget)
	if err != nil {
		t.Fatal(err)
	}
	if o, err = Play(small, true); err != nil {
		t.Fatal(err)
	}
	t.Errorf("seed %d: %s\n\nwith nothing but this:\n\n%s\nwhat happened:\n\n%s\nsee it again with: make sim SEED=%d", seed, v, small, o.Trace, seed)
}

func TestASeedIsTheSameHistoryEachTime(t *testing.T) {
	for seed := range uint64(12) {
		first, err := Play(Generate(1000+seed), true)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Play(Generate(1000+seed), true)
		if err != nil {
			t.Fatal(err)
		}
		if first.Trace != again.Trace {
			t.Errorf("seed %d: two histories that differ at byte %d", 1000+seed, common(first.Trace, again.Trace))
		}
		if first.Calls == 0 || len(first.Trace) < 1000 {
			t.Errorf("seed %d: %d calls and a trace of %d bytes: nothing happened", 1000+seed, first.Calls, len(first.Trace))
		}
	}
}

func common(a, b string) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}
