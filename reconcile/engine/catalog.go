package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// loadCatalog makes the catalog of this run. Plans are listed again when they
// are old and there is work, in every full run, and, whether there is work or not, as
// long as a mapping leads nowhere or a plan that matters is lost: who is held for it
// waits for no event of his own. A mapping, plan or
// setting that changed makes every customer due, because operators write to the
// table with psql as well as with our commands, and start us with another setting
// without a word to the database.
func (r *run) loadCatalog(ctx context.Context) error {
	mappings, plans, readAt, err := r.storedCatalog(ctx)
	if err != nil {
		return err
	}
	lost, err := r.lostPlans(ctx)
	if err != nil {
		return err
	}
	again := r.mode == reconcile.RunFull || readAt.IsZero() || len(lost) > 0 || len(r.catalog.Problems()) > 0
	if !again && (r.now.Sub(readAt) > planAge || r.now.Before(readAt)) {
		if again, err = r.anythingDue(ctx); err != nil {
			return err
		}
	}
	if again {
		if plans, err = r.listPlans(ctx, mappings, plans, lost); err != nil {
			return err
		}
	}
	for _, problem := range r.catalog.Problems() {
		r.note("%s", problem)
	}
	return r.noticeCatalog(ctx, mappings, plans)
}

// storedCatalog makes the catalog from the database, and returns its parts and
// when the plans were listed.
func (r *run) storedCatalog(ctx context.Context) (mappings []reconcile.Mapping, plans []reconcile.EnhancePlan, readAt time.Time, err error) {
	if mappings, err = r.PlanStore.Mappings(ctx); err != nil {
		return nil, nil, readAt, err
	}
	if plans, readAt, err = r.PlanStore.Plans(ctx); err != nil {
		return nil, nil, readAt, err
	}
	r.catalog = planner.NewCatalog(mappings, plans)
	return mappings, plans, readAt, r.loadFeatures(ctx)
}

// planAge is how old the list of plans may be while there is work to do.
const planAge = 10 * time.Minute

// premises is a digest of all that a decision depends on and that is the same for
// every customer.
func (r *run) premises(mappings []reconcile.Mapping, plans []reconcile.EnhancePlan) string {
	slices.SortFunc(mappings, func(a, b reconcile.Mapping) int { return cmpText(a.BillingID, b.BillingID) })
	slices.SortFunc(plans, func(a, b reconcile.EnhancePlan) int { return a.ID - b.ID })
	sum := sha256.Sum256(fmt.Append(nil, mappings, plans, r.Policy))
	return hex.EncodeToString(sum[:8])
}

func (r *run) noticeCatalog(ctx context.Context, mappings []reconcile.Mapping, plans []reconcile.EnhancePlan) error {
	digest := r.premises(mappings, plans)
	last, err := r.Cursors.Cursor(ctx, cursorCatalog)
	if err != nil || last == digest {
		return err
	}
	r.features.forgetUnmapped(r.catalog)
	if err := r.Timetable.MakeDue(ctx, r.tok, nil, r.now); err != nil {
		return err
	}
	return r.Cursors.SetCursor(ctx, r.tok, cursorCatalog, digest)
}

// anythingDue reports whether there is work. The customers of a run about some are due,
// because it has just read their subscriptions.
func (r *run) anythingDue(ctx context.Context) (bool, error) {
	n, err := r.Timetable.DueCount(ctx, r.now)
	return n > 0, err
}

// lostPlan is a plan that the panel had, that a mapping names or hostings of ours are
// on, and that its last list lacks. A list that lost one is doubted: it is read again in
// every run until the plan is back, or until nothing of ours needs it.
type lostPlan struct {
	Name  string    `json:"name"`
	Since time.Time `json:"since"`
}

func (r *run) lostPlans(ctx context.Context) (map[int]lostPlan, error) {
	text, err := r.Cursors.Cursor(ctx, cursorLost)
	if err != nil || text == "" {
		return nil, err
	}
	lost := map[int]lostPlan{}
	if json.Unmarshal([]byte(text), &lost) != nil {
		lost = map[int]lostPlan{0: {}} // some plan is lost: only a new list shows which
	}
	return lost, nil
}

// listPlans lists the plans, stores them, and notes which of those before are lost.
func (r *run) listPlans(ctx context.Context, mappings []reconcile.Mapping, before []reconcile.EnhancePlan, lost map[int]lostPlan) ([]reconcile.EnhancePlan, error) {
	plans, err := r.Panel.Plans(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing plans: %w", err)
	}
	gone := map[int]lostPlan{}
	for _, p := range before {
		gone[p.ID] = lostPlan{Name: p.Name, Since: r.now}
	}
	maps.Copy(gone, lost)
	for _, p := range plans {
		delete(gone, p.ID)
	}
	delete(gone, 0)
	if len(gone) > 0 {
		bound, err := r.PlanStore.BoundPlans(ctx)
		if err != nil {
			return nil, err
		}
		maps.DeleteFunc(gone, func(id int, p lostPlan) bool { return !slices.Contains(bound, id) && !named(mappings, id, p.Name) })
	}
	for _, id := range slices.Sorted(maps.Keys(gone)) {
		r.note("the panel's list of plans lacks plan %d (%q) since %s, which a mapping names or hostings are on. It is read again in every run until it is back; "+
			"if the plan was deleted, map its prices to another with `stripe-enhance mappings set`", id, gone[id].Name, gone[id].Since.Format(time.RFC3339))
	}
	// Before the list without them: a process that dies in between must not forget them.
	if err := r.rememberLost(ctx, gone); err != nil {
		return nil, err
	}
	if err := r.PlanStore.SavePlans(ctx, r.tok, plans, r.now); err != nil {
		return nil, err
	}
	r.catalog = planner.NewCatalog(mappings, plans)
	return plans, nil
}

// named reports whether a mapping leads to a plan, by id or by name.
func named(mappings []reconcile.Mapping, id int, name string) bool {
	return slices.ContainsFunc(mappings, func(m reconcile.Mapping) bool {
		return m.Plan == strconv.Itoa(id) || m.Plan == name && name != reconcile.NotHosting
	})
}

func (r *run) rememberLost(ctx context.Context, lost map[int]lostPlan) error {
	text := ""
	if len(lost) > 0 {
		packed, err := json.Marshal(lost)
		if err != nil {
			return err
		}
		text = string(packed)
	}
	last, err := r.Cursors.Cursor(ctx, cursorLost)
	if err != nil || last == text {
		return err
	}
	return r.Cursors.SetCursor(ctx, r.tok, cursorLost, text)
}
