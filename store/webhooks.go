package store

import (
	"context"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// WebhookResult records that a run followed the events received up to a moment:
// for one subscription, or, with "", for all. An empty problem is success. An event
// whose nudge is still stored was not followed yet: it was received by another
// replica, or committed, while the run was under way already.
func (s *Store) WebhookResult(ctx context.Context, subscription string, received time.Time, problem string, now time.Time) error {
	return s.unfenced(ctx, "recording a webhook's result", func(ctx context.Context, tx conn) error {
		state := reconcile.WebhookFollowed
		if problem != "" {
			state = reconcile.WebhookFailed
		}
		_, err := tx.exec(ctx, `UPDATE webhook_logs SET state = $1, error = $2, finished_at = $3
			WHERE state = 'received' AND received_at <= $4 AND (CAST($5 AS TEXT) = '' OR subscription_id = $5)
			AND NOT EXISTS (SELECT 1 FROM nudges n WHERE n.subscription_id = webhook_logs.subscription_id)`,
			string(state), clean(problem), at(now), at(received), subscription)
		return err
	})
}

// healed is the condition of an event of the webhook log w that failed, and whose
// subscription has converged since: its customer was planned later than the failure was
// recorded, has failed at nothing since, and nothing of the subscription is open or held.
// A grace period, and what a person holds, is no failure.
func (d dialect) healed() string {
	held := `SELECT 1 FROM json_each(c.held) h WHERE json_extract(h.value, '$.subscription') = w.subscription_id
		AND json_extract(h.value, '$.kind') NOT IN ('grace', 'manual')`
	if d == postgres {
		held = `SELECT 1 FROM jsonb_array_elements(CAST(c.held AS JSONB)) h WHERE h->>'subscription' = w.subscription_id
		AND h->>'kind' NOT IN ('grace', 'manual')`
	}
	return `EXISTS (SELECT 1 FROM subscriptions s JOIN stripe_customers b ON b.id = s.stripe_customer_id JOIN customers c ON c.id = b.customer_id
		WHERE s.id = w.subscription_id AND c.planned_at > w.finished_at AND c.failures = 0 AND c.parked_at IS NULL AND c.last_error = ''
		AND NOT EXISTS (SELECT 1 FROM actions a WHERE a.customer_id = c.id AND a.subscription_id IN (w.subscription_id, '')
			AND a.state IN ('planned', 'held', 'sent', 'ambiguous'))
		AND NOT EXISTS (` + held + `))`
}

func (s *Store) webhooks(ctx context.Context, where string, args ...any) ([]reconcile.WebhookRecord, error) {
	var records []reconcile.WebhookRecord
	query := `SELECT event_id, event_type, subscription_id, received_at,
		CASE WHEN state = 'failed' AND ` + s.d.healed() + ` THEN 'followed' ELSE state END, error, finished_at FROM webhook_logs w ` + where
	err := s.query(ctx, "reading webhooks", query, args, func(row scan) error {
		var r reconcile.WebhookRecord
		var state string
		err := row(&r.EventID, &r.Type, &r.Subscription, into(&r.ReceivedAt), &state, &r.Error, into(&r.FinishedAt))
		r.State = reconcile.WebhookState(state)
		records = append(records, r)
		return err
	})
	return records, err
}

// RecentWebhooks returns the newest events, newest first. One that failed, and whose
// subscription has converged since, was followed; Error still says what failed then.
func (s *Store) RecentWebhooks(ctx context.Context, limit int) ([]reconcile.WebhookRecord, error) {
	return s.webhooks(ctx, "ORDER BY received_at DESC, event_id DESC LIMIT $1", limit)
}

// FailedWebhooks returns the newest events that failed and whose subscription has not
// converged since, newest first, and how many there are in all.
func (s *Store) FailedWebhooks(ctx context.Context, limit int) (records []reconcile.WebhookRecord, total int, err error) {
	where := "WHERE state = 'failed' AND NOT " + s.d.healed()
	records, err = s.webhooks(ctx, where+" ORDER BY received_at DESC, event_id DESC LIMIT $1", limit)
	if err != nil {
		return nil, 0, err
	}
	err = s.query(ctx, "counting webhooks", "SELECT count(*) FROM webhook_logs w "+where, nil, func(row scan) error {
		return row(&total)
	})
	return records, total, err
}
