package engine_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// TestAPlanTooLargeToListIsCountedAndHeldWhole is the first run of a company that
// comes with all its customers at once: its report lists the first few thousand,
// counts all, and everything is stored for approval.
//
// With each of these mistakes put in once, it went red: a plan stored without its
// last part; parts that overwrite each other; the omitted ones not counted as
// pending; a dry run whose plan has another id than that of the real one.
func TestAPlanTooLargeToListIsCountedAndHeldWhole(t *testing.T) {
	databases(t, func(t *testing.T, url string) {
		r := testenv.New(t, testenv.Options{Database: fresh(t, url)})
		r.World.Populate(1300, simulator.Mix{Plain: true, Statuses: map[string]int{"active": 1}})
		dry := r.Run(engine.Request{Dry: true})
		rep := r.Run(engine.Request{})
		const chain = 4 // org, name, invitation, hosting
		want := 1300 * chain
		for name, got := range map[string]reconcile.Report{"planned": dry, "run": rep} {
			counted := len(got.Actions) + got.Omitted.In(reconcile.ActionHeld)
			diff(t, name+": listed, counted, wanted, pending, withheld", []int{reconcile.MostReported, want, want, want, want},
				[]int{len(got.Actions), counted, got.Run.Planned, got.Pending(), got.Run.Held})
			if len(got.Plans) != 1 || got.Converged() {
				t.Fatalf("%s: %d plans, converged %v", name, len(got.Plans), got.Converged())
			}
			diff(t, name+": size of the plan", want, got.Plans[0].Size())
		}
		diff(t, "the id of the plan", dry.Plans[0].ID, rep.Plans[0].ID)
		stored, err := r.Store.HeldPlan(context.Background(), rep.Plans[0].ID)
		must(t, err)
		ids := make([]string, len(stored.Actions))
		for i, a := range stored.Actions {
			ids[i] = a.ID
		}
		slices.Sort(ids)
		diff(t, "different actions stored", want, len(slices.Compact(ids)))
		diff(t, "what the id says", rep.Plans[0].ID, reconcile.HeldPlanID(ids))
		r.World.Advance(time.Minute)
		diff(t, "the same plan in the next run", rep.Plans[0].ID, r.Run(engine.Request{}).Plans[0].ID)
		r.World.Advance(time.Minute)
		dry = r.Run(engine.Request{Dry: true}) // which knows all of what waits
		diff(t, "then: id, version, size", []any{rep.Plans[0].ID, 1, want}, []any{dry.Plans[0].ID, dry.Plans[0].Version, dry.Plans[0].Size()})
		diff(t, "effects", "0", fmt.Sprint(len(r.World.Effects())))
	})
}

// TestMoreHoldsThanAReportListsAreCounted: nothing of a company is mapped. Each report lists
// the first thousands and counts all, whether the run has planned them or an earlier one.
func TestMoreHoldsThanAReportListsAreCounted(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	for price := range r.Plans {
		_, err := r.Store.DeleteMapping(t.Context(), price)
		must(t, err)
	}
	const n = reconcile.MostReported + 40
	r.World.Populate(n, simulator.Mix{Plain: true, Statuses: map[string]int{"active": 1}})
	first := r.Run(engine.Request{})
	r.World.Advance(time.Minute)
	for name, rep := range map[string]reconcile.Report{"first": first, "idle": r.Run(engine.Request{}), "idle again": r.Run(engine.Request{}),
		"plan": r.Run(engine.Request{Dry: true}), "stored": r.Run(engine.Request{Stored: true})} {
		diff(t, name+": listed, omitted, held, orders, converged", []any{reconcile.MostReported, 40, n, n, false},
			[]any{len(rep.Holds), rep.Omitted.Holds, rep.Run.Held, rep.Run.Orders, rep.Converged()})
		diff(t, name+": holds", first.Holds, rep.Holds)
	}
	one := first.Holds[7]
	_, err := r.Store.AddManualHold(t.Context(), reconcile.ManualHold{ID: "hold_1", Kind: reconcile.Ignore, Customer: one.Customer,
		Reason: "tested", Author: "test", Created: r.World.Now()})
	must(t, err)
	for name, dry := range map[string]bool{"plan of one": true, "run of one": false} {
		rep := r.Run(engine.Request{Dry: dry})
		diff(t, name+": listed, omitted, held", []int{reconcile.MostReported + 1, 39, n}, []int{len(rep.Holds), rep.Omitted.Holds, rep.Run.Held})
	}
}
