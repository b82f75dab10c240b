package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// planLife is how long a held plan can be approved. Each of its actions is
// planned again before it runs, so what is old in it drops out by itself; the
// limit only keeps a forgotten plan from being found by accident.
const planLife = 24 * time.Hour

// brakeOrder is the order in which kinds are judged and told.
var brakeOrder = []reconcile.Kind{reconcile.CreateSubscription, reconcile.ChangePlan, reconcile.Suspend, reconcile.Terminate}

// brake holds a whole kind when there is too much of it, in this run or in the
// last 24 hours by the journal.
func (r *run) brake(ctx context.Context) error {
	approved, err := r.Journal.Approved(ctx, r.now)
	if err != nil {
		return err
	}
	for _, p := range approved {
		for _, a := range p.Actions {
			r.approved[a.ID] = p.ID
		}
	}
	counts, err := r.History.Counts(ctx)
	if err != nil {
		return err
	}
	for _, kind := range brakeOrder {
		if err := r.brakeKind(ctx, kind, counts.Bound); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) brakeKind(ctx context.Context, kind reconcile.Kind, bound int) error {
	b := r.braked[kind]
	if b == nil {
		return nil
	}
	var held []reconcile.Action
	planned := 0
	for _, a := range b.actions {
		if r.approved[a.ID] != "" {
			r.freed[a.Customer] = true
		}
		if r.approved[a.ID] != "" || !b.customers[a.Customer] {
			continue // released, or the rest of a chain that is already begun
		}
		held = append(held, a)
		if a.Kind == kind {
			planned++
		}
	}
	done, err := r.Journal.Performed(ctx, kind, r.now.Add(-reconcile.BrakeWindow))
	if err != nil {
		return err
	}
	reason, over := r.Brakes.Holds(reconcile.Load{Kind: kind, Planned: planned, Performed: done, Bound: bound})
	if !over {
		return nil
	}
	ids := make([]string, len(held))
	for i := range held {
		ids[i] = held[i].ID
	}
	p := reconcile.HeldPlan{ID: reconcile.PlanID(ids), Kind: kind, Created: r.now, Expires: r.now.Add(planLife), Reason: reason, Actions: held}
	r.heldKinds[kind] = p.ID
	r.plans = append(r.plans, p)
	r.log.WithField("plan", p.ID).WithField("kind", kind.String()).WithField("actions", planned).Error("brake holds")
	if r.req.Dry {
		return nil
	}
	if err := r.Journal.Hold(ctx, r.tok, r.rec.ID, p); err != nil {
		return fmt.Errorf("recording the held plan: %w", err)
	}
	return nil
}

// heldBy names the plan that holds an action; "" when it may be applied.
func (r *run) heldBy(a reconcile.Action) string {
	kind := reconcile.BrakeKind(a.Kind)
	if kind == 0 || r.approved[a.ID] != "" {
		return ""
	}
	plan := r.heldKinds[kind]
	if plan == "" || !r.braked[kind].customers[a.Customer] {
		return ""
	}
	return plan
}

// unseenByBrake tells that an action of a braked kind was not in the plan that the
// brake judged: it has come up since, and waits for the next run.
func (r *run) unseenByBrake(a reconcile.Action) bool {
	kind := reconcile.BrakeKind(a.Kind)
	if kind == 0 || a.Kind != kind || r.approved[a.ID] != "" {
		return false
	}
	return !r.judged[a.ID]
}
