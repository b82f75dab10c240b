package engine

import (
	"context"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// holdPart is how many held actions are stored in one transaction.
const holdPart = 1000

// holdAll stores what is held, part by part.
func (r *run) holdAll(ctx context.Context) error {
	parts := map[reconcile.ActionKind]*reconcile.HeldPlan{}
	for i := range r.plans {
		part := r.plans[i]
		part.Actions = make([]reconcile.Action, 0, min(holdPart, part.Size()))
		parts[part.Kind] = &part
	}
	store := func(part *reconcile.HeldPlan, more bool) (reconcile.HeldPlan, error) {
		part.More, part.Created = more, r.now
		p, err := r.Plans.Hold(ctx, r.tok, r.rec.ID, *part)
		part.Actions = part.Actions[:0]
		return p, err
	}
	err := r.eachPlanned(ctx, func(a reconcile.Action) error {
		part := parts[reconcile.BrakeOf(a)]
		if part == nil || !r.held(a) {
			return nil
		}
		if len(part.Actions) == holdPart {
			if _, err := store(part, true); err != nil {
				return err
			}
		}
		part.Actions = append(part.Actions, a)
		return nil
	})
	if err != nil {
		return err
	}
	held := r.plans
	r.plans = nil
	for _, p := range held {
		stored, err := store(parts[p.Kind], false)
		if err != nil {
			return err
		}
		if stored.Total == 0 { // all of it was approved while this run was under way; the next one does it
			delete(r.heldKinds, p.Kind)
			continue
		}
		p.ID, p.Version, p.Created, p.Total, p.Reason = stored.ID, stored.Version, stored.Created, max(stored.Total, len(p.Actions)), stored.Reason
		r.heldKinds[p.Kind] = p.ID
		r.plans = append(r.plans, p)
	}
	return nil
}

// holdStill holds what the brake holds of a customer who was planned once more in this
// run: a row that is wanted again is a planned one.
func (r *run) holdStill(ctx context.Context, actions []reconcile.Action) error {
	for _, kind := range brakeOrder {
		part := reconcile.HeldPlan{ID: r.planOf(kind), Kind: kind, Created: r.now}
		for _, a := range actions {
			if part.ID != "" && reconcile.BrakeOf(a) == kind && r.held(a) {
				part.Actions = append(part.Actions, a)
			}
		}
		if len(part.Actions) == 0 {
			continue
		}
		if _, err := r.Plans.Hold(ctx, r.tok, r.rec.ID, part); err != nil {
			return err
		}
	}
	return nil
}

// planOf is the plan that holds what is held of a kind: the one of this run, or the one
// that waits, where the run had planned nothing of the kind when the brake judged; "":
// there is none.
func (r *run) planOf(kind reconcile.ActionKind) string {
	if id := r.heldKinds[kind]; id != "" || r.waiting[kind] == 0 {
		return id
	}
	return r.last[kind].ID
}

// unseenByBrake tells that an action of a braked kind was not in the plan that the
// brake judged: it has come up since, and waits for the next run.
func (r *run) unseenByBrake(a reconcile.Action) bool {
	kind := reconcile.BrakeOf(a)
	if kind == 0 || a.Kind != kind || r.approved[a.ID] != "" {
		return false
	}
	return !r.judged.has(a.ID)
}
