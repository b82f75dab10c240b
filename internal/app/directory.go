package app

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/money"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
	"github.com/stripe-enhance/stripe-enhance/server"
	"github.com/stripe-enhance/stripe-enhance/store"
)

// Stories returns customers as `customers show` and the page show them: with the answers to
// what support staff ask, and what comes next. With refresh both sides are read now.
func (a *App) Stories(ctx context.Context, found []reconcile.CustomerRecord, refresh bool) ([]report.Customer, error) {
	cat, err := a.Catalog(ctx)
	if err != nil {
		return nil, err
	}
	all := make([]report.Customer, 0, len(found))
	for _, one := range found {
		var now Refreshed
		if refresh {
			now = a.Refresh(ctx, &one)
		}
		c := report.CustomerOf(one, a.Now())
		c.Refreshed, c.RefreshProblems, c.RefreshChanges = refresh, now.Problems, now.Changes
		c.Answers = report.AnswersOf(planner.Answers(&one, cat, a.Config.Policy(), a.Now()))
		c.Ahead = report.AheadOf(planner.Ahead(&one, cat, a.Config.Policy(), a.Now()))
		all = append(all, c)
	}
	return all, nil
}

// directory is the server's Directory.
type directory struct {
	*store.Store

	app *App
}

// CustomerStory implements server.Directory.
func (d directory) CustomerStory(ctx context.Context, id string, refresh bool) (report.Customer, error) {
	found, err := d.FindCustomers(ctx, reconcile.CustomerLookup{StripeCustomer: id}, HistoryRows)
	if err == nil && len(found) == 0 {
		err = fault.NotFound
	}
	if err != nil {
		return report.Customer{}, err
	}
	all, err := d.app.Stories(ctx, found[:1], refresh)
	if err != nil {
		return report.Customer{}, err
	}
	return all[0], nil
}

// Worth implements server.Directory.
func (d directory) Worth(ctx context.Context, subscriptions []string) (map[string]server.Worth, error) {
	ctx, cancel := context.WithTimeout(ctx, refreshLimit)
	defer cancel()
	var mu sync.Mutex // guards all
	all := make(map[string]server.Worth, len(subscriptions))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(max(d.app.Config.Concurrency, 1))
	for _, id := range subscriptions {
		g.Go(func() error {
			return fault.Guard(func() error {
				w, err := d.worth(ctx, id)
				if err != nil {
					return err
				}
				mu.Lock()
				defer mu.Unlock()
				all[id] = w
				return nil
			})
		})
	}
	return all, g.Wait()
}

// worth is what a subscription costs a month.
func (d directory) worth(ctx context.Context, id string) (server.Worth, error) {
	items, err := d.app.Stripe.Charges(ctx, id)
	var unknown money.Unknown
	switch {
	case errors.As(err, &unknown):
		return server.Worth{Problem: unknown.Error()}, nil
	case errors.Is(err, fault.NotFound):
		return server.Worth{Problem: "Stripe does not know the subscription"}, nil
	case err != nil:
		return server.Worth{}, err
	}
	sum := money.Amount{}
	for _, amount := range items {
		sum = sum.Plus(amount)
	}
	return server.Worth{Amount: sum.String(), Currency: sum.Currency}, nil
}
