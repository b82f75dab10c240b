package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// waits is the condition of a plan that can be approved.
const waits = "approved_at IS NULL AND closed_at IS NULL AND version > 0"

// HeldPlans returns the plans that wait for approval, newest first; with
// includeOld also those that were approved, or are no longer wanted.
func (s *Store) HeldPlans(ctx context.Context, _ time.Time, includeOld bool) ([]reconcile.HeldPlan, error) {
	return s.plans(ctx, "reading held plans", false, "version > 0 AND ($1 OR "+waits+") ORDER BY created_at DESC, id", includeOld)
}

// HeldPlan returns a plan by its id or by the beginning of it, as long as that is
// the beginning of no other. ErrNotFound when there is none; fault.Conflict, naming
// the candidates, when there are several.
func (s *Store) HeldPlan(ctx context.Context, prefix string) (reconcile.HeldPlan, error) {
	op := "plan " + prefix
	if prefix == "" {
		return reconcile.HeldPlan{}, failed("plan", ErrNotFound)
	}
	plans, err := s.plans(ctx, op, false, "id >= $1 AND id < $2 ORDER BY id LIMIT 5", prefix, after(prefix))
	switch {
	case err != nil:
		return reconcile.HeldPlan{}, err
	case len(plans) == 0:
		return reconcile.HeldPlan{}, failed(op, ErrNotFound)
	case len(plans) > 1 && plans[0].ID != prefix:
		ids := make([]string, len(plans))
		for i, p := range plans {
			ids[i] = p.ID
		}
		return reconcile.HeldPlan{}, failed(op, fault.Errorf(fault.Conflict, "several plans begin so: %s", strings.Join(ids, ", ")))
	}
	return plans[0], nil
}

// after is the smallest string of ASCII that does not begin with prefix and is
// larger than all that do.
func after(prefix string) string { return prefix + "\x7f" }

// Approve releases what stands in a waiting plan: exactly that, and for
// reconcile.ApprovalLife. What joins later waits in another plan. version is the
// version that the person has seen, 0 the one that there is; any other is refused with
// fault.Conflict. The customers it concerns become due. id may be shortened to its first
// eight characters; fewer are fault.Permanent.
func (s *Store) Approve(ctx context.Context, id string, version int, by string, now time.Time) (reconcile.HeldPlan, error) {
	plan, err := s.planToDecide(ctx, "approving plan ", id)
	if err != nil {
		return plan, err
	}
	if by == "" {
		by = "unknown"
	}
	err = s.unfenced(ctx, "approving plan "+plan.ID, func(ctx context.Context, tx conn) error {
		n, err := tx.exec(ctx, `UPDATE plans SET approved_at = $2, approved_by = $3, expires_at = $4
			WHERE id = $1 AND `+waits+` AND (CAST($5 AS INTEGER) = 0 OR version = $5)`,
			plan.ID, at(now), clean(by), at(now.Add(reconcile.ApprovalLife)), version)
		if err != nil {
			return err
		}
		if n == 0 {
			return refusal(ctx, tx, plan.ID, version)
		}
		if err := splitOff(ctx, tx, plan.ID, now); err != nil {
			return err
		}
		found, err := readPlans(ctx, tx, false, "id = $1", plan.ID)
		if err != nil {
			return err
		}
		plan = found[0]
		customers := make([]string, len(plan.Actions))
		for i, a := range plan.Actions {
			customers[i] = a.Customer
		}
		return wake(ctx, tx, customers, now)
	})
	return plan, err
}

// planToDecide is the plan that a person names for a decision. id may be shortened to its
// first reconcile.MinHeldPlanID characters; fewer are fault.Permanent.
func (s *Store) planToDecide(ctx context.Context, op, id string) (reconcile.HeldPlan, error) {
	plan, err := s.HeldPlan(ctx, id)
	if err != nil {
		return plan, err
	}
	if len(id) < reconcile.MinHeldPlanID && plan.ID != id {
		return reconcile.HeldPlan{}, failed(op+id, permanent("%s", reconcile.HeldPlanIDTooShort(id)))
	}
	return plan, nil
}

// splitOff leaves in a plan that is being approved exactly the actions of its version:
// those that left it are deleted, and those that a run is just adding go to a plan of
// their own, which that run completes.
func splitOff(ctx context.Context, tx conn, id string, now time.Time) error {
	if _, err := tx.exec(ctx, "DELETE FROM plan_actions WHERE plan_id = $1 AND left_at IS NOT NULL", id); err != nil {
		return err
	}
	unseen := "FROM plan_actions WHERE plan_id = $1 AND version > (SELECT version FROM plans WHERE id = $1)"
	ids, err := tx.strings(ctx, "SELECT action_id "+unseen, id)
	if err != nil || len(ids) == 0 {
		return err
	}
	next := reconcile.HeldPlanIDAfter(id, ids)
	if _, err := tx.exec(ctx, `INSERT INTO plans (id, kind, run_id, reason, created_at, expires_at, version)
		SELECT $2, kind, run_id, reason, $3, $3, 0 FROM plans WHERE id = $1`, id, next, at(now)); err != nil {
		return err
	}
	_, err = tx.exec(ctx, `UPDATE plan_actions SET plan_id = $2, version = 1
		WHERE plan_id = $1 AND version > (SELECT version FROM plans WHERE id = $1)`, id, next)
	return err
}

// refusal is the reason why a plan, or a version of it, can be neither approved nor rejected.
func refusal(ctx context.Context, tx conn, id string, version int) error {
	var approved, closed time.Time
	var by, reason string
	var now int
	found, err := tx.one(ctx, "SELECT approved_at, approved_by, closed_at, version, reason FROM plans WHERE id = $1", []any{id},
		into(&approved), &by, into(&closed), &now, &reason)
	switch {
	case err != nil:
		return err
	case !found:
		return ErrNotFound
	case !approved.IsZero():
		return fault.Errorf(fault.Conflict, "it was already approved by %s at %s", by, approved.Format(time.RFC3339))
	case !closed.IsZero() && strings.Contains(reason, rejectedBy):
		_, who, _ := strings.Cut(reason, rejectedBy)
		return fault.Errorf(fault.Conflict, "it was already rejected at %s by %s", closed.Format(time.RFC3339), who)
	case !closed.IsZero():
		return fault.Errorf(fault.Conflict, "none of its changes is wanted since %s", closed.Format(time.RFC3339))
	case now == 0:
		return fault.Errorf(fault.Conflict, "a run is still adding to it; look at it in a moment")
	}
	var joined int
	if _, err := tx.one(ctx, "SELECT count(*) FROM plan_actions WHERE plan_id = $1 AND left_at IS NULL AND version > $2", []any{id, version}, &joined); err != nil {
		return err
	}
	return fault.Errorf(fault.Conflict, "version %d of it does not wait: it is at version %d, and %d of its changes joined since; look at it again, then decide about version %d",
		version, now, joined, now)
}

// Approved returns the approved plans whose approval has not ended, oldest approval
// first, each with the actions that it still releases. An approval covers the actions
// that were wanted when it was given: an action leaves the plan when it is done, under
// whatever plan, or when it is not wanted for a while. Otherwise a customer who pays and
// fails again within the life of the approval would bypass the brake on an approval given
// for something else. If an action was only withheld for a while, it stays.
func (s *Store) Approved(ctx context.Context, now time.Time) ([]reconcile.HeldPlan, error) {
	return s.plans(ctx, "reading approvals", true, "approved_at IS NOT NULL AND expires_at > $1 ORDER BY approved_at, id", at(now))
}

// LastPlans returns of each kind the plan that waits, or is being stored, or else the
// newest one; without actions.
func (s *Store) LastPlans(ctx context.Context) (map[reconcile.ActionKind]reconcile.HeldPlan, error) {
	last := make(map[reconcile.ActionKind]reconcile.HeldPlan)
	err := s.snapshot(ctx, "reading the last plans", func(ctx context.Context, c conn) error {
		clear(last)
		var parts []string
		var kinds []any
		for i, kind := range reconcile.BrakeKinds() {
			kinds = append(kinds, kind.String())
			parts = append(parts, fmt.Sprintf(`SELECT * FROM (%skind = $%d ORDER BY CASE WHEN approved_at IS NULL AND closed_at IS NULL THEN 0 ELSE 1 END,
				created_at DESC, id DESC LIMIT 1) AS of_kind_%d`, planHeads, i+1, i+1))
		}
		return c.each(ctx, strings.Join(parts, " UNION ALL "), kinds, func(row scan) error {
			p, err := scanPlan(row)
			last[p.Kind] = p
			return err
		})
	})
	return last, err
}

// Waiting returns the plans that can be approved, newest first; Total counts their
// actions, which are not read.
func (s *Store) Waiting(ctx context.Context) (plans []reconcile.HeldPlan, err error) {
	err = s.snapshot(ctx, "reading the plans that wait", func(ctx context.Context, c conn) error {
		plans = nil
		err := c.each(ctx, planHeads+waits+" ORDER BY created_at DESC, id", nil, func(row scan) error {
			p, err := scanPlan(row)
			plans = append(plans, p)
			return err
		})
		for i := range plans {
			if err == nil {
				_, err = c.one(ctx, "SELECT count(*) FROM plan_actions WHERE plan_id = $1 AND left_at IS NULL AND version <= $2",
					[]any{plans[i].ID, plans[i].Version}, &plans[i].Total)
			}
		}
		return err
	})
	return plans, err
}

// Standing hands over the actions that stand in plans: those that wait for approval, those that an approval
// releases at now, and the actions whose approval ended before they were done, which are
// held again.
func (s *Store) Standing(ctx context.Context, now time.Time, use func(reconcile.HeldAction) error) error {
	plan, position := "", int64(-1)
	return stream(use, func(add func(...reconcile.HeldAction)) (rows int, err error) {
		err = s.query(ctx, "reading what the brakes hold", `SELECT i.plan_id, i.position, p.kind, i.action, p.approved_at IS NOT NULL AND p.expires_at > $1
			FROM plan_actions i JOIN plans p ON p.id = i.plan_id
			WHERE i.left_at IS NULL AND p.closed_at IS NULL AND (i.plan_id, i.position) > ($2, $3)
			ORDER BY i.plan_id, i.position LIMIT $4`, []any{at(now), plan, position, pageSize}, func(row scan) (err error) {
			var h reconcile.HeldAction
			var kind string
			var text []byte
			if err := row(&plan, &position, &kind, &text, &h.Released); err != nil {
				return err
			}
			h.Plan, h.Brake = plan, reconcile.ParseActionKind(kind)
			h.Action, err = readAction(plan, text)
			rows++
			add(h)
			return err
		})
		return rows, err
	})
}

// StandingOf is Standing for the actions of some customers.
func (s *Store) StandingOf(ctx context.Context, customers []string, now time.Time, use func(reconcile.HeldAction) error) error {
	return s.query(ctx, "reading what the brakes hold", `SELECT i.plan_id, p.kind, i.action, p.approved_at IS NOT NULL AND p.expires_at > $1
		FROM plan_actions i JOIN plans p ON p.id = i.plan_id
		WHERE i.left_at IS NULL AND p.closed_at IS NULL AND i.customer_id `+s.d.anyText(2)+`
		ORDER BY i.plan_id, i.position`, []any{at(now), list(customers)}, func(row scan) (err error) {
		var h reconcile.HeldAction
		var kind string
		var text []byte
		if err := row(&h.Plan, &kind, &text, &h.Released); err != nil {
			return err
		}
		h.Brake = reconcile.ParseActionKind(kind)
		if h.Action, err = readAction(h.Plan, text); err != nil {
			return err
		}
		return use(h)
	})
}

const planHeads = "SELECT id, kind, version, created_at, expires_at, approved_at, approved_by, closed_at, reason FROM plans WHERE "

func scanPlan(row scan) (p reconcile.HeldPlan, err error) {
	var kind string
	err = row(&p.ID, &kind, &p.Version, into(&p.Created), into(&p.Expires), into(&p.Approved), &p.By, into(&p.Closed), &p.Reason)
	p.Kind = reconcile.ParseActionKind(kind)
	if p.Approved.IsZero() {
		p.Expires = time.Time{}
	}
	return p, err
}

// plans reads held plans by a condition, with their actions: those that a person
// is shown, or only those that still stand.
func (s *Store) plans(ctx context.Context, op string, standing bool, where string, args ...any) (plans []reconcile.HeldPlan, err error) {
	err = s.snapshot(ctx, op, func(ctx context.Context, c conn) error {
		plans, err = readPlans(ctx, c, standing, where, args...)
		return err
	})
	return plans, err
}

func readPlans(ctx context.Context, c conn, standing bool, where string, args ...any) ([]reconcile.HeldPlan, error) {
	var plans []reconcile.HeldPlan
	index := make(map[string]int)
	err := c.each(ctx, planHeads+where, args, func(row scan) error {
		p, err := scanPlan(row)
		index[p.ID] = len(plans)
		plans = append(plans, p)
		return err
	})
	if err != nil || len(plans) == 0 {
		return plans, err
	}
	query := `SELECT i.plan_id, i.action, i.version FROM plan_actions i JOIN plans p ON p.id = i.plan_id
		WHERE i.plan_id ` + c.d.anyText(1) + ` AND i.version <= p.version
		AND (i.left_at IS NULL OR NOT $2 AND (p.approved_at IS NOT NULL OR p.closed_at IS NOT NULL)) ORDER BY i.plan_id, i.position`
	err = c.each(ctx, query, []any{keys(index), standing}, func(row scan) error {
		var plan string
		var text []byte
		var version int
		if err := row(&plan, &text, &version); err != nil {
			return err
		}
		a, err := readAction(plan, text)
		p := &plans[index[plan]]
		p.Actions, p.Joined = append(p.Actions, a), append(p.Joined, version)
		return err
	})
	return plans, err
}

// Hold moves the run's planned actions to held under the held plan of their kind that
// waits, or under p.ID if none does, and returns that plan without its actions. An action
// that stands in it already stays; another one joins it with the next version of the
// plan, and replaces another version of itself. An action that an approval has released
// meanwhile is not held. The actions of a kind may come in several parts: the plan gets
// its new version and the reason when the last part is stored.
func (s *Store) Hold(ctx context.Context, tok reconcile.Token, run string, p reconcile.HeldPlan) (reconcile.HeldPlan, error) {
	var plan reconcile.HeldPlan
	err := s.fenced(ctx, "holding plan "+p.ID, tok, func(ctx context.Context, tx conn) error {
		h := holding{tx: tx, run: run, p: p}
		for _, step := range []func(context.Context) error{h.find, h.join, h.journal, h.complete} {
			if err := step(ctx); err != nil {
				return err
			}
		}
		plan = h.plan
		return nil
	})
	return plan, err
}

// holding is one part of a plan being stored.
type holding struct {
	tx      conn
	run     string
	p       reconcile.HeldPlan
	plan    reconcile.HeldPlan // as it is stored
	already map[string]bool    // actions that an approval releases
}

// find locks the waiting plan of the kind, or begins one. An approval that comes at the same
// moment may leave a new waiting plan, which only a second look sees.
func (h *holding) find(ctx context.Context) error {
	for range 2 {
		err := h.tx.each(ctx, planHeads+"kind = $1 AND approved_at IS NULL AND closed_at IS NULL"+h.tx.d.forUpdate(),
			[]any{h.p.Kind.String()}, func(row scan) (err error) {
				h.plan, err = scanPlan(row)
				return err
			})
		if err != nil || h.plan.ID != "" {
			return err
		}
	}
	h.plan = reconcile.HeldPlan{ID: h.p.ID, Kind: h.p.Kind, Created: h.p.Created.UTC().Truncate(time.Microsecond)}
	for { // the id is taken when the plan was approved while this run was under way
		taken, err := h.tx.strings(ctx, "SELECT id FROM plans WHERE id = $1", h.plan.ID)
		if err != nil {
			return err
		}
		if len(taken) == 0 {
			break
		}
		h.plan.ID = reconcile.HeldPlanIDAfter(h.plan.ID, nil)
	}
	_, err := h.tx.exec(ctx, `INSERT INTO plans (id, kind, run_id, reason, created_at, expires_at, version) VALUES ($1, $2, $3, $4, $5, $5, 0)`,
		h.plan.ID, h.p.Kind.String(), h.run, clean(h.p.Reason), at(h.p.Created))
	return err
}

// inPlans is how the actions of a part stand in held plans already.
type inPlans struct {
	here     map[string]bool       // in this plan, by action id
	versions map[string][]standing // in this plan, by subject
	leaving  []standing            // released by an approval that has ended
}

// join adds the actions that do not stand in the plan yet.
func (h *holding) join(ctx context.Context) error {
	in, err := h.inPlans(ctx)
	if err != nil {
		return err
	}
	var next int
	if _, err := h.tx.one(ctx, "SELECT coalesce(max(position) + 1, 0) FROM plan_actions WHERE plan_id = $1", []any{h.plan.ID}, &next); err != nil {
		return err
	}
	wanted, rows := map[string]bool{}, [][]any{}
	for _, a := range h.p.Actions {
		id := clean(a.ID)
		wanted[id] = true
		if h.already[id] {
			continue
		}
		for _, i := range in.versions[a.Subject()] {
			if i.action.ID != id {
				in.leaving = append(in.leaving, i)
			}
		}
		if !in.here[id] {
			rows = append(rows, []any{h.plan.ID, next + len(rows), id, document(storeAction(a)), clean(a.Customer), h.plan.Version + 1})
		}
	}
	if err := leave(ctx, h.tx, in.leaving, func(i standing) bool { return i.plan == h.plan.ID || wanted[i.action.ID] }, h.p.Created); err != nil {
		return err
	}
	return h.tx.bulk(ctx, insertPlanAction, rows)
}

// inPlans reads how the customers' actions stand in held plans, and notes those that an
// approval releases.
func (h *holding) inPlans(ctx context.Context) (in inPlans, err error) {
	customers := make([]string, len(h.p.Actions))
	for i, a := range h.p.Actions {
		customers[i] = clean(a.Customer)
	}
	in = inPlans{here: map[string]bool{}, versions: map[string][]standing{}}
	h.already = map[string]bool{}
	err = eachStanding(ctx, h.tx, customers, func(i standing) error {
		switch {
		case i.plan == h.plan.ID:
			in.here[i.action.ID] = true
			in.versions[i.action.Subject()] = append(in.versions[i.action.Subject()], i)
		case i.approved && i.until.After(h.p.Created):
			h.already[i.action.ID] = true
		case i.approved:
			in.leaving = append(in.leaving, i)
		}
		return nil
	})
	return in, err
}

var insertPlanAction = bulk{
	head: "INSERT INTO plan_actions",
	columns: []column{{"plan_id", "TEXT"}, {"position", "INTEGER"}, {"action_id", "TEXT"}, {"action", "JSONB"},
		{"customer_id", "TEXT"}, {"version", "INTEGER"}},
}

// journal marks the rows of the held actions.
func (h *holding) journal(ctx context.Context) error {
	ids := make([]string, 0, len(h.p.Actions))
	for _, a := range h.p.Actions {
		if id := clean(a.ID); !h.already[id] {
			ids = append(ids, id)
		}
	}
	_, err := h.tx.exec(ctx, `UPDATE actions SET state = 'held', held_plan_id = $1
		WHERE run_id = $2 AND state IN ('planned', 'held', 'sent', 'ambiguous') AND state = 'planned'
		AND action_id `+h.tx.d.anyText(3), h.plan.ID, h.run, list(ids))
	return err
}

// complete gives the plan its version once all of it is stored. A plan in which nothing
// stands after all, because it was approved meanwhile, is not kept.
func (h *holding) complete(ctx context.Context) error {
	if h.p.More {
		return nil
	}
	var newest int
	if _, err := h.tx.one(ctx, "SELECT count(*), coalesce(max(version), 0) FROM plan_actions WHERE plan_id = $1 AND left_at IS NULL",
		[]any{h.plan.ID}, &h.plan.Total, &newest); err != nil {
		return err
	}
	switch {
	case h.plan.Total == 0 && h.plan.Version == 0:
		_, err := h.tx.exec(ctx, "DELETE FROM plans WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM plan_actions WHERE plan_id = $1)", h.plan.ID)
		return err
	case newest <= h.plan.Version:
		return nil
	}
	h.plan.Version = newest
	if h.p.Reason != "" {
		h.plan.Reason = clean(h.p.Reason)
	}
	_, err := h.tx.exec(ctx, "UPDATE plans SET version = $2, reason = $3, run_id = $4 WHERE id = $1", h.plan.ID, newest, h.plan.Reason, h.run)
	return err
}

// standing is an action that stands in a plan.
type standing struct {
	plan     string
	position int64
	action   reconcile.Action
	approved bool
	until    time.Time // when the approval ends
}

// eachStanding reads what stands of some customers in plans.
func eachStanding(ctx context.Context, c conn, customers []string, use func(standing) error) error {
	return c.each(ctx, `SELECT i.plan_id, i.position, i.action, p.approved_at IS NOT NULL, p.expires_at
		FROM plan_actions i JOIN plans p ON p.id = i.plan_id
		WHERE i.left_at IS NULL AND p.closed_at IS NULL AND i.customer_id `+c.d.anyText(1), []any{list(customers)}, func(row scan) error {
		var i standing
		var text []byte
		err := row(&i.plan, &i.position, &text, &i.approved, into(&i.until))
		if err != nil {
			return err
		}
		if i.action, err = readAction(i.plan, text); err != nil {
			return err
		}
		return use(i)
	})
}

// leave takes out of their plans those that which names.
func leave(ctx context.Context, tx conn, all []standing, which func(standing) bool, now time.Time) error {
	type place struct {
		plan     string
		position int64
	}
	gone, rows := map[place]bool{}, [][]any{}
	for _, i := range all {
		if at0 := (place{i.plan, i.position}); which(i) && !gone[at0] {
			gone[at0] = true
			rows = append(rows, []any{i.plan, i.position, at(now)})
		}
	}
	return tx.bulk(ctx, leavePlan, rows)
}

var leavePlan = bulk{
	head:    "UPDATE plan_actions SET left_at = {left_at}",
	columns: []column{{"plan_id", "TEXT"}, {"position", "BIGINT"}, {"left_at", "TIMESTAMPTZ"}},
	tail:    "plan_actions.plan_id = {plan_id} AND plan_actions.position = {position}",
}

// closePlans ends the waiting plans in which nothing stands any more.
func closePlans(ctx context.Context, tx conn, now time.Time) error {
	_, err := tx.exec(ctx, `UPDATE plans SET closed_at = $1 WHERE approved_at IS NULL AND closed_at IS NULL AND version > 0
		AND NOT EXISTS (SELECT 1 FROM plan_actions i WHERE i.plan_id = plans.id AND i.left_at IS NULL)`, at(now))
	return err
}

// leaveHeldPlans takes out of every plan an action that is over.
func leaveHeldPlans(ctx context.Context, tx conn, o reconcile.Outcome) error {
	if o.State.Open() || o.State == reconcile.ActionFailed {
		return nil
	}
	n, err := tx.exec(ctx, "UPDATE plan_actions SET left_at = $3 WHERE customer_id = $1 AND action_id = $2 AND left_at IS NULL",
		clean(o.Action.Customer), clean(o.Action.ID), at(o.At))
	if err != nil || n == 0 {
		return err
	}
	return closePlans(ctx, tx, o.At)
}

// plans takes the actions that are no longer wanted out of their held plans. An action
// stays if it is wanted and only withheld, or wanted in another version: a brake has held
// it, or an approval was given for it, and neither is true of the other version. It also
// stays if the decision does not mention it because something else comes first.
func (p *planning) plans(ctx context.Context, planned []reconcile.Planned) error {
	decided := make(map[string]*reconcile.Planned, len(planned))
	var customers []string
	for i := range planned {
		if one := &planned[i]; !one.Undecided {
			decided[clean(one.Customer)] = one
			customers = append(customers, clean(one.Customer))
		}
	}
	var leaving []standing
	err := eachStanding(ctx, p.tx, customers, func(i standing) error {
		if !stillWanted(decided[i.action.Customer], i.action) {
			leaving = append(leaving, i)
		}
		return nil
	})
	if err != nil || len(leaving) == 0 {
		return err
	}
	if err := leave(ctx, p.tx, leaving, func(standing) bool { return true }, p.now); err != nil {
		return err
	}
	return closePlans(ctx, p.tx, p.now)
}

// stillWanted reports whether an action, or another version of it, is planned or withheld,
// or may be wanted once what comes first is done.
func stillWanted(p *reconcile.Planned, a reconcile.Action) bool {
	if p.Defers(a) {
		return true
	}
	for i := range p.Actions {
		if clean(p.Actions[i].ID) == a.ID || p.Actions[i].Subject() == a.Subject() {
			return true
		}
	}
	for _, id := range p.Later {
		if clean(id) == a.ID {
			return true
		}
	}
	for _, h := range p.Holds {
		if clean(h.ActionID) == a.ID || h.Kind == reconcile.HoldManual && h.ActionID == "" {
			return true // a person has the customer left alone
		}
	}
	return false
}

// scanHolds is json.Unmarshal for the column held, as this package writes it, in a sixth of
// the time: reports read thousands of them. It returns false for anything else, which
// json.Unmarshal then reads or refuses.
func scanHolds(text string) ([]storedHold, bool) {
	s := holdScanner{rest: text}
	if !utf8.ValidString(text) || !s.take('[') {
		return nil, false
	}
	all := make([]storedHold, 0, 1+strings.Count(text, "},"))
	for more := !s.take(']'); more; more = !s.take(']') {
		if len(all) > 0 && !s.take(',') {
			return nil, false
		}
		all = append(all, storedHold{})
		if !s.hold(&all[len(all)-1]) {
			return nil, false
		}
	}
	return all, s.end()
}

// holdScanner is the text that was not read yet.
type holdScanner struct{ rest string }

// take skips white space and the given character, if it comes next.
func (s *holdScanner) take(c byte) bool {
	s.space()
	if s.rest == "" || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

func (s *holdScanner) space() { s.rest = strings.TrimLeft(s.rest, " \t\r\n") }

func (s *holdScanner) end() bool {
	s.space()
	return s.rest == ""
}

// hold reads an object into h.
func (s *holdScanner) hold(h *storedHold) bool {
	if !s.take('{') {
		return false
	}
	for first := true; !s.take('}'); first = false {
		if !first && !s.take(',') {
			return false
		}
		key, ok := s.text()
		if !ok || !s.take(':') || !s.value(h, key) {
			return false
		}
	}
	return true
}

// value reads the value of a key.
func (s *holdScanner) value(h *storedHold, key string) (ok bool) {
	switch key {
	case "kind":
		h.Kind, ok = s.text()
	case "subscription":
		h.Subscription, ok = s.text()
	case "email":
		h.Email, ok = s.text()
	case "org":
		h.Org, ok = s.text()
	case "action":
		h.Action, ok = s.text()
	case "reason":
		h.Reason, ok = s.text()
	case "manual":
		h.Manual, ok = s.text()
	case "hosting":
		h.Hosting, ok = s.number()
	case "until":
		h.Until, ok = s.number()
	case "order":
		h.Order, ok = s.yes()
	}
	return ok
}

// text reads a string. One with an escape is left to json.Unmarshal.
func (s *holdScanner) text() (text string, ok bool) {
	if !s.take('"') {
		return "", false
	}
	end, plain := 0, true
	for ; end < len(s.rest) && s.rest[end] != '"'; end++ {
		if s.rest[end] == '\\' {
			plain = false
			end++ // whatever it escapes
		} else if s.rest[end] < ' ' {
			return "", false
		}
	}
	if end >= len(s.rest) {
		return "", false
	}
	text, s.rest = s.rest[:end], s.rest[end+1:]
	if plain {
		return text, true
	}
	err := json.Unmarshal([]byte(`"`+text+`"`), &text)
	return text, err == nil
}

// number reads an integer.
func (s *holdScanner) number() (n int64, ok bool) {
	s.space()
	end := 0
	for end < len(s.rest) && (s.rest[end] == '-' || s.rest[end] >= '0' && s.rest[end] <= '9') {
		end++
	}
	digits := strings.TrimPrefix(s.rest[:end], "-")
	n, err := strconv.ParseInt(s.rest[:end], 10, 64)
	s.rest = s.rest[end:]
	return n, err == nil && (digits[0] != '0' || len(digits) == 1)
}

// yes reads true, the only word that is written.
func (s *holdScanner) yes() (yes, ok bool) {
	s.space()
	s.rest, ok = strings.CutPrefix(s.rest, "true")
	return ok, ok
}
