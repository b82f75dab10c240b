package store

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// kept are the tables that no migration may lose a row or a value of, with the columns
// that order their rows.
var kept = map[string]string{
	"actions": "key", "runs": "id", "holds": "id", "plans": "id", "plan_actions": "plan_id, position",
	"bindings": "subscription_id, slot", "partings": "subscription_id, hosting_id", "webhook_logs": "event_id",
	"customers": "id", "stripe_customers": "id", "subscriptions": "id", "hostings": "id", "orgs": "id", "plan_mappings": "billing_plan_id",
}

// renamed maps "table.column" before 00023 to the column of today, where a migration has
// renamed one.
var renamed = map[string]string{}

// TestADatabaseOfTheVersionBeforeKeepsItsJournal: testdata has databases that the program
// made at migration 22, against its simulators: orders, an upgrade, failed payments, a
// deletion, manual holds, an instruction, webhooks, writes that failed and were found,
// and a held plan; then it was killed. Opened today, they have every row with every
// value, and the work goes on.
func TestADatabaseOfTheVersionBeforeKeepsItsJournal(t *testing.T) {
	empties(t, func(t *testing.T, url string) {
		ctx := t.Context()
		loadDump(t, url)
		f := &fixture{TB: t, Store: open(t, url)}
		before := f.keptRows(nil)
		_, err := f.Migrate(ctx, false)
		f.must(err)
		after := f.keptRows(before)
		for _, table := range slices.Sorted(maps.Keys(kept)) {
			if len(before[table]) == 0 {
				t.Errorf("the database of the version before has no row of %s", table)
			}
			same(t, "rows of "+table, before[table], after[table])
		}

		rows, err := f.Actions(ctx, reconcile.ActionFilter{Limit: 1000})
		f.must(err)
		seen := map[reconcile.ActionState]int{}
		for _, row := range rows {
			seen[row.State]++
			if row.Kind == 0 || row.State == 0 || row.Customer == "" || row.PlannedAt.IsZero() ||
				row.State.Open() != row.FinishedAt.IsZero() || row.State == reconcile.ActionApplied && row.SentAt.IsZero() {
				t.Errorf("intent or outcome of %s is not read as it was written: %+v", row.Key, row)
			}
		}
		same(t, "actions", len(before["actions"]), len(rows))
		for _, state := range []reconcile.ActionState{reconcile.ActionApplied, reconcile.ActionAdopted, reconcile.ActionFailed, reconcile.ActionSuperseded} {
			if seen[state] == 0 {
				t.Errorf("no action is %s", state)
			}
		}
		runs, err := f.Runs(ctx, 1000)
		f.must(err)
		same(t, "runs", len(before["runs"]), len(runs))
		holds, err := f.ManualHolds(ctx, time.Time{}.Add(1))
		f.must(err)
		same(t, "manual holds", len(before["holds"]), len(holds))

		f.goOn(runs[0].Started.Add(time.Hour))
	})
}

// loadDump fills an empty database with the dump of its kind.
func loadDump(t *testing.T, url string) {
	t.Helper()
	s := open(t, url)
	text, err := os.ReadFile("testdata/before_00023_" + s.Dialect() + ".sql")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.write.ExecContext(t.Context(), string(text)); err != nil {
		t.Fatalf("loading the dump: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// keptRows reads the kept tables: each row as "column=value" of the columns that there are,
// or of those that there were.
func (f *fixture) keptRows(before map[string][]string) map[string][]string {
	f.Helper()
	all := map[string][]string{}
	for table, order := range kept {
		rows, err := f.read.QueryContext(context.Background(), "SELECT "+columnsOf(table, before[table])+" FROM "+table+" ORDER BY "+order)
		f.must(err)
		defer rows.Close()
		names, err := rows.Columns()
		f.must(err)
		for rows.Next() {
			values, cells := make([]any, len(names)), make([]string, len(names))
			for i := range values {
				values[i] = new(any)
			}
			f.must(rows.Scan(values...))
			for i := range values {
				value := *values[i].(*any)
				if text, ok := value.([]byte); ok {
					value = string(text)
				}
				cells[i] = fmt.Sprintf("%s=%v", names[i], value)
			}
			all[table] = append(all[table], strings.Join(cells, "\x00"))
		}
		f.must(rows.Err())
	}
	return all
}

// columnsOf selects the columns that a table had before, under their names of then; all of
// them if it had no row.
func columnsOf(table string, before []string) string {
	if len(before) == 0 {
		return "*"
	}
	var columns []string
	for _, cell := range strings.Split(before[0], "\x00") {
		name, _, _ := strings.Cut(cell, "=")
		today := name
		if now, ok := renamed[table+"."+name]; ok {
			today = now
		}
		columns = append(columns, today+" AS "+name)
	}
	return strings.Join(columns, ", ")
}

// goOn does more work on a database: a run acquires the lease, the held plan is approved,
// and one of its actions is recorded as intended and as done.
func (f *fixture) goOn(now time.Time) {
	f.Helper()
	ctx := f.Context()
	f.tok = f.acquire("today", now, time.Minute)
	plans, err := f.Waiting(ctx)
	f.must(err)
	if len(plans) != 1 {
		f.Fatalf("%d held plans wait, want 1", len(plans))
	}
	plan, err := f.Approve(ctx, plans[0].ID, plans[0].Version, "op@example.com", now)
	f.must(err)
	same(f, "released", plans[0].Total, len(plan.Actions))
	a := plan.Actions[0]
	customer := f.customer(a.Customer)
	if len(customer.Bindings) == 0 || len(customer.Hostings) == 0 || len(customer.Subscriptions) == 0 {
		f.Errorf("customer %s has lost something: %+v", a.Customer, customer)
	}
	a.Instructions = customer.Instructions
	f.must(f.BeginRun(ctx, f.tok, reconcile.RunRecord{ID: "run-today", Trigger: "test", Mode: "full", Started: now}))
	f.must(f.RecordIntent(ctx, f.tok, "run-today", a, plan.ID, now))
	same(f, "pending", 1, len(f.customer(a.Customer).Pending))
	h := customer.Hostings[0]
	h.State, h.SuspendedByUs = reconcile.HostingSuspended, now
	f.must(f.RecordOutcome(ctx, f.tok, reconcile.Outcome{Action: a, Run: "run-today", State: reconcile.ActionApplied, At: now, Hosting: &h}))
	row, err := f.Actions(ctx, reconcile.ActionFilter{Customer: a.Customer, Limit: 1})
	f.must(err)
	same(f, "newest row", []any{a.ID, reconcile.ActionApplied, "run-today"}, []any{row[0].ID, row[0].State, row[0].Run})
	same(f, "pending", 0, len(f.customer(a.Customer).Pending))
	totals, err := countRows(ctx, f.reader())
	f.must(err)
	stored, err := loadCounters(ctx, f.reader())
	f.must(err)
	maps.DeleteFunc(stored, func(_ string, n int64) bool { return n == 0 })
	maps.DeleteFunc(totals, func(_ string, n int64) bool { return n == 0 })
	same(f, "totals", totals, stored)
}
