package store

import (
	"context"
	"fmt"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// WantName stores the name that a person wants the org of a customer to have. A run gives it
// that name, under the lease, and writes the journal. It reports false if the org has that
// name already. The error is a [reconcile.InstructionRefused] if that makes no sense.
func (s *Store) WantName(ctx context.Context, customer, name, why string, now time.Time) (changed bool, err error) {
	err = s.unfenced(ctx, "storing a name for the org of "+customer, func(ctx context.Context, tx conn) error {
		var has bool
		if changed, has, err = nameChange(ctx, tx, customer, name); err != nil || !changed {
			return err
		}
		wanted := clean(name)
		if has {
			wanted = "" // it has that name, and another one was wanted
		}
		if _, err := tx.exec(ctx, "UPDATE customers SET org_name_wanted = $2, org_name_why = $3 WHERE id = $1", customer, wanted, clean(why)); err != nil {
			return err
		}
		return wake(ctx, tx, []string{customer}, now)
	})
	return changed, err
}

// nameChange reports whether a name changes anything, and whether the org has it already.
func nameChange(ctx context.Context, c conn, customer, name string) (changed, has bool, err error) {
	var org, is, wanted string
	var named, guest, deleted, erased bool
	found, err := c.one(ctx, `SELECT coalesce(c.org_id, ''), c.org_named, c.org_guest, c.org_name_wanted, coalesce(o.name, ''), coalesce(o.deleted, FALSE), coalesce(o.erased, FALSE)
		FROM customers c LEFT JOIN orgs o ON o.id = c.org_id WHERE c.id = $1`, []any{customer}, &org, &named, &guest, &wanted, &is, &deleted, &erased)
	switch {
	case err != nil:
		return false, false, err
	case !found:
		return false, false, ErrNotFound
	case org == "":
		return false, false, noSense("customer %s has no organisation at Enhance yet", customer)
	case guest:
		return false, false, noSense("the organisation %s was another customer's before %s came into it: rename that customer", org, customer)
	case deleted:
		return false, false, noSense("the organisation %s was deleted in the panel: restore it there first", org)
	case erased:
		return false, false, noSense("the name of customer %s was erased, and that of its organisation %s is not kept here: rename it in the panel", customer, org)
	case !named:
		return false, false, noSense("the organisation %s is still being set up, and its name still has its marker: repeat this after the next run", org)
	}
	has = is == clean(name)
	return has && wanted != "" || !has && wanted != clean(name), has, nil
}

func noSense(format string, args ...any) error {
	return reconcile.InstructionRefused(fmt.Sprintf(format, args...))
}

// PreviewName is WantName without the change.
func (s *Store) PreviewName(ctx context.Context, customer, name, _ string, _ time.Time) (changed bool, err error) {
	err = s.snapshot(ctx, "looking at the name of the org of "+customer, func(ctx context.Context, c conn) error {
		changed, _, err = nameChange(ctx, c, customer, name)
		return err
	})
	return changed, err
}

// RecordDeed writes a row of the journal for what a person did that changed nothing at the
// panel. failure is why it was not done.
func (s *Store) RecordDeed(ctx context.Context, a reconcile.Action, author string, failure error, now time.Time) error {
	o := reconcile.Outcome{Action: a, Run: clean(author), State: reconcile.ActionApplied, At: now}
	if failure != nil {
		o.State, o.Error = reconcile.ActionFailed, failure.Error()
	}
	return s.unfenced(ctx, "recording what a person did", func(ctx context.Context, tx conn) error {
		var under string
		found, err := tx.one(ctx, "SELECT kind FROM actions WHERE state = 'sent' AND customer_id = $1", []any{a.Customer}, &under)
		switch {
		case err != nil:
			return err
		case found:
			return noSense("%s of this customer is under way: repeat this in a moment", under)
		}
		return recordRow(ctx, tx, o)
	})
}
