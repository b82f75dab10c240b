package store

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// plansCursor keeps when the panel's plans were last read.
const plansCursor = "enhance_plans"

// Plans returns the panel's plans by id and when they were read; the zero time
// when they never were.
func (s *Store) Plans(ctx context.Context) (plans []reconcile.EnhancePlan, readAt time.Time, err error) {
	err = s.snapshot(ctx, "reading plans", func(ctx context.Context, c conn) error {
		plans, readAt = nil, time.Time{}
		var when string
		found, err := c.one(ctx, "SELECT value FROM cursors WHERE name = $1", []any{plansCursor}, &when)
		if err != nil || !found {
			return err
		}
		if readAt, err = time.Parse(time.RFC3339Nano, when); err != nil {
			return err
		}
		return c.each(ctx, "SELECT id, name, limits FROM enhance_plans ORDER BY id", nil, func(row scan) error {
			var p reconcile.EnhancePlan
			var limits []byte
			if err := row(&p.ID, &p.Name, &limits); err != nil {
				return err
			}
			if err := json.Unmarshal(limits, &p.Limits); err != nil {
				return badRow("plan", p.ID, err)
			}
			plans = append(plans, p)
			return nil
		})
	})
	return plans, readAt, err
}

var insertPlan = bulk{
	head:    "INSERT INTO enhance_plans",
	columns: []column{{"id", "INTEGER"}, {"name", "TEXT"}, {"limits", "JSONB"}},
	tail:    "ON CONFLICT (id) DO UPDATE SET name = excluded.name, limits = excluded.limits",
}

// SavePlans replaces the stored plans by a complete list. A plan that is gone
// from the panel is gone here: mappings that name it are then held, not acted on.
func (s *Store) SavePlans(ctx context.Context, tok reconcile.Token, plans []reconcile.EnhancePlan, now time.Time) error {
	rows := make([][]any, 0, len(plans))
	ids := make([]int64, 0, len(plans))
	for _, p := range plans {
		if slices.Contains(ids, int64(p.ID)) {
			continue
		}
		limits := make(map[string]int64, len(p.Limits))
		for name, total := range p.Limits {
			limits[clean(name)] = total
		}
		ids = append(ids, int64(p.ID))
		rows = append(rows, []any{p.ID, clean(p.Name), document(limits)})
	}
	return s.fenced(ctx, "saving plans", tok, func(ctx context.Context, tx conn) error {
		if _, err := tx.exec(ctx, "DELETE FROM enhance_plans WHERE id NOT IN "+tx.d.ints(1), list(ids)); err != nil {
			return err
		}
		if err := tx.bulk(ctx, insertPlan, rows); err != nil {
			return err
		}
		return setCursor(ctx, tx, plansCursor, now.UTC().Format(time.RFC3339Nano))
	})
}

// BoundPlans returns the ids of the plans that living, bound hostings are on, as last
// seen.
func (s *Store) BoundPlans(ctx context.Context) (ids []int, err error) {
	query := "SELECT DISTINCT plan_id FROM hostings WHERE bound AND terminated_by_us IS NULL AND state IN ('active', 'suspended') ORDER BY plan_id"
	err = s.query(ctx, "reading the plans in use", query, nil, func(row scan) error {
		var id int
		err := row(&id)
		ids = append(ids, id)
		return err
	})
	return ids, err
}

// DomainChecked stores what looking up the Checkout Session of a subscription
// gave; "" is "no domain", and is not looked up again either.
func (s *Store) DomainChecked(ctx context.Context, tok reconcile.Token, subscription, domain string) error {
	return s.fenced(ctx, "saving a domain", tok, func(ctx context.Context, tx conn) error {
		_, err := tx.exec(ctx, "UPDATE subscriptions SET checkout_domain = $2, domain_checked = TRUE WHERE id = $1", subscription, clean(domain))
		return err
	})
}
