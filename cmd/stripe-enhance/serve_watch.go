package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/notify"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// watcher tells metrics, log and people what the service does.
type watcher struct {
	*serviceParts
	messages *notify.Notifier

	mu   sync.Mutex // guards told
	told notify.Watch
}

// Led takes up what was told by whoever was the writer then.
func (w *watcher) Led(ctx context.Context) {
	text, err := w.store.Told(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err = errors.Join(err, w.told.Recall(text)); err != nil {
		w.log.WithError(err).Warn("what was told to people was not read; some of it may be told again")
	}
}

// WebhookAnswered implements server.Observer.
func (w *watcher) WebhookAnswered(result string) { w.metrics.Webhook(result) }

// RunEnded implements server.Observer.
func (w *watcher) RunEnded(ctx context.Context, r reconcile.Report, err error) {
	result := "ok"
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, fault.Canceled), errors.Is(err, fault.Fenced):
		result = "interrupted"
		w.log.WithField("run", r.Run.ID).WithError(err).Warn("run interrupted")
	case err != nil:
		result = "failed"
		w.log.WithFields(logrus.Fields{"run": r.Run.ID, "kind": fault.Of(err).String()}).WithError(err).Error("run failed")
	}
	w.metrics.Run(r, result)
	w.countLive(ctx, r)
	message, told := w.news(r, err)
	if message != "" {
		w.log.WithFields(logrus.Fields{"run": r.Run.ID, "message": message}).Info("telling")
		w.messages.Tell(message)
	}
	if told == "" || w.messages.Receivers() == 0 {
		return // who is connected later is to hear what stands then
	}
	if err := w.store.SetTold(context.WithoutCancel(ctx), told); err != nil {
		w.log.WithError(err).Warn("what was told to people was not kept; it may be told again")
	}
}

// news is what of a run has to be told, and what has been told then; "" for that when it
// is what it was.
func (w *watcher) news(r reconcile.Report, err error) (message, told string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := w.told.Memory()
	message = w.told.Look(r, err)
	if told = w.told.Memory(); told == before {
		told = ""
	}
	return message, told
}

// liveBatch is how many customers are looked up at once.
const liveBatch = 500

// countLive measures from the order at Stripe to the hosting. What was found done
// after a lost answer was live before that, nobody knows since when.
func (w *watcher) countLive(ctx context.Context, r reconcile.Report) {
	live := map[string]time.Time{} // subscription → when its first hosting was
	var customers []string
	for _, a := range r.Actions {
		if a.Kind != reconcile.CreateSubscription || a.State != reconcile.ActionApplied {
			continue
		}
		if at, known := live[a.Subscription]; !known || a.FinishedAt.Before(at) {
			live[a.Subscription] = a.FinishedAt
		}
		customers = append(customers, a.Customer)
	}
	for len(customers) > 0 {
		n := min(len(customers), liveBatch)
		found, err := w.store.Customers(ctx, customers[:n])
		if err != nil {
			w.log.WithField("run", r.Run.ID).WithError(err).Warn("time to live not measured")
			return
		}
		customers = customers[n:]
		for i := range found {
			for _, s := range found[i].Subscriptions {
				if at, ok := live[s.ID]; ok && !s.Created.IsZero() {
					delete(live, s.ID)
					w.metrics.Live(at.Sub(s.Created))
				}
			}
		}
	}
}
