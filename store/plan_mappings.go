package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Mappings returns all mappings, ordered by billing id.
func (s *Store) Mappings(ctx context.Context) ([]reconcile.Mapping, error) {
	records, err := s.MappingRecords(ctx)
	mappings := make([]reconcile.Mapping, len(records))
	for i, r := range records {
		mappings[i] = r.Mapping
	}
	return mappings, err
}

// MappingRecords is Mappings with details.
func (s *Store) MappingRecords(ctx context.Context) ([]reconcile.MappingRecord, error) {
	var records []reconcile.MappingRecord
	query := `SELECT billing_plan_id, enhance_plan_id, updated_at, updated_by,
		websites, server_group, server_group_by_order, php_version, app, onboarding, grace_seconds FROM plan_mappings
		WHERE billing_provider = 'stripe' ORDER BY billing_plan_id`
	err := s.query(ctx, "reading mappings", query, nil, func(row scan) error {
		var r reconcile.MappingRecord
		var websites, app, onboarding string
		var grace sql.NullInt64
		err := row(&r.BillingID, &r.Plan, into(&r.UpdatedAt), &r.UpdatedBy,
			&websites, &r.ServerGroup, &r.ByOrder, &r.PHP, &app, &onboarding, &grace)
		r.Websites, r.Onboarding = reconcile.Websites(websites), reconcile.ParseOnboarding(onboarding)
		r.App = reconcile.App(app)
		r.OwnGrace, r.Grace = grace.Valid, time.Duration(grace.Int64)*time.Second
		records = append(records, r)
		return err
	})
	return records, err
}

// SetMapping maps a billing id to a plan and replaces its former mapping.
func (s *Store) SetMapping(ctx context.Context, m reconcile.Mapping, by string, now time.Time) error {
	return s.ImportMappings(ctx, []reconcile.Mapping{m}, by, now)
}

// ImportMappings sets several mappings, all or none. Of two with one billing id
// the last one counts.
func (s *Store) ImportMappings(ctx context.Context, mappings []reconcile.Mapping, by string, now time.Time) error {
	return s.unfenced(ctx, "setting mappings", func(ctx context.Context, tx conn) error {
		for _, m := range mappings {
			if m.BillingID == "" || m.Plan == "" {
				return permanent("a mapping needs a billing id and a plan: %q → %q", m.BillingID, m.Plan)
			}
			if err := putMapping(ctx, tx, m, by, now); err != nil {
				return err
			}
		}
		return nil
	})
}

// putMapping replaces a mapping with its options: those that are not given are as in the
// settings.
func putMapping(ctx context.Context, tx conn, m reconcile.Mapping, by string, now time.Time) error {
	onboarding, grace := "", sql.NullInt64{Int64: int64(m.Grace / time.Second), Valid: m.OwnGrace}
	if m.Onboarding != 0 {
		onboarding = m.Onboarding.String()
	}
	_, err := tx.exec(ctx, `INSERT INTO plan_mappings (billing_plan_id, enhance_plan_id, updated_at, updated_by,
			websites, server_group, server_group_by_order, php_version, app, onboarding, grace_seconds)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		ON CONFLICT (billing_provider, billing_plan_id) DO UPDATE SET enhance_plan_id = excluded.enhance_plan_id,
			updated_at = excluded.updated_at, updated_by = excluded.updated_by, websites = excluded.websites,
			server_group = excluded.server_group, server_group_by_order = excluded.server_group_by_order,
			php_version = excluded.php_version, app = excluded.app, onboarding = excluded.onboarding, grace_seconds = excluded.grace_seconds`,
		clean(m.BillingID), clean(m.Plan), at(now), clean(by),
		string(m.Websites), clean(m.ServerGroup), m.ByOrder, clean(m.PHP), string(m.App), onboarding, grace)
	return err
}

// DeleteMapping removes a mapping and reports whether there was one.
func (s *Store) DeleteMapping(ctx context.Context, billingID string) (found bool, err error) {
	err = s.unfenced(ctx, "deleting a mapping", func(ctx context.Context, tx conn) error {
		n, err := tx.exec(ctx, "DELETE FROM plan_mappings WHERE billing_provider = 'stripe' AND billing_plan_id = $1", billingID)
		found = n > 0
		return err
	})
	return found, err
}

// plansCursor keeps when the panel's plans were last read.
const plansCursor = "enhance_plans"

// Plans returns the panel's plans by id and when they were read; the zero time
// when they never were.
func (s *Store) Plans(ctx context.Context) (plans []reconcile.EnhancePlan, readAt time.Time, err error) {
	err = s.snapshot(ctx, "reading plans", func(ctx context.Context, c conn) error {
		plans, readAt = nil, time.Time{}
		// One row for each plan, and one row without a plan if the list is empty; none if it
		// was never read.
		query := `SELECT c.value, coalesce(p.id, 0), coalesce(p.name, ''), p.limits, p.sites
			FROM cursors c LEFT JOIN enhance_plans p ON TRUE WHERE c.name = $1 ORDER BY p.id`
		return c.each(ctx, query, []any{plansCursor}, func(row scan) (err error) {
			var when string
			var p reconcile.EnhancePlan
			var limits, sites []byte
			if err := row(&when, &p.ID, &p.Name, &limits, &sites); err != nil {
				return err
			}
			if readAt, err = time.Parse(time.RFC3339Nano, when); err != nil || limits == nil {
				return err
			}
			if err := json.Unmarshal(limits, &p.Limits); err != nil {
				return badRow("plan", p.ID, err)
			}
			if sites != nil {
				if err := json.Unmarshal(sites, (*storedSites)(&p.Sites)); err != nil {
					return badRow("plan", p.ID, err)
				}
			}
			plans = append(plans, p)
			return nil
		})
	})
	return plans, readAt, err
}

var insertPlan = bulk{
	head:    "INSERT INTO enhance_plans",
	columns: []column{{"id", "INTEGER"}, {"name", "TEXT"}, {"limits", "JSONB"}, {"sites", "JSONB"}},
	tail:    "ON CONFLICT (id) DO UPDATE SET name = excluded.name, limits = excluded.limits, sites = excluded.sites",
}

// storedSites is the column sites of enhance_plans.
type storedSites struct {
	PHP          []string `json:"php"`
	ServerGroups []string `json:"server_groups"`
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
		rows = append(rows, []any{p.ID, clean(p.Name), document(limits), document(storedSites(p.Sites))})
	}
	return s.fenced(ctx, "saving plans", tok, func(ctx context.Context, tx conn) error {
		if _, err := tx.exec(ctx, "DELETE FROM enhance_plans WHERE NOT (id "+tx.d.anyInt(1)+")", list(ids)); err != nil {
			return err
		}
		if err := tx.bulk(ctx, insertPlan, rows); err != nil {
			return err
		}
		return setCursor(ctx, tx, plansCursor, now.UTC().Format(time.RFC3339Nano))
	})
}

// Features returns the features of all products that were asked for, by product.
func (s *Store) Features(ctx context.Context) (all []reconcile.ProductFeatures, err error) {
	query := "SELECT product, keys, read_at, asked_at, emptied, unread FROM product_features ORDER BY product"
	err = s.query(ctx, "reading the features of products", query, nil, func(row scan) error {
		var f reconcile.ProductFeatures
		var keys []byte
		if err := row(&f.Product, &keys, into(&f.ReadAt), into(&f.AskedAt), &f.Emptied, &f.Unread); err != nil {
			return err
		}
		if err := json.Unmarshal(keys, &f.Keys); err != nil {
			return badRow("product", f.Product, err)
		}
		all = append(all, f)
		return nil
	})
	return all, err
}

// SaveFeatures stores the features of one product in the place of those before.
func (s *Store) SaveFeatures(ctx context.Context, tok reconcile.Token, f reconcile.ProductFeatures) error {
	keys := make([]string, len(f.Keys))
	for i, key := range f.Keys {
		keys[i] = clean(key)
	}
	return s.fenced(ctx, "saving the features of a product", tok, func(ctx context.Context, tx conn) error {
		_, err := tx.exec(ctx, `INSERT INTO product_features (product, keys, read_at, asked_at, emptied, unread) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (product) DO UPDATE SET keys = excluded.keys, read_at = excluded.read_at, asked_at = excluded.asked_at,
				emptied = excluded.emptied, unread = excluded.unread`,
			clean(f.Product), document(keys), at(f.ReadAt), at(f.AskedAt), f.Emptied, clean(f.Unread))
		return err
	})
}
