package planner

import (
	"cmp"
	"fmt"
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
		pl.addForecast(reconcile.ForecastEntry{At: end, Kind: reconcile.ForecastCancel, Subscription: s.ID, Reason: fmt.Sprintf("%s, and ends at %s, as Stripe has announced%s", standing(s), reconcile.FormatTime(end), pl.afterEndOf(i))})
	}
	switch {
	case s.Status == reconcile.StatusTrialing && end.IsZero():
		pl.addForecast(reconcile.ForecastEntry{At: s.CurrentPeriodEnd, Kind: reconcile.ForecastTrialEnd, Subscription: s.ID,
			Reason: fmt.Sprintf("%s: what is due is charged then", standing(s))})
	case s.Status == reconcile.StatusIncomplete && !s.Created.IsZero():
		pl.addForecast(reconcile.ForecastEntry{At: s.Created.Add(firstPaymentWithin), Kind: reconcile.ForecastExpire, Subscription: s.ID,
			Reason: fmt.Sprintf("%s: nothing is made for it, and it expires then unless that comes", standing(s))})
	}
}

// afterEndOf describes the future of a subscription's hostings after its end.
func (pl *planner) afterEndOf(i int) string {
	if pl.assignmentsOf(i) == 0 {
		return "; no hosting is bound to it"
	}
	m := pl.forbids(reconcile.Action{Kind: reconcile.Suspend, Subscription: pl.subs[i].ID})
	switch {
	case m != nil && (m.Until.IsZero() || m.Until.After(pl.subs[i].EndsAt())):
		return fmt.Sprintf("; its hosting stays up then too: %s by %s", m.Kind, m.Author)
	case pl.policy.Mode != reconcile.Enforce:
		return "; its hosting stays up then too, because MODE is " + pl.policy.Mode.String()
	case pl.policy.Retention > 0:
		return fmt.Sprintf("; its hosting is suspended then, and deleted %s later", reconcile.FormatDuration(pl.policy.Retention))
	}
	return "; its hosting is suspended then"
}

// forecastTermination adds the day on which retention deletes a hosting.
func (pl *planner) forecastTermination(cl demand, h *reconcile.Hosting, due time.Time) {
	if pl.policy.Mode != reconcile.Enforce || pl.forbids(reconcile.Action{Kind: reconcile.Terminate, Subscription: cl.lead.Subscription, Hosting: h.ID}) != nil {
		return
	}
	pl.addForecast(reconcile.ForecastEntry{At: due, Kind: reconcile.ForecastTerminate, Subscription: cl.lead.Subscription, Org: h.Org, Hosting: h.ID,
		Reason: fmt.Sprintf("%s: hosting %d, suspended since %s, is deleted at %s, when the retention period of %s is over",
			standing(&pl.subs[cl.lead.sub]), h.ID, reconcile.FormatTime(h.SuspendedByUs), reconcile.FormatTime(due), reconcile.FormatDuration(pl.policy.Retention))})
}

// sortForecast sorts by time.
func sortForecast(all []reconcile.ForecastEntry) {
	slices.SortStableFunc(all, func(a, b reconcile.ForecastEntry) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Subscription, b.Subscription), cmp.Compare(a.Hosting, b.Hosting))
	})
}
