package store

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// The test fails if nudges are removed when they are taken; if one that comes again while it
// is being followed is removed with the old one; or if the nudges of a process that died no
// longer wait.
func TestANudgeIsForgottenWhenItWasFollowedAndNotBefore(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		nudge := func(ids ...string) { f.must(f.Nudge(t.Context(), ids, "test", t0)) }
		nudge("sub_a", "sub_b", reconcile.NudgeAll)
		same(t, "taken", []string{"*", "sub_a", "sub_b"}, f.nudges())
		same(t, "waiting while they are followed", false, f.waiting())
		nudge("sub_b")
		same(t, "waiting when one came again", true, f.waiting())
		f.must(f.ForgetNudges(t.Context(), f.tok, []string{"sub_a", "sub_b"}))
		same(t, "taken anew: what came again, and what was not followed", []string{"*", "sub_b"}, f.nudges())

		f.tok = f.acquire("heir", t0.Add(time.Hour), ttl) // the other one is dead
		same(t, "waiting for the heir", true, f.waiting())
		same(t, "taken by the heir", []string{"*", "sub_b"}, f.nudges())
		f.must(f.ForgetNudges(t.Context(), f.tok, []string{"*", "sub_b"}))
		same(t, "left", []string(nil), f.nudges())
		same(t, "waiting in the end", false, f.waiting())
	})
}

func TestAWebhookWhoseNudgeWaitsWasNotFollowedYet(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		log := func(event, subscription string) {
			_, err := f.LogWebhook(t.Context(), event, "invoice.paid", subscription, true, t0)
			f.must(err)
		}
		log("evt_1", "sub_a")
		taken := f.nudges()
		log("evt_2", "sub_b") // the clock of its replica is behind, and it names the same moment
		f.must(f.ForgetNudges(t.Context(), f.tok, taken))
		f.must(f.WebhookResult(t.Context(), "", t0, "", t0.Add(time.Minute)))
		states := func() (all []string) {
			records, err := f.RecentWebhooks(t.Context(), 9)
			f.must(err)
			for _, r := range records {
				all = append(all, r.EventID+" "+string(r.State))
			}
			slices.Sort(all)
			return all
		}
		same(t, "after the first run", []string{"evt_1 followed", "evt_2 received"}, states())
		f.must(f.ForgetNudges(t.Context(), f.tok, f.nudges()))
		f.must(f.WebhookResult(t.Context(), "", t0.Add(time.Minute), "", t0.Add(2*time.Minute)))
		same(t, "after the second", []string{"evt_1 followed", "evt_2 followed"}, states())
	})
}

// TestNoNudgeIsLost plays replicas that nudge and a writer that takes, follows and dies, in
// any order. If a nudge came after the last look at its subscription, it can still be taken.
func TestNoNudgeIsLost(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := newFixture(&quiet{TB: t, rt: rt}, "sqlite::memory:")
		defer func() { f.must(f.Store.Close()) }()
		wanted := map[string]bool{} // not looked at since it was asked for
		taken, looked, now := []string{}, false, t0
		flow := map[string]bool{} // being followed by name; true: looked at
		asked := func(id string) { wanted[id] = true }
		rt.Repeat(map[string]func(*rapid.T){
			"nudge": func(rt *rapid.T) {
				id := fmt.Sprintf("sub_%d", rapid.IntRange(0, 2).Draw(rt, "subscription"))
				f.must(f.Nudge(f.Context(), []string{id}, "test", now))
				asked(id)
			},
			"webhook": func(rt *rapid.T) {
				id := fmt.Sprintf("sub_%d", rapid.IntRange(0, 2).Draw(rt, "subscription"))
				isNew, err := f.LogWebhook(f.Context(), fmt.Sprint("evt_", rapid.IntRange(0, 50).Draw(rt, "event")), "invoice.paid", id, true, now)
				f.must(err)
				if isNew {
					asked(id)
				}
			},
			"take": func(*rapid.T) {
				taken, looked = f.nudges(), false
				for id := range wanted {
					if _, followed := flow[id]; slices.Contains(taken, id) == followed {
						f.Errorf("%s was asked for, and the run was given %v while %v are followed by name", id, taken, flow)
					}
				}
			},
			"take by name": func(rt *rapid.T) {
				ids, err := f.TakeNamed(f.Context(), f.tok, rapid.IntRange(1, 2).Draw(rt, "limit"))
				f.must(err)
				for _, id := range ids {
					if _, followed := flow[id]; followed {
						f.Errorf("%s was taken while it is being followed", id)
					}
					flow[id] = false
				}
			},
			"look by name": func(*rapid.T) {
				for id := range flow {
					flow[id] = true
					delete(wanted, id)
				}
			},
			"done by name": func(*rapid.T) { // what it has not looked at it leaves to a run
				for _, id := range sorted(flow) {
					if flow[id] {
						f.must(f.ForgetNamed(f.Context(), f.tok, []string{id}))
					} else {
						f.must(f.LeaveNudges(f.Context(), f.tok, []string{id}))
					}
				}
				clear(flow)
			},
			"look": func(*rapid.T) { // at Stripe
				looked = true
				for _, id := range taken {
					delete(wanted, id)
				}
			},
			"forget": func(*rapid.T) {
				if looked {
					f.must(f.ForgetNudges(f.Context(), f.tok, taken))
					taken = nil
				}
			},
			"die": func(*rapid.T) {
				now, taken = now.Add(time.Hour), nil
				clear(flow)
				f.tok = f.acquire("heir "+now.String(), now, ttl)
			},
			"": func(*rapid.T) {
				if len(wanted) > 0 && !f.stored(wanted) {
					f.Errorf("some of %v are not stored any more", wanted)
				}
			},
		})
	})
}

// nudges takes them.
func (f *fixture) nudges() []string {
	f.Helper()
	ids, err := f.TakeNudges(f.Context(), f.tok, time.Time{})
	f.must(err)
	slices.Sort(ids)
	return ids
}

func (f *fixture) waiting() bool {
	f.Helper()
	waiting, err := f.NudgesWaiting(f.Context())
	f.must(err)
	return waiting
}

// stored reports whether all of them are.
func (f *fixture) stored(ids map[string]bool) bool {
	f.Helper()
	n := 0
	f.must(f.snapshot(f.Context(), "counting nudges", func(ctx context.Context, c conn) error {
		_, err := c.one(ctx, "SELECT count(*) FROM nudges WHERE subscription_id "+c.d.anyText(1), []any{list(sorted(ids))}, &n)
		return err
	}))
	return n == len(ids)
}
