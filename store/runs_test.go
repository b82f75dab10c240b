package store

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

func notFound(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, fault.NotFound) {
		t.Errorf("%s: %v, want not found", what, err)
	}
}

func TestRunsComeBackAsTheyWereRecorded(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		begun := reconcile.RunRecord{ID: "run-1", Trigger: "cron", Mode: "full", Started: t0}
		f.must(f.BeginRun(t.Context(), f.tok, begun))
		got, err := f.Run(t.Context(), "run-1")
		f.must(err)
		same(t, "under way", begun, got)
		ended := begun
		ended.Finished, ended.Error, ended.Gates = t0.Add(time.Minute), "no", []string{"the clock is wrong"}
		ended.Subscriptions, ended.Events, ended.StripeCalls, ended.EnhanceCalls = 1, 2, 3, 4
		ended.Planned, ended.Applied, ended.Failed, ended.Held = 5, 6, 7, 8
		f.must(f.EndRun(t.Context(), f.tok, ended, nil))
		f.must(f.BeginRun(t.Context(), f.tok, reconcile.RunRecord{ID: "run-2", Trigger: "cli", Mode: "targeted", Started: t0.Add(time.Hour)}))
		runs, err := f.Runs(t.Context(), 10)
		f.must(err)
		same(t, "runs", []reconcile.RunRecord{{ID: "run-2", Trigger: "cli", Mode: "targeted", Started: t0.Add(time.Hour)}, ended}, runs)
		_, err = f.Run(t.Context(), "run-9")
		notFound(t, "another run", err)
	})
}

func TestLastListedIsThatOfTheLastRunThatListed(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		last := func() reconcile.ListedState {
			l, err := f.LastListed(t.Context())
			f.must(err)
			return l
		}
		same(t, "at first", reconcile.ListedState{}, last())
		first := reconcile.ListedState{Count: 10, Entitled: 8, At: t0}
		f.must(f.EndRun(t.Context(), f.tok, reconcile.RunRecord{ID: "run-1", Mode: "full", Started: t0}, &first))
		f.must(f.EndRun(t.Context(), f.tok, reconcile.RunRecord{ID: "run-2", Mode: "incremental", Started: t0.Add(time.Hour)}, nil))
		same(t, "after a run that listed nothing", first, last())
	})
}

// A run that failed, one that was cut off and one over some subscriptions show nothing of the
// rest, so that none of them hides that runs are late.
func TestTheLastGoodRunIsOneOverAllThatEnded(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		last := func() time.Time {
			ended, err := f.LastGoodRun(t.Context())
			f.must(err)
			return ended
		}
		same(t, "at first", time.Time{}, last())
		good := t0.Add(time.Minute)
		for i, r := range []reconcile.RunRecord{
			{Mode: "full", Finished: good},
			{Mode: "incremental", Finished: good.Add(time.Hour), Error: "no"},
			{Mode: "targeted", Finished: good.Add(2 * time.Hour)},
			{Mode: "incremental"},
		} {
			r.ID, r.Started = fmt.Sprint("run-", i), t0.Add(time.Duration(i)*time.Hour)
			f.must(f.EndRun(t.Context(), f.tok, r, nil))
		}
		same(t, "after others", good, last())
	})
}

func TestHoldsAreThoseOfTheLastPlanAndStreamInPages(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		const n = pageSize + 5
		f.must(f.SaveFacts(t.Context(), f.tok, fleet(0, n), false, t0))
		var planned []reconcile.Planned
		var want []reconcile.Hold
		for i := range n {
			id := fmt.Sprintf("cus_%07d", i)
			holds := []reconcile.Hold{{Kind: reconcile.HoldUnmapped, Customer: id, Subscription: "sub_x", Hosting: 7, ActionID: "a", Reason: "no mapping", Until: t0.Add(time.Hour)},
				{Kind: reconcile.HoldGrace, Customer: id, Reason: "grace"},
				{Kind: reconcile.HoldManual, Customer: id, Email: "a@example.com", Org: "org-1", Reason: "left alone", Manual: reconcile.Ignore}}
			planned = append(planned, reconcile.Planned{Customer: id, Holds: holds})
			want = append(want, holds...)
		}
		f.must(f.SavePlanned(t.Context(), f.tok, "run-1", planned, t0))
		f.must(f.SavePlanned(t.Context(), f.tok, "run-2", []reconcile.Planned{{Customer: "cus_0000001"}}, t0))
		want = slices.Delete(want, 3, 6)
		var got []reconcile.Hold
		f.must(f.Holds(t.Context(), func(h reconcile.Hold) error {
			got = append(got, h)
			_, err := f.Cursor(t.Context(), "any") // the store can be used meanwhile
			return err
		}))
		same(t, "holds", want, got)
		stop := errors.New("enough")
		if err := f.Holds(t.Context(), func(reconcile.Hold) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("%v, want the error of yield", err)
		}
	})
}

func TestRunActionsStreamInTheOrderPlanned(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		const n = pageSize + 5
		f.must(f.SaveFacts(t.Context(), f.tok, fleet(0, n), false, t0))
		var planned []reconcile.Planned
		var want []string
		for i := n - 1; i >= 0; i-- {
			id := fmt.Sprintf("cus_%07d", i)
			planned = append(planned, reconcile.Planned{Customer: id, Actions: []reconcile.Action{
				action("resume:"+id, reconcile.Resume, id, ""), action("create_org:"+id, reconcile.CreateOrg, id, "")}})
			want = append(want, "resume:"+id, "create_org:"+id)
		}
		for part := range slices.Chunk(planned, 200) {
			f.must(f.SavePlanned(t.Context(), f.tok, "run-1", part, t0))
		}
		var got []string
		f.must(f.RunActions(t.Context(), "run-1", func(r reconcile.ActionRecord) error { got = append(got, r.ID); return nil }))
		same(t, "actions", want, got)
	})
}

func TestPerformedCountsWhatMayHaveTakenEffect(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.must(f.SaveFacts(t.Context(), f.tok, fleet(0, 9), false, t0))
		do := func(n int, kind reconcile.ActionKind, at time.Time, state reconcile.ActionState, plan string) {
			id := fmt.Sprintf("cus_%07d", n)
			a := action(kind.String()+":"+id, kind, id, "")
			f.must(f.RecordIntent(t.Context(), f.tok, "run-1", a, plan, at))
			if state != reconcile.ActionSent {
				f.must(f.RecordOutcome(t.Context(), f.tok, reconcile.Outcome{Action: a, Run: "run-1", State: state, At: at, SettleUntil: at}))
			}
		}
		do(0, reconcile.Suspend, t0, reconcile.ActionApplied, "")
		do(1, reconcile.Suspend, t0, reconcile.ActionAdopted, "")
		do(2, reconcile.Suspend, t0, reconcile.ActionAmbiguous, "")
		do(3, reconcile.Suspend, t0, reconcile.ActionSent, "")
		do(4, reconcile.Suspend, t0, reconcile.ActionFailed, "")
		do(5, reconcile.Suspend, t0, reconcile.ActionApplied, "plan1")
		do(6, reconcile.Suspend, t0.Add(-time.Microsecond), reconcile.ActionApplied, "")
		do(7, reconcile.Suspend, t0.Add(-time.Microsecond), reconcile.ActionAmbiguous, "")
		do(8, reconcile.ChangePlan, t0, reconcile.ActionApplied, "")
		n, err := f.CountDone(t.Context(), reconcile.Suspend, t0)
		f.must(err)
		same(t, "suspensions", 4, n)
	})
}

func TestEventsAreSeenOnceAndForgottenByAge(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.must(f.SawEvents(t.Context(), f.tok, []reconcile.Event{{ID: "evt_1", Created: t0}, {ID: "evt_2", Created: t0.Add(time.Hour)}, {ID: "evt_1", Created: t0}}, "c1", t0))
		unseen := func(ids ...string) []string {
			got, err := f.UnseenEvents(t.Context(), ids)
			f.must(err)
			return got
		}
		same(t, "unseen", []string{"evt_4", "evt_3"}, unseen("evt_4", "evt_1", "evt_3", "evt_4", "evt_2"))
		same(t, "unseen of none", []string(nil), unseen())
		f.must(f.SawEvents(t.Context(), f.tok, nil, "c2", t0.Add(time.Microsecond)))
		same(t, "after forgetting", []string{"evt_1"}, unseen("evt_1", "evt_2"))
		cursor, err := f.Cursor(t.Context(), "events")
		f.must(err)
		same(t, "cursor", "c2", cursor)
		none, err := f.Cursor(t.Context(), "none")
		f.must(err)
		same(t, "a cursor that is not there", "", none)
	})
}

func TestPlansAreReplacedByACompleteList(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		plans, at, err := f.Plans(t.Context())
		f.must(err)
		same(t, "at first", []any{0, time.Time{}}, []any{len(plans), at})
		one, two := reconcile.EnhancePlan{ID: 1, Name: "Basic", Limits: map[string]int64{"websites": 1}}, reconcile.EnhancePlan{ID: 2, Name: "Pro"}
		f.must(f.SavePlans(t.Context(), f.tok, []reconcile.EnhancePlan{two, one}, t0))
		plans, at, err = f.Plans(t.Context())
		f.must(err)
		same(t, "plans", []reconcile.EnhancePlan{one, two}, plans)
		same(t, "read at", t0, at)
		two.Name = "Professional"
		f.must(f.SavePlans(t.Context(), f.tok, []reconcile.EnhancePlan{two}, t0.Add(time.Hour)))
		plans, _, err = f.Plans(t.Context())
		f.must(err)
		same(t, "plans later", []reconcile.EnhancePlan{two}, plans)
	})
}

func TestADomainOfTheCheckoutServesWhereMetadataNamesNone(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		without := facts("sub_a", "cus_a", "", func(s *reconcile.SubscriptionFacts) { s.Domain = "" })
		f.save(t0, without, facts("sub_b", "cus_b", ""))
		for _, id := range []string{"sub_a", "sub_b"} {
			f.must(f.DomainChecked(t.Context(), f.tok, id, "checkout.example.org"))
		}
		f.save(t0, without) // reading again forgets nothing
		a, b := f.customer("cus_a").Subscriptions[0], f.customer("cus_b").Subscriptions[0]
		same(t, "domains", []any{"checkout.example.org", true, "shop.example.com", true}, []any{a.Domain, a.DomainChecked, b.Domain, b.DomainChecked})
	})
}

func TestAnchorsAreBoundSubscriptionsTheOldestFirst(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		for i, id := range []string{"c", "a", "b", "d"} {
			f.save(t0, facts("sub_"+id, "cus_"+id, ""))
			for slot := 1; slot <= 3; slot++ {
				a := action(fmt.Sprintf("link:sub_%s/%d", id, slot), reconcile.Link, "cus_"+id, "sub_"+id)
				f.must(f.do(a, t0.Add(time.Duration(i)*time.Hour), reconcile.Outcome{Binding: &reconcile.Binding{Subscription: "sub_" + id,
					Slot: slot, Org: "org", Hosting: int64(10*i + slot), How: reconcile.BoundByAdopt}}))
			}
		}
		f.save(t0, facts("sub_unbound", "cus_unbound", ""))
		f.must(f.MarkGone(t.Context(), f.tok, "sub_a", t0))
		ids, err := f.KnownSubscriptions(t.Context(), 2)
		f.must(err)
		same(t, "two", []string{"sub_c", "sub_b"}, ids)
		ids, err = f.KnownSubscriptions(t.Context(), 10)
		f.must(err)
		same(t, "all", []string{"sub_c", "sub_b", "sub_d"}, ids)
	})
}

func TestAPlanThatIsListedTwiceIsOnePlan(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.must(f.SavePlans(t.Context(), f.tok, []reconcile.EnhancePlan{{ID: 2, Name: "Pro", Limits: map[string]int64{"websites": 1}}, {ID: 2, Name: "Pro again"}, {ID: 3, Name: "Big"}}, t0))
		plans, _, err := f.Plans(t.Context())
		f.must(err)
		same(t, "plans", []reconcile.EnhancePlan{{ID: 2, Name: "Pro", Limits: map[string]int64{"websites": 1}}, {ID: 3, Name: "Big"}}, plans)
	})
}

// Programs that read a report see a list only where a gate was closed.
func TestARunWithoutGatesHasNoList(t *testing.T) {
	f := newFixture(t, sqliteURL(t))
	f.must(f.EndRun(t.Context(), f.tok, reconcile.RunRecord{ID: "run-1", Mode: "full"}, nil))
	r, err := f.Run(t.Context(), "run-1")
	f.must(err)
	if r.Gates != nil {
		t.Errorf("gates %#v", r.Gates)
	}
}

// Whether everything was as it should be is known of a run that ended, and of no other.
func TestARunHasConvergedOrNotOrItIsNotKnown(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		yes, no := true, false
		for _, want := range []*bool{&yes, &no, nil} {
			f.must(f.EndRun(t.Context(), f.tok, reconcile.RunRecord{ID: "run-1", Mode: "full", Converged: want}, nil))
			r, err := f.Run(t.Context(), "run-1")
			f.must(err)
			same(t, "converged", want, r.Converged)
		}
	})
}
