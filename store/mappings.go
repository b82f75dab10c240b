package store

import (
	"context"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Mappings returns what is mapped, ordered by billing id.
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
	query := `SELECT billing_plan_id, enhance_plan_id, updated_at, updated_by FROM plan_mappings
		WHERE billing_provider = 'stripe' ORDER BY billing_plan_id`
	err := s.query(ctx, "reading mappings", query, nil, func(row scan) error {
		var r reconcile.MappingRecord
		err := row(&r.BillingID, &r.Plan, into(&r.UpdatedAt), &r.UpdatedBy)
		records = append(records, r)
		return err
	})
	return records, err
}

// SetMapping maps a billing id to a plan, in place of what it was mapped to.
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
			if _, err := tx.exec(ctx, `INSERT INTO plan_mappings (billing_plan_id, enhance_plan_id, updated_at, updated_by)
				VALUES ($1, $2, $3, $4)
				ON CONFLICT (billing_provider, billing_plan_id) DO UPDATE SET enhance_plan_id = excluded.enhance_plan_id,
					updated_at = excluded.updated_at, updated_by = excluded.updated_by`,
				clean(m.BillingID), clean(m.Plan), at(now), clean(by)); err != nil {
				return err
			}
		}
		return nil
	})
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
