package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Erase forgets the name and the e-mail of a customer, and keeps its ids, its dates and the
// rows of its journal. Each value is replaced by a pseudonym that is derived with a random
// key of this call, so that two rows that had the same value still have the same one.
//
// It is refused (reconcile.InstructionRefused) while a later read would only store the name
// again, or while something is still done for the customer. It needs no lease, like
// RecordInstruction, and excludes the transactions of the writer. A decision from before it
// is not stored after it, see SavePlanned.
func (s *Store) Erase(ctx context.Context, w reconcile.Erasing) (done reconcile.Erased, err error) {
	by := newScrub()
	var named []update
	// Looking through all sentences takes long in a large journal, so it comes before the
	// transaction in which the writer has to wait.
	err = s.snapshot(ctx, "looking for the name of "+w.Customer, func(ctx context.Context, c conn) error {
		var e *erasing
		if e, err = prepareErasing(ctx, c, w, by); err == nil {
			named, err = e.named(ctx, c)
		}
		return err
	})
	if err != nil {
		return done, err
	}
	err = s.unfenced(ctx, "erasing "+w.Customer, func(ctx context.Context, tx conn) error {
		if err := lockLease(ctx, tx); err != nil {
			return err
		}
		e, err := prepareErasing(ctx, tx, w, by)
		if err != nil {
			return err
		}
		if err := e.planOthers(ctx, tx, named); err != nil {
			return err
		}
		done = e.done()
		return e.write(ctx, tx)
	})
	if err == nil {
		done.Unfinished = s.rewrite(ctx)
	}
	return done, err
}

// PreviewErasing is Erase without the change.
func (s *Store) PreviewErasing(ctx context.Context, w reconcile.Erasing) (done reconcile.Erased, err error) {
	err = s.snapshot(ctx, "previewing the erasure of "+w.Customer, func(ctx context.Context, c conn) error {
		e, err := prepareErasing(ctx, c, w, newScrub())
		if err != nil {
			return err
		}
		named, err := e.named(ctx, c)
		if err != nil {
			return err
		}
		err = e.planOthers(ctx, c, named)
		done = e.done()
		return err
	})
	return done, err
}

// lockLease keeps every write of a run out until the transaction ends.
func lockLease(ctx context.Context, tx conn) error {
	return tx.each(ctx, "SELECT token FROM leases WHERE name = $1"+tx.d.forUpdate(), []any{leaseName}, ignore)
}

// erasing is one erasure, as it is prepared.
type erasing struct {
	reconcile.Erasing
	own     *scrub // for the rows of the customer
	others  *scrub // for sentences in other rows
	updates []update
	orgs    []string // that are the customer's alone
	same    []string // other customers with one of its e-mails
	staged  bool     // a sweep that never ended has left something
	before  time.Time
}

// prepareErasing reads the rows of the customer, and plans their changes.
func prepareErasing(ctx context.Context, c conn, w reconcile.Erasing, by *scrub) (*erasing, error) {
	e := &erasing{Erasing: w, own: by.again()}
	found, err := c.one(ctx, "SELECT erased_at FROM customers WHERE id = $1", []any{w.Customer}, into(&e.before))
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, ErrNotFound
	}
	rows, err := e.collect(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := e.findSame(ctx, c); err != nil {
		return nil, err
	}
	if err := e.refuse(ctx, c); err != nil {
		return nil, err
	}
	dead, err := e.deadOrgs(ctx, c)
	if err != nil {
		return nil, err
	}
	for _, row := range append(rows, dead...) {
		if err := e.plan(row, e.own); err != nil {
			return nil, err
		}
		if row.table.table == "orgs" {
			e.orgs = append(e.orgs, row.key[0].(string))
		}
	}
	return e, nil
}

// collect reads the rows of the customer, and learns from them which names and e-mails it has
// and had.
func (e *erasing) collect(ctx context.Context, c conn) (rows []treatedRow, err error) {
	for i := range personals {
		if personals[i].section == "" {
			continue
		}
		some, err := personals[i].readTreated(ctx, c, personals[i].rows, e.Customer)
		if err != nil {
			return nil, err
		}
		rows = append(rows, some...)
	}
	ids, err := c.strings(ctx, itsBuyers, e.Customer)
	if err != nil {
		return nil, err
	}
	e.own.keep(append(ids, e.Customer)...)
	for _, row := range rows {
		for i, column := range row.columns {
			if err := e.own.learn(column.treatment, row.values[i], row.naming); err != nil {
				return nil, badRow(row.table.table, row.key, err)
			}
		}
	}
	return rows, nil
}

// findSame finds the other customers with one of the e-mails. They are people of their own,
// and keep it; and so does a customer or a plan with the same name.
func (e *erasing) findSame(ctx context.Context, c conn) error {
	shared := make(map[string]bool)
	query := `SELECT customer_id, email_key FROM stripe_customers WHERE email_key <> '' AND customer_id <> $1 AND email_key ` + c.d.anyText(2) + " ORDER BY customer_id"
	err := c.each(ctx, query, []any{e.Customer, list(sorted(e.own.emails))}, func(row scan) error {
		var customer, key string
		err := row(&customer, &key)
		shared[key] = true
		if len(e.same) == 0 || e.same[len(e.same)-1] != customer {
			e.same = append(e.same, customer)
		}
		return err
	})
	if err != nil {
		return err
	}
	query = `SELECT name FROM stripe_customers WHERE customer_id <> $1 AND lower(name) ` + c.d.anyText(2) + " UNION SELECT name FROM enhance_plans WHERE lower(name) " + c.d.anyText(2)
	names, err := c.strings(ctx, query, e.Customer, list(sorted(e.own.names)))
	for _, name := range names {
		shared[strings.ToLower(strings.TrimSpace(name))] = true
	}
	e.others = e.own.forOthers(shared)
	return err
}

// deadOrgs are the orgs that were the customer's, were deleted in the panel, and are bound to
// no customer.
func (e *erasing) deadOrgs(ctx context.Context, c conn) ([]treatedRow, error) {
	for i := range personals {
		if personals[i].table == "orgs" {
			return personals[i].readTreated(ctx, c, `deleted AND NOT EXISTS (SELECT 1 FROM customers c WHERE c.org_id = orgs.id)
				AND (marker_id <> '' AND marker_id IN (`+itsBuyers+`) OR owner_email_key <> '' AND owner_email_key `+c.d.anyText(2)+")",
				e.Customer, list(sorted(e.others.emails)))
		}
	}
	return nil, nil
}

// plan adds the update of a row, if it changes.
func (e *erasing) plan(row treatedRow, by *scrub) error {
	u := update{table: row.table, key: row.key}
	for i, column := range row.columns {
		if row.null[i] {
			continue
		}
		value, changed, err := by.value(column.treatment, row.values[i])
		if err != nil {
			return badRow(row.table.table, row.key, err)
		}
		if changed {
			u.names, u.values = append(u.names, column.name), append(u.values, value)
		}
	}
	if len(u.names) > 0 {
		e.updates = append(e.updates, u)
	}
	return nil
}

// named finds the rows of others, and of no customer, in which a sentence has one of the
// names or e-mails: an error of a run, a hold of a customer in the same organisation.
func (e *erasing) named(ctx context.Context, c conn) (rows []update, err error) {
	for i := range personals {
		p := &personals[i]
		where := p.sentencesLike()
		if where == "" {
			continue
		}
		for _, pattern := range e.others.patterns() {
			some, err := p.readTreated(ctx, c, where, pattern)
			if err != nil {
				return nil, err
			}
			for _, row := range some {
				rows = append(rows, update{table: p, key: row.key})
			}
		}
	}
	return rows, nil
}

// sentencesLike is the condition that a column with sentences is like $1; "": there is none.
func (p *personal) sentencesLike() string {
	var parts []string
	for _, column := range p.treated() {
		if sentences[column.treatment] {
			parts = append(parts, "lower(CAST("+column.name+` AS TEXT)) LIKE lower(CAST($1 AS TEXT)) ESCAPE '\'`)
		}
	}
	return strings.Join(parts, " OR ")
}

// planOthers reads these rows again, and adds their updates. Those of the customer have been
// planned.
func (e *erasing) planOthers(ctx context.Context, c conn, rows []update) error {
	planned := make(map[string]bool, len(e.updates))
	for _, u := range e.updates {
		planned[u.id()] = true
	}
	for _, u := range rows {
		if planned[u.id()] {
			continue
		}
		planned[u.id()] = true
		now, err := u.table.readTreated(ctx, c, u.where(), u.key...)
		if err != nil {
			return err
		}
		for _, row := range now {
			if err := e.plan(row, e.others); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *erasing) done() reconcile.Erased {
	rows := make(map[string]int)
	for _, u := range e.updates {
		rows[u.table.table]++
	}
	return reconcile.Erased{Rows: rows, Same: e.same}
}

// write makes the changes, marks the customer and its orgs, and adds the row of the journal.
func (e *erasing) write(ctx context.Context, tx conn) error {
	for _, u := range e.updates {
		if err := u.write(ctx, tx); err != nil {
			return err
		}
	}
	if e.staged {
		if _, err := tx.exec(ctx, "DELETE FROM staged_subscriptions"); err != nil {
			return err
		}
	}
	if len(e.updates) == 0 && !e.before.IsZero() {
		return nil
	}
	if _, err := tx.exec(ctx, "UPDATE customers SET erased_at = $2 WHERE id = $1", e.Customer, at(e.At)); err != nil {
		return err
	}
	if _, err := tx.exec(ctx, "UPDATE orgs SET erased = TRUE WHERE id "+tx.d.anyText(1), list(e.orgs)); err != nil {
		return err
	}
	a := reconcile.Action{ID: "erase:" + e.Customer, Kind: reconcile.Link, Customer: e.Customer,
		Reason: e.own.text("the name and the e-mail were erased by " + e.Author + ": " + e.Reason)}
	if err := recordRow(ctx, tx, reconcile.Outcome{Action: a, Run: clean(e.own.text(e.Author)), State: reconcile.ActionApplied, At: e.At}); err != nil {
		return err
	}
	return wake(ctx, tx, []string{e.Customer}, e.At)
}

// refuse returns why the customer cannot be erased now, and what to do first.
//
// No tombstone keeps the name of a customer that exists at Stripe from being stored again. A
// customer that was deleted there comes without name and e-mail for ever, and can never pay
// again: nothing that serves a payer rests on the erased values.
func (e *erasing) refuse(ctx context.Context, c conn) error {
	for _, check := range []func(context.Context, conn) (string, error){
		e.stillSubscribed, e.stillAtStripe, e.stillHosted, e.stillOpen, e.stillHeld, e.stillAnOrg,
	} {
		why, err := check(ctx, c)
		if err != nil {
			return err
		}
		if why != "" {
			return noSense("%s", why)
		}
	}
	return e.leftStaged(ctx, c)
}

const thenRepeat = "; then run `stripe-enhance reconcile --full`, and repeat this"

func (e *erasing) stillSubscribed(ctx context.Context, c conn) (why string, err error) {
	var sub, status string
	found, err := c.one(ctx, "SELECT id, status_text FROM subscriptions s WHERE NOT gone AND "+liveSubscription+" AND id IN ("+itsSubscriptions+") ORDER BY id LIMIT 1",
		[]any{e.Customer}, &sub, &status)
	if found {
		why = fmt.Sprintf("subscription %s of customer %s is %s: cancel it at Stripe, and delete the customer there (which cancels all its subscriptions)%s", sub, e.Customer, status, thenRepeat)
	}
	return why, err
}

func (e *erasing) stillAtStripe(ctx context.Context, c conn) (why string, err error) {
	var buyer string
	found, err := c.one(ctx, `SELECT b.id FROM stripe_customers b WHERE b.customer_id = $1 AND NOT b.deleted
		AND (EXISTS (SELECT 1 FROM subscriptions s WHERE s.stripe_customer_id = b.id AND NOT s.gone)
			OR NOT EXISTS (SELECT 1 FROM subscriptions s WHERE s.stripe_customer_id = b.id)) ORDER BY b.id LIMIT 1`, []any{e.Customer}, &buyer)
	if found {
		why = fmt.Sprintf("customer %s still exists at Stripe, and the next full run would store its name and its e-mail again: delete it there first (`stripe customers delete %s`)%s", buyer, buyer, thenRepeat)
	}
	return why, err
}

func (e *erasing) stillHosted(ctx context.Context, c conn) (why string, err error) {
	var id int64
	var state string
	found, err := c.one(ctx, "SELECT id, state FROM hostings WHERE (id IN ("+itsHostings+") OR org_id IN ("+itsOrg+`))
		AND terminated_by_us IS NULL AND state NOT IN ('deleted', 'missing') ORDER BY id LIMIT 1`, []any{e.Customer}, &id, &state)
	if found {
		why = fmt.Sprintf("hosting %d of customer %s is still at the panel (%s), with its content: delete it in the panel, or wait until it is deleted after RETENTION_PERIOD%s", id, e.Customer, state, thenRepeat)
	}
	return why, err
}

func (e *erasing) stillOpen(ctx context.Context, c conn) (why string, err error) {
	var kind, state string
	found, err := c.one(ctx, "SELECT kind, state FROM actions WHERE state IN ('planned', 'held', 'sent', 'ambiguous') AND customer_id = $1 ORDER BY key LIMIT 1",
		[]any{e.Customer}, &kind, &state)
	if found {
		why = fmt.Sprintf("%s of customer %s has no outcome yet (%s): repeat this after the run that gives it one", kind, e.Customer, state)
	}
	return why, err
}

func (e *erasing) stillHeld(ctx context.Context, c conn) (why string, err error) {
	var plan string
	found, err := c.one(ctx, `SELECT p.id FROM plan_actions i JOIN plans p ON p.id = i.plan_id
		WHERE i.customer_id = $1 AND i.left_at IS NULL AND p.closed_at IS NULL ORDER BY p.id LIMIT 1`,
		[]any{e.Customer}, &plan)
	if found {
		why = fmt.Sprintf("held plan %s has a change for customer %s: approve the plan, or wait until the change is no longer wanted (`stripe-enhance plans`), and repeat this", plan, e.Customer)
	}
	return why, err
}

// stillAnOrg looks for an org at the panel that nobody pays for, and whose owner has the
// e-mail: each listing reads it again.
func (e *erasing) stillAnOrg(ctx context.Context, c conn) (why string, err error) {
	var org string
	found, err := c.one(ctx, `SELECT o.id FROM orgs o WHERE NOT o.deleted AND NOT EXISTS (SELECT 1 FROM customers c WHERE c.org_id = o.id)
		AND (o.marker_id <> '' AND o.marker_id IN (`+itsBuyers+`) OR o.owner_email_key <> '' AND o.owner_email_key `+c.d.anyText(2)+") ORDER BY o.id LIMIT 1",
		[]any{e.Customer, list(sorted(e.others.emails))}, &org)
	if found {
		why = fmt.Sprintf("organisation %s at the panel belongs to no customer, and has the same owner as customer %s: delete it in the panel%s", org, e.Customer, thenRepeat)
	}
	return why, err
}

// leftStaged refuses while a full run has stored subscriptions that it has not merged yet,
// because they may have the name. Rows of one whose process died are deleted.
func (e *erasing) leftStaged(ctx context.Context, c conn) error {
	var id string
	found, err := c.one(ctx, "SELECT id FROM staged_subscriptions LIMIT 1", nil, &id)
	if err != nil || !found {
		return err
	}
	var lease time.Time
	if _, err := c.one(ctx, "SELECT expires_at FROM leases WHERE name = $1", []any{leaseName}, into(&lease)); err != nil {
		return err
	}
	if lease.After(e.At) {
		return noSense("a full run is reading Stripe at this moment, and may have read customer %s before it was deleted: repeat this when it has ended", e.Customer)
	}
	e.staged = true
	return nil
}

// treatedRow is a row as it is, with the columns that erasing treats.
type treatedRow struct {
	table   *personal
	columns []personalColumn
	key     []any
	values  []string
	null    []bool
	naming  bool // the column with the treatment title is the name of an org
}

// treated are the columns that erasing may change.
func (p *personal) treated() (columns []personalColumn) {
	for _, c := range p.list() {
		if c.treatment != "" {
			columns = append(columns, c)
		}
	}
	return columns
}

// readTreated reads rows of a table.
func (p *personal) readTreated(ctx context.Context, c conn, where string, args ...any) (rows []treatedRow, err error) {
	columns, key := p.treated(), strings.Fields(p.key)
	if len(columns) == 0 {
		return nil, nil
	}
	var names []string
	for _, column := range columns {
		names = append(names, column.name)
	}
	kind := "''"
	if p.table == "actions" {
		kind = "kind"
	}
	query := "SELECT " + kind + ", " + strings.Join(append(key, names...), ", ") + " FROM " + p.table + " WHERE " + where
	err = c.each(ctx, query, args, func(row scan) error {
		one := treatedRow{table: p, columns: columns, key: make([]any, len(key)), values: make([]string, len(columns)), null: make([]bool, len(columns))}
		all := make([]any, len(columns))
		var of string
		targets := []any{&of}
		for i := range one.key {
			targets = append(targets, &one.key[i])
		}
		for i := range all {
			targets = append(targets, &all[i])
		}
		if err := row(targets...); err != nil {
			return err
		}
		for i, v := range one.key {
			if b, ok := v.([]byte); ok {
				one.key[i] = string(b)
			}
		}
		for i, v := range all {
			switch v := v.(type) {
			case nil:
				one.null[i] = true
			case []byte:
				one.values[i] = string(v)
			default:
				one.values[i] = fmt.Sprint(v)
			}
		}
		named := reconcile.ParseActionKind(of)
		one.naming = p.table != "actions" || named == reconcile.CreateOrg || named == reconcile.RenameOrg || named == reconcile.InviteOwner
		rows = append(rows, one)
		return nil
	})
	return rows, err
}

// update is one row that changes.
type update struct {
	table  *personal
	names  []string // of the columns that change
	values []any
	key    []any
}

// id names the row.
func (u update) id() string { return u.table.table + " " + fmt.Sprint(u.key...) }

// where is the condition on the row, with key as its parameters.
func (u update) where() string {
	var parts []string
	for i, name := range strings.Fields(u.table.key) {
		parts = append(parts, fmt.Sprintf("%s = $%d", name, i+1))
	}
	return strings.Join(parts, " AND ")
}

func (u update) write(ctx context.Context, tx conn) error {
	args := append([]any{}, u.key...)
	var set []string
	for i, name := range u.names {
		args = append(args, u.values[i])
		set = append(set, fmt.Sprintf("%s = $%d", name, len(args)))
	}
	_, err := tx.exec(ctx, "UPDATE "+u.table.table+" SET "+strings.Join(set, ", ")+" WHERE "+u.where(), args...)
	return err
}
