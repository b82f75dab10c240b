package simtest

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// keptWithout reports whether a history keeps a promise without the statements in it.
func keptWithout(t *testing.T, seed uint64, which Invariant) bool {
	t.Helper()
	s := withMerges(Generate(seed))
	s.Steps = slices.DeleteFunc(s.Steps, func(st Step) bool { return st.Kind == Merge || st.Kind == Split })
	o, err := Play(s, false)
	if err != nil {
		t.Fatal(err)
	}
	return o.Violation == nil || o.Violation.Invariant != which
}

// TestAnOperatorMergesAndSplitsCustomers plays the histories of the first seeds once more,
// with an operator who states whose org is whose. They keep every promise that they keep
// without the statements, and in many of them a statement changes something.
func TestAnOperatorMergesAndSplitsCustomers(t *testing.T) {
	seeds, from := max(1, number(t, "SEEDS", usualSeeds)/25), number(t, "FROM", 1)
	if seed := number(t, "SEED", 0); seed != 0 {
		seeds, from = 1, seed
	}
	var given atomic.Int64
	t.Run("histories", func(t *testing.T) {
		for seed := from; seed < from+seeds; seed++ {
			if _, twin := twins(seed); twin {
				continue
			}
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				o, err := Play(withMerges(Generate(seed)), seeds == 1)
				if err != nil {
					t.Fatal(err)
				}
				given.Add(int64(o.Given))
				if o.Violation != nil && keptWithout(t, seed, o.Violation.Invariant) {
					t.Errorf("%s\n%s", o.Violation, o.Trace)
				}
			})
		}
	})
	if seeds > 1 && given.Load() < int64(seeds)/4 {
		t.Errorf("in %d histories only %d statements changed something", seeds, given.Load())
	}
	t.Logf("%d statements in %d histories", given.Load(), seeds)
}

// TestAStatementInTheMomentBeforeAWrite merges and splits a customer while a run is about to
// make the hosting that it has ordered: the run leaves that, and the next one follows the
// statement.
func TestAStatementInTheMomentBeforeAWrite(t *testing.T) {
	order := []Step{{Kind: SignUp, Who: 1, Pick: anyOrder}, {Kind: Wait, Wait: 2 * time.Minute}}
	during := func(kind Kind) Step {
		return Step{Kind: Run, Cut: &Cut{At: "before-intent", Nth: 1, Meanwhile: []Step{{ID: 90, Kind: kind, Who: 1}}}}
	}
	steps := []Step{{Kind: SignUp, Pick: anyOrder}}
	for _, run := range []Step{{Kind: Run, Pick: runFull}, during(Merge), {Kind: Run}, during(Split), {Kind: Run}} {
		steps = append(append(steps, order...), run)
	}
	for i := range steps {
		steps[i].ID = i + 1
	}
	o, err := Play(Scenario{Seed: 1, Company: ordinary(), Steps: steps}, true)
	if err != nil {
		t.Fatal(err)
	}
	if o.Violation != nil || o.Given != 2 {
		t.Errorf("%d statements, %v\n%s", o.Given, o.Violation, o.Trace)
	}
}
