package store

import (
	"context"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// eventsCursor is the cursor that SawEvents moves.
const eventsCursor = "events"

// Cursor is the value kept under a name; "" when there is none.
func (s *Store) Cursor(ctx context.Context, name string) (string, error) {
	var value string
	err := s.query(ctx, "reading a cursor", "SELECT value FROM cursors WHERE name = $1", []any{name}, func(row scan) error {
		return row(&value)
	})
	return value, err
}

// AllCursors returns every value by its name.
func (s *Store) AllCursors(ctx context.Context) (map[string]string, error) {
	all := make(map[string]string)
	err := s.query(ctx, "reading the cursors", "SELECT name, value FROM cursors", nil, func(row scan) error {
		var name, value string
		err := row(&name, &value)
		all[name] = value
		return err
	})
	return all, err
}

// SetCursor keeps a value under a name.
func (s *Store) SetCursor(ctx context.Context, tok reconcile.Token, name, value string) error {
	return s.fenced(ctx, "moving a cursor", tok, func(ctx context.Context, tx conn) error {
		return setCursor(ctx, tx, name, value)
	})
}

func setCursor(ctx context.Context, tx conn, name, value string) error {
	_, err := tx.exec(ctx, `INSERT INTO cursors (name, value) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, clean(value))
	return err
}

// notifiedCursor is the cursor of Notified: which notifications were sent.
const notifiedCursor = "told"

// Notified returns the text that SetNotified stored last; "" if there is none.
func (s *Store) Notified(ctx context.Context) (string, error) { return s.Cursor(ctx, notifiedCursor) }

// SetNotified stores which notifications were sent to people. It needs no lease: if two
// processes notify at the same moment, the later text stays, and at worst one
// notification is sent twice.
func (s *Store) SetNotified(ctx context.Context, text string) error {
	return s.unfenced(ctx, "storing which notifications were sent", func(ctx context.Context, tx conn) error {
		return setCursor(ctx, tx, notifiedCursor, text)
	})
}

// UnseenEvents returns those of the ids that were never recorded, in their order.
func (s *Store) UnseenEvents(ctx context.Context, ids []string) ([]string, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	seen := make(map[string]bool, len(ids))
	query := "SELECT id FROM seen_events WHERE id IN " + s.d.texts(1)
	err := s.query(ctx, "looking for events", query, []any{list(ids)}, func(row scan) error {
		var id string
		err := row(&id)
		seen[id] = true
		return err
	})
	if err != nil {
		return nil, err
	}
	var unseen []string
	for _, id := range ids {
		if !seen[id] {
			unseen = append(unseen, id)
			seen[id] = true
		}
	}
	return unseen, nil
}

var insertEvent = bulk{
	head:    "INSERT INTO seen_events",
	columns: []column{{"id", "TEXT"}, {"created_at", "TIMESTAMPTZ"}},
	tail:    "ON CONFLICT (id) DO NOTHING",
}

// SawEvents records events, forgets those created before forget, and moves the
// cursor "events", all or nothing.
func (s *Store) SawEvents(ctx context.Context, tok reconcile.Token, events []reconcile.Event, cursor string, forget time.Time) error {
	rows := make([][]any, 0, len(events))
	seen := make(map[string]bool, len(events))
	for _, e := range events {
		if id := clean(e.ID); id != "" && !seen[id] {
			seen[id] = true
			rows = append(rows, []any{id, at(orEpoch(e.Created))})
		}
	}
	return s.fenced(ctx, "recording events", tok, func(ctx context.Context, tx conn) error {
		if err := tx.bulk(ctx, insertEvent, rows); err != nil {
			return err
		}
		if _, err := tx.exec(ctx, "DELETE FROM seen_events WHERE created_at < $1", at(orEpoch(forget))); err != nil {
			return err
		}
		return setCursor(ctx, tx, eventsCursor, cursor)
	})
}
