package server

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// recordWebhookResults records what became of the webhooks that this run followed. One whose
// subscription had a failed action has failed; the others are followed. When the
// run itself failed they stay as they are, for the run that succeeds.
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

// problemsOf says by subscription what failed. What failed for no single one, such as an
// org that is not made, is the problem of each of the customer's that waits for it.
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
