package store

import (
	"context"
	"slices"
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
	query := `SELECT customer_id, email_key FROM stripe_customers WHERE email_key <> '' AND customer_id <> $1 AND email_key IN ` + c.d.texts(2) + " ORDER BY customer_id"
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
	query = `SELECT name FROM stripe_customers WHERE customer_id <> $1 AND lower(name) IN ` + c.d.texts(2) + " UNION SELECT name FROM enhance_plans WHERE lower(name) IN " + c.d.texts(2)
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
				AND (marker_id <> '' AND marker_id IN (`+itsBuyers+`) OR owner_email_key <> '' AND owner_email_key IN `+c.d.texts(2)+")",
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
	if _, err := tx.exec(ctx, "UPDATE orgs SET erased = TRUE WHERE id IN "+tx.d.texts(1), list(e.orgs)); err != nil {
		return err
	}
	a := reconcile.Action{ID: "erase:" + e.Customer, Kind: reconcile.Link, Customer: e.Customer,
		Reason: e.own.text("the name and the e-mail were erased by " + e.Author + ": " + e.Reason)}
	if err := recordRow(ctx, tx, reconcile.Outcome{Action: a, Run: clean(e.own.text(e.Author)), State: reconcile.ActionApplied, At: e.At}); err != nil {
		return err
	}
	return wake(ctx, tx, []string{e.Customer}, e.At)
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
