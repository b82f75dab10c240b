package planner_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// TestAbsenceTakesNothing checks that, if a fact is missing, nothing is taken away that
// would not be taken away with it:
//
//   - A missing subscription takes nothing from any hosting, except from one that follows
//     its own subscription because the missing one no longer keeps it. That is a
//     hosting that the missing one was about to take over, or to be bound to by metadata;
//     one that stayed because the missing one's metadata names it, or another that is gone; one that it
//     may have replaced, because it is unmapped; and one that stayed because of its content
//     while a hosting for the missing one was not made yet.
//   - A missing hosting takes nothing, because it is read before anything is decided
//     about it. (Usage is read then too, right before a downgrade: if a list has no
//     usage, it holds no downgrade.)
//   - A missing mapping takes nothing from a hosting if its item is still part of the
//     subscription, or was replaced by an item of that price. An item is an extra, for
//     which nothing waits, if it came before the hosting was bound and never had a plan.
//   - A plan that is missing in the panel's list takes nothing.
//   - A missing item does take away, and is not tested here: when a subscription is read
//     by its id, the absence of an item is an explicit fact.
func TestAbsenceTakesNothing(t *testing.T) { rapid.Check(t, removalIsInert) }

func removalIsInert(t *rapid.T) {
	s := drawScene(t)
	s.c.Manual = nil // a missing manual hold is an explicit fact: an operator removed it
	cat := catalogOf(offer())
	with := s.decide()
	mappings, plans := offer()
	less := s.twin()
	gone := map[string]bool{}
	switch pick(t, "left out", "subscriptions", "hostings", "mappings", "plans", "everything but one") {
	case "subscriptions":
		less.c.Subscriptions = without(t, less.c.Subscriptions)
	case "hostings":
		less.c.Hostings = without(t, less.c.Hostings)
	case "mappings":
		kept := without(t, mappings)
		for _, m := range mappings {
			gone[m.BillingID] = !slices.Contains(kept, m)
		}
		mappings = kept
	case "plans":
		plans = slices.DeleteFunc(plans, func(p reconcile.EnhancePlan) bool { return p.Name != "Twin" && rarely(t, "plan "+p.Name, 2) })
	default:
		less.c.Subscriptions, mappings = without(t, less.c.Subscriptions), nil
		gone = map[string]bool{"price_basic": true, "price_pro": true, "price_gold": true, "price_metered": true, "price_lost": true, "price_twin": true}
	}
	d := planner.Decide(&less.c, catalogOf(mappings, plans), less.policy, less.now)
	if len(d.Needs) > 0 {
		return // the decision is provisional: the facts are read first
	}
	for _, a := range d.Actions {
		if cat.Takes(a) && !takenAnyway(with, a, cat) && !s.excused(less, with, a, gone) {
			t.Fatalf("%s only because a fact is missing", a.ID)
		}
	}
}

// takenAnyway reports whether the hosting loses the same if all facts are known.
func takenAnyway(d planner.Decision, a reconcile.Action, cat *planner.Catalog) bool {
	return slices.ContainsFunc(d.Actions, func(b reconcile.Action) bool {
		return b.Hosting == a.Hosting && b.Kind == a.Kind && b.Plan == a.Plan
	}) || len(d.Needs) > 0 // that decision is provisional
}

// excused reports whether one of the exceptions in the comment of the test applies.
func (s scene) excused(less scene, with planner.Decision, a reconcile.Action, unmapped map[string]bool) bool {
	took := slices.ContainsFunc(with.Actions, func(b reconcile.Action) bool {
		return b.Kind == reconcile.Link && (b.How == reconcile.BoundByResubscription || b.How == reconcile.BoundByMetadata) && b.Hosting == a.Hosting
	})
	stayed := slices.ContainsFunc(with.Holds, func(h reconcile.Hold) bool {
		return h.Hosting == a.Hosting && (h.Kind == reconcile.HoldContent && making(with) ||
			h.Kind == reconcile.HoldUnmapped && len(less.c.Subscriptions) < len(s.c.Subscriptions) && subOf(&s.c, h.Subscription).Status.Ended())
	})
	if took || stayed || s.keptByMetadata(less, with, a.Hosting) {
		return true
	}
	for _, b := range less.c.Bindings {
		sub := subOf(&less.c, b.Subscription)
		if b.Hosting != a.Hosting || sub == nil {
			continue
		}
		if slices.ContainsFunc(sub.Items, func(it reconcile.Item) bool { return it.ID == b.Item }) {
			return false
		}
		for _, it := range sub.Items {
			if unmapped[it.Price] && !it.Created.Before(b.At) {
				return false
			}
		}
	}
	return len(unmapped) > 0
}

// making reports whether the decision with all facts creates a hosting.
func making(with planner.Decision) bool {
	return slices.ContainsFunc(with.Actions, func(a reconcile.Action) bool { return a.Kind == reconcile.CreateSubscription })
}

func (s scene) keptByMetadata(less scene, with planner.Decision, hosting int64) bool {
	stayed := slices.ContainsFunc(with.Holds, func(h reconcile.Hold) bool { return h.Kind == reconcile.HoldMissing && h.Hosting == hosting })
	return slices.ContainsFunc(s.c.Subscriptions, func(sub reconcile.Subscription) bool {
		return subOf(&less.c, sub.ID) == nil && (sub.MetadataHosting == hosting || sub.MetadataHosting != 0 && stayed)
	})
}

func without[T any](t *rapid.T, all []T) (kept []T) {
	for _, v := range all {
		if !rarely(t, "left out", 2) {
			kept = append(kept, v)
		}
	}
	return kept
}
