package store

import (
	"context"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// RecordIntent makes the intent to do a durable before anything is sent. It fails with
// fault.Conflict while another write of that customer is in flight or its outcome
// was never recorded, when the customer is not known any more, and when a person has
// said since the action was decided what serves the customer (fault.LeftAlone too).
func (s *Store) RecordIntent(ctx context.Context, tok reconcile.Token, run string, a reconcile.Action, planID string, now time.Time) error {
	return s.fenced(ctx, "intending "+a.ID, tok, func(ctx context.Context, tx conn) error {
		var words int64
		var inFlight string
		found, err := tx.one(ctx, `SELECT words, coalesce((SELECT key FROM actions WHERE customer_id = $1 AND state = 'sent'), '')
			FROM customers WHERE id = $1`, []any{a.Customer}, &words, &inFlight)
		switch {
		case err != nil || !found:
			return conflict(err, "customer %s does not exist any more", a.Customer)
		case inFlight != "":
			return conflict(nil, "customer %s still has %s under way", a.Customer, inFlight)
		}
		if err := heard(a, words); err != nil {
			return err
		}
		n, err := tx.exec(ctx, `UPDATE actions SET state = 'sent', sent_at = $2, attempts = attempts + 1, run_id = $3,
			held_plan_id = $4, error = '', settle_until = NULL, looks = 0, looked_at = NULL, org_id = $5, hosting_id = $6, plan_id = $7
			WHERE action_id = $1 AND state IN ('planned', 'held', 'sent', 'ambiguous') AND state <> 'sent'`,
			a.ID, at(now), run, planID, a.Org, a.Hosting, a.Plan)
		if err != nil || n > 0 {
			return err
		}
		return insertJournal(ctx, tx, run, a, reconcile.ActionSent, planID, now)
	})
}

// conflict is err, or else that the world is not what the caller thought.
func conflict(err error, format string, args ...any) error {
	if err != nil {
		return err
	}
	return fault.Errorf(fault.Conflict, format, args...)
}

// insertJournal adds a row for an action that no plan of this run recorded.
func insertJournal(ctx context.Context, tx conn, run string, a reconcile.Action, state reconcile.ActionState, planID string, now time.Time) error {
	last, err := lastPosition(ctx, tx, run)
	if err != nil {
		return err
	}
	keys, err := freshKeys(ctx, tx, run, []reconcile.Action{a})
	if err != nil {
		return err
	}
	row := append(append([]any{keys[0]}, actionValues(a)...), run, last+1, state.String(), at(now), at(now), 1, planID)
	return tx.bulk(ctx, insertAction, [][]any{row})
}

// CountDone counts the actions of a kind that took effect since, or may have:
// applied, adopted, ambiguous, and sent without an outcome. Those that an approval
// released are left out, because the approval already answered for them.
func (s *Store) CountDone(ctx context.Context, kind reconcile.ActionKind, since time.Time) (int, error) {
	n := 0
	err := s.query(ctx, "counting what was done", `SELECT
		(SELECT count(*) FROM actions WHERE kind = $1 AND finished_at >= $2 AND state IN ('applied', 'adopted') AND held_plan_id = '') +
		(SELECT count(*) FROM actions WHERE kind = $1 AND finished_at IS NULL AND state IN ('sent', 'ambiguous')
			AND sent_at >= $2 AND held_plan_id = '')`,
		[]any{kind.String(), at(since)}, func(row scan) error { return row(&n) })
	return n, err
}

// CountDoneByCustomer is CountDone for each customer of whom there is any.
func (s *Store) CountDoneByCustomer(ctx context.Context, kind reconcile.ActionKind, since time.Time) (map[string]int, error) {
	by := make(map[string]int)
	for _, some := range []string{
		"finished_at >= $2 AND state IN ('applied', 'adopted')",
		"finished_at IS NULL AND state IN ('sent', 'ambiguous') AND sent_at >= $2",
	} {
		err := s.query(ctx, "counting what was done by customer", "SELECT customer_id, count(*) FROM actions WHERE kind = $1 AND held_plan_id = '' AND "+
			some+" GROUP BY customer_id", []any{kind.String(), at(since)}, func(row scan) error {
			var customer string
			var n int
			err := row(&customer, &n)
			by[customer] += n
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return by, nil
}
