package app

import (
	"context"
	"maps"
	"slices"

	"github.com/stripe-enhance/stripe-enhance/internal/money"
	"github.com/stripe-enhance/stripe-enhance/internal/priority"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/server"
)

// mostValued is how many subscriptions one look at the money at risk reads at Stripe.
const mostValued = 100

// risk values the subscriptions that are past due and whose hostings are still up.
func (a *App) risk(ctx context.Context) (server.Risk, error) {
	holds, counts, err := a.Store.FirstHolds(ctx, mostValued, nil)
	if err != nil {
		return server.Risk{}, err
	}
	var ids []string
	for i := range holds {
		if holds[i].Kind == reconcile.HoldGrace && holds[i].Subscription != "" {
			ids = append(ids, holds[i].Subscription)
		}
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	r := server.Risk{Unknown: max(counts.Kinds[reconcile.HoldGrace].All-mostValued, 0)}
	sums := map[string]money.Amount{}
	ctx = priority.With(ctx, priority.Bulk) // a page is no reason that an order waits
	v := &valuation{App: a}
	amounts := make([]map[string]money.Amount, len(ids))
	errs, err := v.inParallel(ctx, "", len(ids), func(ctx context.Context, i int) (err error) {
		amounts[i], err = a.Stripe.Charges(ctx, ids[i])
		return err
	})
	if err != nil {
		return server.Risk{}, err
	}
	for i := range ids {
		if errs[i] != nil {
			r.Unknown++
			continue
		}
		r.Subscriptions++
		for _, amount := range amounts[i] {
			sums[amount.Currency] = sums[amount.Currency].Plus(amount)
		}
	}
	for _, currency := range slices.Sorted(maps.Keys(sums)) {
		if currency != "" { // nothing, of no currency
			r.Month = append(r.Month, server.Sum{Amount: sums[currency].String(), Currency: currency})
		}
	}
	return r, nil
}
