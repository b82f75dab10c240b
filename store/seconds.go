package store

import (
	"context"
	"fmt"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// unmade is the condition that the journal knows no create of a kind that made
// something. One that is under way, or that was given up after it was looked for in
// vain, may have made it all the same.
func unmade(kind, same, made string) string {
	return fmt.Sprintf(`NOT EXISTS (SELECT 1 FROM actions a WHERE a.kind = '%s' AND %s
		AND (%s OR a.state IN ('sent', 'ambiguous') OR a.state = 'failed' AND a.looks > 0))`, kind, same, made)
}

// Duplicates finds what was made a second time and not by this database's journal: up to
// limit living hostings with the marker of a subscription whose slot is bound to
// another living one, or that is another bound one's too, and orgs with the marker of a customer who has another. Markers
// with another word than this installation's are not looked at.
func (s *Store) Duplicates(ctx context.Context, instance string, limit int) ([]reconcile.Duplicate, error) {
	var all []reconcile.Duplicate
	take := func(row scan) error {
		var r reconcile.Duplicate
		err := row(&r.Marker.StripeID, &r.Marker.Slot, &r.Org, &r.Hosting, &r.FirstOrg, &r.First)
		all = append(all, r)
		return err
	}
	living := func(h string) string {
		return h + ".terminated_by_us IS NULL AND " + h + ".state IN ('active', 'suspended')"
	}
	hostings := `SELECT h.marker_id, h.marker_slot, h.org_id, h.id, f.org_id, f.id FROM hostings h JOIN hostings f ON f.id <> h.id AND ` + living("f") + `
			AND f.id IN (SELECT b.hosting_id FROM bindings b WHERE b.subscription_id = h.marker_id AND b.slot = h.marker_slot
				UNION SELECT m.id FROM hostings m WHERE m.bound AND m.marker_id <> '' AND m.marker_id = h.marker_id AND m.marker_slot = h.marker_slot AND m.marker_word IN ('', $1))
		WHERE NOT h.bound AND ` + living("h") + ` AND h.marker_id <> '' AND h.marker_word IN ('', $1)
		AND EXISTS (SELECT 1 FROM subscriptions s WHERE s.id = h.marker_id) AND ` +
		unmade("create_subscription", "a.subscription_id = h.marker_id AND a.slot = h.marker_slot", "a.hosting_id = h.id") + ` ORDER BY h.marker_id, h.id LIMIT $2`
	if err := s.query(ctx, "looking for what was made twice", hostings, []any{instance, limit}, take); err != nil {
		return nil, err
	}
	orgs := `SELECT o.marker_id, 0, o.id, 0, f.id, 0 FROM orgs o
		JOIN stripe_customers b ON b.id = o.marker_id JOIN customers c ON c.id = b.customer_id
		JOIN orgs f ON f.id <> o.id AND NOT f.deleted AND (f.id = c.org_id OR f.marker_id = o.marker_id AND f.marker_word IN ('', $1) AND f.id < o.id AND c.org_id IS NULL)
		WHERE o.marker_id <> '' AND o.marker_word IN ('', $1) AND NOT o.deleted
		AND NOT EXISTS (SELECT 1 FROM customers t WHERE t.org_id IS NOT NULL AND t.org_id = o.id) AND ` +
		unmade("create_org", "a.customer_id IN (b.id, c.id)", "a.org_id = o.id") + ` ORDER BY o.marker_id, o.id LIMIT $2`
	return all, s.query(ctx, "looking for what was made twice", orgs, []any{instance, limit - len(all)}, take)
}

// wakeSeconds wakes the customers whose marker an org carries beside the one that is
// theirs.
func wakeSeconds(ctx context.Context, tx conn, orgs []reconcile.Org, now time.Time) error {
	var marked []string
	for _, o := range orgs {
		if m, ok := reconcile.MarkerOf(clean(o.Name)); ok && m.Slot == 0 && !o.Deleted {
			marked = append(marked, o.ID)
		}
	}
	if len(marked) == 0 {
		return nil
	}
	customers, err := tx.strings(ctx, `SELECT c.id FROM orgs o JOIN stripe_customers b ON b.id = o.marker_id JOIN customers c ON c.id = b.customer_id
		WHERE c.org_id IS NOT NULL AND c.org_id <> o.id AND o.id IN `+tx.d.texts(1), list(marked))
	if err != nil {
		return err
	}
	return wake(ctx, tx, customers, now)
}
