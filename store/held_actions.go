package store

import (
	"context"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Hold moves the run's planned actions to held under the held plan of their kind that
// waits, or under p.ID if none does, and returns that plan without its actions. An action
// that stands in it already stays; another one joins it with the next version of the
// plan, and replaces another version of itself. An action that an approval has released
// meanwhile is not held. The actions of a kind may come in several parts: the plan gets
// its new version and the reason when the last part is stored.
func (s *Store) Hold(ctx context.Context, tok reconcile.Token, run string, p reconcile.HeldPlan) (reconcile.HeldPlan, error) {
	var plan reconcile.HeldPlan
	err := s.fenced(ctx, "holding plan "+p.ID, tok, func(ctx context.Context, tx conn) error {
		h := holding{tx: tx, run: run, p: p}
		for _, step := range []func(context.Context) error{h.find, h.join, h.journal, h.complete} {
			if err := step(ctx); err != nil {
				return err
			}
		}
		plan = h.plan
		return nil
	})
	return plan, err
}

// holding is one part of a plan being stored.
type holding struct {
	tx      conn
	run     string
	p       reconcile.HeldPlan
	plan    reconcile.HeldPlan // as it is stored
	already map[string]bool    // actions that an approval releases
}

// find locks the waiting plan of the kind, or begins one. An approval that comes at the same
// moment may leave a new waiting plan, which only a second look sees.
func (h *holding) find(ctx context.Context) error {
	for range 2 {
		err := h.tx.each(ctx, planHeads+"kind = $1 AND approved_at IS NULL AND closed_at IS NULL"+h.tx.d.forUpdate(),
			[]any{h.p.Kind.String()}, func(row scan) (err error) {
				h.plan, err = scanPlan(row)
				return err
			})
		if err != nil || h.plan.ID != "" {
			return err
		}
	}
	h.plan = reconcile.HeldPlan{ID: h.p.ID, Kind: h.p.Kind, Created: h.p.Created.UTC().Truncate(time.Microsecond)}
	for { // the id is taken when the plan was approved while this run was under way
		taken, err := h.tx.strings(ctx, "SELECT id FROM plans WHERE id = $1", h.plan.ID)
		if err != nil {
			return err
		}
		if len(taken) == 0 {
			break
		}
		h.plan.ID = reconcile.HeldPlanIDAfter(h.plan.ID, nil)
	}
	_, err := h.tx.exec(ctx, `INSERT INTO plans (id, kind, run_id, reason, created_at, expires_at, version) VALUES ($1, $2, $3, $4, $5, $5, 0)`,
		h.plan.ID, h.p.Kind.String(), h.run, clean(h.p.Reason), at(h.p.Created))
	return err
}

// inPlans is how the actions of a part stand in held plans already.
type inPlans struct {
	here     map[string]bool       // in this plan, by action id
	versions map[string][]standing // in this plan, by subject
	leaving  []standing            // released by an approval that has ended
}

// join adds the actions that do not stand in the plan yet.
func (h *holding) join(ctx context.Context) error {
	in, err := h.inPlans(ctx)
	if err != nil {
		return err
	}
	var next int
	if _, err := h.tx.one(ctx, "SELECT coalesce(max(position) + 1, 0) FROM plan_actions WHERE plan_id = $1", []any{h.plan.ID}, &next); err != nil {
		return err
	}
	wanted, rows := map[string]bool{}, [][]any{}
	for _, a := range h.p.Actions {
		id := clean(a.ID)
		wanted[id] = true
		if h.already[id] {
			continue
		}
		for _, i := range in.versions[a.Subject()] {
			if i.action.ID != id {
				in.leaving = append(in.leaving, i)
			}
		}
		if !in.here[id] {
			rows = append(rows, []any{h.plan.ID, next + len(rows), id, document(storeAction(a)), clean(a.Customer), h.plan.Version + 1})
		}
	}
	if err := leave(ctx, h.tx, in.leaving, func(i standing) bool { return i.plan == h.plan.ID || wanted[i.action.ID] }, h.p.Created); err != nil {
		return err
	}
	return h.tx.bulk(ctx, insertPlanAction, rows)
}

// inPlans reads how the customers' actions stand in held plans, and notes those that an
// approval releases.
func (h *holding) inPlans(ctx context.Context) (in inPlans, err error) {
	customers := make([]string, len(h.p.Actions))
	for i, a := range h.p.Actions {
		customers[i] = clean(a.Customer)
	}
	in = inPlans{here: map[string]bool{}, versions: map[string][]standing{}}
	h.already = map[string]bool{}
	err = eachStanding(ctx, h.tx, customers, func(i standing) error {
		switch {
		case i.plan == h.plan.ID:
			in.here[i.action.ID] = true
			in.versions[i.action.Subject()] = append(in.versions[i.action.Subject()], i)
		case i.approved && i.until.After(h.p.Created):
			h.already[i.action.ID] = true
		case i.approved:
			in.leaving = append(in.leaving, i)
		}
		return nil
	})
	return in, err
}

var insertPlanAction = bulk{
	head: "INSERT INTO plan_actions",
	columns: []column{{"plan_id", "TEXT"}, {"position", "INTEGER"}, {"action_id", "TEXT"}, {"action", "JSONB"},
		{"customer_id", "TEXT"}, {"version", "INTEGER"}},
}

// journal marks the rows of the held actions.
func (h *holding) journal(ctx context.Context) error {
	ids := make([]string, 0, len(h.p.Actions))
	for _, a := range h.p.Actions {
		if id := clean(a.ID); !h.already[id] {
			ids = append(ids, id)
		}
	}
	_, err := h.tx.exec(ctx, `UPDATE actions SET state = 'held', held_plan_id = $1
		WHERE run_id = $2 AND state IN ('planned', 'held', 'sent', 'ambiguous') AND state = 'planned'
		AND action_id IN `+h.tx.d.texts(3), h.plan.ID, h.run, list(ids))
	return err
}

// complete gives the plan its version once all of it is stored. A plan in which nothing
// stands after all, because it was approved meanwhile, is not kept.
func (h *holding) complete(ctx context.Context) error {
	if h.p.More {
		return nil
	}
	var newest int
	if _, err := h.tx.one(ctx, "SELECT count(*), coalesce(max(version), 0) FROM plan_actions WHERE plan_id = $1 AND left_at IS NULL",
		[]any{h.plan.ID}, &h.plan.Total, &newest); err != nil {
		return err
	}
	switch {
	case h.plan.Total == 0 && h.plan.Version == 0:
		_, err := h.tx.exec(ctx, "DELETE FROM plans WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM plan_actions WHERE plan_id = $1)", h.plan.ID)
		return err
	case newest <= h.plan.Version:
		return nil
	}
	h.plan.Version = newest
	if h.p.Reason != "" {
		h.plan.Reason = clean(h.p.Reason)
	}
	_, err := h.tx.exec(ctx, "UPDATE plans SET version = $2, reason = $3, run_id = $4 WHERE id = $1", h.plan.ID, newest, h.plan.Reason, h.run)
	return err
}

// standing is an action that stands in a plan.
type standing struct {
	plan     string
	position int64
	action   reconcile.Action
	approved bool
	until    time.Time // when the approval ends
}

// eachStanding reads what stands of some customers in plans.
func eachStanding(ctx context.Context, c conn, customers []string, use func(standing) error) error {
	return c.each(ctx, `SELECT i.plan_id, i.position, i.action, p.approved_at IS NOT NULL, p.expires_at
		FROM plan_actions i JOIN plans p ON p.id = i.plan_id
		WHERE i.left_at IS NULL AND p.closed_at IS NULL AND i.customer_id IN `+c.d.texts(1), []any{list(customers)}, func(row scan) error {
		var i standing
		var text []byte
		err := row(&i.plan, &i.position, &text, &i.approved, into(&i.until))
		if err != nil {
			return err
		}
		if i.action, err = readAction(i.plan, text); err != nil {
			return err
		}
		return use(i)
	})
}

// leave takes out of their plans those that which names.
func leave(ctx context.Context, tx conn, all []standing, which func(standing) bool, now time.Time) error {
	type place struct {
		plan     string
		position int64
	}
	gone, rows := map[place]bool{}, [][]any{}
	for _, i := range all {
		if at0 := (place{i.plan, i.position}); which(i) && !gone[at0] {
			gone[at0] = true
			rows = append(rows, []any{i.plan, i.position, at(now)})
		}
	}
	return tx.bulk(ctx, leavePlan, rows)
}

var leavePlan = bulk{
	head:    "UPDATE plan_actions SET left_at = {left_at}",
	columns: []column{{"plan_id", "TEXT"}, {"position", "BIGINT"}, {"left_at", "TIMESTAMPTZ"}},
	tail:    "plan_actions.plan_id = {plan_id} AND plan_actions.position = {position}",
}

// closePlans ends the waiting plans in which nothing stands any more.
func closePlans(ctx context.Context, tx conn, now time.Time) error {
	_, err := tx.exec(ctx, `UPDATE plans SET closed_at = $1 WHERE approved_at IS NULL AND closed_at IS NULL AND version > 0
		AND NOT EXISTS (SELECT 1 FROM plan_actions i WHERE i.plan_id = plans.id AND i.left_at IS NULL)`, at(now))
	return err
}

// leaveHeldPlans takes out of every plan an action that is over.
func leaveHeldPlans(ctx context.Context, tx conn, o reconcile.Outcome) error {
	if o.State.Open() || o.State == reconcile.ActionFailed {
		return nil
	}
	n, err := tx.exec(ctx, "UPDATE plan_actions SET left_at = $3 WHERE customer_id = $1 AND action_id = $2 AND left_at IS NULL",
		clean(o.Action.Customer), clean(o.Action.ID), at(o.At))
	if err != nil || n == 0 {
		return err
	}
	return closePlans(ctx, tx, o.At)
}

// plans takes the actions that are no longer wanted out of their held plans. An action
// stays if it is wanted and only withheld, or wanted in another version: a brake has held
// it, or an approval was given for it, and neither is true of the other version. It also
// stays if the decision does not mention it because something else comes first.
func (p *planning) plans(ctx context.Context, planned []reconcile.Planned) error {
	decided := make(map[string]*reconcile.Planned, len(planned))
	var customers []string
	for i := range planned {
		if one := &planned[i]; !one.Undecided {
			decided[clean(one.Customer)] = one
			customers = append(customers, clean(one.Customer))
		}
	}
	var leaving []standing
	err := eachStanding(ctx, p.tx, customers, func(i standing) error {
		if !stillWanted(decided[i.action.Customer], i.action) {
			leaving = append(leaving, i)
		}
		return nil
	})
	if err != nil || len(leaving) == 0 {
		return err
	}
	if err := leave(ctx, p.tx, leaving, func(standing) bool { return true }, p.now); err != nil {
		return err
	}
	return closePlans(ctx, p.tx, p.now)
}

// stillWanted reports whether an action, or another version of it, is planned or withheld,
// or may be wanted once what comes first is done.
func stillWanted(p *reconcile.Planned, a reconcile.Action) bool {
	if p.Defers(a) {
		return true
	}
	for i := range p.Actions {
		if clean(p.Actions[i].ID) == a.ID || p.Actions[i].Subject() == a.Subject() {
			return true
		}
	}
	for _, id := range p.Later {
		if clean(id) == a.ID {
			return true
		}
	}
	for _, h := range p.Holds {
		if clean(h.ActionID) == a.ID || h.Kind == reconcile.HoldManual && h.ActionID == "" {
			return true // a person has the customer left alone
		}
	}
	return false
}
