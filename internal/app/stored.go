package app

import (
	"context"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/mapping"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/store"
)

// The types below translate the store into the interfaces of the server. They decide
// nothing.

type storedMappings struct{ *App }

func (m storedMappings) List(ctx context.Context) ([]reconcile.MappingRecord, error) {
	return m.Store.MappingRecords(ctx)
}

func (m storedMappings) Set(ctx context.Context, one reconcile.Mapping, by string, now time.Time) error {
	return m.Store.SetMapping(ctx, one, by, now)
}

func (m storedMappings) Delete(ctx context.Context, billingID string) (bool, error) {
	return m.Store.DeleteMapping(ctx, billingID)
}

func (m storedMappings) Check(ctx context.Context, one reconcile.Mapping) (string, error) {
	return mapping.Check(ctx, m.Stripe, m.Enhance, one)
}

type storedCustomers struct{ *App }

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
	return c.Store.FindCustomers(ctx, l, HistoryRows)
}

func (c storedCustomers) WantName(ctx context.Context, customer, name, why string, now time.Time) (bool, error) {
	return c.Store.WantName(ctx, customer, name, why, now)
}

func (c storedCustomers) Login(ctx context.Context, r *reconcile.CustomerRecord, w reconcile.LoginRequest) (reconcile.Login, error) {
	return c.App.Login(ctx, r, w, false)
}

type storedOverview struct{ *store.Store }

func (o storedOverview) Totals(ctx context.Context, now time.Time) (reconcile.Totals, error) {
	st, err := o.Stats(ctx, now)
	return st.Totals, err
}
