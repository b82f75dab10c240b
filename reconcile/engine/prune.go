package engine

import (
	"context"
	"encoding/json"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

const (
	// pruneRows is how many old rows of each table a run looks at: a few milliseconds, which
	// a webhook may have to wait for. With a run a minute that is a quarter of a million a day.
	pruneRows = 200
	// pruneEvery is how long after the beginning of a round the next one begins.
	pruneEvery = 24 * time.Hour
	// leastKept is the shortest time after which something is pruned, whatever the options say:
	// the brakes, disputes and the events of Stripe look back less far.
	leastKept = 90 * 24 * time.Hour
)

// prune forgets a few rows of the history that are older than Keep, after the work of the
// run. By a clock that is years ahead everything would be old: checkClock has ended such a
// run before. Rows on which a decision rests stay, see store.Prune. An error ends no run: the rows stay
// until the next one.
func (r *run) prune(ctx context.Context) error {
	if r.Keep <= 0 || r.Archive == nil || r.req.Dry || len(r.req.Subscriptions) > 0 {
		return nil
	}
	text, err := r.Cursors.Cursor(ctx, cursorPruned)
	if err != nil {
		return err
	}
	var p reconcile.Pruning
	_ = json.Unmarshal([]byte(text), &p) // an unreadable one begins anew
	now := r.clock()
	if p.Began.IsZero() && now.Before(p.Next) {
		return nil
	}
	if p.Began.IsZero() {
		p = reconcile.Pruning{Began: now}
	}
	before := now.Add(-max(r.Keep, leastKept))
	for _, table := range p.Tables() {
		if p.Ended[table] {
			continue
		}
		last, gone, ended, err := r.Archive.Prune(ctx, r.tok, table, p.After[table], before, pruneRows)
		if err != nil {
			r.log.WithError(err).Warn("old rows were not pruned")
			return ctx.Err()
		}
		p.After[table], p.Ended[table] = last, ended
		p.Gone[table] += gone
	}
	if p.Done() {
		if what := p.Describe(); what != "" {
			r.note("%s from before %s were pruned, because JOURNAL_KEEP is over for them; rows on which a decision rests stay", what, before.Format(time.DateOnly))
		}
		p = reconcile.Pruning{Next: p.Began.Add(pruneEvery)}
	}
	state, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return r.Cursors.SetCursor(ctx, r.tok, cursorPruned, string(state))
}
