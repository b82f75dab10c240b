package store

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Intend makes the intent to do a durable before anything is sent. It fails with
// fault.Conflict while another write of that customer is in flight or its outcome
// was never recorded, when the customer is not known any more, and when a person has
// said since the action was decided what serves the customer (fault.LeftAlone too).
func (s *Store) Intend(ctx context.Context, tok reconcile.Token, run string, a reconcile.Action, planID string, now time.Time) error {
	return s.fenced(ctx, "intending "+a.ID, tok, func(ctx context.Context, tx conn) error {
		var inFlight string
		if found, err := tx.one(ctx, "SELECT key FROM actions WHERE customer_id = $1 AND state = 'sent'",
			[]any{a.Customer}, &inFlight); err != nil || found {
			return conflict(err, "customer %s still has %s under way", a.Customer, inFlight)
		}
		var words int64
		if found, err := tx.one(ctx, "SELECT words FROM customers WHERE id = $1", []any{a.Customer}, &words); err != nil || !found {
			return conflict(err, "customer %s does not exist any more", a.Customer)
		}
		if err := heard(a, words); err != nil {
			return err
		}
		n, err := tx.exec(ctx, `UPDATE actions SET state = 'sent', sent_at = $2, attempts = attempts + 1, run_id = $3,
			held_plan_id = $4, error = '', settle_until = NULL, looks = 0, looked_at = NULL, org_id = $5, hosting_id = $6, plan_id = $7
			WHERE action_id = $1 AND state IN ('planned', 'held', 'sent', 'ambiguous') AND state <> 'sent'`,
			a.ID, at(now), run, planID, a.Org, a.Hosting, a.Plan)
		if err != nil || n > 0 {
			return err
		}
		return insertJournal(ctx, tx, run, a, reconcile.ActionSent, planID, now)
	})
}

// conflict is err, or else that the world is not what the caller thought.
func conflict(err error, format string, args ...any) error {
	if err != nil {
		return err
	}
	return fault.Errorf(fault.Conflict, format, args...)
}

// insertJournal adds a row for an action that no plan of this run recorded.
func insertJournal(ctx context.Context, tx conn, run string, a reconcile.Action, state reconcile.ActionState, planID string, now time.Time) error {
	last, err := lastPosition(ctx, tx, run)
	if err != nil {
		return err
	}
	keys, err := freshKeys(ctx, tx, run, []reconcile.Action{a})
	if err != nil {
		return err
	}
	row := append(append([]any{keys[0]}, actionValues(a)...), run, last+1, state.String(), at(now), at(now), 1, planID)
	return tx.bulk(ctx, insertAction, [][]any{row})
}

// Performed counts the actions of a kind that took effect since, or may have:
// applied, adopted, ambiguous, and sent without an outcome. Those that an approval
// released are left out, because the approval already answered for them.
func (s *Store) Performed(ctx context.Context, kind reconcile.Kind, since time.Time) (int, error) {
	n := 0
	err := s.query(ctx, "counting what was done", `SELECT
		(SELECT count(*) FROM actions WHERE kind = $1 AND finished_at >= $2 AND state IN ('applied', 'adopted') AND held_plan_id = '') +
		(SELECT count(*) FROM actions WHERE kind = $1 AND finished_at IS NULL AND state IN ('sent', 'ambiguous')
			AND sent_at >= $2 AND held_plan_id = '')`,
		[]any{kind.String(), at(since)}, func(row scan) error { return row(&n) })
	return n, err
}

// Hold moves the run's planned actions to held under a plan. A plan of the same
// content that is already there keeps its creation. It begins anew once it has
// expired, and once an approval from before p.Created has been used: what that one
// released is done, and the same changes wanted again need a person again. An
// approval given since, while this run was under way, stays.
func (s *Store) Hold(ctx context.Context, tok reconcile.Token, run string, p reconcile.HeldPlan) error {
	ids := make([]string, len(p.Actions))
	for i, a := range p.Actions {
		ids[i] = clean(a.ID)
	}
	return s.fenced(ctx, "holding plan "+p.ID, tok, func(ctx context.Context, tx conn) error {
		if err := beginPlan(ctx, tx, run, p); err != nil {
			return err
		}
		rows := make([][]any, len(p.Actions))
		for i, a := range p.Actions {
			rows[i] = []any{p.ID, p.From + i, clean(a.ID), document(storeAction(a))}
		}
		if err := tx.bulk(ctx, insertPlanAction, rows); err != nil {
			return err
		}
		if _, err := tx.exec(ctx, `UPDATE actions SET state = 'held', held_plan_id = $1
			WHERE run_id = $2 AND state IN ('planned', 'held', 'sent', 'ambiguous') AND state = 'planned'
			AND action_id IN `+tx.d.texts(3), p.ID, run, list(ids)); err != nil || p.More {
			return err
		}
		_, err := tx.exec(ctx, `INSERT INTO plans (id, kind, run_id, reason, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (id) DO UPDATE SET run_id = excluded.run_id, reason = excluded.reason,
				created_at  = CASE WHEN `+overOrUsed+` THEN excluded.created_at ELSE plans.created_at END,
				approved_by = CASE WHEN `+overOrUsed+` THEN '' ELSE plans.approved_by END,
				approved_at = CASE WHEN `+overOrUsed+` THEN NULL ELSE plans.approved_at END,
				expires_at  = CASE WHEN `+overOrUsed+` OR plans.approved_at IS NULL
					THEN excluded.expires_at ELSE plans.expires_at END`,
			p.ID, p.Kind.String(), run, clean(p.Reason), at(p.Created), at(p.Expires))
		return err
	})
}

// beginPlan makes the row that the actions of a plan refer to, where there is none.
// Until the last part of a plan is stored it has expired when it is created, so that
// nobody is shown half of it; what a process that died left of it is not kept,
// because the same actions may come in another order now.
func beginPlan(ctx context.Context, tx conn, run string, p reconcile.HeldPlan) error {
	if p.From == 0 {
		if _, err := tx.exec(ctx, `DELETE FROM plan_actions WHERE plan_id = $1
			AND EXISTS (SELECT 1 FROM plans WHERE id = $1 AND expires_at <= created_at)`, p.ID); err != nil {
			return err
		}
	}
	_, err := tx.exec(ctx, `INSERT INTO plans (id, kind, run_id, reason, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $5)
		ON CONFLICT (id) DO NOTHING`, p.ID, p.Kind.String(), run, clean(p.Reason), at(p.Created))
	return err
}

// overOrUsed tells of a stored plan that is held again whether it has to begin anew.
const overOrUsed = "(plans.expires_at <= excluded.created_at OR plans.approved_at <= excluded.created_at)"

var insertPlanAction = bulk{
	head:    "INSERT INTO plan_actions",
	columns: []column{{"plan_id", "TEXT"}, {"position", "INTEGER"}, {"action_id", "TEXT"}, {"action", "JSONB"}},
	tail:    "ON CONFLICT (plan_id, position) DO NOTHING", // the id is the hash of the content
}

// approvalSlack is how much later than its approval the clock of another machine
// may say that an action was planned.
const approvalSlack = time.Minute

// Approved returns the plans that somebody released and that have not expired,
// oldest approval first, each with those of its actions that it still releases. An
// approval is a word about what was wanted when it was given: it is used up for an
// action that was done since, under whatever plan, or was not wanted for a while.
// Else a customer who pays and fails again within its life would pass the brake on
// a word about something else. That an action was withheld for a while changes
// nothing.
func (s *Store) Approved(ctx context.Context, now time.Time) ([]reconcile.HeldPlan, error) {
	const op = "reading approvals"
	plans, err := s.plans(ctx, op, "approved_at IS NOT NULL AND expires_at > $1 ORDER BY approved_at, id", at(now))
	if err != nil || len(plans) == 0 {
		return plans, err
	}
	ids := make([]string, len(plans))
	for i := range plans {
		ids[i] = plans[i].ID
	}
	wanted, ended := make(map[string]time.Time), make(map[string][]closed)
	err = s.snapshot(ctx, op, func(ctx context.Context, c conn) error {
		clear(wanted)
		clear(ended)
		of := " AND action_id IN (SELECT action_id FROM plan_actions WHERE plan_id IN " + c.d.texts(1) + ")"
		query := "SELECT action_id, planned_at FROM actions WHERE state IN ('planned', 'held', 'sent', 'ambiguous')" + of
		err := c.each(ctx, query, []any{list(ids)}, func(row scan) error {
			var id string
			var planned time.Time
			err := row(&id, into(&planned))
			wanted[id] = planned
			return err
		})
		if err != nil {
			return err
		}
		query = `SELECT action_id, finished_at, state = 'superseded' AND error = '` + withheld + `' FROM actions
			WHERE state IN ('applied', 'adopted', 'superseded') AND finished_at >= $2` + of
		return c.each(ctx, query, []any{list(ids), at(plans[0].Approved)}, func(row scan) error {
			var id string
			var end closed
			err := row(&id, into(&end.at), &end.withheld)
			ended[id] = append(ended[id], end)
			return err
		})
	})
	for i := range plans {
		p := &plans[i]
		p.Actions = slices.DeleteFunc(p.Actions, func(a reconcile.Action) bool {
			id := clean(a.ID)
			return used(ended[id], p.Approved, wanted[id])
		})
	}
	return plans, err
}

// closed is the end of a journal row.
type closed struct {
	at       time.Time
	withheld bool
}

// used tells whether an approval says nothing more of an action that was planned
// at an instant, zero for not yet, for what became of it since.
func used(ended []closed, approved, planned time.Time) bool {
	anew := planned.After(approved.Add(approvalSlack))
	for _, e := range ended {
		switch {
		case e.at.Before(approved):
		case !e.withheld:
			return true
		default:
			anew = false // it is what was withheld, come back
		}
	}
	return anew
}

// plans reads held plans by a condition, with their actions.
func (s *Store) plans(ctx context.Context, op, where string, args ...any) ([]reconcile.HeldPlan, error) {
	var plans []reconcile.HeldPlan
	err := s.snapshot(ctx, op, func(ctx context.Context, c conn) error {
		plans = nil
		index := make(map[string]int)
		query := "SELECT id, kind, created_at, expires_at, approved_at, approved_by, reason FROM plans WHERE " + where
		err := c.each(ctx, query, args, func(row scan) error {
			var p reconcile.HeldPlan
			var kind string
			err := row(&p.ID, &kind, into(&p.Created), into(&p.Expires), into(&p.Approved), &p.By, &p.Reason)
			p.Kind = reconcile.ParseKind(kind)
			index[p.ID] = len(plans)
			plans = append(plans, p)
			return err
		})
		if err != nil || len(plans) == 0 {
			return err
		}
		query = "SELECT plan_id, action FROM plan_actions WHERE plan_id IN " + c.d.texts(1) + " ORDER BY plan_id, position"
		return c.each(ctx, query, []any{keys(index)}, func(row scan) error {
			var plan string
			var text []byte
			if err := row(&plan, &text); err != nil {
				return err
			}
			var a storedAction
			if err := json.Unmarshal(text, &a); err != nil {
				return badRow("plan", plan, err)
			}
			p := &plans[index[plan]]
			p.Actions = append(p.Actions, a.action())
			return nil
		})
	})
	return plans, err
}

// storedAction is an action as plan_actions keeps it.
type storedAction struct {
	ID           string `json:"id"`
	Kind         string `json:"kind"`
	Customer     string `json:"customer"`
	Subscription string `json:"subscription,omitempty"`
	Item         string `json:"item,omitempty"`
	Slot         int    `json:"slot,omitempty"`
	Email        string `json:"email,omitempty"`
	Org          string `json:"org,omitempty"`
	Hosting      int64  `json:"hosting,omitempty"`
	Plan         int    `json:"plan,omitempty"`
	PlanName     string `json:"plan_name,omitempty"`
	FromPlan     int    `json:"from_plan,omitempty"`
	Name         string `json:"name,omitempty"`
	Domain       string `json:"domain,omitempty"`
	How          string `json:"how,omitempty"`
	Reason       string `json:"reason,omitempty"`
}

func storeAction(a reconcile.Action) storedAction {
	s := storedAction{clean(a.ID), a.Kind.String(), clean(a.Customer), clean(a.Subscription), clean(a.Item), a.Slot, clean(a.Email),
		clean(a.Org), a.Hosting, a.Plan, clean(a.PlanName), a.FromPlan, clean(a.Name), clean(a.Domain), "", clean(a.Reason)}
	if a.How != 0 {
		s.How = a.How.String()
	}
	return s
}

func (s storedAction) action() reconcile.Action {
	return reconcile.Action{ID: s.ID, Kind: reconcile.ParseKind(s.Kind), Customer: s.Customer, Subscription: s.Subscription,
		Item: s.Item, Slot: s.Slot, Email: s.Email, Org: s.Org, Hosting: s.Hosting, Plan: s.Plan, PlanName: s.PlanName,
		FromPlan: s.FromPlan, Name: s.Name, Domain: s.Domain, How: reconcile.ParseBindKind(s.How), Reason: s.Reason}
}
