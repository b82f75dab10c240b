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
