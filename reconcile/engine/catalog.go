package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// loadCatalog makes the catalog of this run. Plans are listed again when they
// are old, when a mapping leads nowhere, and in every full run; a mapping, plan or
// setting that changed makes every customer due, because operators write to the
// table with psql as well as with our commands, and start us with another setting
// without a word to the database.
func (r *run) loadCatalog(ctx context.Context) error {
	mappings, err := r.Catalogue.Mappings(ctx)
	if err != nil {
		return err
	}
	plans, readAt, err := r.Catalogue.Plans(ctx)
	if err != nil {
		return err
	}
	r.catalog = reconcile.NewCatalog(mappings, plans)
	work, err := r.anythingDue(ctx)
	if err != nil {
		return err
	}
	old := r.now.Sub(readAt) > planAge || r.now.Before(readAt)
	if r.mode == reconcile.RunFull || readAt.IsZero() || work && (old || len(r.catalog.Problems()) > 0) {
		if plans, err = r.Panel.Plans(ctx); err != nil {
			return fmt.Errorf("listing plans: %w", err)
		}
		if err := r.Catalogue.SavePlans(ctx, r.tok, plans, r.now); err != nil {
			return err
		}
		r.catalog = reconcile.NewCatalog(mappings, plans)
	}
	for _, problem := range r.catalog.Problems() {
		r.note("%s", problem)
	}
	return r.noticeCatalog(ctx, mappings, plans)
}

// planAge is how old the list of plans may be while there is work to do.
const planAge = 10 * time.Minute

// premises is a digest of all that a decision depends on and that is the same for
// every customer.
func (r *run) premises(mappings []reconcile.Mapping, plans []reconcile.Plan) string {
	slices.SortFunc(mappings, func(a, b reconcile.Mapping) int { return cmpText(a.BillingID, b.BillingID) })
	slices.SortFunc(plans, func(a, b reconcile.Plan) int { return a.ID - b.ID })
	sum := sha256.Sum256(fmt.Append(nil, mappings, plans, r.Policy))
	return hex.EncodeToString(sum[:8])
}

func (r *run) noticeCatalog(ctx context.Context, mappings []reconcile.Mapping, plans []reconcile.Plan) error {
	digest := r.premises(mappings, plans)
	last, err := r.Cursors.Cursor(ctx, cursorCatalog)
	if err != nil || last == digest {
		return err
	}
	if err := r.Timetable.MakeDue(ctx, r.tok, nil, r.now); err != nil {
		return err
	}
	return r.Cursors.SetCursor(ctx, r.tok, cursorCatalog, digest)
}

func (r *run) anythingDue(ctx context.Context) (bool, error) {
	if r.only != nil {
		return true, nil
	}
	n, err := r.Timetable.DueCount(ctx, r.now)
	return n > 0, err
}
