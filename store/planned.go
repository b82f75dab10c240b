package store

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// SavePlanned stores what was planned for customers, in one transaction. Journal
// rows of a change that is wanted again stay the same rows; what was sent is never
// touched; what is no longer wanted and was never sent becomes superseded, with a
// word where it is wanted and merely withheld; of who is undecided all stays. A customer that was woken since it
// was loaded stays due.
func (s *Store) SavePlanned(ctx context.Context, tok reconcile.Token, run string, planned []reconcile.Planned, now time.Time) error {
	if len(planned) == 0 {
		return nil
	}
	return s.fenced(ctx, "saving a plan", tok, func(ctx context.Context, tx conn) error {
		p := planning{tx: tx, run: run, now: now}
		if err := p.loadOpen(ctx, planned); err != nil {
			return err
		}
		for i := range planned {
			p.sort(&planned[i])
		}
		if err := p.journal(ctx); err != nil {
			return err
		}
		if err := p.plans(ctx, planned); err != nil {
			return err
		}
		rows := make([][]any, len(planned))
		for i := range planned {
			rows[i] = []any{planned[i].Customer, encodeHolds(planned[i].Holds), at(now), at(planned[i].Due), planned[i].Version}
		}
		return tx.bulk(ctx, updatePlanned, rows)
	})
}

var updatePlanned = bulk{
	head: `UPDATE customers SET held = {held}, planned_at = {planned_at},
		due_at = CASE WHEN customers.wakes = {loaded} THEN {due_at} ELSE customers.due_at END`,
	columns: []column{{"id", "TEXT"}, {"held", "JSONB"}, {"planned_at", "TIMESTAMPTZ"}, {"due_at", "TIMESTAMPTZ"}, {"loaded", "BIGINT"}},
	tail:    "customers.id = {id}",
}

// planning sorts new actions and the journal's open rows into what to insert,
// update and supersede.
type planning struct {
	tx         conn
	run        string
	now        time.Time
	mine       map[string]map[string]openRow // customer → action id →
	position   int64                         // of the last row of the run
	inserts    []reconcile.Action
	updates    [][]any
	superseded [][]any
}

// withheld is the error of a superseded row that was wanted still: a gate, a person
// or the mode was in the way.
const withheld = "withheld"

type openRow struct {
	key   string
	state reconcile.ActionState
}

func (p *planning) loadOpen(ctx context.Context, planned []reconcile.Planned) error {
	ids := make([]string, len(planned))
	for i := range planned {
		ids[i] = planned[i].Customer
	}
	p.mine = make(map[string]map[string]openRow)
	query := `SELECT key, action_id, customer_id, state FROM actions
		WHERE state IN ('planned', 'held', 'sent', 'ambiguous') AND customer_id IN ` + p.tx.d.texts(1)
	writes := false // whether rows of the journal may be written
	for i := range planned {
		writes = writes || len(planned[i].Actions) > 0
	}
	err := p.tx.each(ctx, query, []any{list(ids)}, func(row scan) error {
		writes = true
		var o openRow
		var id, customer, state string
		if err := row(&o.key, &id, &customer, &state); err != nil {
			return err
		}
		o.state = reconcile.ParseActionState(state)
		if p.mine[customer] == nil {
			p.mine[customer] = make(map[string]openRow)
		}
		p.mine[customer][id] = o
		return nil
	})
	if err != nil || !writes {
		return err
	}
	p.position, err = lastPosition(ctx, p.tx, p.run)
	return err
}

// lastPosition is where the journal of a run ends.
func lastPosition(ctx context.Context, c conn, run string) (n int64, err error) {
	_, err = c.one(ctx, "SELECT coalesce(max(position), 0) FROM actions WHERE run_id = $1", []any{run}, &n)
	return n, err
}

func (p *planning) sort(planned *reconcile.Planned) {
	open := p.mine[planned.Customer]
	wanted := make(map[string]bool, len(planned.Actions))
	for _, a := range planned.Actions {
		if wanted[a.ID] {
			continue
		}
		wanted[a.ID] = true
		o, exists := open[a.ID]
		switch {
		case !exists:
			p.inserts = append(p.inserts, a)
		case o.state == reconcile.ActionPlanned || o.state == reconcile.ActionHeld:
			p.position++
			p.updates = append(p.updates, append(append([]any{o.key}, actionValues(a)...), p.run, p.position))
		}
	}
	withhold := make(map[string]bool, len(planned.Holds))
	for i := range planned.Holds {
		withhold[clean(planned.Holds[i].ActionID)] = true
	}
	if planned.Undecided {
		return
	}
	for _, id := range sorted(open) {
		o := open[id]
		if !wanted[id] && (o.state == reconcile.ActionPlanned || o.state == reconcile.ActionHeld) {
			why := ""
			if withhold[id] {
				why = withheld
			}
			p.position++
			p.superseded = append(p.superseded, []any{o.key, p.run, p.position, at(p.now), why})
		}
	}
}

// actionColumns are the columns that say what an action is; actionValues gives
// their values in the same order.
var actionColumns = []column{
	{"action_id", "TEXT"}, {"kind", "TEXT"}, {"customer_id", "TEXT"}, {"subscription_id", "TEXT"}, {"item_id", "TEXT"},
	{"slot", "INTEGER"}, {"email", "TEXT"}, {"org_id", "TEXT"}, {"hosting_id", "BIGINT"}, {"plan_id", "INTEGER"},
	{"plan_name", "TEXT"}, {"from_plan_id", "INTEGER"}, {"name", "TEXT"}, {"domain", "TEXT"}, {"how", "TEXT"}, {"reason", "TEXT"},
}

func actionValues(a reconcile.Action) []any {
	how := ""
	if a.How != 0 {
		how = a.How.String()
	}
	return []any{clean(a.ID), a.Kind.String(), a.Customer, a.Subscription, clean(a.Item),
		a.Slot, clean(a.Email), a.Org, a.Hosting, a.Plan,
		clean(a.PlanName), a.FromPlan, clean(a.Name), clean(a.Domain), how, clean(a.Reason)}
}

var (
	updateWanted = bulk{
		head: `UPDATE actions SET state = 'planned', held_plan_id = '', error = '', run_id = {run_id}, position = {position},
			email = {email}, org_id = {org_id}, hosting_id = {hosting_id}, plan_id = {plan_id}, plan_name = {plan_name},
			from_plan_id = {from_plan_id}, name = {name}, domain = {domain}, how = {how}, reason = {reason},
			item_id = {item_id}, slot = {slot}, subscription_id = {subscription_id}`,
		columns: append(append([]column{{"key", "TEXT"}}, actionColumns...), column{"run_id", "TEXT"}, column{"position", "BIGINT"}),
		tail:    "actions.key = {key}",
	}
	supersede = bulk{
		head:    "UPDATE actions SET state = 'superseded', run_id = {run_id}, position = {position}, finished_at = {finished_at}, error = {error}",
		columns: []column{{"key", "TEXT"}, {"run_id", "TEXT"}, {"position", "BIGINT"}, {"finished_at", "TIMESTAMPTZ"}, {"error", "TEXT"}},
		tail:    "actions.key = {key}",
	}
	insertAction = bulk{
		head: "INSERT INTO actions",
		columns: append(append([]column{{"key", "TEXT"}}, actionColumns...), column{"run_id", "TEXT"}, column{"position", "BIGINT"},
			column{"state", "TEXT"}, column{"planned_at", "TIMESTAMPTZ"}, column{"sent_at", "TIMESTAMPTZ"},
			column{"attempts", "INTEGER"}, column{"held_plan_id", "TEXT"}),
	}
)

// journal writes what sort decided. Superseding goes first: it may free the
// action id of a row that is inserted.
func (p *planning) journal(ctx context.Context) error {
	if err := p.tx.bulk(ctx, supersede, p.superseded); err != nil {
		return err
	}
	if err := p.tx.bulk(ctx, updateWanted, p.updates); err != nil {
		return err
	}
	keys, err := freshKeys(ctx, p.tx, p.run, p.inserts)
	if err != nil {
		return err
	}
	rows := make([][]any, len(p.inserts))
	for i, a := range p.inserts {
		p.position++
		rows[i] = append(append([]any{keys[i]}, actionValues(a)...),
			p.run, p.position, reconcile.ActionPlanned.String(), at(p.now), nil, 0, "")
	}
	return p.tx.bulk(ctx, insertAction, rows)
}

// freshKeys makes the journal keys of new rows: the action, "@", the run, and a
// number when the run had planned the same action before.
func freshKeys(ctx context.Context, c conn, run string, actions []reconcile.Action) ([]string, error) {
	keys := make([]string, len(actions))
	for i, a := range actions {
		keys[i] = clean(a.ID) + "@" + run
	}
	for n := 2; len(keys) > 0; n++ {
		taken, err := c.strings(ctx, "SELECT key FROM actions WHERE key IN "+c.d.texts(1), list(keys))
		if err != nil || len(taken) == 0 {
			return keys, err
		}
		again := make(map[string]bool, len(taken))
		for _, key := range taken {
			again[key] = true
		}
		for i, key := range keys {
			if again[key] {
				keys[i] = clean(actions[i].ID) + "@" + run + "." + strconv.Itoa(n)
			}
		}
	}
	return keys, nil
}

// storedHold is a hold as the column held keeps it.
type storedHold struct {
	Kind         string `json:"kind"`
	Subscription string `json:"subscription,omitempty"`
	Email        string `json:"email,omitempty"`
	Org          string `json:"org,omitempty"`
	Hosting      int64  `json:"hosting,omitempty"`
	Action       string `json:"action,omitempty"`
	Reason       string `json:"reason"`
	Until        int64  `json:"until,omitempty"`  // microseconds since 1970
	Manual       string `json:"manual,omitempty"` // reconcile.ManualKind
	Order        bool   `json:"order,omitempty"`
}

// encodeHolds is the value of the column held: NULL when nothing is held.
func encodeHolds(holds []reconcile.Hold) any {
	if len(holds) == 0 {
		return nil
	}
	stored := make([]storedHold, len(holds))
	for i, h := range holds {
		stored[i] = storedHold{clean(string(h.Kind)), clean(h.Subscription), clean(h.Email), clean(h.Org), h.Hosting, clean(h.ActionID), clean(h.Reason), micros(h.Until), "", h.Order}
		if h.Manual != 0 {
			stored[i].Manual = h.Manual.String()
		}
	}
	return document(stored)
}

func decodeHolds(customer string, b []byte) ([]reconcile.Hold, error) {
	if len(b) == 0 {
		return nil, nil
	}
	var stored []storedHold
	if err := json.Unmarshal(b, &stored); err != nil {
		return nil, badRow("holds of", customer, err)
	}
	holds := make([]reconcile.Hold, len(stored))
	for i, h := range stored {
		holds[i] = reconcile.Hold{Kind: reconcile.HoldKind(h.Kind), Customer: customer, Subscription: h.Subscription,
			Email: h.Email, Org: h.Org, Hosting: h.Hosting, ActionID: h.Action, Reason: h.Reason, Until: fromMicros(h.Until),
			Manual: reconcile.ParseManualKind(h.Manual), Order: h.Order}
	}
	return holds, nil
}
