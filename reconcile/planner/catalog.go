package planner

import (
	"sort"
	"strconv"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Catalog answers which plan an item buys. It is built once a run and read by
// any number of goroutines.
type Catalog struct {
	targets map[string]target
	plans   map[int]reconcile.EnhancePlan
	// features are those of products, as they were last read. asksFeatures means that a
	// mapping may be of a feature: without one they are of no use.
	features     map[string]reconcile.ProductFeatures
	asksFeatures bool
}

// target is the result of one mapping: a plan, none, or the reason why it has no plan.
type target struct {
	billing string // the id that is mapped
	plan    reconcile.EnhancePlan
	options reconcile.MappingOptions
	none    bool               // a person mapped it to none
	problem reconcile.HoldKind // "" when the plan is good
	why     string
	// stale means that it is by features that could not be read again: it gives what it
	// gave, and makes nothing smaller.
	stale bool
}

// NewCatalog resolves mappings against the plans of the panel. A mapping that
// leads nowhere is kept with its reason: it holds the subscriptions that use it
// and nothing else.
func NewCatalog(mappings []reconcile.Mapping, plans []reconcile.EnhancePlan) *Catalog {
	c := &Catalog{targets: make(map[string]target, len(mappings)), plans: make(map[int]reconcile.EnhancePlan, len(plans))}
	byName := make(map[string][]reconcile.EnhancePlan, len(plans))
	for _, p := range plans {
		c.plans[p.ID] = p
		byName[p.Name] = append(byName[p.Name], p)
	}
	for _, m := range mappings {
		t := resolve(m, c.plans, byName)
		t.billing, t.options = m.BillingID, m.MappingOptions
		c.targets[m.BillingID] = t
		c.asksFeatures = c.asksFeatures || reconcile.MayBeFeature(m.BillingID)
	}
	return c
}

// resolve finds the plan of a mapping: a number is an id, anything else an exact
// name. A number is never looked for among the names: when plan 2 is gone, one that
// happens to be named "2" is not what its customers have paid for.
func resolve(m reconcile.Mapping, byID map[int]reconcile.EnhancePlan, byName map[string][]reconcile.EnhancePlan) target {
	if m.Plan == reconcile.NotHosting {
		return target{none: true}
	}
	named := byName[m.Plan]
	if id, err := strconv.Atoi(m.Plan); err == nil {
		named = nil
		if p, ok := byID[id]; ok {
			return target{plan: p}
		}
	}
	switch len(named) {
	case 1:
		return target{plan: named[0]}
	case 0:
		return target{problem: reconcile.HoldPlanMissing, why: planNotAtPanel(m)}
	default:
		ids := make([]int, len(named))
		for i, p := range named {
			ids[i] = p.ID
		}
		sort.Ints(ids)
		return target{problem: reconcile.HoldPlanAmbiguous, why: planNameTwice(m, ids)}
	}
}

// Match finds the mapping of an item: price id before lookup key before product before
// the product's features. ok is false when none of the four is mapped.
func (c *Catalog) match(it *reconcile.Item) (target, bool) {
	if t, ok := c.matchItself(it); ok {
		return t, true
	}
	return c.byFeatures(it)
}

// matchItself finds the mapping of an item by what Stripe shows with it.
func (c *Catalog) matchItself(it *reconcile.Item) (target, bool) {
	if t, ok := c.targets[it.Price]; ok && it.Price != "" {
		return t, true
	}
	if t, ok := c.targets[it.LookupKey]; ok && it.LookupKey != "" {
		return t, true
	}
	if t, ok := c.targets[it.Product]; ok && it.Product != "" {
		return t, true
	}
	return target{}, false
}

// PlanFor returns the plan that an item buys, or a sentence why it buys none.
func (c *Catalog) PlanFor(it reconcile.Item) (reconcile.EnhancePlan, string, bool) {
	t, ok := c.match(&it)
	if !ok {
		return reconcile.EnhancePlan{}, noMapping(it), false
	}
	if t.none {
		return reconcile.EnhancePlan{}, mappedToNone(it), false
	}
	return t.plan, t.why, t.problem == ""
}

// units is how many hostings a subscription asks for, by the items that are mapped.
func (c *Catalog) units(s *reconcile.Subscription) (n int64) {
	for i := range s.Items {
		if t, ok := c.match(&s.Items[i]); ok && !t.none && t.problem == "" && !s.Items[i].OutOfRange() {
			n += s.Items[i].Quantity
		}
	}
	return n
}

// Plan returns the plan of an id as the panel last listed it.
func (c *Catalog) Plan(id int) (reconcile.EnhancePlan, bool) {
	p, ok := c.plans[id]
	return p, ok
}

// Problems lists the mappings that lead nowhere, as sentences, sorted.
func (c *Catalog) Problems() []string {
	var all []string
	for _, t := range c.targets {
		if t.problem != "" {
			all = append(all, t.why)
		}
	}
	sort.Strings(all)
	return all
}

// lowers reports whether moving from one plan to another takes anything away: a
// resource whose total falls, or that was unlimited and no longer is. A plan we
// do not know is taken to be lower.
func (c *Catalog) lowers(from, to int) bool {
	a, okA := c.plans[from]
	b, okB := c.plans[to]
	if !okA || !okB {
		return true
	}
	for name, total := range b.Limits {
		if old, limited := a.Limits[name]; !limited || total < old {
			return true
		}
	}
	return false
}

// Unserved returns the unmapped items of a subscription if none of them is mapped to a
// plan: its customer gets nothing. An unmapped item beside one with a plan is an extra,
// and an item that is mapped to none is no hosting.
func (c *Catalog) Unserved(items []reconcile.Item) (unmapped []reconcile.Item) {
	for i := range items {
		switch t, ok := c.match(&items[i]); {
		case !ok:
			unmapped = append(unmapped, items[i])
		case !t.none:
			return nil
		}
	}
	return unmapped
}
