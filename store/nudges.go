package store

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// A nudge waits, is taken by a run, and is removed when that run has followed it.
// Asked for again while it is taken, it waits again: the run at work may have looked
// before the reason for it was there. Taken under the token of a lease that went to
// another process, it waits as well: the one that took it died.

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
	tail: `ON CONFLICT (subscription_id) DO UPDATE SET taken = 0, why = excluded.why, created_at = excluded.created_at
		WHERE nudges.taken <> 0`,
}

// TakeNudges returns the subscriptions that were nudged, oldest nudge first, those
// that an earlier run took and did not follow to the end among them. A nudge for
// whatever is due yields "". They stay stored until ForgetNudges.
func (s *Store) TakeNudges(ctx context.Context, tok reconcile.Token) ([]string, error) {
	type nudge struct {
		id string
		at time.Time
	}
	var taken []nudge
	err := s.fenced(ctx, "taking nudges", tok, func(ctx context.Context, tx conn) error {
		taken = nil
		query := "SELECT subscription_id, created_at FROM nudges ORDER BY subscription_id" + tx.d.forUpdate()
		err := tx.each(ctx, query, nil, func(row scan) error {
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
		_, err = tx.exec(ctx, "UPDATE nudges SET taken = $1 WHERE subscription_id IN "+tx.d.texts(2), int64(tok), list(ids))
		return err
	})
	slices.SortStableFunc(taken, func(a, b nudge) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.id, b.id)) })
	ids := make([]string, len(taken))
	for i := range taken {
		ids[i] = taken[i].id
	}
	return ids, err
}

// ForgetNudges removes nudges that were taken under this token and followed. One
// that came again meanwhile stays.
func (s *Store) ForgetNudges(ctx context.Context, tok reconcile.Token, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	return s.fenced(ctx, "forgetting nudges", tok, func(ctx context.Context, tx conn) error {
		_, err := tx.exec(ctx, "DELETE FROM nudges WHERE taken = $1 AND subscription_id IN "+tx.d.texts(2), int64(tok), list(ids))
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

// NudgesWaiting reports whether any nudge is stored that no run is following, for a
// writer that waits.
func (s *Store) NudgesWaiting(ctx context.Context) (bool, error) {
	waiting := false
	err := s.query(ctx, "looking for nudges", `SELECT 1 FROM nudges
		WHERE taken = 0 OR taken <> (SELECT token FROM leases WHERE name = $1) LIMIT 1`, []any{leaseName}, func(scan) error {
		waiting = true
		return nil
	})
	return waiting, err
}
