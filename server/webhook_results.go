package server

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// recordWebhookResults marks the webhooks that this run has followed. If an action of the
// subscription failed, the webhook has failed; the others are followed. If the run itself
// failed, they stay unmarked for the next run that succeeds.
func (l *Loop) recordWebhookResults(ctx context.Context, r Request, report reconcile.Report, err error, began time.Time) {
	if err != nil {
		return
	}
	ctx = context.WithoutCancel(ctx)
	now := l.o.Now()
	problems := problemsOf(report.Actions)
	for _, subscription := range slices.Sorted(maps.Keys(problems)) {
		err = errors.Join(err, l.nudges.WebhookResult(ctx, subscription, began, problems[subscription], now))
	}
	if len(r.Subscriptions) == 0 {
		err = errors.Join(err, l.nudges.WebhookResult(ctx, "", began, "", now))
	}
	for _, s := range r.Subscriptions {
		err = errors.Join(err, l.nudges.WebhookResult(ctx, s, began, "", now))
	}
	if err != nil {
		l.o.Log.WithField("run", report.Run.ID).WithError(err).Warn("results of webhooks not recorded")
	}
}

// problemsOf returns the errors of failed actions by subscription. If an action that
// belongs to no single subscription has failed, such as creating the org, its error counts
// for each subscription of the customer that waits for it.
func problemsOf(actions []reconcile.ActionRecord) map[string]string {
	problems, shared := map[string]string{}, map[string]string{}
	for _, a := range actions {
		if a.State != reconcile.ActionFailed {
			continue
		}
		of, by := problems, a.Subscription
		if by == "" {
			of, by = shared, a.Customer
		}
		of[by] = a.Kind.String() + ": " + a.Error
	}
	for _, a := range actions {
		problem, waits := shared[a.Customer]
		if waits && a.Subscription != "" && problems[a.Subscription] == "" && a.State == reconcile.ActionPlanned {
			problems[a.Subscription] = problem
		}
	}
	return problems
}
