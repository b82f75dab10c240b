package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// waits is the condition of a plan that can be approved.
const waits = "approved_at IS NULL AND closed_at IS NULL AND version > 0"

// HeldPlans returns the plans that wait for approval, newest first; with
// includeOld also those that were approved, or are no longer wanted.
func (s *Store) HeldPlans(ctx context.Context, _ time.Time, includeOld bool) ([]reconcile.HeldPlan, error) {
	return s.plans(ctx, "reading held plans", false, "version > 0 AND ($1 OR "+waits+") ORDER BY created_at DESC, id", includeOld)
}

// HeldPlan returns a plan by its id or by the beginning of it, as long as that is
// the beginning of no other. ErrNotFound when there is none; fault.Conflict, naming
// the candidates, when there are several.
func (s *Store) HeldPlan(ctx context.Context, prefix string) (reconcile.HeldPlan, error) {
	op := "plan " + prefix
	if prefix == "" {
		return reconcile.HeldPlan{}, failed("plan", ErrNotFound)
	}
	plans, err := s.plans(ctx, op, false, "id >= $1 AND id < $2 ORDER BY id LIMIT 5", prefix, after(prefix))
	switch {
	case err != nil:
		return reconcile.HeldPlan{}, err
	case len(plans) == 0:
		return reconcile.HeldPlan{}, failed(op, ErrNotFound)
	case len(plans) > 1 && plans[0].ID != prefix:
		ids := make([]string, len(plans))
		for i, p := range plans {
			ids[i] = p.ID
		}
		return reconcile.HeldPlan{}, failed(op, fault.Errorf(fault.Conflict, "several plans begin so: %s", strings.Join(ids, ", ")))
	}
	return plans[0], nil
}

// after is the smallest string of ASCII that does not begin with prefix and is
// larger than all that do.
func after(prefix string) string { return prefix + "\x7f" }

// Approve releases what stands in a waiting plan: exactly that, and for
// reconcile.ApprovalLife. What joins later waits in another plan. version is the
// version that the person has seen, 0 the one that there is; any other is refused with
// fault.Conflict. The customers it concerns become due. id may be shortened to its first
// eight characters; fewer are fault.Permanent.
func (s *Store) Approve(ctx context.Context, id string, version int, by string, now time.Time) (reconcile.HeldPlan, error) {
	plan, err := s.HeldPlan(ctx, id)
	if err != nil {
		return plan, err
	}
	if len(id) < reconcile.MinHeldPlanID && plan.ID != id {
		return reconcile.HeldPlan{}, failed("approving plan "+id, permanent("%s", reconcile.HeldPlanIDTooShort(id)))
	}
	if by == "" {
		by = "unknown"
	}
	err = s.unfenced(ctx, "approving plan "+plan.ID, func(ctx context.Context, tx conn) error {
		n, err := tx.exec(ctx, `UPDATE plans SET approved_at = $2, approved_by = $3, expires_at = $4
			WHERE id = $1 AND `+waits+` AND (CAST($5 AS INTEGER) = 0 OR version = $5)`,
			plan.ID, at(now), clean(by), at(now.Add(reconcile.ApprovalLife)), version)
		if err != nil {
			return err
		}
		if n == 0 {
			return refusal(ctx, tx, plan.ID, version)
		}
		if err := splitOff(ctx, tx, plan.ID, now); err != nil {
			return err
		}
		found, err := readPlans(ctx, tx, false, "id = $1", plan.ID)
		if err != nil {
			return err
		}
		plan = found[0]
		customers := make([]string, len(plan.Actions))
		for i, a := range plan.Actions {
			customers[i] = a.Customer
		}
		return wake(ctx, tx, customers, now)
	})
	return plan, err
}

// splitOff leaves in a plan that is being approved exactly the actions of its version:
// those that left it are deleted, and those that a run is just adding go to a plan of
// their own, which that run completes.
func splitOff(ctx context.Context, tx conn, id string, now time.Time) error {
	if _, err := tx.exec(ctx, "DELETE FROM plan_actions WHERE plan_id = $1 AND left_at IS NOT NULL", id); err != nil {
		return err
	}
	unseen := "FROM plan_actions WHERE plan_id = $1 AND version > (SELECT version FROM plans WHERE id = $1)"
	ids, err := tx.strings(ctx, "SELECT action_id "+unseen, id)
	if err != nil || len(ids) == 0 {
		return err
	}
	next := reconcile.HeldPlanIDAfter(id, ids)
	if _, err := tx.exec(ctx, `INSERT INTO plans (id, kind, run_id, reason, created_at, expires_at, version)
		SELECT $2, kind, run_id, reason, $3, $3, 0 FROM plans WHERE id = $1`, id, next, at(now)); err != nil {
		return err
	}
	_, err = tx.exec(ctx, `UPDATE plan_actions SET plan_id = $2, version = 1
		WHERE plan_id = $1 AND version > (SELECT version FROM plans WHERE id = $1)`, id, next)
	return err
}

// refusal is the reason why a plan, or a version of it, cannot be approved.
func refusal(ctx context.Context, tx conn, id string, version int) error {
	var approved, closed time.Time
	var by string
	var now int
	found, err := tx.one(ctx, "SELECT approved_at, approved_by, closed_at, version FROM plans WHERE id = $1", []any{id}, into(&approved), &by, into(&closed), &now)
	switch {
	case err != nil:
		return err
	case !found:
		return ErrNotFound
	case !approved.IsZero():
		return fault.Errorf(fault.Conflict, "it was already approved by %s at %s", by, approved.Format(time.RFC3339))
	case !closed.IsZero():
		return fault.Errorf(fault.Conflict, "none of its changes is wanted since %s", closed.Format(time.RFC3339))
	case now == 0:
		return fault.Errorf(fault.Conflict, "a run is still adding to it; look at it in a moment")
	}
	var joined int
	if _, err := tx.one(ctx, "SELECT count(*) FROM plan_actions WHERE plan_id = $1 AND left_at IS NULL AND version > $2", []any{id, version}, &joined); err != nil {
		return err
	}
	return fault.Errorf(fault.Conflict, "version %d of it does not wait: it is at version %d, and %d of its changes joined since; look at it again, then approve version %d",
		version, now, joined, now)
}

// Approved returns the approved plans whose approval has not ended, oldest approval
// first, each with the actions that it still releases. An approval covers the actions
// that were wanted when it was given: an action leaves the plan when it is done, under
// whatever plan, or when it is not wanted for a while. Otherwise a customer who pays and
// fails again within the life of the approval would bypass the brake on an approval given
// for something else. If an action was only withheld for a while, it stays.
func (s *Store) Approved(ctx context.Context, now time.Time) ([]reconcile.HeldPlan, error) {
	return s.plans(ctx, "reading approvals", true, "approved_at IS NOT NULL AND expires_at > $1 ORDER BY approved_at, id", at(now))
}

// LastPlans returns of each kind the plan that waits, or is being stored, or else the
// newest one; without actions.
func (s *Store) LastPlans(ctx context.Context) (map[reconcile.ActionKind]reconcile.HeldPlan, error) {
	last := make(map[reconcile.ActionKind]reconcile.HeldPlan)
	err := s.snapshot(ctx, "reading the last plans", func(ctx context.Context, c conn) error {
		clear(last)
		var parts []string
		var kinds []any
		for i, kind := range reconcile.BrakeKinds() {
			kinds = append(kinds, kind.String())
			parts = append(parts, fmt.Sprintf(`SELECT * FROM (%skind = $%d ORDER BY CASE WHEN approved_at IS NULL AND closed_at IS NULL THEN 0 ELSE 1 END,
				created_at DESC, id DESC LIMIT 1) AS of_kind_%d`, planHeads, i+1, i+1))
		}
		return c.each(ctx, strings.Join(parts, " UNION ALL "), kinds, func(row scan) error {
			p, err := scanPlan(row)
			last[p.Kind] = p
			return err
		})
	})
	return last, err
}

// Waiting returns the plans that can be approved, newest first; Total counts their
// actions, which are not read.
func (s *Store) Waiting(ctx context.Context) (plans []reconcile.HeldPlan, err error) {
	err = s.snapshot(ctx, "reading the plans that wait", func(ctx context.Context, c conn) error {
		plans = nil
		err := c.each(ctx, planHeads+waits+" ORDER BY created_at DESC, id", nil, func(row scan) error {
			p, err := scanPlan(row)
			plans = append(plans, p)
			return err
		})
		for i := range plans {
			if err == nil {
				_, err = c.one(ctx, "SELECT count(*) FROM plan_actions WHERE plan_id = $1 AND left_at IS NULL AND version <= $2",
					[]any{plans[i].ID, plans[i].Version}, &plans[i].Total)
			}
		}
		return err
	})
	return plans, err
}

// Standing hands over the actions that stand in plans: those that wait for approval, those that an approval
// releases at now, and the actions whose approval ended before they were done, which are
// held again.
func (s *Store) Standing(ctx context.Context, now time.Time, use func(reconcile.HeldAction) error) error {
	plan, position := "", int64(-1)
	return stream(use, func(add func(...reconcile.HeldAction)) (rows int, err error) {
		err = s.query(ctx, "reading what the brakes hold", `SELECT i.plan_id, i.position, p.kind, i.action, p.approved_at IS NOT NULL AND p.expires_at > $1
			FROM plan_actions i JOIN plans p ON p.id = i.plan_id
			WHERE i.left_at IS NULL AND p.closed_at IS NULL AND (i.plan_id, i.position) > ($2, $3)
			ORDER BY i.plan_id, i.position LIMIT $4`, []any{at(now), plan, position, pageSize}, func(row scan) (err error) {
			var h reconcile.HeldAction
			var kind string
			var text []byte
			if err := row(&plan, &position, &kind, &text, &h.Released); err != nil {
				return err
			}
			h.Plan, h.Brake = plan, reconcile.ParseActionKind(kind)
			h.Action, err = readAction(plan, text)
			rows++
			add(h)
			return err
		})
		return rows, err
	})
}

// StandingOf is Standing for the actions of some customers.
func (s *Store) StandingOf(ctx context.Context, customers []string, now time.Time, use func(reconcile.HeldAction) error) error {
	return s.query(ctx, "reading what the brakes hold", `SELECT i.plan_id, p.kind, i.action, p.approved_at IS NOT NULL AND p.expires_at > $1
		FROM plan_actions i JOIN plans p ON p.id = i.plan_id
		WHERE i.left_at IS NULL AND p.closed_at IS NULL AND i.customer_id IN `+s.d.texts(2)+`
		ORDER BY i.plan_id, i.position`, []any{at(now), list(customers)}, func(row scan) (err error) {
		var h reconcile.HeldAction
		var kind string
		var text []byte
		if err := row(&h.Plan, &kind, &text, &h.Released); err != nil {
			return err
		}
		h.Brake = reconcile.ParseActionKind(kind)
		if h.Action, err = readAction(h.Plan, text); err != nil {
			return err
		}
		return use(h)
	})
}

const planHeads = "SELECT id, kind, version, created_at, expires_at, approved_at, approved_by, closed_at, reason FROM plans WHERE "

func scanPlan(row scan) (p reconcile.HeldPlan, err error) {
	var kind string
	err = row(&p.ID, &kind, &p.Version, into(&p.Created), into(&p.Expires), into(&p.Approved), &p.By, into(&p.Closed), &p.Reason)
	p.Kind = reconcile.ParseActionKind(kind)
	if p.Approved.IsZero() {
		p.Expires = time.Time{}
	}
	return p, err
}

// plans reads held plans by a condition, with their actions: those that a person
// is shown, or only those that still stand.
func (s *Store) plans(ctx context.Context, op string, standing bool, where string, args ...any) (plans []reconcile.HeldPlan, err error) {
	err = s.snapshot(ctx, op, func(ctx context.Context, c conn) error {
		plans, err = readPlans(ctx, c, standing, where, args...)
		return err
	})
	return plans, err
}

func readPlans(ctx context.Context, c conn, standing bool, where string, args ...any) ([]reconcile.HeldPlan, error) {
	var plans []reconcile.HeldPlan
	index := make(map[string]int)
	err := c.each(ctx, planHeads+where, args, func(row scan) error {
		p, err := scanPlan(row)
		index[p.ID] = len(plans)
		plans = append(plans, p)
		return err
	})
	if err != nil || len(plans) == 0 {
		return plans, err
	}
	query := `SELECT i.plan_id, i.action, i.version FROM plan_actions i JOIN plans p ON p.id = i.plan_id
		WHERE i.plan_id IN ` + c.d.texts(1) + ` AND i.version <= p.version
		AND (i.left_at IS NULL OR NOT $2 AND (p.approved_at IS NOT NULL OR p.closed_at IS NOT NULL)) ORDER BY i.plan_id, i.position`
	err = c.each(ctx, query, []any{keys(index), standing}, func(row scan) error {
		var plan string
		var text []byte
		var version int
		if err := row(&plan, &text, &version); err != nil {
			return err
		}
		a, err := readAction(plan, text)
		p := &plans[index[plan]]
		p.Actions, p.Joined = append(p.Actions, a), append(p.Joined, version)
		return err
	})
	return plans, err
}
