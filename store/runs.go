package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
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

// LastGoodRun is when the last run over all customers ended without an error; zero if
// none has. A run that was cut off has no end, and one over some subscriptions shows nothing
// of the others. That it began at all is asked so that SQLite goes backwards through the
// index, instead of reading every run.
func (s *Store) LastGoodRun(ctx context.Context) (ended time.Time, err error) {
	err = s.query(ctx, "reading the last good run", `SELECT finished_at FROM runs
		WHERE started_at > $1 AND finished_at IS NOT NULL AND error = '' AND mode <> 'targeted' ORDER BY started_at DESC, id DESC LIMIT 1`, []any{at(time.Unix(0, 0))}, func(row scan) error {
		return row(into(&ended))
	})
	return ended, err
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
	if f.Customer == "" && f.Subscription == "" && f.Until.IsZero() {
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
	if !f.Until.IsZero() {
		args = append(args, at(f.Until))
		query += " AND " + happened + " <= $" + strconv.Itoa(len(args))
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

// Names of the totals. The status classes follow statusCounter.
const (
	statusCounter    = "subscriptions."
	customersCounter = "customers"
	boundCounter     = "bindings" // of hostings that we did not terminate
	suspendedCounter = "suspended_by_us"
)

// counters is a change of totals, stored in the same transaction as the rows that they
// count.
type counters map[string]int64

// add applies the change to table tallies.
func (t counters) add(ctx context.Context, tx conn) error { return t.addTo(ctx, tx, "tallies") }

// addTo applies the change to a table in one statement. Names go in order, so that two
// writers cannot wait for each other.
func (t counters) addTo(ctx context.Context, tx conn, table string) error {
	changes := make(map[string]int64, len(t))
	for name, n := range t {
		if n != 0 {
			changes[name] = n
		}
	}
	if len(changes) == 0 {
		return nil
	}
	pairs := "SELECT key, value FROM json_each($1)"
	if tx.d == postgres {
		pairs = "SELECT key, CAST(value AS BIGINT) FROM jsonb_each_text(CAST($1 AS JSONB))"
	}
	_, err := tx.exec(ctx, "INSERT INTO "+table+" (name, n) "+pairs+` WHERE TRUE ORDER BY 1
		ON CONFLICT (name) DO UPDATE SET n = `+table+`.n + excluded.n`, document(changes))
	return err
}

// loadCounters reads all totals.
func loadCounters(ctx context.Context, c conn) (counters, error) {
	t := counters{}
	return t, c.each(ctx, "SELECT name, n FROM tallies", nil, t.read)
}

// read adds one row with a name and a number.
func (t counters) read(row scan) error {
	var name string
	var n int64
	err := row(&name, &n)
	t[name] = n
	return err
}

// countRows counts the totals from the rows themselves.
func countRows(ctx context.Context, c conn) (counters, error) {
	t := counters{}
	err := c.each(ctx, `SELECT '`+statusCounter+`' || status, count(*) FROM subscriptions GROUP BY status
		UNION ALL SELECT '`+customersCounter+`', count(*) FROM customers
		UNION ALL SELECT '`+boundCounter+`', count(*) FROM bindings b JOIN hostings h ON h.id = b.hosting_id WHERE h.terminated_by_us IS NULL
		UNION ALL SELECT '`+suspendedCounter+`', count(*) FROM hostings WHERE suspended_by_us IS NOT NULL AND terminated_by_us IS NULL`,
		nil, func(row scan) error {
			var name string
			var n int64
			err := row(&name, &n)
			t[name] = n
			return err
		})
	return t, err
}

// recount replaces the totals by a new count. It runs after a sweep, which has looked at
// every row anyway, so that the totals are right within a day if a person edited rows.
func recount(ctx context.Context, tx conn) error {
	counted, err := countRows(ctx, tx)
	if err != nil {
		return err
	}
	kept, err := loadCounters(ctx, tx)
	if err != nil {
		return err
	}
	delta := counters{}
	for name, n := range kept {
		delta[name] = -n
	}
	for name, n := range counted {
		delta[name] += n
	}
	return delta.add(ctx, tx)
}

// Stats is the state of the store for health and metrics.
type Stats struct {
	reconcile.Totals
	Nudges int
	Lease  Lease
}

// Lease is the lease as it stands in the database.
type Lease struct {
	Owner string // "" if it is free
	Until time.Time
	Token reconcile.Token
}

// Stats reads it as of now.
func (s *Store) Stats(ctx context.Context, now time.Time) (Stats, error) {
	var st Stats
	counts, err := s.Counts(ctx)
	if err != nil {
		return st, err
	}
	st.Counts = counts
	err = s.snapshot(ctx, "reading statistics", func(ctx context.Context, c conn) error {
		if _, err := c.one(ctx, `SELECT (SELECT count(*) FROM customers WHERE due_at <= $1),
			(SELECT min(due_at) FROM customers WHERE due_at <= $1),
			(SELECT count(*) FROM nudges)`,
			[]any{at(now)}, &st.Due, into(&st.OldestDue), &st.Nudges); err != nil {
			return err
		}
		var token int64
		_, err := c.one(ctx, "SELECT owner, expires_at, token FROM leases WHERE name = $1", []any{leaseName}, &st.Lease.Owner, into(&st.Lease.Until), &token)
		st.Lease.Token = reconcile.Token(token)
		return err
	})
	return st, err
}

// Counts are the totals for health and for the brake's percentages. Only due,
// parked and ambiguous rows are counted; the rest is stored (table tallies).
func (s *Store) Counts(ctx context.Context) (counts reconcile.Counts, err error) {
	err = s.snapshot(ctx, "counting", func(ctx context.Context, c conn) error {
		const due, parked, ambiguous = "now:due", "now:parked", "now:ambiguous" // no counter has such a name
		t := counters{}
		query := "SELECT name, n FROM tallies UNION ALL SELECT '" + due + "', count(*) FROM customers WHERE due_at IS NOT NULL AND due_at <= $1" +
			" UNION ALL SELECT '" + parked + "', count(*) FROM customers WHERE parked_at IS NOT NULL" +
			" UNION ALL SELECT '" + ambiguous + "', count(*) FROM actions WHERE state = 'ambiguous'"
		err := c.each(ctx, query, []any{at(s.now())}, t.read)
		counts = t.counts()
		counts.Due, counts.Parked, counts.Ambiguous = int(t[due]), int(t[parked]), int(t[ambiguous])
		return err
	})
	return counts, err
}

// counts reads the totals as the report knows them.
func (t counters) counts() reconcile.Counts {
	c := reconcile.Counts{Customers: int(t[customersCounter]), Bound: int(t[boundCounter]), Suspended: int(t[suspendedCounter])}
	for status := reconcile.StatusActive; status <= reconcile.StatusUnknown; status++ {
		n := int(t[statusCounter+status.String()])
		c.Subscriptions += n
		switch status {
		case reconcile.StatusActive, reconcile.StatusTrialing, reconcile.StatusPastDue:
			c.Active += n
		case reconcile.StatusCanceled:
			c.Canceled += n
		default: // the report has no number of these alone
		}
	}
	return c
}

// How many bindings are of hostings that we did not terminate, and how many hostings we
// keep suspended, among the hostings of parameter 1.
const (
	boundCount     = "(SELECT count(*) FROM bindings b JOIN hostings h ON h.id = b.hosting_id WHERE h.terminated_by_us IS NULL AND b.hosting_id %s)"
	suspendedCount = "(SELECT count(*) FROM hostings WHERE suspended_by_us IS NOT NULL AND terminated_by_us IS NULL AND id %s)"
)

// measured keeps the totals of bindings and suspensions right across fn, which
// changes these hostings and nothing else that is counted.
func measured(ctx context.Context, tx conn, hostings []int64, fn func() error) error {
	if len(hostings) == 0 {
		return fn()
	}
	in := tx.d.anyInt(1)
	countBound, countSuspended := fmt.Sprintf(boundCount, in), fmt.Sprintf(suspendedCount, in)
	var bound, suspended int64
	if _, err := tx.one(ctx, "SELECT "+countBound+", "+countSuspended, []any{list(hostings)}, &bound, &suspended); err != nil {
		return err
	}
	if err := fn(); err != nil {
		return err
	}
	_, err := tx.exec(ctx, "INSERT INTO tallies (name, n) SELECT name, n FROM (SELECT '"+boundCounter+"' AS name, "+countBound+` - $2 AS n
		UNION ALL SELECT '`+suspendedCounter+"', "+countSuspended+` - $3) changes WHERE n <> 0
		ON CONFLICT (name) DO UPDATE SET n = tallies.n + excluded.n`, list(hostings), bound, suspended)
	return err
}

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
	query := "SELECT id FROM seen_events WHERE id " + s.d.anyText(1)
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
