package store

import (
	"context"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// HeldPlans returns the plans that wait for approval, newest first; with
// includeOld also those approved and expired.
func (s *Store) HeldPlans(ctx context.Context, now time.Time, includeOld bool) ([]reconcile.HeldPlan, error) {
	return s.plans(ctx, "reading held plans", "($2 OR (approved_at IS NULL AND expires_at > $1)) ORDER BY created_at DESC, id", at(now), includeOld)
}

// HeldPlan returns a plan by its id or by the beginning of it, as long as that is
// the beginning of no other. ErrNotFound when there is none; fault.Conflict, naming
// the candidates, when there are several.
func (s *Store) HeldPlan(ctx context.Context, prefix string) (reconcile.HeldPlan, error) {
	op := "plan " + prefix
	if prefix == "" {
		return reconcile.HeldPlan{}, failed("plan", ErrNotFound)
	}
	plans, err := s.plans(ctx, op, "id >= $1 AND id < $2 ORDER BY id LIMIT 5", prefix, after(prefix))
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

// Approve releases a held plan: exactly its actions, and until it expires. The
// customers it concerns become due. id may be shortened as in HeldPlan.
func (s *Store) Approve(ctx context.Context, id, by string, now time.Time) (reconcile.HeldPlan, error) {
	plan, err := s.HeldPlan(ctx, id)
	if err != nil {
		return plan, err
	}
	if by == "" {
		by = "unknown"
	}
	customers := make([]string, len(plan.Actions))
	for i, a := range plan.Actions {
		customers[i] = a.Customer
	}
	err = s.unfenced(ctx, "approving plan "+plan.ID, func(ctx context.Context, tx conn) error {
		n, err := tx.exec(ctx, `UPDATE plans SET approved_at = $2, approved_by = $3
			WHERE id = $1 AND approved_at IS NULL AND expires_at > $2`, plan.ID, at(now), clean(by))
		if err != nil {
			return err
		}
		if n == 0 {
			return refusal(ctx, tx, plan.ID, now)
		}
		return wake(ctx, tx, customers, now)
	})
	plan.Approved, plan.By = now, by
	return plan, err
}

// refusal says why a plan cannot be approved.
func refusal(ctx context.Context, tx conn, id string, now time.Time) error {
	var approved, expires time.Time
	var by string
	found, err := tx.one(ctx, "SELECT approved_at, approved_by, expires_at FROM plans WHERE id = $1", []any{id}, into(&approved), &by, into(&expires))
	switch {
	case err != nil:
		return err
	case !found:
		return ErrNotFound
	case !expires.After(now):
		return fault.Errorf(fault.Conflict, "it expired at %s; the next run holds it anew if it is still wanted", expires.Format(time.RFC3339))
	case !approved.IsZero():
		return fault.Errorf(fault.Conflict, "it was already approved by %s at %s", by, approved.Format(time.RFC3339))
	}
	return fault.Errorf(fault.Conflict, "it changed meanwhile; look at it again")
}
