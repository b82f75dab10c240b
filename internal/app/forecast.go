package app

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// Forecast lists the changes that come with a date, by time, and as sentences which of them
// are left out.
type Forecast struct {
	Entries []reconcile.ForecastEntry
	Notes   []string
}

// Forecast lists what comes until a day, from the database. Only scheduled changes of plan
// are read at Stripe, because the subscriptions do not show them; if that cannot be done,
// they are left out, with a note. It keeps the entries in memory and one page of customers.
func (a *App) Forecast(ctx context.Context, until time.Time) (f Forecast, err error) {
	cat, err := a.Catalog(ctx)
	if err != nil {
		return f, err
	}
	holds, err := a.Store.ManualHolds(ctx, a.Now())
	if err != nil {
		return f, err
	}
	listed, err := a.Store.LastListed(ctx)
	if err != nil {
		return f, err
	}
	if listed.At.IsZero() {
		f.Notes = append(f.Notes, "no full run has read Stripe into this database yet: `stripe-enhance reconcile --full` does")
	}
	schedules, note := a.schedules(ctx)
	if note != "" {
		f.Notes = append(f.Notes, note)
	}
	l := forecasting{Forecast: &f, now: a.Now(), until: until, cat: cat, policy: a.Config.Policy(), schedules: schedules, holds: map[string]*reconcile.ManualHold{}}
	for i := range holds {
		l.holds[holds[i].ID] = &holds[i]
	}
	if err := a.Store.EachCustomer(ctx, l.customer); err != nil {
		return f, err
	}
	l.unknown()
	slices.SortStableFunc(f.Entries, planner.CompareForecast)
	return f, nil
}

// schedulesWithin is how long Stripe may take for each page of schedules: a person waits,
// and the rest of the forecast needs no network.
const schedulesWithin = 5 * time.Second

// schedules reads the schedules by Stripe customer. The note is why there are none, or not
// all.
func (a *App) schedules(ctx context.Context) (of map[string][]reconcile.Schedule, note string) {
	const without = "scheduled changes of plan are left out: "
	if !a.Config.StripeKey.IsSet() {
		return nil, without + "there is no STRIPE_SECRET_KEY to read them with"
	}
	if a.Stripe == nil { // the service has its client, and others use it meanwhile
		if err := a.Connect(config.NeedStripe); err != nil {
			return nil, without + err.Error()
		}
	}
	asking, giveUp := context.WithCancel(ctx)
	defer giveUp()
	patience := time.AfterFunc(schedulesWithin, giveUp)
	defer patience.Stop()
	of = map[string][]reconcile.Schedule{}
	partly, err := a.Stripe.Schedules(asking, func(page []reconcile.Schedule) {
		patience.Reset(schedulesWithin)
		for _, s := range page {
			of[s.StripeCustomer] = append(of[s.StripeCustomer], s)
		}
	})
	switch {
	case err != nil && asking.Err() != nil && ctx.Err() == nil:
		return nil, without + "Stripe has not answered within " + reconcile.FormatDuration(schedulesWithin)
	case errors.Is(err, fault.Denied):
		return nil, without + "the key at Stripe may not read subscription schedules"
	case err != nil:
		return nil, without + err.Error()
	case partly:
		note = "the account has a great many subscription schedules: changes of plan by the oldest of them are left out"
	}
	return of, note
}

// forecasting collects entries customer by customer.
type forecasting struct {
	*Forecast
	now, until time.Time
	cat        *planner.Catalog
	policy     reconcile.Policy
	schedules  map[string][]reconcile.Schedule  // by Stripe customer; those of no known customer remain
	holds      map[string]*reconcile.ManualHold // by id; the same
}

func (l *forecasting) customer(c reconcile.Customer) error {
	all := planner.Decide(&c, l.cat, l.policy, l.now).Forecast
	for i := range c.Manual {
		delete(l.holds, c.Manual[i].ID)
	}
	for _, b := range c.Buyers {
		for i := range l.schedules[b.ID] {
			for _, e := range planner.ForecastSchedule(&l.schedules[b.ID][i], l.cat, l.now) {
				e.Customer, e.Email = c.ID, b.Email
				if e.Kind != reconcile.ForecastCancel || !ends(all, e.Subscription) {
					all = append(all, e)
				}
			}
		}
		delete(l.schedules, b.ID)
	}
	l.add(all)
	return nil
}

// ends reports whether the end of a subscription is listed already, because Stripe shows
// it in the subscription too.
func ends(all []reconcile.ForecastEntry, subscription string) bool {
	return slices.ContainsFunc(all, func(e reconcile.ForecastEntry) bool {
		return e.Kind == reconcile.ForecastCancel && e.Subscription == subscription
	})
}

func (l *forecasting) add(all []reconcile.ForecastEntry) {
	for _, e := range all {
		if !e.At.After(l.until) {
			l.Entries = append(l.Entries, e)
		}
	}
}

// unknown adds holds and schedules of customers that the database does not have.
func (l *forecasting) unknown() {
	for _, m := range l.holds {
		if m.Until.After(l.now) {
			l.add([]reconcile.ForecastEntry{planner.ForecastHold(m)})
		}
	}
	for _, of := range l.schedules {
		for i := range of {
			l.add(planner.ForecastSchedule(&of[i], l.cat, l.now))
		}
	}
}
