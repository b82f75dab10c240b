package store

import (
	"context"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// The figures of the last hours, for people. Both reads use the index of actions by kind and
// time, so their cost follows what happened since, and not the length of the journal.

// DoneSince counts the actions that ended since a moment, by kind and state.
func (s *Store) DoneSince(ctx context.Context, since time.Time) (map[reconcile.ActionClass]int, error) {
	counts := map[reconcile.ActionClass]int{}
	kinds := make([]string, 0, len(reconcile.ActionKinds()))
	for _, k := range reconcile.ActionKinds() {
		kinds = append(kinds, "'"+k.String()+"'")
	}
	query := "SELECT kind, state, count(*) FROM actions WHERE kind IN (" + strings.Join(kinds, ", ") + ") AND finished_at >= $1 GROUP BY kind, state"
	err := s.query(ctx, "counting the actions of a day", query, []any{at(since)}, func(row scan) error {
		var kind, state string
		var n int
		err := row(&kind, &state, &n)
		counts[reconcile.ActionClass{Kind: reconcile.ParseActionKind(kind), State: reconcile.ParseActionState(state)}] = n
		return err
	})
	return counts, err
}

// WentLive returns, newest first, up to limit hostings that were made since a moment, with
// the time of the order that they are for. A hosting that was found after a lost answer is
// left out, because it was live before, at an unknown time.
func (s *Store) WentLive(ctx context.Context, since time.Time, limit int) ([]reconcile.WentLive, error) {
	var all []reconcile.WentLive
	query := `SELECT a.subscription_id, s.created_at, a.finished_at FROM actions a JOIN subscriptions s ON s.id = a.subscription_id
		WHERE a.kind = $1 AND a.finished_at >= $2 AND a.state = 'applied' AND s.created_at IS NOT NULL
		ORDER BY a.finished_at DESC LIMIT $3`
	err := s.query(ctx, "reading how long orders took", query, []any{reconcile.CreateSubscription.String(), at(since), limit}, func(row scan) error {
		var w reconcile.WentLive
		err := row(&w.Subscription, into(&w.Ordered), into(&w.Live))
		all = append(all, w)
		return err
	})
	return all, err
}
