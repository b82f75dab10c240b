package main

import (
	"context"
	"errors"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/metrics"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/store"
)

// The types below are the store in the words of the server. They translate and
// decide nothing.

type storedMappings struct{ *serviceParts }

func (m storedMappings) List(ctx context.Context) ([]reconcile.MappingRecord, error) {
	return m.store.MappingRecords(ctx)
}

func (m storedMappings) Set(ctx context.Context, one reconcile.Mapping, by string, now time.Time) error {
	return m.store.SetMapping(ctx, one, by, now)
}

func (m storedMappings) Delete(ctx context.Context, billingID string) (bool, error) {
	return m.store.DeleteMapping(ctx, billingID)
}

func (m storedMappings) Check(ctx context.Context, one reconcile.Mapping) (string, error) {
	plans, deaf := m.enhance.Plans(ctx)
	if deaf == nil {
		if problems := reconcile.NewCatalog([]reconcile.Mapping{one}, plans).Problems(); len(problems) > 0 {
			return problems[0] + "; " + offered(plans), nil
		}
	}
	known, err := m.stripe.Known(ctx, one.BillingID)
	if err != nil || known {
		return "", errors.Join(deaf, err)
	}
	return one.BillingID + " is no price, lookup key or product of this Stripe account in " + modeOf(m.stripe.Livemode()) + " mode", nil
}

type storedCustomers struct{ *serviceParts }

func (c storedCustomers) ByEmail(ctx context.Context, email string) ([]reconcile.CustomerRecord, error) {
	return c.find(ctx, reconcile.CustomerLookup{Email: email})
}

func (c storedCustomers) ByID(ctx context.Context, id string) ([]reconcile.CustomerRecord, error) {
	return c.find(ctx, reconcile.CustomerLookup{StripeCustomer: id})
}

func (c storedCustomers) BySubscription(ctx context.Context, id string) ([]reconcile.CustomerRecord, error) {
	return c.find(ctx, reconcile.CustomerLookup{Subscription: id})
}

func (c storedCustomers) find(ctx context.Context, l reconcile.CustomerLookup) ([]reconcile.CustomerRecord, error) {
	return c.store.FindCustomers(ctx, l, historyRows)
}

func (c storedCustomers) Rename(ctx context.Context, org, name string) error {
	return c.enhance.RenameOrg(ctx, org, name)
}

type storedOverview struct{ *store.Store }

func (o storedOverview) Totals(ctx context.Context, now time.Time) (reconcile.Totals, error) {
	st, err := o.Stats(ctx, now)
	return st.Totals, err
}

// state is what the metrics read at each scrape.
func (a *serviceParts) state(ctx context.Context) (metrics.State, error) {
	now := a.now()
	st, err := a.store.Stats(ctx, now)
	if err != nil {
		return metrics.State{}, err
	}
	m := metrics.State{Due: st.Due, OldestDue: st.OldestDue, Parked: st.Parked, Ambiguous: st.Ambiguous,
		Customers: st.Customers, Bound: st.Bound, Active: st.Active, Suspended: st.Suspended,
		Holds: map[string]int{string(reconcile.HoldBrake): 0, string(reconcile.HoldParked): 0}}
	plans, err := a.store.HeldPlans(ctx, now, false)
	if err != nil {
		return m, err
	}
	for _, p := range plans {
		m.Holds[string(reconcile.HoldBrake)] += len(p.Actions)
	}
	err = a.store.Holds(ctx, func(h reconcile.Hold) error {
		m.Holds[string(h.Kind)]++
		return nil
	})
	return m, err
}
