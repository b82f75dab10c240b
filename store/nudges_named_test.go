package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// named takes up to n nudges by name.
func (f *fixture) named(n int) []string {
	f.Helper()
	ids, err := f.TakeNamed(f.Context(), f.tok, n)
	f.must(err)
	return ids
}

// nudge asks for subscriptions, each a second after the one before.
func (f *fixture) nudge(from time.Time, ids ...string) {
	f.Helper()
	for i, id := range ids {
		f.must(f.Nudge(f.Context(), []string{id}, "webhook test", from.Add(time.Duration(i)*time.Second)))
	}
}

func (f *fixture) namedWaiting() int {
	f.Helper()
	n, err := f.NamedWaiting(f.Context())
	f.must(err)
	return n
}

func (f *fixture) oldestNamed() time.Time {
	f.Helper()
	at, err := f.OldestNamed(f.Context())
	f.must(err)
	return at
}

func TestNudgesAreTakenByNameNewcomersFirstThenTheNewest(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_b", "cus_b", "b@example.com"), facts("sub_d", "cus_d", "d@example.com"))
		f.nudge(t0, "", reconcile.NudgeAll, "sub_a", "sub_b", "sub_c", "sub_d")
		_, err := f.LogWebhook(t.Context(), "evt_1", "invoice.paid", "sub_e", true, t0.Add(-time.Second))
		f.must(err)
		same(t, "waiting", []any{5, t0.Add(-time.Second)}, []any{f.namedWaiting(), f.oldestNamed()})
		same(t, "first two", []string{"sub_c", "sub_a"}, f.named(2))
		same(t, "the rest", []string{"sub_e", "sub_d", "sub_b"}, f.named(9))
		same(t, "no more", []string(nil), f.named(9))
		same(t, "waiting in the end", []any{0, time.Time{}}, []any{f.namedWaiting(), f.oldestNamed()})
		same(t, "for a run", []string{"", reconcile.NudgeAll}, f.nudges())
	})
}

// A run and a follower by name must not have the same nudge: if the one removed or returned
// it for the other, a nudge that came in between would be lost.
func TestANudgeHasOneFollower(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.nudge(t0, "sub_a", "sub_b")
		same(t, "taken by name", []string{"sub_b"}, f.named(1))
		same(t, "taken by a run meanwhile", []string{"sub_a"}, f.nudges())
		same(t, "taken by name meanwhile", []string(nil), f.named(9))
		same(t, "waiting", []any{false, 0}, []any{f.waiting(), f.namedWaiting()})

		f.nudge(t0.Add(time.Minute), "sub_a", "sub_b")
		same(t, "waiting when both came again", []any{true, 1}, []any{f.waiting(), f.namedWaiting()})
		same(t, "taken by name: not what is being followed", []string{"sub_a"}, f.named(9))
		same(t, "waiting while all are followed", []any{false, 0}, []any{f.waiting(), f.namedWaiting()})
		f.must(f.ForgetNudges(t.Context(), f.tok, []string{"sub_a", "sub_b"})) // the run is done with its own
		f.must(f.LeaveNudges(t.Context(), f.tok, []string{"sub_a"}))
		same(t, "left, and not removed by the run", []string{"sub_a"}, f.nudges())
		f.must(f.ForgetNamed(t.Context(), f.tok, []string{"sub_a", "sub_b"}))
		same(t, "what came again, and what the run has", []string{"sub_a", "sub_b"}, f.nudges())
		f.must(f.LeaveNudges(t.Context(), f.tok, []string{"sub_a", "sub_b"}))
		same(t, "what the run has is not left to another", []string(nil), f.named(9))
		f.must(f.ForgetNudges(t.Context(), f.tok, []string{"sub_a", "sub_b"}))
		same(t, "left", []string(nil), f.nudges())
	})
}

func TestNudgesTakenByNameWaitForTheHeirOfAProcessThatDied(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.nudge(t0, "sub_a", "sub_b", "sub_c", "sub_d")
		f.named(4)
		f.nudge(t0.Add(time.Minute), "sub_c") // it came again, and then the process died
		f.tok = f.acquire("heir", t0.Add(time.Hour), ttl)
		same(t, "waiting", []any{true, 4}, []any{f.waiting(), f.namedWaiting()})
		same(t, "taken by name", []string{"sub_c", "sub_d"}, f.named(2))
		same(t, "oldest", t0, f.oldestNamed())
		same(t, "taken by a run", []string{"sub_a", "sub_b"}, f.nudges())

		f.tok = f.acquire("next", t0.Add(2*time.Hour), ttl) // the heir died too
		same(t, "taken by a run", []string{"sub_a", "sub_b", "sub_c", "sub_d"}, f.nudges())
	})
}

func TestNudgesThatAreLeftAreForTheNextRun(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.nudge(t0, "sub_a", "sub_b", "sub_c")
		f.named(2)
		f.must(f.LeaveNudges(t.Context(), f.tok, []string{}))
		same(t, "waiting: none was left", 1, f.namedWaiting())
		f.must(f.LeaveNudges(t.Context(), f.tok, []string{"sub_c"}))
		same(t, "for a run, and what it may wait for", []bool{true, true}, []bool{f.overdue(t0), f.waiting()})
		same(t, "taken by name", []string{"sub_a"}, f.named(9))
		same(t, "for the run", []string{"sub_c"}, f.nudges())
		f.nudge(t0.Add(time.Minute), "sub_c")
		same(t, "taken by name when it came again", []string{"sub_c"}, f.named(9))
	})
}

// A run of its own follows what people ask for, and whoever has waited for long.
func TestARunIsForWhatIsNotServedByName(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.nudge(t0, "sub_a")
		same(t, "before it is due, and then", []bool{false, true}, []bool{f.overdue(t0), f.overdue(t0.Add(time.Second))})
		f.must(f.Nudge(t.Context(), []string{"sub_b"}, "asked for by ada", t0))
		same(t, "with a person's", true, f.overdue(t0))
		same(t, "taken by name", []string{"sub_a"}, f.named(9))
		same(t, "with a person's alone", true, f.overdue(t0))
		same(t, "for the run", []string{"sub_b"}, f.nudges())
		same(t, "while all are followed", false, f.overdue(t0.Add(time.Hour)))
		f.nudge(t0, "")
		same(t, "without a name", true, f.overdue(t0))
	})
}

func TestARunLeavesFreshWebhooksToBeServedByName(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		take := func(before time.Time) []string {
			ids, err := f.TakeNudges(t.Context(), f.tok, before)
			f.must(err)
			slices.Sort(ids)
			return ids
		}
		f.nudge(t0, "sub_old", "sub_fresh", "sub_left", "")
		f.must(f.Nudge(t.Context(), []string{"sub_asked", reconcile.NudgeAll}, "asked for by ada", t0.Add(time.Minute)))
		same(t, "taken by name", []string{"sub_left"}, f.named(1))
		f.must(f.LeaveNudges(t.Context(), f.tok, []string{"sub_left"}))
		same(t, "for the run", []string{"", reconcile.NudgeAll, "sub_asked", "sub_left", "sub_old"}, take(t0.Add(time.Second)))
		same(t, "by name", []string{"sub_fresh"}, f.named(9))
		f.tok = f.acquire("heir", t0.Add(time.Hour), ttl)
		same(t, "for the heir's run", 6, len(take(t0)))
	})
}

func TestACrowdOfKnownSubscriptionsIsLeftToARun(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"), facts("sub_b", "cus_b", "b@example.com"), facts("sub_c", "cus_c", "c@example.com"))
		leave := func(most int) bool {
			left, err := f.LeaveCrowd(t.Context(), f.tok, most)
			f.must(err)
			return left
		}
		f.nudge(t0, "sub_a", "sub_b", "sub_c", "sub_newcomer", "")
		same(t, "as many as may be", false, leave(3))
		same(t, "newcomer, and the newest", []string{"sub_newcomer", "sub_c"}, f.named(2))
		same(t, "without who is followed", false, leave(2))
		f.nudge(t0, "sub_unknown")
		same(t, "more than may be", true, leave(1))
		same(t, "for a run at once", true, f.overdue(t0))
		same(t, "by name", []string{"sub_unknown"}, f.named(9))
		same(t, "for the run", []string{"", "sub_a", "sub_b"}, f.nudges())
		f.nudge(t0.Add(time.Minute), "sub_a")
		same(t, "by name when it came again", []string{"sub_a"}, f.named(9))
	})
}

func (f *fixture) overdue(before time.Time) bool {
	f.Helper()
	overdue, err := f.NudgesOverdue(f.Context(), before)
	f.must(err)
	return overdue
}

func TestNamedNudgesAreCountedUpToAThousand(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.flood(mostCounted + 1)
		same(t, "waiting", mostCounted, f.namedWaiting())
		f.named(2)
		same(t, "waiting without two", mostCounted-1, f.namedWaiting())
	})
}

// flood nudges n subscriptions.
func (f *fixture) flood(n int) {
	f.Helper()
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("sub_flood%06d", i)
	}
	f.must(f.Nudge(f.Context(), ids, "webhook flood", t0))
}

// In a flood of nudges, taking a few of them must not read all of them.
func TestTakingNudgesByNameFollowsTheIndex(t *testing.T) {
	f := newFixture(t, sqliteURL(t))
	f.nudge(t0, "sub_a")
	f.named(1)
	f.namedWaiting()
	f.oldestNamed()
	f.waiting()
	f.overdue(t0)
	_, err := f.LeaveCrowd(t.Context(), f.tok, 10)
	f.must(err)
	seen := 0
	for _, pool := range f.pools() {
		for query := range pool.texts {
			if !strings.Contains(query, "FROM nudges") {
				continue
			}
			seen++
			args := make([]any, strings.Count(query, "$"))
			f.must(conn{q: f.read, d: sqlite}.each(context.Background(), "EXPLAIN QUERY PLAN "+query, args, func(row scan) error {
				var id, parent, unused int
				var detail string
				err := row(&id, &parent, &unused, &detail)
				if strings.HasPrefix(detail, "SCAN nudges") || strings.Contains(detail, "TEMP B-TREE") {
					t.Errorf("%s\n%s", detail, query)
				}
				return err
			}))
		}
	}
	same(t, "queries", 7, seen)
}

// BenchmarkTakeNamed takes 20 nudges by name, and counts, while few and many wait: the two
// must be the same.
func BenchmarkTakeNamed(b *testing.B) {
	for _, waiting := range []int{1_000, 100_000} {
		b.Run(fmt.Sprintf("waiting=%d", waiting), func(b *testing.B) {
			both(b, func(b *testing.B, f *fixture) {
				f.flood(waiting)
				for b.Loop() {
					ids := f.named(20)
					if len(ids) != 20 || f.namedWaiting() == 0 || f.oldestNamed().IsZero() || !f.waiting() {
						b.Fatalf("%d taken", len(ids))
					}
					f.must(f.LeaveNudges(b.Context(), f.tok, ids))
					b.StopTimer()
					f.must(f.ForgetNudges(b.Context(), f.tok, f.nudges()))
					f.flood(waiting)
					b.StartTimer()
				}
			})
		})
	}
}
