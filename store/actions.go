package store

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// SavePlanned stores the decisions for customers, in one transaction. If a change is
// wanted again, its journal row stays the same row. A row that was sent is not touched. A
// row that was not sent becomes superseded when its change is no longer wanted, with the
// error "withheld" if it is wanted and only withheld. The rows of an undecided customer
// stay as they are. A customer that was woken since it was loaded stays due. If its name was
// erased since then, the decision, which may name it, is not stored.
func (s *Store) SavePlanned(ctx context.Context, tok reconcile.Token, run string, planned []reconcile.Planned, now time.Time) error {
	if len(planned) == 0 {
		return nil
	}
	s.counting.RLock()
	defer s.counting.RUnlock()
	return s.fenced(ctx, "saving a plan", tok, func(ctx context.Context, tx conn) error {
		p := planning{tx: tx, run: run, now: now}
		if err := p.loadOpen(ctx, planned); err != nil {
			return err
		}
		planned := p.withoutErased(planned)
		for i := range planned {
			p.sort(&planned[i])
		}
		if err := p.journal(ctx); err != nil {
			return err
		}
		if err := p.plans(ctx, planned); err != nil {
			return err
		}
		if err := noted(ctx, tx, planned); err != nil {
			return err
		}
		rows, delta := make([][]any, len(planned)), counters{}
		for i := range planned {
			one := &planned[i]
			held := encodeHolds(one.Holds)
			delta.countChange(p.held[one.Customer], one.Holds, held)
			rows[i] = []any{one.Customer, held, nullable(kindsOf(one.Holds)), at(now), at(one.Due), one.Version}
		}
		if err := delta.addTo(ctx, tx, "hold_counts"); err != nil {
			return err
		}
		return tx.bulk(ctx, updatePlanned, rows)
	})
}

// withoutErased leaves out the decisions about customers whose name was erased since they
// were loaded.
func (p *planning) withoutErased(planned []reconcile.Planned) []reconcile.Planned {
	if len(p.erased) == 0 {
		return planned
	}
	return slices.DeleteFunc(slices.Clone(planned), func(one reconcile.Planned) bool {
		version, erased := p.erased[one.Customer]
		return erased && one.Version < version
	})
}

// noted stores which changes at Stripe have been noted, so that no later run does it again.
func noted(ctx context.Context, tx conn, planned []reconcile.Planned) error {
	var ids []string
	for i := range planned {
		ids = append(ids, planned[i].Noted...)
	}
	if len(ids) == 0 {
		return nil
	}
	_, err := tx.exec(ctx, "UPDATE stripe_customers SET email_unnoted = FALSE, name_unnoted = FALSE WHERE id "+tx.d.anyText(1), list(ids))
	return err
}

var updatePlanned = bulk{
	head: `UPDATE customers SET held = {held}, held_kinds = {held_kinds}, planned_at = {planned_at},
		due_at = CASE WHEN customers.wakes = {loaded} THEN {due_at} ELSE customers.due_at END`,
	columns: []column{{"id", "TEXT"}, {"held", "JSONB"}, {"held_kinds", "TEXT"}, {"planned_at", "TIMESTAMPTZ"},
		{"due_at", "TIMESTAMPTZ"}, {"loaded", "BIGINT"}},
	tail: "customers.id = {id}",
}

// planning sorts new actions and the journal's open rows into what to insert,
// update and supersede.
type planning struct {
	tx         conn
	run        string
	now        time.Time
	mine       map[string]map[string]openRow // customer → action id →
	held       map[string][]reconcile.Hold   // customer → what the decision before withheld
	erased     map[string]int64              // customer whose name was erased → its version
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

func (o openRow) unsent() bool {
	return o.state == reconcile.ActionPlanned || o.state == reconcile.ActionHeld
}

func (p *planning) loadOpen(ctx context.Context, planned []reconcile.Planned) error {
	ids := make([]string, len(planned))
	for i := range planned {
		ids[i] = planned[i].Customer
	}
	p.mine, p.held, p.erased = make(map[string]map[string]openRow), make(map[string][]reconcile.Hold), make(map[string]int64)
	query := `SELECT key, action_id, customer_id, state, CAST(NULL AS JSONB), 0 FROM actions
		WHERE state IN ('planned', 'held', 'sent', 'ambiguous') AND customer_id ` + p.tx.d.anyText(1) + `
		UNION ALL SELECT '', '', id, '', held, CASE WHEN erased_at IS NULL THEN 0 ELSE wakes END FROM customers
		WHERE (held IS NOT NULL OR erased_at IS NOT NULL) AND id ` + p.tx.d.anyText(1)
	writes := false // whether rows of the journal may be written
	for i := range planned {
		writes = writes || len(planned[i].Actions) > 0
	}
	err := p.tx.each(ctx, query, []any{list(ids)}, func(row scan) error {
		var o openRow
		var id, customer, state string
		var held []byte
		var erased int64
		err := row(&o.key, &id, &customer, &state, &held, &erased)
		switch {
		case err != nil:
			return err
		case o.key == "":
			if erased > 0 { // erasing wakes
				p.erased[customer] = erased
			}
			p.held[customer], err = decodeHolds(customer, held)
			return err
		}
		writes = true
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

// sort decides which rows of one customer are inserted, updated and superseded.
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
		case o.unsent():
			p.position++
			p.updates = append(p.updates, append(append([]any{o.key}, actionValues(a)...), p.run, p.position))
		}
	}
	if !planned.Undecided {
		p.supersedeRest(open, wanted, planned.Holds)
	}
}

// supersedeRest supersedes the open rows that are not wanted and were not sent.
func (p *planning) supersedeRest(open map[string]openRow, wanted map[string]bool, holds []reconcile.Hold) {
	withhold := make(map[string]bool, len(holds))
	for i := range holds {
		withhold[clean(holds[i].ActionID)] = true
	}
	for _, id := range sorted(open) {
		o := open[id]
		if wanted[id] || !o.unsent() {
			continue
		}
		why := ""
		if withhold[id] {
			why = withheld
		}
		p.position++
		p.superseded = append(p.superseded, []any{o.key, p.run, p.position, at(p.now), why})
	}
}

// actionColumns are the columns that define an action; actionValues gives their
// values in the same order.
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
		taken, err := c.strings(ctx, "SELECT key FROM actions WHERE key "+c.d.anyText(1), list(keys))
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

// RecordIntent makes the intent to do a durable before anything is sent. It fails with
// fault.Conflict while another write of that customer is in flight or has no recorded
// outcome, if the customer is no longer known, and if a person has given an instruction
// for the customer since the action was decided (then it is fault.LeftAlone too).
func (s *Store) RecordIntent(ctx context.Context, tok reconcile.Token, run string, a reconcile.Action, planID string, now time.Time) error {
	return s.fenced(ctx, "recording the intent of "+a.ID, tok, func(ctx context.Context, tx conn) error {
		if a.Kind == reconcile.SendMail {
			return recordMailIntent(ctx, tx, run, a, planID, now)
		}
		// The usual case is one statement: what would refuse the intent is a condition of it.
		n, err := tx.exec(ctx, `UPDATE actions SET state = 'sent', sent_at = $2, attempts = attempts + 1, run_id = $3,
			held_plan_id = $4, error = '', settle_until = NULL, looks = 0, looked_at = NULL, org_id = $5, hosting_id = $6, plan_id = $7, evidence = $10
			WHERE action_id = $1 AND state IN ('planned', 'held', 'sent', 'ambiguous') AND state <> 'sent'
			AND EXISTS (SELECT 1 FROM customers WHERE id = $8 AND words = $9)
			AND NOT EXISTS (SELECT 1 FROM actions f WHERE f.customer_id = $8 AND f.state = 'sent')`,
			a.ID, at(now), run, planID, a.Org, a.Hosting, a.Plan, a.Customer, a.Instructions, encodeEvidence(a.Evidence))
		if err != nil || n > 0 {
			return err
		}
		var words int64
		var inFlight string
		found, err := tx.one(ctx, `SELECT words, coalesce((SELECT key FROM actions WHERE customer_id = $1 AND state = 'sent'), '')
			FROM customers WHERE id = $1`, []any{a.Customer}, &words, &inFlight)
		switch {
		case err != nil || !found:
			return conflict(err, "customer %s is no longer known", a.Customer)
		case inFlight != "":
			return conflict(nil, "customer %s still has %s under way", a.Customer, inFlight)
		}
		if err := refuseOutdated(a, words); err != nil {
			return err
		}
		if err := insertJournal(ctx, tx, run, a, reconcile.ActionSent, planID, now); err != nil || a.Evidence == nil {
			return err
		}
		_, err = tx.exec(ctx, "UPDATE actions SET evidence = $2 WHERE action_id = $1 AND state = 'sent'", a.ID, encodeEvidence(a.Evidence))
		return err
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

// CountDone counts the actions of a kind that took effect since, or may have:
// applied, adopted, ambiguous, and sent without an outcome. Those that an approval
// released are left out, because the approval already answered for them.
func (s *Store) CountDone(ctx context.Context, kind reconcile.ActionKind, since time.Time) (int, error) {
	n := 0
	err := s.query(ctx, "counting actions", `SELECT
		(SELECT count(*) FROM actions WHERE kind = $1 AND finished_at >= $2 AND state IN ('applied', 'adopted') AND held_plan_id = '') +
		(SELECT count(*) FROM actions WHERE kind = $1 AND finished_at IS NULL AND state IN ('sent', 'ambiguous')
			AND sent_at >= $2 AND held_plan_id = '')`,
		[]any{kind.String(), at(since)}, func(row scan) error { return row(&n) })
	return n, err
}

// CountDoneByCustomer is CountDone by customer; customers without any are left out.
func (s *Store) CountDoneByCustomer(ctx context.Context, kind reconcile.ActionKind, since time.Time) (map[string]int, error) {
	by := make(map[string]int)
	const of = "SELECT customer_id, count(*) FROM actions WHERE kind = $1 AND held_plan_id = '' AND "
	query := of + "finished_at >= $2 AND state IN ('applied', 'adopted') GROUP BY customer_id UNION ALL " +
		of + "finished_at IS NULL AND state IN ('sent', 'ambiguous') AND sent_at >= $2 GROUP BY customer_id"
	err := s.query(ctx, "counting actions by customer", query, []any{kind.String(), at(since)}, func(row scan) error {
		var customer string
		var n int
		err := row(&customer, &n)
		by[customer] += n
		return err
	})
	return by, err
}

// loadPending finds writes whose outcome is not known. A row that is still sent
// belongs to a process that died, or to this one.
func (a *aggregate) loadPending(ctx context.Context) error {
	query := `SELECT action_id, kind, customer_id, subscription_id, item_id, slot, email, org_id, hosting_id, sent_at, coalesce(settle_until, sent_at), looks, looked_at
		FROM actions WHERE state IN ('planned', 'held', 'sent', 'ambiguous') AND state IN ('sent', 'ambiguous') AND kind <> 'mail'
		AND customer_id ` + a.c.d.anyText(1) + " ORDER BY sent_at, key"
	return a.c.each(ctx, query, []any{keys(a.byID)}, func(row scan) error {
		var p reconcile.Pending
		var kind, customer string
		if err := row(&p.ActionID, &kind, &customer, &p.Subscription, &p.Item, &p.Slot, &p.Email, &p.Org, &p.Hosting, into(&p.SentAt), into(&p.SettleUntil), &p.Looks, into(&p.LookedAt)); err != nil {
			return err
		}
		p.Kind = reconcile.ParseActionKind(kind)
		a.byID[customer].Pending = append(a.byID[customer].Pending, p)
		return nil
	})
}

// RecordOutcome stores an outcome and everything learned with it, in one transaction.
// Storing the same outcome again changes nothing, so a commit whose answer was
// lost may simply be repeated.
func (s *Store) RecordOutcome(ctx context.Context, tok reconcile.Token, o reconcile.Outcome) error {
	switch o.State {
	case reconcile.ActionAmbiguous, reconcile.ActionApplied, reconcile.ActionAdopted, reconcile.ActionFailed, reconcile.ActionSuperseded:
	default:
		return failed("recording the outcome of "+o.Action.ID, permanent("%s is no outcome", o.State))
	}
	return s.fenced(ctx, "recording the outcome of "+o.Action.ID, tok, func(ctx context.Context, tx conn) error {
		if err := recordRow(ctx, tx, o); err != nil {
			return err
		}
		if err := leaveHeldPlans(ctx, tx, o); err != nil {
			return err
		}
		if err := recordOrg(ctx, tx, o); err != nil {
			return err
		}
		if err := recordHosting(ctx, tx, o); err != nil {
			return err
		}
		if o.Action.Kind == reconcile.SendMail {
			return recordMail(ctx, tx, o)
		}
		if !o.MetadataOK {
			return nil
		}
		_, err := tx.exec(ctx, "UPDATE subscriptions SET metadata_org = $2, metadata_hosting = $3, metadata_written = $3 WHERE id = $1",
			o.Action.Subscription, o.Action.Org, o.Action.Hosting)
		return err
	})
}

// recordRow moves the open journal row of the action to its outcome. Without an
// open row the outcome was stored before, or the action was never intended (a
// link sends nothing): then a row is made for it.
func recordRow(ctx context.Context, tx conn, o reconcile.Outcome) error {
	sent, finished, settle := outcomeTimes(o)
	n, err := tx.exec(ctx, `UPDATE actions SET state = $2, error = $3, run_id = CASE WHEN $4 = '' THEN run_id ELSE $4 END,
		sent_at = CASE WHEN $5 THEN coalesce(sent_at, $6) WHEN $2 = 'superseded' THEN NULL ELSE sent_at END,
		finished_at = $7, settle_until = $8, looks = $9, looked_at = $10,
		org_id = CASE WHEN $11 = '' THEN org_id ELSE $11 END, hosting_id = CASE WHEN CAST($12 AS BIGINT) = 0 THEN hosting_id ELSE CAST($12 AS BIGINT) END
		WHERE action_id = $1 AND state IN ('planned', 'held', 'sent', 'ambiguous')`, o.Action.ID, o.State.String(), clean(o.Error), o.Run,
		sent, at(o.At), at(finished), at(settle), o.Looks, at(o.LookedAt), outcomeOrg(o), outcomeHosting(o))
	if err != nil || n > 0 {
		return err
	}
	var state string
	var when time.Time
	found, err := tx.one(ctx, `SELECT state, finished_at FROM actions WHERE action_id = $1 AND run_id = $2 AND finished_at IS NOT NULL
		ORDER BY finished_at DESC, key DESC LIMIT 1`, []any{o.Action.ID, o.Run}, &state, into(&when))
	if err != nil || found && state == o.State.String() && when.Equal(finished.UTC().Truncate(time.Microsecond)) {
		return err
	}
	if err := insertJournal(ctx, tx, o.Run, o.Action, reconcile.ActionSent, "", o.At); err != nil {
		return err
	}
	return recordRow(ctx, tx, o)
}

// outcomeTimes are whether something was sent, when the row was finished (zero:
// still open) and until when an answer may still take effect.
func outcomeTimes(o reconcile.Outcome) (sent bool, finished, settle time.Time) {
	switch o.State {
	case reconcile.ActionAmbiguous:
		settle = o.SettleUntil
		if settle.IsZero() {
			settle = o.At
		}
		return true, time.Time{}, settle
	case reconcile.ActionApplied, reconcile.ActionAdopted:
		return true, o.At, time.Time{}
	default:
		return false, o.At, time.Time{}
	}
}

func outcomeOrg(o reconcile.Outcome) string {
	if o.Org != nil {
		return o.Org.ID
	}
	return ""
}

func outcomeHosting(o reconcile.Outcome) int64 {
	if o.Hosting != nil {
		return o.Hosting.ID
	}
	return 0
}

// recordOrg binds or refreshes the org and stores what the customer's row
// knows of it.
func recordOrg(ctx context.Context, tx conn, o reconcile.Outcome) error {
	if o.Org != nil {
		if err := bindOrg(ctx, tx, o); err != nil {
			return err
		}
	}
	if o.Action.Kind == reconcile.InviteOwner && o.State == reconcile.ActionFailed && o.Org != nil { // the owner has accepted before
		_, err := tx.exec(ctx, "UPDATE customers SET invite_wanted = '' WHERE id = $1", o.Action.Customer)
		return err
	}
	if !o.OrgNamed && o.Invited.IsZero() {
		return nil
	}
	_, err := tx.exec(ctx, `UPDATE customers SET org_named = CASE WHEN $2 THEN TRUE ELSE org_named END,
		invited_at = coalesce(CAST($3 AS TIMESTAMPTZ), invited_at),
		invited_email = CASE WHEN $4 = '' THEN invited_email ELSE $4 END,
		org_name_wanted = CASE WHEN org_name_wanted = $5 THEN '' ELSE org_name_wanted END,
		invite_wanted = CASE WHEN $4 = invite_wanted THEN '' ELSE invite_wanted END WHERE id = $1`,
		o.Action.Customer, o.OrgNamed, at(o.Invited), clean(o.InvitedEmail), orgName(o))
	return err
}

// orgName is the name that the org has after an outcome; "" if it has not been read.
func orgName(o reconcile.Outcome) string {
	if o.Org == nil {
		return ""
	}
	return clean(o.Org.Name)
}

// bindOrg makes the org the customer's. A customer keeps its org, and an org that
// was just created cannot be another customer's: anything else is fault.Conflict, for a
// person. A customer that is bound to the org of another one is a guest in it.
func bindOrg(ctx context.Context, tx conn, o reconcile.Outcome) error {
	var owner string
	var erased bool
	shared, err := tx.one(ctx, `WITH o AS MATERIALIZED (SELECT id, erased_at FROM customers WHERE org_id = $1 AND id <> $2 AND NOT org_guest)
		SELECT id, erased_at IS NOT NULL FROM o ORDER BY id LIMIT 1`, // materialized: else PostgreSQL may go through all customers by id
		[]any{o.Org.ID, o.Action.Customer}, &owner, &erased)
	if err == nil && erased { // it becomes the org of another customer, and is in use again with its name
		_, err = tx.exec(ctx, "UPDATE orgs SET erased = FALSE WHERE id = $1", o.Org.ID)
	}
	if err == nil {
		err = putOrg(ctx, tx, *o.Org, o.At)
	}
	if err != nil || shared && o.Action.Kind == reconcile.CreateOrg {
		return conflict(err, "org %s already belongs to customer %s", o.Org.ID, owner)
	}
	n, err := tx.exec(ctx, `UPDATE customers SET org_id = $2, org_guest = CASE WHEN org_id = $2 THEN org_guest ELSE $3 END
		WHERE id = $1 AND (org_id IS NULL OR org_id = $2)`, o.Action.Customer, o.Org.ID, shared)
	if err == nil && n == 0 {
		return fault.Errorf(fault.Conflict, "customer %s is unknown or has another org than %s", o.Action.Customer, o.Org.ID)
	}
	return err
}

// recordHosting stores the hosting as read back and the binding to it.
func recordHosting(ctx context.Context, tx conn, o reconcile.Outcome) error {
	touched := touchedHostings(o)
	if len(touched) == 0 {
		return nil
	}
	return measured(ctx, tx, touched, func() error {
		if h := o.Hosting; h != nil {
			if err := putHosting(ctx, tx, *h); err != nil {
				return err
			}
			if err := putOurs(ctx, tx, *h, o.Unsuspend); err != nil {
				return err
			}
		} else if o.Unsuspend {
			if _, err := tx.exec(ctx, "UPDATE hostings SET suspended_by_us = NULL WHERE id = $1", o.Action.Hosting); err != nil {
				return err
			}
		}
		if o.Binding == nil {
			return nil
		}
		return bind(ctx, tx, *o.Binding, o.At)
	})
}

func touchedHostings(o reconcile.Outcome) []int64 {
	var ids []int64
	if o.Hosting != nil {
		ids = append(ids, o.Hosting.ID)
	}
	if o.Binding != nil {
		ids = append(ids, o.Binding.Hosting)
	}
	if o.Unsuspend && o.Hosting == nil {
		ids = append(ids, o.Action.Hosting)
	}
	return ids
}
