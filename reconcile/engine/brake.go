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
	if len(r.braked) == 0 {
		return nil
	}
	if err := r.eachPlanned(ctx, r.weigh); err != nil {
		return err
	}
	counts, err := r.History.Counts(ctx)
	if err != nil {
		return err
	}
	r.suspectOurselves(counts)
	for _, kind := range brakeOrder {
		if err := r.brakeKind(ctx, kind, counts.Bound); err != nil {
			return err
		}
	}
	return r.rememberPlans(ctx)
}

// eachPlanned hands over what this run has planned: from the journal, and in a dry
// run, which writes none, by deciding again.
func (r *run) eachPlanned(ctx context.Context, use func(reconcile.Action) error) error {
	if !r.req.Dry {
		return r.History.RunActions(ctx, r.rec.ID, func(a reconcile.ActionRecord) error {
			if a.State != reconcile.ActionPlanned {
				return nil
			}
			return use(a.Action)
		})
	}
	return r.replay(ctx, func(p reconcile.Planned) error {
		for _, a := range p.Actions {
			if err := use(a); err != nil {
				return err
			}
		}
		return nil
	})
}

// underBrake is the batch that an action counts for; nil when no brake is to hold
// it: it was released, or is the rest of a chain that is already begun.
func (r *run) underBrake(a reconcile.Action) *batch {
	b := r.braked[reconcile.BrakeKind(a.Kind)]
	if b == nil || r.approved[a.ID] != "" || !b.customers.has(a.Customer) {
		return nil
	}
	return b
}

// weigh adds an action to what its brake looks at.
func (r *run) weigh(a reconcile.Action) error {
	if r.approved[a.ID] != "" {
		r.freed[a.Customer] = true
	}
	b := r.underBrake(a)
	if b == nil {
		return nil
	}
	b.all.add(a)
	if r.catalog.Takes(a) {
		b.takes.add(a)
	}
	if a.Kind == reconcile.BrakeKind(a.Kind) {
		b.count++
		r.judged.add(a.ID)
	}
	return nil
}

func (r *run) brakeKind(ctx context.Context, kind reconcile.Kind, bound int) error {
	b := r.braked[kind]
	if b == nil {
		return nil
	}
	done, err := r.Journal.Performed(ctx, kind, r.now.Add(-reconcile.BrakeWindow))
	if err != nil {
		return err
	}
	reason, over := r.Brakes.Holds(reconcile.Load{Kind: kind, Planned: b.count, Performed: done, Bound: bound})
	held := &b.all
	switch suspect := r.suspicion != "" && b.takes.n > 0; {
	case suspect && over:
		reason += "; " + r.suspicion
	case suspect: // what gives goes on
		held, reason = &b.takes, r.suspicion
		r.partly[kind] = true
	case !over:
		return nil
	}
	p := reconcile.HeldPlan{ID: held.digest.ID(), Kind: kind, Created: r.now, Expires: r.now.Add(planLife), Reason: reason,
		Actions: held.first, Total: held.n}
	r.heldKinds[kind] = p.ID
	r.plans = append(r.plans, p)
	r.log.WithField("plan", p.ID).WithField("kind", kind.String()).WithField("actions", b.count).Error("brake holds")
	if r.req.Dry {
		return nil
	}
	if err := r.holdAll(ctx, p, b); err != nil {
		return fmt.Errorf("recording the held plan: %w", err)
	}
	return nil
}

// holdPart is how many actions of a held plan are stored in one transaction.
const holdPart = 1000

// holdAll stores a held plan, part by part.
func (r *run) holdAll(ctx context.Context, p reconcile.HeldPlan, b *batch) error {
	part := p
	part.Actions, part.From, part.More = make([]reconcile.Action, 0, holdPart), 0, true
	err := r.eachPlanned(ctx, func(a reconcile.Action) error {
		if r.underBrake(a) != b || r.partly[p.Kind] && !r.catalog.Takes(a) {
			return nil
		}
		if len(part.Actions) == holdPart {
			if err := r.Journal.Hold(ctx, r.tok, r.rec.ID, part); err != nil {
				return err
			}
			part.From += holdPart
			part.Actions = part.Actions[:0]
		}
		part.Actions = append(part.Actions, a)
		return nil
	})
	if err != nil {
		return err
	}
	part.More = false
	return r.Journal.Hold(ctx, r.tok, r.rec.ID, part)
}

// heldBy names the plan that holds an action; "" when it may be applied.
func (r *run) heldBy(a reconcile.Action) string {
	kind := reconcile.BrakeKind(a.Kind)
	if kind == 0 || r.approved[a.ID] != "" {
		return ""
	}
	plan := r.heldKinds[kind]
	if plan == "" || !r.braked[kind].customers.has(a.Customer) || r.partly[kind] && !r.catalog.Takes(a) {
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
	return !r.judged.has(a.ID)
}
