package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

const (
	// resultsRead is how many events WebhookResult reads at a time, for memory.
	resultsRead = 10_000
	// resultsWritten is how many it marks in one transaction: a few milliseconds, because
	// the webhooks that arrive meanwhile wait for it on SQLite.
	resultsWritten = 500
)

// unmarked is the condition of an event without a result. An event whose nudge is still
// stored was not followed yet: it was received by another replica, or committed, while
// the run was under way already.
const unmarked = `state = 'received'
	AND NOT EXISTS (SELECT 1 FROM nudges n WHERE n.subscription_id = webhook_logs.subscription_id)`

// WebhookResult records that a run followed the events received up to a moment:
// for one subscription, or, with "", for all. An empty problem is success. Many events
// are marked part by part; if the process dies in between, the next run marks the rest.
func (s *Store) WebhookResult(ctx context.Context, subscription string, received time.Time, problem string, now time.Time) error {
	const op = "recording a webhook's result"
	state := reconcile.WebhookFollowed
	if problem != "" {
		state = reconcile.WebhookFailed
	}
	mark := func(ctx context.Context, tx conn, ids []string) (int64, error) {
		return tx.exec(ctx, `UPDATE webhook_logs SET state = $1, error = $2, finished_at = $3
			WHERE `+unmarked+` AND event_id IN `+tx.d.texts(4), string(state), clean(problem), at(now), list(ids))
	}
	// coalesce keeps SQLite from looking for received_at in an index, which would have all
	// that were received before; the events without a result have an index of their own.
	query, args := "SELECT event_id FROM webhook_logs WHERE "+unmarked+" AND coalesce(received_at, $1) <= $1", []any{at(received)}
	if subscription != "" {
		query, args = query+" AND subscription_id = $2", append(args, subscription)
	}
	query += fmt.Sprintf(" LIMIT %d", resultsRead)
	for {
		ids, err := s.strings(ctx, op, query, args...)
		if err != nil {
			return err
		}
		marked := int64(0)
		for part := range slices.Chunk(ids, resultsWritten) {
			var n int64
			err := s.unfenced(ctx, op, func(ctx context.Context, tx conn) (err error) {
				n, err = mark(ctx, tx, part)
				return err
			})
			if err != nil {
				return err
			}
			marked += n
		}
		if len(ids) < resultsRead || marked == 0 {
			return nil
		}
	}
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
// subscription has converged since, was followed; Error still has the failure of then.
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

// webhookBatchLimit is how many events share a transaction at most: enough for every
// connection of a burst, and little enough that one transaction stays short.
const webhookBatchLimit = 256

// webhookBatch collects the events that arrive while a transaction is under way, and
// stores them together in the next one. Waiting for the disk is nearly all of what
// storing an event costs, and in a burst it is paid once for all that wait. No event is
// acknowledged before the commit that contains it.
type webhookBatch struct {
	mu      sync.Mutex // guards both
	waiting []*arrivedEvent
	busy    bool // a goroutine is storing
}

// arrivedEvent is one event whose sender waits until it is stored.
type arrivedEvent struct {
	id, kind, subscription string
	look                   bool
	at                     time.Time
	isNew                  bool          // set before done is closed
	err                    error         // set before done is closed
	done                   chan struct{} // closed when it is stored, or is not going to be
}

// LogWebhook stores an event and the nudge it stands for in one transaction, so
// that an event which was acknowledged is never without effect: with look for the
// subscription, or, where it names none, for whatever is due. It reports whether
// the event was new; a known one nudges nothing. No lease is needed.
//
// If ctx ends, the event may be stored nevertheless.
func (s *Store) LogWebhook(ctx context.Context, event, kind, subscription string, look bool, now time.Time) (isNew bool, err error) {
	const op = "storing a webhook"
	if err := ctx.Err(); err != nil {
		return false, failed(op, err)
	}
	a := &arrivedEvent{id: clean(event), kind: clean(kind), subscription: clean(subscription), look: look, at: now, done: make(chan struct{})}
	s.webhookBatch.mu.Lock()
	s.webhookBatch.waiting = append(s.webhookBatch.waiting, a)
	first := !s.webhookBatch.busy
	s.webhookBatch.busy = true
	s.webhookBatch.mu.Unlock()
	if first {
		go s.receive(context.WithoutCancel(ctx))
	}
	select {
	case <-a.done:
		return a.isNew, a.err
	case <-ctx.Done():
		return false, failed(op, ctx.Err())
	}
}

// receive stores until no event waits any more. It belongs to no single request: if one
// is given up, the others must still be stored.
func (s *Store) receive(ctx context.Context) {
	for {
		batch := s.webhookBatch.take()
		if len(batch) == 0 {
			return
		}
		err := fault.Guard(func() error {
			return s.first(ctx, "storing webhooks", func(ctx context.Context, tx conn) error { return insertWebhooks(ctx, tx, batch) })
		})
		for _, a := range batch {
			a.isNew, a.err = a.isNew && err == nil, err
			close(a.done)
		}
	}
}

// take returns the waiting events; if there are none, receive ends.
func (r *webhookBatch) take() []*arrivedEvent {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(len(r.waiting), webhookBatchLimit)
	batch := r.waiting[:n:n]
	r.waiting = r.waiting[n:]
	r.busy = n > 0
	return batch
}

var insertWebhook = bulk{
	head:    "INSERT INTO webhook_logs",
	columns: []column{{"event_id", "TEXT"}, {"event_type", "TEXT"}, {"subscription_id", "TEXT"}, {"received_at", "TIMESTAMPTZ"}},
	tail:    "ON CONFLICT (event_id) DO NOTHING",
}

// insertWebhooks stores a batch and marks the new events in it. Rows go in order of their
// keys, so that two processes that store the same events wait for each other and not in
// a circle.
func insertWebhooks(ctx context.Context, tx conn, batch []*arrivedEvent) error {
	for _, a := range batch {
		a.isNew = false
	}
	// The sort is stable: of an event that is in the batch twice the first is new.
	events := sortedBy(batch, func(a *arrivedEvent) string { return a.id })
	rows := make([][]any, len(events))
	for i, a := range events {
		rows[i] = []any{a.id, a.kind, a.subscription, at(a.at)}
	}
	if err := tx.bulkNew(ctx, insertWebhook, rows, func(i int) { events[i].isNew = true }); err != nil {
		return err
	}
	nudging := slices.DeleteFunc(events, func(a *arrivedEvent) bool { return !a.isNew || !a.look })
	nudges := make([][]any, 0, len(nudging))
	for _, a := range sortedBy(nudging, func(a *arrivedEvent) string { return a.subscription }) {
		nudges = append(nudges, []any{a.subscription, "webhook " + a.kind, at(a.at)})
	}
	return tx.bulk(ctx, insertNudge, nudges)
}

// sortedBy are the events in the order of their keys, the first of each key.
func sortedBy(events []*arrivedEvent, key func(*arrivedEvent) string) []*arrivedEvent {
	events = slices.Clone(events)
	slices.SortStableFunc(events, func(x, y *arrivedEvent) int { return cmp.Compare(key(x), key(y)) })
	return slices.CompactFunc(events, func(x, y *arrivedEvent) bool { return key(x) == key(y) })
}
