package store

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// named are all values of a list of kinds: those whose name is read back as themselves.
func named[K interface {
	~uint8
	String() string
}](parse func(string) K) (names []string) {
	for i := 1; i < 256; i++ {
		if k := K(i); parse(k.String()) == k {
			names = append(names, k.String())
		}
	}
	return names
}

func runMode(name string) (found reconcile.RunMode) {
	for m := reconcile.RunFull; m <= reconcile.RunTargeted; m++ {
		if m.String() == name {
			found = m
		}
	}
	return found
}

// errUndone takes back what a test has written.
var errUndone = errors.New("taken back")

// tryInsert runs an insert with a value and takes it back.
func (f *fixture) tryInsert(insert, value string) error {
	return f.unfenced(f.Context(), "trying a kind", func(ctx context.Context, tx conn) error {
		if _, err := tx.exec(ctx, "INSERT INTO hostings (id, org_id, state) VALUES (1, 'o', 'active')"); err != nil {
			return err
		}
		if tx.d == sqlite {
			insert = strings.ReplaceAll(insert, "AS TIMESTAMPTZ", "AS INTEGER")
		}
		if _, err := tx.exec(ctx, insert, value, at(t0)); err != nil {
			return err
		}
		return errUndone
	})
}

// TestEveryKindMayBeStored inserts every kind, state and mode through the real tables. The
// kinds of what a decision withholds (column held of customers) and of held plans have no
// CHECK: any name may be stored.
func TestEveryKindMayBeStored(t *testing.T) {
	states := []string{}
	for _, s := range reconcile.WebhookStates() {
		states = append(states, string(s))
	}
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, facts("sub_a", "cus_a", "a@example.com"))
		for _, column := range []struct {
			table, column string
			values        []string
			insert        string // $1 is the value, $2 a time
		}{
			{"actions", "kind", named(reconcile.ParseActionKind), "INSERT INTO actions (key, action_id, run_id, position, kind, customer_id, state, planned_at) VALUES ('k', 'a', 'r', 1, $1, 'c', 'planned', $2)"},
			{"actions", "how", named(reconcile.ParseBindKind), "INSERT INTO actions (key, action_id, run_id, position, kind, customer_id, state, planned_at, how) VALUES ('k', 'a', 'r', 1, 'link', 'c', 'planned', $2, $1)"},
			{"actions", "state", named(reconcile.ParseActionState), `INSERT INTO actions (key, action_id, run_id, position, kind, customer_id, state, planned_at, held_plan_id, sent_at, finished_at, settle_until)
				SELECT 'k', 'a', 'r', 1, 'suspend', 'c', name, instant, 'p', CASE WHEN name IN ('planned', 'held', 'superseded') THEN NULL ELSE instant END,
					CASE WHEN name IN ('planned', 'held', 'sent', 'ambiguous') THEN NULL ELSE instant END, instant
				FROM (SELECT CAST($1 AS TEXT) AS name, CAST($2 AS TIMESTAMPTZ) AS instant) given`},
			{"bindings", "how", named(reconcile.ParseBindKind), "INSERT INTO bindings (subscription_id, slot, org_id, hosting_id, how, bound_at) VALUES ('sub_a', 1, 'o', 1, $1, $2)"},
			{"hostings", "state", named(reconcile.ParseHostingState), "INSERT INTO hostings (id, org_id, state, observed_at) VALUES (2, 'o', $1, $2)"},
			{"holds", "kind", named(reconcile.ParseManualKind), "INSERT INTO holds (id, subscription_id, kind, created_at) VALUES ('h', 'sub_a', $1, $2)"},
			{"subscriptions", "status", named(reconcile.ParseStatus), "INSERT INTO subscriptions (id, stripe_customer_id, status, status_text, status_since, items, content_hash) VALUES ('sub_b', 'cus_a', $1, '', $2, '[]', 0)"},
			{"webhook_logs", "state", states, "INSERT INTO webhook_logs (event_id, event_type, received_at, state, error, finished_at) VALUES ('e', 't', $2, $1, 'x', $2)"},
			{"runs", "mode", named(runMode), "INSERT INTO runs (id, started_by, mode, started_at, gates) VALUES ('r', 'test', $1, $2, '[]')"},
		} {
			if len(column.values) < 3 {
				t.Errorf("only %v may stand in %s.%s", column.values, column.table, column.column)
			}
			for _, value := range column.values {
				if err := f.tryInsert(column.insert, value); !errors.Is(err, errUndone) {
					t.Errorf("add %s to the CHECK of %s.%s in a new migration: %v", value, column.table, column.column, err)
				}
			}
		}
	})
}
