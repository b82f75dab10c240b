package planner

import (
	"slices"
	"strconv"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// ForecastSchedule lists the changes that a schedule at Stripe makes after now, as far as
// they concern hosting: an item before or after the change is mapped to a plan. It decides
// nothing: the hosting follows the subscription, when Stripe has changed that.
func ForecastSchedule(sc *reconcile.Schedule, cat *Catalog, now time.Time) (all []reconcile.ForecastEntry) {
	var before []reconcile.Item
	for i := range sc.Phases {
		ph := &sc.Phases[i]
		if ph.Start.After(now) && !sameItems(before, ph.Items) && (cat.hosts(before) || cat.hosts(ph.Items)) {
			all = append(all, reconcile.ForecastEntry{At: ph.Start, Kind: reconcile.ForecastPlanChange, Customer: sc.StripeCustomer, Subscription: sc.Subscription,
				Source: sc.ID + "/" + strconv.FormatInt(ph.Start.Unix(), 10), Reason: cat.changesBySchedule(sc, before, ph.Items)})
		}
		before = ph.Items
	}
	if n := len(sc.Phases); sc.Cancels && n > 0 && sc.Phases[n-1].End.After(now) && cat.hosts(before) {
		all = append(all, reconcile.ForecastEntry{At: sc.Phases[n-1].End, Kind: reconcile.ForecastCancel, Customer: sc.StripeCustomer, Subscription: sc.Subscription,
			Source: sc.ID, Reason: endsBySchedule(sc, sc.Phases[n-1].End)})
	}
	return all
}

// Ahead is everything dated that comes for a customer: what the decision foresees and, as
// far as they were read, the schedules at Stripe. The end of a subscription that Stripe shows
// in both is listed once.
func Ahead(r *reconcile.CustomerRecord, cat *Catalog, p reconcile.Policy, now time.Time) []reconcile.ForecastEntry {
	return withSchedules(Decide(&r.Customer, cat, p, now).Forecast, r, cat, now)
}

func withSchedules(all []reconcile.ForecastEntry, r *reconcile.CustomerRecord, cat *Catalog, now time.Time) []reconcile.ForecastEntry {
	for i := range r.Schedules {
		for _, e := range ForecastSchedule(&r.Schedules[i], cat, now) {
			e.Customer, e.Email = r.ID, r.Email
			if e.Kind != reconcile.ForecastCancel || !slices.ContainsFunc(all, func(o reconcile.ForecastEntry) bool {
				return o.Kind == reconcile.ForecastCancel && o.Subscription == e.Subscription
			}) {
				all = append(all, e)
			}
		}
	}
	slices.SortStableFunc(all, CompareForecast)
	return all
}

// hosts reports whether any item is mapped to a plan, even to one that does not exist.
func (c *Catalog) hosts(items []reconcile.Item) bool {
	return slices.ContainsFunc(items, func(it reconcile.Item) bool {
		t, ok := c.match(&it)
		return ok && !t.none
	})
}

// sameItems reports whether two phases have the same prices in the same quantities. A
// price in two items counts as one with the sum.
func sameItems(a, b []reconcile.Item) bool {
	left := map[string]int64{}
	for i := range a {
		left[a[i].Price] += a[i].Quantity
	}
	for i := range b {
		left[b[i].Price] -= b[i].Quantity
	}
	for _, n := range left {
		if n != 0 {
			return false
		}
	}
	return true
}
