package store

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Held plans once expired. If an action waited when they were migrated, it still waits,
// however old its plan is; if it was approved and not done, it is released.
func TestAnUpgradeLosesNoPlanAndReleasesNothing(t *testing.T) {
	empties(t, func(t *testing.T, url string) {
		f := &fixture{TB: t, Store: open(t, url)}
		kind := map[dialect]goose.Dialect{sqlite: goose.DialectSQLite3, postgres: goose.DialectPostgres}[f.d]
		p, err := goose.NewProvider(kind, f.write, f.files(), goose.WithDisableGlobalRegistry(true))
		f.must(err)
		_, err = p.UpTo(t.Context(), 8)
		f.must(err)
		f.must(f.unfenced(t.Context(), "filling an old database", oldPlans))
		_, err = f.Migrate(t.Context(), false)
		f.must(err)

		waiting := map[string][]string{}
		for _, p := range f.waitingPlans() {
			waiting[p.ID] = ids(p)
			slices.Sort(waiting[p.ID])
			same(t, "version of "+p.ID, 1, p.Version)
		}
		same(t, "waiting", map[string][]string{"newer": {"suspend:a", "suspend:b", "suspend:c"}, "expired": {"change_plan:d", "change_plan:h"}}, waiting)
		same(t, "released", []string{"suspend:g"}, f.released(t0.Add(time.Hour)))
		same(t, "what stands", map[string]string{"suspend:a": "newer", "suspend:b": "newer", "suspend:c": "newer", "change_plan:d": "expired", "change_plan:h": "expired",
			"suspend:g": "approved released"}, f.stands(t0.Add(time.Hour)))
		all, err := f.HeldPlans(t.Context(), t0, true)
		f.must(err)
		same(t, "plans", 5, len(all))
		same(t, "due when it is approved", "cus_a", f.get("newer").Actions[2].Customer)
	})
}

// oldPlans are held plans of that version, and the journal of their actions.
func oldPlans(ctx context.Context, tx conn) error {
	plan := `INSERT INTO plans (id, kind, run_id, reason, created_at, expires_at, approved_at, approved_by) VALUES ($1, $2, 'run-1', 'too many', $3, $4, $5, $6)`
	for _, p := range [][]any{
		{"older", "suspend", at(t0.Add(-time.Hour)), at(t0.Add(23 * time.Hour)), nil, ""},
		{"newer", "suspend", at(t0), at(t0.Add(24 * time.Hour)), nil, ""},
		{"expired", "change_plan", at(t0.Add(-90 * day)), at(t0.Add(-89 * day)), nil, ""},
		{"unwanted", "terminate", at(t0), at(t0.Add(24 * time.Hour)), nil, ""},
		{"approved", "suspend", at(t0.Add(-2 * time.Hour)), at(t0.Add(22 * time.Hour)), at(t0.Add(-time.Hour)), "op@example.com"},
	} {
		if _, err := tx.exec(ctx, plan, p...); err != nil {
			return err
		}
	}
	for i, held := range []struct{ plan, kind, name string }{{"older", "suspend", "a"}, {"older", "suspend", "b"}, {"newer", "suspend", "b"}, {"newer", "suspend", "c"},
		{"expired", "change_plan", "d"}, {"unwanted", "terminate", "e"}, {"approved", "suspend", "f"}, {"approved", "suspend", "g"}, {"approved", "suspend", "i"}, {"expired", "change_plan", "h"}} {
		a := reconcile.Action{ID: held.kind + ":" + held.name, Kind: reconcile.ParseActionKind(held.kind), Customer: "cus_" + held.name}
		if _, err := tx.exec(ctx, "INSERT INTO plan_actions (plan_id, position, action_id, action) VALUES ($1, $2, $3, $4)",
			held.plan, i, a.ID, document(storeAction(a))); err != nil {
			return err
		}
	}
	row := `INSERT INTO actions (key, action_id, run_id, position, kind, customer_id, state, planned_at, sent_at, finished_at, held_plan_id, error)
		VALUES ($1, $2, 'run-1', 1, $3, $4, $5, $6, $7, $8, $9, $10)`
	for i, r := range []struct {
		kind, name, state, plan, why string
		planned, sent, finished      time.Time
	}{
		{kind: "suspend", name: "a", state: "held", plan: "older", planned: t0},
		{kind: "suspend", name: "b", state: "held", plan: "newer", planned: t0},
		{kind: "suspend", name: "c", state: "planned", planned: t0}, // a run was under way
		{kind: "change_plan", name: "d", state: "held", plan: "expired", planned: t0},
		{kind: "terminate", name: "e", state: "superseded", plan: "unwanted", planned: t0, finished: t0},
		{kind: "suspend", name: "f", state: "applied", plan: "approved", planned: t0.Add(-2 * time.Hour), sent: t0, finished: t0},
		{kind: "suspend", name: "g", state: "planned", planned: t0.Add(-2 * time.Hour)},
		{kind: "suspend", name: "i", state: "superseded", planned: t0.Add(-2 * time.Hour), finished: t0.Add(-90 * time.Minute)}, // paid before the approval
		{kind: "suspend", name: "i", state: "planned", planned: t0},                                                             // and not again
		{kind: "change_plan", name: "h", state: "superseded", plan: "expired", why: withheld, planned: t0, finished: t0},
	} {
		if _, err := tx.exec(ctx, row, r.kind+r.name+string(rune('0'+i)), r.kind+":"+r.name, r.kind, "cus_"+r.name, r.state, at(r.planned), at(r.sent), at(r.finished), r.plan, r.why); err != nil {
			return err
		}
	}
	return nil
}
