package store

import (
	"context"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// liveSubscription is the condition that a subscription has not ended.
const liveSubscription = "s.status NOT IN ('canceled', 'incomplete_expired')"

// UnboundHostings calls yield with every hosting that is up at the panel and that no
// subscription is bound to, by id. It leaves out those with the marker of a subscription
// that is known here, because the planner decides about them, unless a person unbound
// them, those of another installation, and those in an org that is suspended or deleted.
func (s *Store) UnboundHostings(ctx context.Context, instance string, yield func(reconcile.UnboundOrg) error) error {
	after := int64(0)
	query := `SELECT h.id, h.org_id, h.plan_id, h.observed_at, h.marker_id, h.marker_slot, coalesce(o.name, ''), coalesce(o.owner_email, ''), o.created_at
		FROM hostings h LEFT JOIN orgs o ON o.id = h.org_id
		WHERE h.id > $1 AND NOT h.bound AND h.terminated_by_us IS NULL AND h.state = 'active' AND h.marker_word IN ('', $2)
		AND NOT coalesce(o.deleted, FALSE) AND NOT coalesce(o.suspended, FALSE)
		AND (h.marker_id = '' OR NOT EXISTS (SELECT 1 FROM subscriptions s WHERE s.id = h.marker_id)
			OR EXISTS (SELECT 1 FROM partings p WHERE p.hosting_id = h.id))
		ORDER BY h.id LIMIT $3`
	return stream(yield, func(add func(...reconcile.UnboundOrg)) (rows int, err error) {
		err = s.query(ctx, "reading unbound hostings", query, []any{after, instance, pageSize}, func(row scan) error {
			var u reconcile.UnboundOrg
			err := row(&u.Hosting, &u.ID, &u.Plan, into(&u.ObservedAt), &u.Marker.StripeID, &u.Marker.Slot, &u.Name, &u.OwnerEmail, into(&u.Created))
			after = u.Hosting
			rows++
			add(u)
			return err
		})
		return rows, err
	})
}

// EmptyOrgs calls yield with every org in which the panel counts no hosting, and we know
// none, by id. It leaves out those of a customer with a subscription that has not ended:
// their hosting is still to come.
func (s *Store) EmptyOrgs(ctx context.Context, instance string, yield func(reconcile.UnboundOrg) error) error {
	after := ""
	query := `SELECT o.id, o.name, coalesce(nullif(o.owner_email, ''), c.email, ''), o.created_at, o.observed_at, coalesce(c.id, '')
		FROM orgs o LEFT JOIN customers c ON c.id = (SELECT min(f.id) FROM customers f WHERE f.org_id IS NOT NULL AND f.org_id = o.id)
		WHERE o.id > $1 AND NOT o.deleted AND o.hostings_count = 0 AND o.marker_word IN ('', $2)
		AND NOT EXISTS (SELECT 1 FROM hostings h WHERE h.org_id = o.id AND h.terminated_by_us IS NULL AND h.state IN ('active', 'suspended', 'unread', 'unknown'))
		AND NOT EXISTS (SELECT 1 FROM customers c JOIN stripe_customers b ON b.customer_id = c.id JOIN subscriptions s ON s.stripe_customer_id = b.id
			WHERE c.org_id IS NOT NULL AND c.org_id = o.id AND ` + liveSubscription + `)
		AND NOT EXISTS (SELECT 1 FROM stripe_customers b JOIN subscriptions s ON s.stripe_customer_id = b.id
			WHERE o.marker_id <> '' AND b.id = o.marker_id AND ` + liveSubscription + `)
		ORDER BY o.id LIMIT $3`
	return stream(yield, func(add func(...reconcile.UnboundOrg)) (rows int, err error) {
		err = s.query(ctx, "reading empty orgs", query, []any{after, instance, pageSize}, func(row scan) error {
			var u reconcile.UnboundOrg
			err := row(&u.ID, &u.Name, &u.OwnerEmail, into(&u.Created), into(&u.ObservedAt), &u.Customer)
			after = u.ID
			rows++
			add(u)
			return err
		})
		return rows, err
	})
}
