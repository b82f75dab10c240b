package planner

import (
	"maps"
	"sort"
	"strconv"
	"time"

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

// desiredState is the state of its hosting that a subscription entitles to.
type desiredState uint8

const (
	// desiredKeep gives nothing new and takes nothing away.
	desiredKeep desiredState = iota + 1
	// desiredActive: the hosting is to be active.
	desiredActive
	// desiredSuspended: the hosting is to be suspended.
	desiredSuspended
	// desiredEnded: the hosting is to be suspended and, after the retention period,
	// deleted.
	desiredEnded
)

// entitlement is the result of the policy for one subscription.
type entitlement struct {
	desired desiredState
	// status is Stripe's name for the status, for sentences.
	status string
	// graceEnds is set while only the grace period keeps the hosting up.
	graceEnds time.Time
	// holdKind is set if the status itself is a reason to hold.
	holdKind reconcile.HoldKind
	// paused means that the state comes from pause_collection.
	paused bool
	// disputed is the dispute that suspends it, or may; nil: none does.
	disputed *reconcile.Dispute
	// grace is the grace period that counts for it.
	grace time.Duration
}

// entitlementOf applies the policy table. The order matters and is the order of the
// list in the package comment.
func entitlementOf(s *reconcile.Subscription, p reconcile.Policy, now time.Time) entitlement {
	v := entitlement{status: s.Status.String(), grace: p.Grace}
	if s.Gone {
		v.desired, v.holdKind = desiredKeep, reconcile.HoldGone
		return v
	}
	switch s.Status {
	case reconcile.StatusActive, reconcile.StatusTrialing:
		v.desired = desiredActive
	case reconcile.StatusPastDue:
		v.desired, v.graceEnds = pastDue(s, p, now)
	case reconcile.StatusUnpaid, reconcile.StatusPaused:
		v.desired = desiredSuspended
	case reconcile.StatusIncomplete:
		v.desired = desiredKeep
	case reconcile.StatusCanceled, reconcile.StatusIncompleteExpired:
		v.desired = desiredEnded
	case reconcile.StatusUnknown:
		v.desired, v.holdKind = desiredKeep, reconcile.HoldUnknownStatus
	default:
		v.desired, v.holdKind = desiredKeep, reconcile.HoldUnknownStatus
	}
	if v.desired == desiredActive && s.CollectionPaused && p.SuspendPaused {
		v.desired, v.graceEnds, v.paused = desiredSuspended, time.Time{}, true
	}
	return v
}

// pastDue is up until the grace period ends. It counts from where the [Lapse] of the
// Subscription does.
func pastDue(s *reconcile.Subscription, p reconcile.Policy, now time.Time) (desiredState, time.Time) {
	since := s.Lapse.Begun()
	if since.IsZero() {
		since = now
	}
	ends := since.Add(p.Grace)
	if now.Before(ends) {
		return desiredActive, ends
	}
	return desiredSuspended, time.Time{}
}
