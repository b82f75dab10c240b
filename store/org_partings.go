package store

import (
	"context"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// PreviewOrgInstruction returns the change that a statement about a customer's org would
// make, and changes nothing.
func (s *Store) PreviewOrgInstruction(ctx context.Context, w reconcile.OrgInstruction, decide reconcile.OrgDecider) (ch reconcile.OrgChange, err error) {
	err = s.snapshot(ctx, "previewing a statement about the org of "+w.Customer, func(ctx context.Context, c conn) error {
		ch, err = decideOrg(ctx, c, w, decide)
		return err
	})
	return ch, err
}

// RecordOrgInstruction stores a person's statement about a customer's org, in one
// transaction with its row of the journal. It excludes the writer in the same way as
// RecordInstruction: it is refused while a write of the customer is under way, and an
// action that was decided before it is not sent.
func (s *Store) RecordOrgInstruction(ctx context.Context, w reconcile.OrgInstruction, decide reconcile.OrgDecider) (ch reconcile.OrgChange, err error) {
	err = s.unfenced(ctx, "recording a statement about the org of "+w.Customer, func(ctx context.Context, tx conn) error {
		if err := tx.each(ctx, "SELECT token FROM leases WHERE name = $1"+tx.d.forUpdate(), []any{leaseName}, ignore); err != nil {
			return err
		}
		if ch, err = decideOrg(ctx, tx, w, decide); err != nil || ch.Already {
			return err
		}
		if err := writeOrg(ctx, tx, &ch); err != nil {
			return err
		}
		return writeOrgJournal(ctx, tx, &ch)
	})
	return ch, err
}

func decideOrg(ctx context.Context, c conn, w reconcile.OrgInstruction, decide reconcile.OrgDecider) (ch reconcile.OrgChange, err error) {
	heads, err := loadHeads(ctx, c, "id IN "+c.d.texts(1), "c.id", list([]string{w.Customer, w.Into}))
	if err != nil {
		return ch, err
	}
	customers, err := aggregates(ctx, c, heads)
	if err != nil {
		return ch, err
	}
	var of, into *reconcile.Customer
	for i := range customers {
		if customers[i].ID == w.Customer {
			of = &customers[i]
		}
		if customers[i].ID == w.Into {
			into = &customers[i]
		}
	}
	if of == nil {
		return ch, ErrNotFound
	}
	return decide(of, into)
}

// writeOrg writes the org of the customer. Its invitation and its name belong to the org
// that it leaves, because an org of its own has an owner to be invited.
func writeOrg(ctx context.Context, tx conn, ch *reconcile.OrgChange) error {
	w := &ch.Instruction
	merged := w.Kind == reconcile.MergeOrgs
	org, why := "", ""
	if merged {
		org, why = ch.Org.ID, clean(w.Why())
	}
	if _, err := tx.exec(ctx, `UPDATE customers SET org_id = CASE WHEN $2 = '' THEN NULL ELSE $2 END, org_guest = $3, org_named = $3, org_why = $4,
		invited_at = NULL, invited_email = '', org_name_wanted = '', org_name_why = '', invite_wanted = '', invite_why = '', words = words + 1 WHERE id = $1`, w.Customer, org, merged, why); err != nil {
		return err
	}
	if merged {
		_, err := tx.exec(ctx, "DELETE FROM org_partings WHERE customer_id = $1 AND org_id = $2", w.Customer, org)
		return err
	}
	_, err := tx.exec(ctx, `INSERT INTO org_partings (customer_id, org_id, why, parted_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (customer_id, org_id) DO UPDATE SET why = excluded.why, parted_at = excluded.parted_at`, w.Customer, ch.Org.ID, clean(w.Why()), at(w.At))
	return err
}

// writeOrgJournal writes the row of the journal, and wakes the customer and the one whose org
// it is.
func writeOrgJournal(ctx context.Context, tx conn, ch *reconcile.OrgChange) error {
	w := &ch.Instruction
	if err := recordRow(ctx, tx, reconcile.Outcome{Action: ch.Entry(), Run: clean(w.Author), State: reconcile.ActionApplied, At: w.At}); err != nil {
		return err
	}
	if err := wake(ctx, tx, []string{w.Customer, ch.Host}, w.At); err != nil {
		return err
	}
	subs, err := tx.strings(ctx, `SELECT s.id FROM subscriptions s JOIN stripe_customers b ON b.id = s.stripe_customer_id WHERE b.customer_id = $1 ORDER BY s.id`, w.Customer)
	if err != nil {
		return err
	}
	return nudge(ctx, tx, subs, "a statement of a person about the organisation", w.At)
}

// loadSharers attaches the customers of the orgs that several have. They are one list for
// all of an org, because an agency may have many guests.
func (a *aggregate) loadSharers(ctx context.Context) error {
	query := `SELECT k.org_id, k.id, k.email, k.org_guest, k.org_why, coalesce(s.id, '') FROM customers k
		LEFT JOIN stripe_customers b ON b.customer_id = k.id LEFT JOIN subscriptions s ON s.stripe_customer_id = b.id
		WHERE k.org_id IS NOT NULL AND k.org_id IN ` + a.c.d.texts(1) + " ORDER BY k.org_id, k.id, s.id"
	of := make(map[string][]reconcile.Sharer, len(a.orgs))
	err := a.c.each(ctx, query, []any{keys(a.orgs)}, func(row scan) error {
		var k reconcile.Sharer
		var org, sub string
		if err := row(&org, &k.ID, &k.Email, &k.Guest, &k.Why, &sub); err != nil {
			return err
		}
		all := of[org]
		if len(all) == 0 || all[len(all)-1].ID != k.ID {
			all = append(all, k)
		}
		if last := &all[len(all)-1]; sub != "" {
			last.Subscriptions = append(last.Subscriptions, sub)
		}
		of[org] = all
		return nil
	})
	for org, customers := range a.orgs {
		for _, c := range customers {
			if len(of[org]) > 1 {
				c.Sharers = of[org]
			}
		}
	}
	return err
}

// loadApart attaches the orgs from which a person has split a customer.
func (a *aggregate) loadApart(ctx context.Context) error {
	query := "SELECT customer_id, org_id, why, parted_at FROM org_partings WHERE customer_id IN " + a.c.d.texts(1) + " ORDER BY customer_id, org_id"
	return a.c.each(ctx, query, []any{keys(a.byID)}, func(row scan) error {
		var o reconcile.ApartOrg
		var customer string
		if err := row(&customer, &o.Org, &o.Why, into(&o.At)); err != nil {
			return err
		}
		c := a.byID[customer]
		c.Apart = append(c.Apart, o)
		return nil
	})
}
