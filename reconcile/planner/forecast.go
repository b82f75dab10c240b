package planner

import (
	"cmp"
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// firstPaymentWithin is how long Stripe waits for the first payment of a subscription
// (docs.stripe.com/billing/subscriptions/overview, "incomplete").
const firstPaymentWithin = 23 * time.Hour

// addForecast adds an entry that lies in the future.
func (pl *planner) addForecast(a reconcile.ForecastEntry) {
	if !a.At.After(pl.now) {
		return
	}
	a.Customer, a.Email = pl.c.ID, pl.buyerOf(a.Subscription).Email
	a.Org = cmp.Or(a.Org, pl.orgOf(a.Hosting))
	pl.out.Forecast = append(pl.out.Forecast, a)
}

// forecastStripe adds the changes of a subscription that Stripe has announced.
func (pl *planner) forecastStripe(i int) {
	s := &pl.subs[i]
	end := s.EndsAt()
	if !end.IsZero() {
		pl.addForecast(reconcile.ForecastEntry{At: end, Kind: reconcile.ForecastCancel, Subscription: s.ID, Reason: pl.endsAnnounced(i, end)})
	}
	switch {
	case s.Status == reconcile.StatusTrialing && end.IsZero():
		pl.addForecast(reconcile.ForecastEntry{At: s.CurrentPeriodEnd, Kind: reconcile.ForecastTrialEnd, Subscription: s.ID,
			Reason: trialEnds(s)})
	case s.Status == reconcile.StatusIncomplete && !s.Created.IsZero():
		pl.addForecast(reconcile.ForecastEntry{At: s.Created.Add(firstPaymentWithin), Kind: reconcile.ForecastCancel, Subscription: s.ID,
			Reason: expires(s)})
	}
}

// forecastHolds adds the ends of the holds that people put for a time.
func (pl *planner) forecastHolds() {
	for i := range pl.c.Manual {
		if m := &pl.c.Manual[i]; m.InForce(pl.now) {
			e := ForecastHold(m)
			e.Org = pl.orgOf(0)
			pl.addForecast(e)
		}
	}
	sortForecast(pl.out.Forecast)
}

// ForecastHold is the end of a hold that a person put for a time. Its customer is the one
// that the hold names.
func ForecastHold(m *reconcile.ManualHold) reconcile.ForecastEntry {
	return reconcile.ForecastEntry{At: m.Until, Kind: reconcile.ForecastHoldEnd, Customer: m.Customer, Subscription: m.Subscription, Source: m.ID, Reason: holdEnds(m)}
}

// forecastTermination adds the day on which retention deletes a hosting.
func (pl *planner) forecastTermination(cl demand, h *reconcile.Hosting, due time.Time) {
	if pl.policy.Mode != reconcile.Enforce || pl.forbids(reconcile.Action{Kind: reconcile.Terminate, Subscription: cl.lead.Subscription, Hosting: h.ID}) != nil {
		return
	}
	pl.addForecast(reconcile.ForecastEntry{At: due, Kind: reconcile.ForecastTerminate, Subscription: cl.lead.Subscription, Org: h.Org, Hosting: h.ID,
		Reason: pl.willBeDeleted(cl, h, due)})
}

// sortForecast sorts by time.
func sortForecast(all []reconcile.ForecastEntry) { slices.SortStableFunc(all, CompareForecast) }

// CompareForecast is the order of a forecast: by time, and then total, whatever was found
// first.
func CompareForecast(a, b reconcile.ForecastEntry) int {
	return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Customer, b.Customer), cmp.Compare(a.Subscription, b.Subscription),
		cmp.Compare(a.Hosting, b.Hosting), cmp.Compare(a.Source, b.Source))
}
