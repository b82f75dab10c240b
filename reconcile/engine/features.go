package engine

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// features is the owner of the features of products in a run. Each product is asked for once
// a run at most.
type features struct {
	mu    sync.Mutex // guards all below
	known map[string]reconcile.ProductFeatures
	// asked has the products that were asked for, with how many had been by then.
	asked map[string]int
	// refused means that it was noted that the key may not read them.
	refused bool
	// on and with are the catalog without and with the features that are known; with is nil
	// if it has to be made anew.
	on, with *planner.Catalog
}

func newFeatures() *features {
	return &features{known: map[string]reconcile.ProductFeatures{}, asked: map[string]int{}}
}

// again is the features for a plan that is made again in the same run.
func (f *features) again() *features {
	f.mu.Lock()
	defer f.mu.Unlock()
	return &features{known: maps.Clone(f.known), asked: maps.Clone(f.asked), refused: f.refused}
}

// load takes the stored ones.
func (f *features) load(all []reconcile.ProductFeatures) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, one := range all {
		f.known[one.Product] = one
	}
	f.with = nil
}

// of is a catalog with the features that are known by now.
func (f *features) of(c *planner.Catalog) *planner.Catalog {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.with == nil || f.on != c {
		f.on, f.with = c, c.WithFeatures(slices.Collect(maps.Values(f.known))...)
	}
	return f.with
}

// get returns the features of a product that are known, and whether it was asked for in this run.
func (f *features) get(product string) (reconcile.ProductFeatures, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.known[product], f.asked[product] > 0
}

func (f *features) put(one reconcile.ProductFeatures) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.known[one.Product], f.asked[one.Product], f.with = one, len(f.asked)+1, nil
}

// refuse notes that the key may not read features, and reports whether that is new.
func (f *features) refuse() (first bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	first, f.refused = !f.refused, true
	return first
}

// forgetUnmapped makes the products whose features lead to no plan asked for again: the
// mappings have changed, and an operator who maps a feature has often just made it.
func (f *features) forgetUnmapped(c *planner.Catalog) {
	f.mu.Lock()
	defer f.mu.Unlock()
	with := c.WithFeatures(slices.Collect(maps.Values(f.known))...)
	for product, one := range f.known {
		if len(with.Unserved([]reconcile.Item{{Product: product}})) > 0 {
			one.AskedAt = time.Time{}
			f.known[product] = one
		}
	}
	f.with = nil
}

// answers is how many products were asked for in this run.
func (f *features) answers() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.asked)
}

// unanswered leaves out the products that were asked for in this run, as far as a decision
// knew of it that was made after so many answers. A product that was asked for meanwhile, for
// another customer, stays: the decision is made again with its features.
func (f *features) unanswered(needs []planner.Need, answers int) []planner.Need {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(needs, func(n planner.Need) bool {
		at := f.asked[n.Product]
		return n.Kind == planner.NeedFeatures && at > 0 && at <= answers
	})
}

// loadFeatures loads the features that were read before. A run about some subscriptions,
// which a person has asked for, reads theirs again.
func (r *run) loadFeatures(ctx context.Context) error {
	if !r.catalog.AsksFeatures() {
		return nil
	}
	all, err := r.FeatureStore.Features(ctx)
	if err != nil {
		return err
	}
	if r.mode == reconcile.RunTargeted && !r.flows {
		for i := range all {
			all[i].AskedAt = time.Time{}
		}
	}
	r.features.load(all)
	return nil
}

// readFeatures reads the features of a product. One that Stripe does not show, for whatever
// reason, keeps those that it had; without any, a failure is that of the customer.
func (r *run) readFeatures(ctx context.Context, product string) error {
	return r.together.turns.alone(ctx, productKey(product), func() error {
		f, asked := r.features.get(product)
		if asked {
			return nil
		}
		keys, err := r.Ports.Features.ProductFeatures(ctx, product)
		if err != nil && !standsWithout(f, err) {
			return err
		}
		before := f
		f = readNow(f, product, keys, err, r.clock())
		if err := r.FeatureStore.SaveFeatures(ctx, r.tok, f); err != nil {
			return err
		}
		r.features.put(f)
		r.noteFeatures(f, err)
		if before.Product == "" || slices.Equal(before.Keys, f.Keys) && before.Emptied == f.Emptied {
			return nil
		}
		return r.Timetable.MakeDue(ctx, r.tok, nil, r.now) // others may have the product too
	})
}

// standsWithout reports whether a run goes on although Stripe has not shown the features of
// a product: because it will not show them to this key, or because they are known from
// before.
func standsWithout(f reconcile.ProductFeatures, err error) bool {
	switch fault.Of(err) {
	case fault.Canceled, fault.Fenced:
		return false
	case fault.Denied, fault.NotFound, fault.Permanent:
		return true
	case fault.Transient, fault.Throttled, fault.Conflict, fault.Ambiguous, fault.Malformed, fault.Unknown:
	}
	return len(f.Keys) > 0
}

// readNow is the features of a product after Stripe was asked. The keys that it had stay
// until Stripe shows others.
func readNow(f reconcile.ProductFeatures, product string, keys []string, err error, now time.Time) reconcile.ProductFeatures {
	f.Product, f.AskedAt, f.Unread = product, now, ""
	switch {
	case err != nil:
		f.Unread = err.Error()
	case len(keys) == 0:
		f.ReadAt, f.Emptied = now, len(f.Keys) > 0
	default:
		f.ReadAt, f.Emptied, f.Keys = now, false, keys
	}
	return f
}

func (r *run) noteFeatures(f reconcile.ProductFeatures, err error) {
	switch {
	case errors.Is(err, fault.Denied) && !r.features.refuse():
	case errors.Is(err, fault.Denied):
		r.note("the Stripe key may not read the features of products: those that were read before stand, and else a mapping of a feature does not count; allow the key to read Entitlements and Products")
	case err != nil:
		r.note("%s", r.catalog.FeaturesUnread(f))
	}
}
