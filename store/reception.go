package store

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
)

// receptionBatch is how many events share a transaction at most: enough for every
// connection of a burst, and little enough that one transaction stays short.
const receptionBatch = 256

// reception collects the events that arrive while a transaction is under way, and
// stores them together in the next one. Waiting for the disk is nearly all of what
// storing an event costs, and in a burst it is paid once for all who wait: nobody
// is acknowledged before the commit that holds the event.
type reception struct {
	mu      sync.Mutex // guards both
	waiting []*arrival
	busy    bool // a goroutine is storing
}

// arrival is one event that somebody waits to have stored.
type arrival struct {
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
// When ctx ends, the event may be stored all the same.
func (s *Store) LogWebhook(ctx context.Context, event, kind, subscription string, look bool, now time.Time) (isNew bool, err error) {
	const op = "storing a webhook"
	if err := ctx.Err(); err != nil {
		return false, failed(op, err)
	}
	a := &arrival{id: clean(event), kind: clean(kind), subscription: clean(subscription), look: look, at: now, done: make(chan struct{})}
	s.reception.mu.Lock()
	s.reception.waiting = append(s.reception.waiting, a)
	first := !s.reception.busy
	s.reception.busy = true
	s.reception.mu.Unlock()
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

// receive stores until nobody waits any more. It belongs to nobody's request: one
// that is given up must not take the others with it.
func (s *Store) receive(ctx context.Context) {
	for {
		batch := s.reception.take()
		if len(batch) == 0 {
			return
		}
		err := fault.Guard(func() error {
			return s.unfenced(ctx, "storing webhooks", func(ctx context.Context, tx conn) error { return logArrivals(ctx, tx, batch) })
		})
		for _, a := range batch {
			a.isNew, a.err = a.isNew && err == nil, err
			close(a.done)
		}
	}
}

// take empties the waiting room, or closes it when nobody is there.
func (r *reception) take() []*arrival {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(len(r.waiting), receptionBatch)
	batch := r.waiting[:n:n]
	r.waiting = r.waiting[n:]
	r.busy = n > 0
	return batch
}

var insertArrival = bulk{
	head:    "INSERT INTO webhook_logs",
	columns: []column{{"event_id", "TEXT"}, {"event_type", "TEXT"}, {"subscription_id", "TEXT"}, {"received_at", "TIMESTAMPTZ"}},
	tail:    "ON CONFLICT (event_id) DO NOTHING RETURNING event_id",
}

// logArrivals stores a batch and marks what was new in it. Rows go in order of
// their keys, so that two processes which store the same events wait for each
// other and never in a circle.
func logArrivals(ctx context.Context, tx conn, batch []*arrival) error {
	first := map[string]*arrival{} // an event that is in the batch twice is new once
	for _, a := range batch {
		a.isNew = false
		if first[a.id] == nil {
			first[a.id] = a
		}
	}
	rows := make([][]any, 0, len(first))
	for _, a := range sortedBy(first) {
		rows = append(rows, []any{a.id, a.kind, a.subscription, at(a.at)})
	}
	err := tx.bulkReturning(ctx, insertArrival, rows, func(row scan) error {
		var id string
		err := row(&id)
		if a := first[id]; a != nil {
			a.isNew = true
		}
		return err
	})
	if err != nil {
		return err
	}
	nudges := map[string]*arrival{}
	for _, a := range batch {
		if a.isNew && a.look && nudges[a.subscription] == nil {
			nudges[a.subscription] = a
		}
	}
	rows = rows[:0]
	for _, a := range sortedBy(nudges) {
		rows = append(rows, []any{a.subscription, "webhook " + a.kind, at(a.at)})
	}
	return tx.bulk(ctx, insertNudge, rows)
}

// sortedBy are the values in the order of their keys.
func sortedBy(m map[string]*arrival) []*arrival {
	type entry struct {
		key string
		a   *arrival
	}
	entries := make([]entry, 0, len(m))
	for k, a := range m {
		entries = append(entries, entry{k, a})
	}
	slices.SortFunc(entries, func(x, y entry) int { return cmp.Compare(x.key, y.key) })
	out := make([]*arrival, len(entries))
	for i, e := range entries {
		out[i] = e.a
	}
	return out
}
