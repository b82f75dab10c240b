package store

import (
	"context"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// adoptable is unboundHosting, whether or not a person has decided that no customer pays for it.
const adoptable = `NOT h.bound AND h.terminated_by_us IS NULL AND h.state IN ('active', 'suspended') AND h.marker_id = ''
	AND NOT EXISTS (SELECT 1 FROM orgs d WHERE d.id = h.org_id AND d.deleted)`

// Adoptable calls yield with every living hosting that no subscription is bound to and no
// marker names, by id, with what a person has decided about it.
func (s *Store) Adoptable(ctx context.Context, yield func(reconcile.Adoptable) error) error {
	after := int64(0)
	return stream(yield, func(add func(...reconcile.Adoptable)) (rows int, err error) {
		err = s.query(ctx, "reading unbound hostings", `SELECT h.id, h.org_id, h.plan_id, h.state, h.ignored, h.ignored_why
			FROM hostings h WHERE h.id > $1 AND `+adoptable+` ORDER BY h.id LIMIT $2`, []any{after, pageSize}, func(row scan) error {
			var a reconcile.Adoptable
			var state string
			err := row(&a.Hosting.ID, &a.Org, &a.Plan, &state, &a.Ignored, &a.Why)
			a.State = reconcile.ParseHostingState(state)
			after = a.ID
			rows++
			add(a)
			return err
		})
		return rows, err
	})
}

// LivingOrgs calls yield with every org that is not deleted, by id.
func (s *Store) LivingOrgs(ctx context.Context, yield func(reconcile.OrgOwner) error) error {
	after := ""
	return stream(yield, func(add func(...reconcile.OrgOwner)) (rows int, err error) {
		err = s.query(ctx, "reading orgs", orgColumns+`, coalesce((SELECT min(c.id) FROM customers c WHERE c.org_id = orgs.id AND NOT c.org_guest), '')
			FROM orgs WHERE id > $1 AND NOT deleted ORDER BY id LIMIT $2`, []any{after, pageSize}, func(row scan) error {
			var one reconcile.OrgOwner
			var err error
			one.Org, err = scanOrg(row, &one.Customer)
			after = one.ID
			rows++
			add(one)
			return err
		})
		return rows, err
	})
}

// IgnoreHosting stores a person's decision that no customer pays for a hosting, or, without a
// reason, takes it back. It reports whether that changed anything. Customers who wait
// because they may be paying for it are woken.
func (s *Store) IgnoreHosting(ctx context.Context, hosting int64, why string, now time.Time) (changed bool, err error) {
	err = s.unfenced(ctx, "deciding about a hosting", func(ctx context.Context, tx conn) error {
		res, err := tx.exec(ctx, "UPDATE hostings SET ignored = $2, ignored_why = $3 WHERE id = $1 AND NOT bound AND ignored <> $2", hosting, why != "", clean(why))
		if err != nil {
			return err
		}
		if changed = res > 0; !changed {
			return nil
		}
		waiting, err := tx.strings(ctx, "SELECT id FROM customers WHERE held_kinds IS NOT NULL AND held_kinds LIKE '%"+string(reconcile.HoldAdopt)+"%'")
		if err != nil {
			return err
		}
		return wake(ctx, tx, waiting, now)
	})
	return changed, err
}
