package main

import (
	"context"
	"errors"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/metrics"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
	"github.com/stripe-enhance/stripe-enhance/server"
	"github.com/stripe-enhance/stripe-enhance/store"
)

// The types below are the store in the words of the server. They translate and
// decide nothing.

type storedMappings struct{ *serviceParts }

func (m storedMappings) List(ctx context.Context) ([]server.Mapping, error) {
	records, err := m.store.MappingRecords(ctx)
	all := make([]server.Mapping, 0, len(records))
	for _, r := range records {
		all = append(all, server.Mapping{Mapping: r.Mapping, UpdatedAt: r.UpdatedAt, UpdatedBy: r.UpdatedBy})
	}
	return all, err
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
		if problems := planner.NewCatalog([]reconcile.Mapping{one}, plans).Problems(); len(problems) > 0 {
			return problems[0] + "; " + offered(plans), nil
		}
	}
	known, err := m.stripe.Known(ctx, one.BillingID)
	if err != nil || known {
		return "", errors.Join(deaf, err)
	}
	return one.BillingID + " is no price, lookup key or product of this Stripe account in " + modeOf(m.stripe.Livemode()) + " mode", nil
}

type storedJournal struct{ *store.Store }

func (j storedJournal) Actions(ctx context.Context, f server.ActionFilter) ([]reconcile.ActionRecord, error) {
	return j.Store.Actions(ctx, store.ActionFilter{Customer: f.Customer, Subscription: f.Subscription, State: f.State, Limit: f.Limit})
}

type storedCustomers struct{ *serviceParts }

func (c storedCustomers) ByEmail(ctx context.Context, email string) ([]server.Customer, error) {
	return c.find(ctx, store.Lookup{Email: email})
}

func (c storedCustomers) ByID(ctx context.Context, id string) ([]server.Customer, error) {
	return c.find(ctx, store.Lookup{StripeCustomer: id})
}

func (c storedCustomers) BySubscription(ctx context.Context, id string) ([]server.Customer, error) {
	return c.find(ctx, store.Lookup{Subscription: id})
}

func (c storedCustomers) find(ctx context.Context, l store.Lookup) ([]server.Customer, error) {
	records, err := c.store.FindCustomers(ctx, l, historyRows)
	var all []server.Customer
	for _, r := range records {
		all = append(all, server.Customer{Customer: r.Customer, Held: r.Held, DueAt: r.DueAt, History: r.History})
	}
	return all, err
}

func (c storedCustomers) Rename(ctx context.Context, org, name string) error {
	return c.enhance.RenameOrg(ctx, org, name)
}

type storedOverview struct{ *store.Store }

func (o storedOverview) Totals(ctx context.Context, now time.Time) (server.Totals, error) {
	st, err := o.Stats(ctx, now)
	return server.Totals{Counts: st.Counts, OldestDue: st.OldestDue}, err
}

func (o storedOverview) RecentWebhooks(ctx context.Context, limit int) ([]server.WebhookRecord, error) {
	records, err := o.Store.RecentWebhooks(ctx, limit)
	return webhookRecords(records), err
}

func (o storedOverview) FailedWebhooks(ctx context.Context, limit int) ([]server.WebhookRecord, int, error) {
	records, total, err := o.Store.FailedWebhooks(ctx, limit)
	return webhookRecords(records), total, err
}

func webhookRecords(records []store.WebhookRecord) (all []server.WebhookRecord) {
	for _, r := range records {
		all = append(all, server.WebhookRecord{EventID: r.EventID, Type: r.Type, Subscription: r.Subscription,
			ReceivedAt: r.ReceivedAt, State: string(r.State), Error: r.Error, FinishedAt: r.FinishedAt})
	}
	return all
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
