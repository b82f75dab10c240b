package store

import (
	"context"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// rejectedBy stands in the reason of a plan before the person who has rejected it.
const rejectedBy = ". Rejected by "

// Reject ends a waiting plan, because a person does not want its changes: none of them is
// made. id and version are as in Approve. Each subscription in it, or each customer where a change
// concerns none, gets a hold that keeps runs from planning the change again; when that hold
// is removed and the change is still wanted, it is held in a new plan. newID makes the ids
// of the holds.
func (s *Store) Reject(ctx context.Context, id string, version int, by, reason string, newID func() string, now time.Time) (reconcile.HeldPlan, error) {
	plan, err := s.planToDecide(ctx, "rejecting plan ", id)
	if err != nil {
		return plan, err
	}
	if reason == "" {
		return reconcile.HeldPlan{}, failed("rejecting plan "+id, permanent("a rejection needs a reason"))
	}
	if by == "" {
		by = "unknown"
	}
	id = plan.ID
	err = s.unfenced(ctx, "rejecting plan "+id, func(ctx context.Context, tx conn) error {
		n, err := tx.exec(ctx, `UPDATE plans SET closed_at = $2, reason = reason || $3 WHERE id = $1 AND `+waits+` AND (CAST($4 AS INTEGER) = 0 OR version = $4)`,
			id, at(now), clean(rejectedBy+by+": "+reason), version)
		if err != nil {
			return err
		}
		if n == 0 {
			return refusal(ctx, tx, id, version)
		}
		if err := splitOff(ctx, tx, id, now); err != nil {
			return err
		}
		found, err := readPlans(ctx, tx, false, "id = $1", id)
		if err != nil {
			return err
		}
		plan = found[0]
		return holdRejected(ctx, tx, plan, clean(by), clean(reason), newID, now)
	})
	return plan, err
}

var insertHold = bulk{
	head: "INSERT INTO holds",
	columns: []column{{"id", "TEXT"}, {"stripe_customer_id", "TEXT"}, {"subscription_id", "TEXT"}, {"kind", "TEXT"}, {"reason", "TEXT"}, {"author", "TEXT"},
		{"created_at", "TIMESTAMPTZ"}},
}

// holdRejected puts the holds of a plan that was rejected.
func holdRejected(ctx context.Context, tx conn, plan reconcile.HeldPlan, by, reason string, newID func() string, now time.Time) error {
	var rows [][]any
	var customers []string
	done := map[string]bool{}
	for _, a := range plan.Actions {
		customers = append(customers, a.Customer)
		customer := ""
		if a.Subscription == "" {
			customer = a.Customer
		}
		if target := customer + a.Subscription; !done[target] {
			done[target] = true
			rows = append(rows, []any{newID(), customer, a.Subscription, a.Kind.RejectionHold().String(), reason, by, at(now)})
		}
	}
	if err := tx.bulk(ctx, insertHold, rows); err != nil {
		return err
	}
	return wake(ctx, tx, customers, now)
}
