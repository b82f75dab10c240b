package app

import (
	"context"
	"errors"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// mostRead is how many subscriptions are read of an account that no run has read yet:
// enough to see a price that many pay for, in a few requests.
const mostRead = 1000

// errReadEnough ends the listing of such an account.
var errReadEnough = errors.New("enough")

// EachPayer passes every subscription that may be served to each: those of the database or,
// before the first run, those of the account itself. partly is the number of subscriptions
// that were read if the account has more; else 0.
func (a *App) EachPayer(ctx context.Context, each func(reconcile.Subscription)) (partly int, err error) {
	stored := false
	err = a.Store.Payers(ctx, func(s reconcile.Subscription) error {
		stored = true
		each(s)
		return nil
	})
	if err != nil || stored {
		return 0, err
	}
	read := 0
	_, err = a.Stripe.Sweep(ctx, func(page []reconcile.SubscriptionFacts) error {
		for _, f := range page {
			if f.Status == reconcile.StatusActive || f.Status == reconcile.StatusTrialing || f.Status == reconcile.StatusPastDue {
				each(f.Subscription)
			}
		}
		if read += len(page); read >= mostRead {
			return errReadEnough
		}
		return nil
	})
	if errors.Is(err, errReadEnough) {
		return read, nil
	}
	return 0, err
}
