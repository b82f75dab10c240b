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
			WHERE `+unmarked+` AND event_id `+tx.d.anyText(4), string(state), clean(problem), at(now), list(ids))
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
// is given up, the others must still be stored. A batch is taken when its transaction has
// begun, so that it has the events that came while other writes were under way.
func (s *Store) receive(ctx context.Context) {
	for s.webhookBatch.any() {
		var batch []*arrivedEvent
		err := fault.Guard(func() error {
			return s.first(ctx, "storing webhooks", func(ctx context.Context, tx conn) error {
				batch = s.webhookBatch.take(batch)
				return insertWebhooks(ctx, tx, batch)
			})
		})
		if len(batch) == 0 { // it could not begin
			batch = s.webhookBatch.take(batch)
		}
		for _, a := range batch {
			a.isNew, a.err = a.isNew && err == nil, err
			close(a.done)
		}
	}
}

// any reports whether an event waits; if there is none, receive ends.
func (r *webhookBatch) any() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.busy = len(r.waiting) > 0
	return r.busy
}

// take adds waiting events to a batch, up to its limit.
func (r *webhookBatch) take(batch []*arrivedEvent) []*arrivedEvent {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(len(r.waiting), webhookBatchLimit-len(batch))
	batch = append(batch, r.waiting[:n]...)
	r.waiting = slices.Delete(r.waiting, 0, n)
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

// A nudge waits, is taken, and is removed when it has been followed. Whole runs take all
// that wait (TakeNudges); beside them, the process that runs takes those that name a
// subscription one by one (TakeNamed). Asked for again while it is taken, a nudge waits
// again: the look under way may have been made before the reason for it was there. Taken
// under the token of a lease that went to another process, it waits as well: the process
// that took it died.
//
// Column taken has the token of the taker. Column named has it too if TakeNamed took the
// nudge, and keeps it if the nudge comes again: until that follower is done, neither a run
// nor another follower takes it, so a subscription has one follower, and each removes only
// its own nudges. It is -1 if the follower has left the nudge to a run.

// Nudge asks the writer to look at these subscriptions, or, without any, at
// whatever is due; reconcile.NudgeAll asks for a full run. Asking twice is asking once.
func (s *Store) Nudge(ctx context.Context, subscriptions []string, why string, now time.Time) error {
	return s.unfenced(ctx, "nudging", func(ctx context.Context, tx conn) error {
		return nudge(ctx, tx, subscriptions, why, now)
	})
}

func nudge(ctx context.Context, tx conn, subscriptions []string, why string, now time.Time) error {
	if len(subscriptions) == 0 {
		subscriptions = []string{""}
	}
	ids := make([]string, len(subscriptions))
	for i, id := range subscriptions {
		ids[i] = clean(id)
	}
	slices.Sort(ids) // one order for all transactions that lock several rows
	ids = slices.Compact(ids)
	rows := make([][]any, len(ids))
	for i, id := range ids {
		rows[i] = []any{id, clean(why), at(now)}
	}
	return tx.bulk(ctx, insertNudge, rows)
}

// insertNudge adds nudges, or lets those that are taken wait again.
var insertNudge = bulk{
	head:    "INSERT INTO nudges",
	columns: []column{{"subscription_id", "TEXT"}, {"why", "TEXT"}, {"created_at", "TIMESTAMPTZ"}},
	tail: `ON CONFLICT (subscription_id) DO UPDATE SET taken = 0, why = excluded.why, created_at = excluded.created_at, known = excluded.known
		WHERE nudges.taken <> 0`,
	computed: "known", derived: "EXISTS (SELECT 1 FROM subscriptions s WHERE s.id = {subscription_id})",
}

// TakeNudges returns the subscriptions that were nudged, oldest nudge first, those
// that an earlier run took and did not follow to the end among them, and those that are
// being followed by name not, nor those that TakeNamed may still take: of webhooks that
// came at before or later. Zero: all. A nudge for whatever is due yields "". They stay
// stored until ForgetNudges.
func (s *Store) TakeNudges(ctx context.Context, tok reconcile.Token, before time.Time) ([]string, error) {
	if before.IsZero() {
		before = endOfTime
	}
	type nudge struct {
		id string
		at time.Time
	}
	var taken []nudge
	err := s.fenced(ctx, "taking nudges", tok, func(ctx context.Context, tx conn) error {
		taken = nil
		query := "SELECT subscription_id, created_at FROM nudges WHERE named <> $1 AND NOT (" + fresh + ") ORDER BY subscription_id" + tx.d.forUpdate()
		err := tx.each(ctx, query, []any{int64(tok), reconcile.NudgeAll, at(before)}, func(row scan) error {
			var n nudge
			err := row(&n.id, into(&n.at))
			taken = append(taken, n)
			return err
		})
		if err != nil || len(taken) == 0 {
			return err
		}
		ids := make([]string, len(taken))
		for i := range taken {
			ids[i] = taken[i].id
		}
		// Those read and no others: a nudge may arrive between the two statements.
		_, err = tx.exec(ctx, "UPDATE nudges SET taken = $1, named = 0 WHERE subscription_id "+tx.d.anyText(2), int64(tok), list(ids))
		return err
	})
	slices.SortStableFunc(taken, func(a, b nudge) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.id, b.id)) })
	ids := make([]string, len(taken))
	for i := range taken {
		ids[i] = taken[i].id
	}
	return ids, err
}

// ForgetNudges removes nudges that a run took under this token and followed. One that
// came again meanwhile stays, whether it waits or is being followed by name.
func (s *Store) ForgetNudges(ctx context.Context, tok reconcile.Token, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	return s.fenced(ctx, "forgetting nudges", tok, func(ctx context.Context, tx conn) error {
		_, err := tx.exec(ctx, "DELETE FROM nudges WHERE taken = $1 AND named <> $1 AND subscription_id "+tx.d.anyText(2), int64(tok), list(ids))
		return err
	})
}

// LeaveCrowd leaves to the next TakeNudges the nudges that TakeNamed may take and whose
// subscriptions the mirror had when they were nudged, if there are more than most. It
// reports whether there are.
func (s *Store) LeaveCrowd(ctx context.Context, tok reconcile.Token, most int) (left bool, err error) {
	const op, known = "leaving nudges to a run", "SELECT subscription_id FROM nudges WHERE taken = 0 AND named NOT IN ($1, -1) AND " + isNamed +
		" AND why LIKE 'webhook%' AND known = TRUE"
	n := 0
	err = s.query(ctx, op, "SELECT count(*) FROM ("+known+" ORDER BY created_at LIMIT $3) n", []any{int64(tok), reconcile.NudgeAll, most + 1},
		func(row scan) error { return row(&n) })
	if err != nil || n <= most {
		return false, err
	}
	return true, s.fenced(ctx, op, tok, func(ctx context.Context, tx conn) error {
		_, err := tx.exec(ctx, "UPDATE nudges SET named = -1 WHERE subscription_id IN ("+known+tx.d.skipLocked()+")", int64(tok), reconcile.NudgeAll)
		return err
	})
}

// FullNudged reports whether a nudge for everything is stored.
func (s *Store) FullNudged(ctx context.Context) (bool, error) {
	full := false
	err := s.query(ctx, "looking for nudges", "SELECT 1 FROM nudges WHERE subscription_id = $1", []any{reconcile.NudgeAll}, func(scan) error {
		full = true
		return nil
	})
	return full, err
}

// waiting is the condition of a nudge that is not being followed, $1 being the name of
// the lease: taken is 0, or the token of a process that died, and tokens only grow. Each
// query with it also has ORDER BY taken and LIMIT, without which PostgreSQL would rather
// read the table than the index, as long as it has no statistics.
const waiting = "taken < " + presentToken + " AND named <> " + presentToken

// presentToken is 1, the first one, before there is a lease.
const presentToken = "coalesce((SELECT token FROM leases WHERE name = $1), 1)"

// NudgesWaiting reports whether any nudge is stored that is not being followed, for a
// writer that waits.
func (s *Store) NudgesWaiting(ctx context.Context) (bool, error) {
	found := false
	err := s.query(ctx, "looking for nudges", "SELECT 1 FROM nudges WHERE "+waiting+" ORDER BY taken LIMIT 1", []any{leaseName}, func(scan) error {
		found = true
		return nil
	})
	return found, err
}

// NudgesOverdue reports whether a nudge is stored that is not being followed, leaving out
// those of webhooks that name a subscription and came after the instant.
func (s *Store) NudgesOverdue(ctx context.Context, before time.Time) (bool, error) {
	found := false
	err := s.query(ctx, "looking for nudges", "SELECT 1 FROM nudges WHERE "+waiting+
		" AND NOT ("+fresh+") ORDER BY taken LIMIT 1",
		[]any{leaseName, reconcile.NudgeAll, at(before)}, func(scan) error {
			found = true
			return nil
		})
	return found, err
}

// fresh is the condition of a nudge that is for TakeNamed: of a webhook that names a
// subscription and came at $3 or later. $2 is NudgeAll.
const fresh = isNamed + " AND taken = 0 AND named <> -1 AND why LIKE 'webhook%' AND created_at >= $3"

// endOfTime is later than every nudge.
var endOfTime = time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC)

// isNamed is the condition of a nudge that names a subscription, $2 being NudgeAll.
const isNamed = "subscription_id NOT IN ('', $2)"

// mostCounted is where NamedWaiting stops counting.
const mostCounted = 1000

// NamedWaiting counts the nudges that name a subscription and are not being followed, up
// to 1,000.
func (s *Store) NamedWaiting(ctx context.Context) (int, error) {
	n := 0
	const query = "SELECT count(*) FROM (SELECT 1 FROM nudges WHERE " + waiting + " AND " + isNamed + " ORDER BY taken LIMIT $3) n"
	err := s.query(ctx, "counting nudges", query, []any{leaseName, reconcile.NudgeAll, mostCounted}, func(row scan) error { return row(&n) })
	return n, err
}

// OldestNamed is when the oldest of the nudges came that NamedWaiting counts; zero when
// there is none. One that a process took and did not follow before it died counts again
// from the first TakeNamed of the next process.
func (s *Store) OldestNamed(ctx context.Context) (oldest time.Time, err error) {
	const where = "(SELECT created_at FROM nudges WHERE taken = 0 AND named <> " + presentToken + " AND " + isNamed
	const query = "SELECT * FROM " + where + " AND known = TRUE ORDER BY created_at LIMIT 1) a" +
		" UNION ALL SELECT * FROM " + where + " AND known = FALSE ORDER BY created_at LIMIT 1) b" // each the end of a range of the index
	err = s.query(ctx, "looking for nudges", query, []any{leaseName, reconcile.NudgeAll}, func(row scan) error {
		var t time.Time
		err := row(into(&t))
		if oldest.IsZero() || t.Before(oldest) {
			oldest = t
		}
		return err
	})
	return oldest, err
}

// TakeNamed returns up to limit nudges that name a subscription and are not being
// followed: subscriptions first that the mirror did not have when they were nudged, then
// the newest nudge first. They stay stored until ForgetNamed, or until LeaveNudges leaves them to a
// run; until then nothing else under this token takes them. What a person asks for is no
// webhook: a run answers it.
func (s *Store) TakeNamed(ctx context.Context, tok reconcile.Token, limit int) (ids []string, err error) {
	err = s.fenced(ctx, "taking nudges", tok, func(ctx context.Context, tx conn) error {
		if err := recoverNudges(ctx, tx, tok); err != nil {
			return err
		}
		query := "SELECT subscription_id FROM nudges WHERE taken = 0 AND named NOT IN ($1, -1) AND " + isNamed +
			" AND why LIKE 'webhook%' ORDER BY known, created_at DESC, subscription_id LIMIT $3" + tx.d.skipLocked()
		ids, err = tx.strings(ctx, query, int64(tok), reconcile.NudgeAll, limit)
		if err != nil || len(ids) == 0 {
			return err
		}
		_, err = tx.exec(ctx, "UPDATE nudges SET taken = $1, named = $1 WHERE subscription_id "+tx.d.anyText(2), int64(tok), list(ids))
		return err
	})
	return ids, err
}

// recoverNudges lets those wait that were taken under older tokens, whose processes died,
// so that one range of the index has all that wait.
func recoverNudges(ctx context.Context, tx conn, tok reconcile.Token) error {
	const dead = "SELECT subscription_id FROM nudges WHERE taken > 0 AND taken < $1"
	some, err := tx.strings(ctx, dead+" ORDER BY taken LIMIT 1", int64(tok))
	if err != nil || len(some) == 0 {
		return err
	}
	_, err = tx.exec(ctx, "UPDATE nudges SET taken = 0 WHERE subscription_id IN ("+dead+tx.d.skipLocked()+")", int64(tok))
	return err
}

// skipLocked is forUpdate without the rows that another transaction has: those are being
// nudged again, and waiting for them could end in a circle.
func (d dialect) skipLocked() string {
	if d == postgres {
		return d.forUpdate() + " SKIP LOCKED"
	}
	return ""
}

// ForgetNamed removes nudges that TakeNamed returned under this token and that were
// followed. One that came again meanwhile waits.
func (s *Store) ForgetNamed(ctx context.Context, tok reconcile.Token, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	return s.fenced(ctx, "forgetting nudges", tok, func(ctx context.Context, tx conn) error {
		these := " WHERE named = $1 AND subscription_id " + tx.d.anyText(2)
		if _, err := tx.exec(ctx, "DELETE FROM nudges"+these+" AND taken = $1", int64(tok), list(ids)); err != nil {
			return err
		}
		_, err := tx.exec(ctx, "UPDATE nudges SET named = 0"+these, int64(tok), list(ids))
		return err
	})
}

// LeaveNudges leaves nudges that TakeNamed returned under this token to the next
// TakeNudges: they wait again, and not for another TakeNamed.
func (s *Store) LeaveNudges(ctx context.Context, tok reconcile.Token, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	return s.fenced(ctx, "leaving nudges to a run", tok, func(ctx context.Context, tx conn) error {
		_, err := tx.exec(ctx, "UPDATE nudges SET taken = 0, named = -1 WHERE named = $1 AND subscription_id "+tx.d.anyText(2), int64(tok), list(ids))
		return err
	})
}
