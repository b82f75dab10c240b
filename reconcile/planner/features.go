package planner

import (
	"maps"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

const (
	// featuresAge is how old the features of a product may be for a decision that needs
	// them: a feature that an operator adds at Stripe shows within the hour.
	featuresAge = time.Hour
	// featuresAgain is when a customer that has its plan by features is planned again
	// although nothing has happened to it: Stripe sends no event when features change.
	featuresAgain = 24 * time.Hour
)

// WithFeatures is the catalog with the features of products, as they were last read.
// Products that it has already are replaced. The catalog itself stays as it is.
func (c *Catalog) WithFeatures(all ...reconcile.ProductFeatures) *Catalog {
	with := *c
	with.features = make(map[string]reconcile.ProductFeatures, len(c.features)+len(all))
	maps.Copy(with.features, c.features)
	for _, f := range all {
		with.features[f.Product] = f
	}
	return &with
}

// AsksFeatures reports whether a mapping may be of a feature.
func (c *Catalog) AsksFeatures() bool { return c.asksFeatures }

// byFeatures finds the mapping of an item by the features of its product. A feature that is
// mapped to none is ignored beside one that has a plan. Features that were read once stand
// until Stripe shows others: no answer, and an answer without any, takes nothing away.
func (c *Catalog) byFeatures(it *reconcile.Item) (target, bool) {
	f, ok := c.features[it.Product]
	if !ok || it.Product == "" {
		return target{}, false
	}
	var found target
	var mapped []string
	several := false
	for _, key := range f.Keys {
		t, ok := c.targets[key]
		switch {
		case !ok || !reconcile.MayBeFeature(key):
			continue
		case len(mapped) == 0 || found.none && !t.none:
			found = t
		case t.none:
		case !sameTarget(found, t):
			several = true
			found.options.OwnGrace, found.options.Grace = longerGrace(found.options, t.options)
		}
		mapped = append(mapped, key)
	}
	switch {
	case len(mapped) == 0:
		return target{}, false
	case several:
		found.problem, found.why = reconcile.HoldFeatures, c.featuresDiffer(f, mapped)
	case f.Emptied && !found.none:
		found.problem, found.why = reconcile.HoldFeatures, featuresGone(f, mapped, found)
	}
	found.stale = f.Unread != ""
	return found, true
}

func sameTarget(a, b target) bool {
	return a.plan.ID == b.plan.ID && a.problem == b.problem && a.options == b.options
}

// longerGrace is the longer grace period of two mappings of which it is not known which one
// counts. That of the settings counts beside it; see policyFor.
func longerGrace(a, b reconcile.MappingOptions) (own bool, grace time.Duration) {
	if a.OwnGrace && (!b.OwnGrace || a.Grace >= b.Grace) {
		return true, a.Grace
	}
	return b.OwnGrace, b.Grace
}

// longestGrace is the longest grace period that the mapping of a feature may have, if it is
// longer than that of the settings.
func (c *Catalog) longestGrace(setting time.Duration) time.Duration {
	longest := setting
	for key, t := range c.targets {
		if reconcile.MayBeFeature(key) && t.options.OwnGrace {
			longest = max(longest, t.options.Grace)
		}
	}
	return longest
}

// featuresUnknown reports whether an item without a mapping may have one by features that
// Stripe has not shown.
func (c *Catalog) featuresUnknown(it *reconcile.Item) bool {
	f := c.features[it.Product]
	return c.asksFeatures && it.Product != "" && f.ReadAt.IsZero()
}

// askFeatures asks for the features of the products of a subscription that nothing else
// maps, if they were not read, or too long ago.
func (pl *planner) askFeatures(s *assessed) {
	if !pl.cat.asksFeatures || s.Gone || s.desired == desiredEnded {
		return
	}
	unserved := len(pl.cat.Unserved(s.items)) > 0
	for i := range s.items {
		it := &s.items[i]
		if _, ok := pl.cat.matchItself(it); ok || it.Product == "" {
			continue
		}
		f := pl.cat.features[it.Product]
		if f.AskedAt.IsZero() || pl.now.Sub(f.AskedAt) > featuresAge {
			pl.addNeed(Need{Kind: NeedFeatures, Product: it.Product})
			continue
		}
		again := featuresAgain
		if t, _ := pl.cat.byFeatures(it); unserved || t.problem == reconcile.HoldFeatures {
			again = featuresAge // it waits for a person
		}
		pl.recheckAt(f.AskedAt.Add(again + time.Second))
	}
}

// staleFeatures reports whether the plan of an assignment is by features that could not be
// read again.
func (pl *planner) staleFeatures(l *assignment) bool {
	it := pl.subs[l.sub].item(l.Item)
	if it == nil {
		return false
	}
	t, _ := pl.cat.match(it)
	return t.stale
}

// FeaturesUnread is a sentence about a product whose features could not be read.
func (c *Catalog) FeaturesUnread(f reconcile.ProductFeatures) string {
	_, known := c.WithFeatures(f).byFeatures(&reconcile.Item{Product: f.Product})
	return featuresUnread(f, known)
}
