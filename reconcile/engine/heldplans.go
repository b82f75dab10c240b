package engine

import (
	"context"
	"fmt"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// holdPart is how many held actions are stored in one transaction.
const holdPart = 1000

// applyBrake holds what stands in a plan that is not approved, whatever the count is
// now, and everything new of a kind if there is too much of that kind, in this run or
// in the last 24 hours by the journal.
func (r *run) applyBrake(ctx context.Context) error {
	if err := r.loadPlans(ctx); err != nil {
		return err
	}
	if len(r.brake.tallies) == 0 {
		return nil
	}
	each := func(use func(reconcile.Action)) error {
		return r.eachPlanned(ctx, func(a reconcile.Action) error {
			if a.Kind != reconcile.SendMail { // those come up until all is applied: see judgeMails
				use(a)
			}
			return nil
		})
	}
	if err := each(r.brake.count); err != nil {
		return err
	}
	counts, err := r.History.Counts(ctx)
	if err != nil {
		return err
	}
	r.suspectOurselves(counts)
	if holds, err := r.judgeKinds(ctx, counts.Bound); err != nil || !holds {
		return err
	}
	r.brake.startCollecting()
	if err := each(r.brake.collect); err != nil {
		return err
	}
	for _, kind := range brakeOrder {
		r.planKind(kind)
	}
	if !r.req.Dry {
		held := r.brake.plans
		r.brake.plans = nil
		if err := r.storePlans(ctx, held); err != nil {
			return fmt.Errorf("recording the held changes: %w", err)
		}
	}
	return r.saveVerdictPlans(ctx)
}

// loadPlans reads the actions that wait for approval or were approved. It runs after the
// planning, so that actions that are no longer wanted have left their plan.
func (r *run) loadPlans(ctx context.Context) (err error) {
	if r.brake.last, err = r.Plans.LastPlans(ctx); err != nil {
		return err
	}
	add := func(h reconcile.HeldAction) error {
		r.brake.addStanding(h)
		return nil
	}
	if r.flows {
		return r.Plans.StandingOf(ctx, r.only, r.now, add)
	}
	return r.Plans.Standing(ctx, r.now, add)
}

// eachPlanned calls use with each action that this run has planned: by the journal,
// or in a dry run, which writes none, by deciding again.
func (r *run) eachPlanned(ctx context.Context, use func(reconcile.Action) error) error {
	if !r.req.Dry {
		return r.History.RunActions(ctx, r.rec.ID, func(a reconcile.ActionRecord) error {
			if a.State != reconcile.ActionPlanned || r.flows && r.catalog.Takes(a.Action) {
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

// judgeKinds asks the brake about every kind that was planned, and reports whether
// any action is held.
func (r *run) judgeKinds(ctx context.Context, bound int) (holds bool, err error) {
	o := &r.together.orders
	o.judging.Lock()
	defer o.judging.Unlock()
	since := r.now.Add(-reconcile.BrakeWindow)
	for _, kind := range brakeOrder {
		if !r.brake.expects(kind) {
			continue
		}
		var d done
		if kind != reconcile.Resume {
			if d.actions, err = r.Journal.CountDone(ctx, kind, since); err != nil {
				return false, err
			}
		}
		if kind == reconcile.CreateSubscription {
			d.atWork = o.others(r.rec.ID)
			if d.customer, err = r.Journal.CountDoneByCustomer(ctx, kind, since); err != nil {
				return false, err
			}
		}
		holds = r.brake.judge(kind, d, bound, r.evidence.needsApproval) || holds
	}
	o.let(r.rec.ID, r.brake.letPass(reconcile.CreateSubscription))
	return holds, nil
}

// planKind makes the plan that holds the actions of a kind, and logs it.
func (r *run) planKind(kind reconcile.ActionKind) {
	p, joins, ok := r.brake.plan(kind, r.now, r.only != nil)
	if !ok {
		return
	}
	level, text := logrus.WarnLevel, "brake still holds"
	if joins > 0 {
		level, text = logrus.ErrorLevel, "brake holds"
	}
	if r.req.Dry { // its output shows what waits
		level = logrus.DebugLevel
	}
	r.log.WithFields(logrus.Fields{"kind": kind.String(), "actions": r.brake.tallies[kind].held.n, "plan": p.ID}).Log(level, text)
}

// planParts stores held actions part by part, by brake kind.
type planParts struct {
	*run
	parts map[reconcile.ActionKind]*reconcile.HeldPlan
}

// storePlans stores the actions of these plans, and adds the plans to those of this run.
func (r *run) storePlans(ctx context.Context, held []reconcile.HeldPlan) error {
	parts := planParts{r, map[reconcile.ActionKind]*reconcile.HeldPlan{}}
	for _, part := range held {
		part.Actions = make([]reconcile.Action, 0, min(holdPart, part.Size()))
		parts.parts[part.Kind] = &part
	}
	if err := r.eachPlanned(ctx, func(a reconcile.Action) error { return parts.add(ctx, a) }); err != nil {
		return err
	}
	for _, p := range held {
		stored, err := parts.store(ctx, p.Kind, false)
		if err != nil {
			return err
		}
		if stored.Total == 0 { // all of it was approved while this run was under way; the next one does it
			delete(r.brake.planIDs, p.Kind)
			continue
		}
		p.ID, p.Version, p.Created, p.Total, p.Reason = stored.ID, stored.Version, stored.Created, max(stored.Total, len(p.Actions)), stored.Reason
		r.brake.planIDs[p.Kind] = p.ID
		r.brake.plans = append(r.brake.plans, p)
	}
	return nil
}

// add puts a held action into the part of its kind, which is stored when it is full.
func (p planParts) add(ctx context.Context, a reconcile.Action) error {
	kind := a.Brake()
	part := p.parts[kind]
	if part == nil || !p.brake.holds(a) {
		return nil
	}
	if len(part.Actions) == holdPart {
		if _, err := p.store(ctx, kind, true); err != nil {
			return err
		}
	}
	part.Actions = append(part.Actions, a)
	return nil
}

// store stores the part of a kind; more means that it is not the last one.
func (p planParts) store(ctx context.Context, kind reconcile.ActionKind, more bool) (reconcile.HeldPlan, error) {
	part := p.parts[kind]
	part.More, part.Created = more, p.now
	stored, err := p.Plans.Hold(ctx, p.tok, p.rec.ID, *part)
	part.Actions = part.Actions[:0]
	return stored, err
}

// holdAgain holds the held actions of a customer that was planned once more in this
// run: saving the plan has made their rows planned again.
func (r *run) holdAgain(ctx context.Context, actions []reconcile.Action) error {
	for _, kind := range brakeOrder {
		part := reconcile.HeldPlan{ID: r.brake.planOf(kind), Kind: kind, Created: r.now}
		if part.ID == "" {
			continue
		}
		for _, a := range actions {
			if a.Brake() == kind && r.brake.holds(a) {
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
