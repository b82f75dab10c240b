package planner_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// TestAbsenceTakesNothing: whatever is left out of what is known, nothing is
// taken away that would not have been taken away with it. What exactly is promised:
//
//   - a subscription left out takes nothing from a hosting that it is bound to,
//     nor from any other. Three exceptions are no absence: a hosting that a new
//     subscription was about to take over, or to be bound to by its metadata, goes the
//     way its own subscription says when the new one is not there, or buys nothing; so
//     does one that only the metadata of the one left out kept, by naming it, or another
//     that is gone; one that the one left out, which nobody has mapped, may have
//     replaced; and one that stayed because of what is on it, while a hosting that the
//     one left out was to have was not made yet.
//   - a hosting left out takes nothing at all: what is not in the list is read
//     before it is judged. (What a hosting uses comes with that reading too, right
//     before it gets less; a list that has no usage holds no downgrade.)
//   - a mapping left out, or all of them, takes nothing from a hosting whose item is
//     still part of its subscription, nor from one whose item was replaced by that
//     very price. An item that was there before the hosting was bound, and never had
//     a plan, is an extra: nothing waits for it.
//   - a plan left out of the panel's list takes nothing.
//   - an item left out does take away: an item that is no longer part of a
//     subscription read by its id is an explicit fact, and is not tested here.
func TestAbsenceTakesNothing(t *testing.T) { rapid.Check(t, removalIsInert) }

func removalIsInert(t *rapid.T) {
	s := drawScene(t)
	s.c.Manual = nil // a hold of a person left out is an order
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
		return // provisional: it is read first
	}
	for _, a := range d.Actions {
		if cat.Takes(a) && !takenAnyway(with, a, cat) && !s.excused(less, with, a, gone) {
			t.Fatalf("%s only because something was left out", a.ID)
		}
	}
}

// takenAnyway tells that the hosting lost the same with everything known.
func takenAnyway(d planner.Decision, a reconcile.Action, cat *planner.Catalog) bool {
	return slices.ContainsFunc(d.Actions, func(b reconcile.Action) bool {
		return b.Hosting == a.Hosting && b.Kind == a.Kind && b.Plan == a.Plan
	}) || len(d.Needs) > 0 // would have been read first, and is not judged here
}

// excused are the exceptions that the comment of the test names.
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

// making tells that one of those left out, or left without a mapping, was about to be
// made a hosting.
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
