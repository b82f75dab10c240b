package store

import (
	"context"
	"fmt"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// old is a table of history. Its rows go in the order of an index, so that a look at the
// oldest reads nothing else.
type old struct {
	name     string
	id, at   string // the columns by which the rows are ordered
	prunable string // the condition on a row older than $2
	parts    string // the statement that deletes what belongs to such rows, before them; "": there is none
}

// olds are the tables that are pruned, with what has to stay of each:
//
//   - of the journal, open rows, and those of a held plan that is not closed;
//   - each creation that made something, or may have: a marker at the panel that the journal
//     does not know shows that the database is old, or that another one creates (see unmade);
//   - the last action of each kind that took effect for a subscription and a hosting, with
//     its reason and its evidence: it tells why the hosting is as it is;
//   - the last run, the last one that listed everything, which later listings are compared
//     with, and those with open rows or a plan that is not closed;
//   - a webhook that was not followed yet, or that failed and has not healed;
//   - a held plan that waits, or was approved and has a change that was neither made nor given
//     up, or with an open row of the journal;
//   - of mails, an intent, and a warning as long as its event may still come: the planner
//     looks back 90 days for all others (resumedWithin), and less is never kept.
//
// Everything else that must happen once only has a table of its own, which is not pruned:
// invitations stand in customers, applications in hostings, trials in subscriptions, and
// disputes in a table of that name.
func (s *Store) olds(table reconcile.OldRows) old {
	// A plan that was approved stays open here until it is pruned itself.
	const openPlan = "EXISTS (SELECT 1 FROM plans p WHERE p.closed_at IS NULL AND "
	switch table {
	case reconcile.OldRuns:
		return old{"runs", "id", "started_at", `started_at < $2
			AND id <> (SELECT r.id FROM runs r ORDER BY r.started_at DESC, r.id DESC LIMIT 1)
			AND (listed_at IS NULL OR id <> (SELECT r.id FROM runs r WHERE r.listed_at IS NOT NULL ORDER BY r.started_at DESC, r.id DESC LIMIT 1))
			AND NOT EXISTS (SELECT 1 FROM actions a WHERE a.run_id = runs.id AND a.finished_at IS NULL)
			AND NOT ` + openPlan + "p.run_id = runs.id)", ""}
	case reconcile.OldWebhooks:
		return old{"webhook_logs", "event_id", "received_at", `received_at < $2 AND state <> 'received' AND (state <> 'failed'
			OR NOT EXISTS (SELECT 1 FROM subscriptions k WHERE k.id = webhook_logs.subscription_id)
			OR EXISTS (SELECT 1 FROM webhook_logs w WHERE w.event_id = webhook_logs.event_id AND ` + s.d.healed() + "))", ""}
	case reconcile.OldPlans:
		const over = `created_at < $2 AND (closed_at < $2 OR approved_at < $2
			AND NOT EXISTS (SELECT 1 FROM plan_actions i WHERE i.plan_id = plans.id AND i.left_at IS NULL))
			AND NOT EXISTS (SELECT 1 FROM actions a WHERE a.held_plan_id = plans.id AND a.finished_at IS NULL)`
		return old{"plans", "id", "created_at", over,
			"DELETE FROM plan_actions WHERE plan_id IN (SELECT id FROM plans WHERE id " + s.d.anyText(1) + " AND " + over + ")"}
	case reconcile.OldMails:
		return old{"mails", "key", "at", `at < $2 AND state <> 'intended' AND NOT (key LIKE 'warn%' AND EXISTS (SELECT 1 FROM bindings b
			JOIN hostings h ON h.id = b.hosting_id JOIN subscriptions k ON k.id = b.subscription_id JOIN stripe_customers u ON u.id = k.stripe_customer_id
			WHERE u.customer_id = mails.customer_id AND (k.status = 'past_due' OR h.suspended_by_us IS NOT NULL AND h.terminated_by_us IS NULL)))`, ""}
	case reconcile.OldActions:
	}
	return old{"actions", "key", "planned_at", `finished_at < $2 AND finished_at IS NOT NULL
		AND NOT (kind IN ('create_org', 'create_subscription') AND (state IN ('applied', 'adopted') OR state = 'failed' AND looks > 0))
		AND NOT (state IN ('applied', 'adopted') AND NOT EXISTS (SELECT 1 FROM actions n WHERE n.customer_id = actions.customer_id AND n.kind = actions.kind
			AND n.subscription_id = actions.subscription_id AND n.hosting_id = actions.hosting_id AND n.state IN ('applied', 'adopted')
			AND (n.planned_at, n.key) > (actions.planned_at, actions.key)))
		AND NOT ` + openPlan + "p.id = actions.held_plan_id)", ""}
}

// Prune looks at up to limit rows of a table of history behind a position, and deletes those
// that are older than before and that nothing rests on, in one short transaction. It returns
// the last row that it looked at, and whether that was the last one of the table.
func (s *Store) Prune(ctx context.Context, tok reconcile.Token, table reconcile.OldRows, after reconcile.RowPosition, before time.Time, limit int) (last reconcile.RowPosition, gone int, ended bool, err error) {
	o := s.olds(table)
	var ids []string
	last = after
	query := fmt.Sprintf("SELECT %[1]s, %[2]s FROM %[3]s WHERE %[2]s < $3 AND (%[2]s, %[1]s) > ($1, $2) ORDER BY %[2]s, %[1]s LIMIT $4", o.id, o.at, o.name)
	err = s.query(ctx, "looking for old "+o.name, query, []any{at(orEpoch(after.At)), after.ID, at(before), limit}, func(row scan) error {
		err := row(&last.ID, into(&last.At))
		ids = append(ids, last.ID)
		return err
	})
	if err != nil || len(ids) == 0 {
		return last, 0, err == nil, err
	}
	err = s.fenced(ctx, "pruning old "+o.name, tok, func(ctx context.Context, tx conn) error {
		if o.parts != "" {
			if _, err := tx.exec(ctx, o.parts, list(ids), at(before)); err != nil {
				return err
			}
		}
		n, err := tx.exec(ctx, "DELETE FROM "+o.name+" WHERE "+o.id+" "+tx.d.anyText(1)+" AND "+o.prunable, list(ids), at(before))
		gone = int(n)
		return err
	})
	if err == nil && gone > 0 {
		err = s.giveBack(ctx)
	}
	return last, gone, len(ids) < limit, err
}

// pagesGiven is how many free pages of the file are given back after a step of pruning: a
// quarter of a megabyte, which takes milliseconds.
const pagesGiven = 64

// giveBack shortens the file of SQLite by pages that are free. A database of an earlier
// version reuses them and stays as long as it is, until it is written anew: that locks it
// for as long as the whole file takes, and needs its length twice.
func (s *Store) giveBack(ctx context.Context) error {
	if s.d != sqlite {
		return nil
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	_, err := s.write.ExecContext(ctx, fmt.Sprintf("PRAGMA incremental_vacuum(%d)", pagesGiven))
	return err
}
