package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// BeginRun records that a run began. It counts the holds anew if a process of an earlier
// version may have changed them.
func (s *Store) BeginRun(ctx context.Context, tok reconcile.Token, r reconcile.RunRecord) error {
	if err := s.recountHolds(ctx, tok); err != nil {
		return err
	}
	return s.putRun(ctx, tok, "beginning a run", r, nil)
}

// EndRun records how a run ended and, after a full sweep, how much it listed.
func (s *Store) EndRun(ctx context.Context, tok reconcile.Token, r reconcile.RunRecord, l *reconcile.ListedState) error {
	return s.putRun(ctx, tok, "ending a run", r, l)
}

func (s *Store) putRun(ctx context.Context, tok reconcile.Token, op string, r reconcile.RunRecord, l *reconcile.ListedState) error {
	gates := make([]string, len(r.Gates))
	for i, gate := range r.Gates {
		gates[i] = clean(gate)
	}
	var count, entitled, when any
	if l != nil {
		count, entitled, when = l.Count, l.Entitled, at(orEpoch(l.At))
	}
	return s.fenced(ctx, op, tok, func(ctx context.Context, tx conn) error {
		_, err := tx.exec(ctx, `INSERT INTO runs (id, started_by, mode, started_at, finished_at, error, subscriptions, events,
				stripe_calls, enhance_calls, planned, applied, failed, held, gates, listed_count, listed_entitled, listed_at, converged, orders_held)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
			ON CONFLICT (id) DO UPDATE SET mode = excluded.mode, finished_at = excluded.finished_at, error = excluded.error,
				started_at = excluded.started_at, subscriptions = excluded.subscriptions, events = excluded.events, stripe_calls = excluded.stripe_calls,
				enhance_calls = excluded.enhance_calls, planned = excluded.planned, applied = excluded.applied,
				failed = excluded.failed, held = excluded.held, gates = excluded.gates, listed_count = excluded.listed_count,
				listed_entitled = excluded.listed_entitled, listed_at = excluded.listed_at, converged = excluded.converged,
				orders_held = excluded.orders_held`,
			r.ID, clean(r.Trigger), r.Mode, at(orEpoch(r.Started)), at(r.Finished), clean(r.Error), r.Subscriptions, r.Events,
			r.StripeCalls, r.EnhanceCalls, r.Planned, r.Applied, r.Failed, r.Held, document(gates), count, entitled, when, r.Converged, r.Orders)
		return err
	})
}

const runColumns = `SELECT id, started_by, mode, started_at, finished_at, error, subscriptions, events,
	stripe_calls, enhance_calls, planned, applied, failed, held, gates, converged, orders_held FROM runs `

func scanRun(row scan) (r reconcile.RunRecord, err error) {
	var gates []byte
	var converged sql.NullBool
	if err := row(&r.ID, &r.Trigger, &r.Mode, into(&r.Started), into(&r.Finished), &r.Error, &r.Subscriptions, &r.Events,
		&r.StripeCalls, &r.EnhanceCalls, &r.Planned, &r.Applied, &r.Failed, &r.Held, &gates, &converged, &r.Orders); err != nil {
		return r, err
	}
	if converged.Valid {
		r.Converged = &converged.Bool
	}
	if err := json.Unmarshal(gates, &r.Gates); err != nil {
		return r, badRow("run", r.ID, err)
	}
	if len(r.Gates) == 0 {
		r.Gates = nil
	}
	return r, nil
}

// Runs returns the newest runs, newest first.
func (s *Store) Runs(ctx context.Context, limit int) ([]reconcile.RunRecord, error) {
	var runs []reconcile.RunRecord
	err := s.query(ctx, "reading runs", runColumns+"ORDER BY started_at DESC, id DESC LIMIT $1", []any{limit}, func(row scan) error {
		r, err := scanRun(row)
		runs = append(runs, r)
		return err
	})
	return runs, err
}

// Run returns one run by its id, or ErrNotFound.
func (s *Store) Run(ctx context.Context, id string) (reconcile.RunRecord, error) {
	var run reconcile.RunRecord
	found := false
	err := s.query(ctx, "reading a run", runColumns+"WHERE id = $1", []any{id}, func(row scan) (err error) {
		found = true
		run, err = scanRun(row)
		return err
	})
	if err == nil && !found {
		return run, failed("run "+id, ErrNotFound)
	}
	return run, err
}

// LastListed is what the last full sweep listed; the zero value when there was none.
func (s *Store) LastListed(ctx context.Context) (l reconcile.ListedState, err error) {
	err = s.query(ctx, "reading the last sweep", `SELECT listed_count, listed_entitled, listed_at FROM runs
		WHERE listed_at IS NOT NULL ORDER BY started_at DESC, id DESC LIMIT 1`, nil, func(row scan) error {
		return row(&l.Count, &l.Entitled, into(&l.At))
	})
	return l, err
}

const recordColumns = `SELECT action_id, kind, customer_id, subscription_id, item_id, slot, email, org_id, hosting_id, plan_id,
	plan_name, from_plan_id, name, domain, how, reason, key, run_id, state, error, planned_at, sent_at, finished_at,
	settle_until, looks, looked_at, attempts, held_plan_id, position, evidence FROM actions `

func scanRecord(row scan) (r reconcile.ActionRecord, position int64, err error) {
	var kind, how, state string
	var evidence sql.RawBytes
	err = row(&r.ID, &kind, &r.Customer, &r.Subscription, &r.Item, &r.Slot, &r.Email, &r.Org, &r.Hosting, &r.Action.Plan,
		&r.PlanName, &r.FromPlan, &r.Name, &r.Domain, &how, &r.Reason, &r.Key, &r.Run, &state, &r.Error,
		into(&r.PlannedAt), into(&r.SentAt), into(&r.FinishedAt), into(&r.Settle), &r.Looks, into(&r.LookedAt), &r.Attempts, &r.PlanID, &position, &evidence)
	r.Kind, r.How, r.State = reconcile.ParseActionKind(kind), reconcile.ParseBindKind(how), reconcile.ParseActionState(state)
	if err == nil && evidence != nil {
		if err = json.Unmarshal(evidence, &r.Evidence); err != nil {
			err = badRow("evidence of action", r.Key, err)
		}
	}
	return r, position, err
}

// RunActions calls yield with the journal rows that a run touched, in the order
// in which they were planned.
func (s *Store) RunActions(ctx context.Context, run string, yield func(reconcile.ActionRecord) error) error {
	after, afterKey := int64(-1), ""
	return stream(yield, func(add func(...reconcile.ActionRecord)) (rows int, err error) {
		query := recordColumns + "WHERE run_id = $1 AND (position, key) > ($2, $3) ORDER BY position, key LIMIT $4"
		err = s.query(ctx, "reading the journal", query, []any{run, after, afterKey, pageSize}, func(row scan) error {
			r, position, err := scanRecord(row)
			after, afterKey = position, r.Key
			rows++
			add(r)
			return err
		})
		return rows, err
	})
}

// happened is the time of a row of the journal: when it was done, refused or given up,
// else when it was sent, else when it was planned. Rows are shown with it and in its
// order.
const happened = "coalesce(finished_at, sent_at, planned_at)"

// Actions returns journal rows, the newest by when they happened first.
func (s *Store) Actions(ctx context.Context, f reconcile.ActionFilter) ([]reconcile.ActionRecord, error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	query, args := chosen(f, f.Limit)
	if f.Customer == "" && f.Subscription == "" {
		query += " AND key IN (" + newestKeys() + ")"
	}
	var records []reconcile.ActionRecord
	err := s.query(ctx, "reading the journal", query+" ORDER BY "+happened+" DESC, key DESC LIMIT $2", args, func(row scan) error {
		r, _, err := scanRecord(row)
		records = append(records, r)
		return err
	})
	return records, err
}

// EachAction calls yield with every journal row that the filter chooses, in the order in
// which they were planned. Its memory does not grow with the journal.
func (s *Store) EachAction(ctx context.Context, f reconcile.ActionFilter, yield func(reconcile.ActionRecord) error) error {
	after, afterKey := time.Unix(0, 0), ""
	return stream(yield, func(add func(...reconcile.ActionRecord)) (rows int, err error) {
		query, args := chosen(f, pageSize)
		args = append(args, at(after), afterKey)
		query += " AND (planned_at, key) > ($" + strconv.Itoa(len(args)-1) + ", $" + strconv.Itoa(len(args)) + ") ORDER BY planned_at, key LIMIT $2"
		err = s.query(ctx, "reading the journal", query, args, func(row scan) error {
			r, _, err := scanRecord(row)
			after, afterKey = r.PlannedAt, r.Key
			rows++
			add(r)
			return err
		})
		return rows, err
	})
}

// chosen is the beginning of a query for the rows of a filter. $2 is the limit.
func chosen(f reconcile.ActionFilter, limit int) (query string, args []any) {
	state := ""
	if f.State != 0 {
		state = f.State.String()
	}
	query, args = recordColumns+"WHERE (CAST($1 AS TEXT) = '' OR state = $1)", []any{state, limit}
	if f.Customer != "" {
		query += " AND customer_id IN (SELECT customer_id FROM stripe_customers WHERE id = $3 UNION SELECT id FROM customers WHERE id = $3)"
		args = append(args, f.Customer)
	}
	if f.Subscription != "" {
		args = append(args, f.Subscription)
		query += " AND subscription_id <> '' AND subscription_id = $" + strconv.Itoa(len(args))
	}
	if !f.Since.IsZero() {
		args = append(args, at(f.Since))
		query += " AND " + happened + " >= $" + strconv.Itoa(len(args))
	}
	return query, args
}

// newestKeys are the keys among which the newest rows of the whole journal are: the newest
// of each kind that ended, by the index on that, and those still open. There is no index
// on what happened, and a journal may have millions of rows.
func newestKeys() string {
	const newest = "SELECT key FROM (SELECT key FROM actions WHERE (CAST($1 AS TEXT) = '' OR state = $1) AND "
	parts := []string{newest + "state IN ('planned', 'held', 'sent', 'ambiguous') ORDER BY coalesce(sent_at, planned_at) DESC, key DESC LIMIT $2) o"}
	for _, kind := range reconcile.ActionKinds() {
		parts = append(parts, newest+"kind = '"+kind.String()+"' AND finished_at IS NOT NULL ORDER BY finished_at DESC LIMIT $2) k"+strconv.Itoa(int(kind)))
	}
	return strings.Join(parts, " UNION ALL ")
}
