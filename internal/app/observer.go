package app

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/metrics"
	"github.com/stripe-enhance/stripe-enhance/internal/notify"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// observer passes what the service does to the metrics, the log and the people at NOTIFY_URLS.
type observer struct {
	*App
	messages *notify.Notifier

	mu    sync.Mutex // guards watch
	watch notify.Watch
}

// Led reads which messages the former writer has sent, so that this process does not repeat
// them.
func (o *observer) Led(ctx context.Context) {
	text, err := o.Store.Notified(ctx)
	o.mu.Lock()
	defer o.mu.Unlock()
	if err = errors.Join(err, o.watch.Recall(text)); err != nil {
		o.Log.WithError(err).Warn("messages sent before were not read; some of them may be sent again")
	}
}

// WebhookAnswered implements server.Observer.
func (o *observer) WebhookAnswered(result string) { o.metrics.Webhook(result) }

// RunEnded implements server.Observer.
func (o *observer) RunEnded(ctx context.Context, r reconcile.Report, err error) {
	result := "ok"
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, fault.Canceled), errors.Is(err, fault.Fenced):
		result = "interrupted"
		o.Log.WithField("run", r.Run.ID).WithError(err).Warn("run interrupted")
	case err != nil:
		result = "failed"
		o.Log.WithFields(logrus.Fields{"run": r.Run.ID, "kind": fault.Of(err).String()}).WithError(err).Error("run failed")
	}
	o.metrics.Run(r, result)
	o.countLive(ctx, r)
	message, memory := o.news(r, err)
	if message != "" {
		o.Log.WithFields(logrus.Fields{"run": r.Run.ID, "message": message}).Info("notifying")
		o.messages.Queue(message)
	}
	if memory == "" || o.messages.Receivers() == 0 {
		return // a receiver that is added later gets what stands then
	}
	if err := o.Store.SetNotified(context.WithoutCancel(ctx), memory); err != nil {
		o.Log.WithError(err).Warn("messages sent were not stored; they may be sent again")
	}
}

// Served implements server.Observer. What a flow run leaves, the next run reports.
func (o *observer) Served(ctx context.Context, r reconcile.Report) {
	o.metrics.Served(r)
	o.countLive(ctx, r)
}

// news returns the message that a run calls for, and the memory to store once it is sent.
// Each is "" if there is none.
func (o *observer) news(r reconcile.Report, err error) (message, memory string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	before := o.watch.Memory()
	message = o.watch.Look(r, err)
	if memory = o.watch.Memory(); memory == before {
		memory = ""
	}
	return message, memory
}

// liveBatch is how many customers are looked up in one query.
const liveBatch = 500

// countLive measures from the order at Stripe to the hosting. A hosting that was found
// after a lost answer is not counted: it was live before, at an unknown time.
func (o *observer) countLive(ctx context.Context, r reconcile.Report) {
	live, customers := firstHostings(r.Actions)
	for batch := range slices.Chunk(customers, liveBatch) {
		found, err := o.Store.Customers(ctx, batch)
		if err != nil {
			o.Log.WithField("run", r.Run.ID).WithError(err).Warn("time to live not measured")
			return
		}
		for i := range found {
			o.countOrders(found[i].Subscriptions, live)
		}
	}
}

// firstHostings is when each subscription got its first hosting in this run, and whose
// subscriptions those are.
func firstHostings(actions []reconcile.ActionRecord) (live map[string]time.Time, customers []string) {
	live = map[string]time.Time{}
	for _, a := range actions {
		if a.Kind != reconcile.CreateSubscription || a.State != reconcile.ActionApplied {
			continue
		}
		if at, known := live[a.Subscription]; !known || a.FinishedAt.Before(at) {
			live[a.Subscription] = a.FinishedAt
		}
		customers = append(customers, a.Customer)
	}
	return live, customers
}

// countOrders counts each subscription once, even if its customer is in two batches.
func (o *observer) countOrders(all []reconcile.Subscription, live map[string]time.Time) {
	for _, s := range all {
		if at, ok := live[s.ID]; ok && !s.Created.IsZero() {
			delete(live, s.ID)
			o.metrics.Live(at.Sub(s.Created))
		}
	}
}

// state reads what the metrics show of the database, at each scrape.
func (a *App) state(ctx context.Context) (metrics.State, error) {
	now := a.Now()
	st, err := a.Store.Stats(ctx, now)
	if err != nil {
		return metrics.State{}, err
	}
	m := metrics.State{Due: st.Due, OldestDue: st.OldestDue, Parked: st.Parked, Ambiguous: st.Ambiguous,
		Customers: st.Customers, Bound: st.Bound, Active: st.Active, Suspended: st.Suspended,
		Holds: map[string]int{string(reconcile.HoldBrake): 0, string(reconcile.HoldParked): 0}}
	if m.Webhooks, err = a.Store.NamedWaiting(ctx); err != nil {
		return m, err
	}
	if m.OldestWebhook, err = a.Store.OldestNamed(ctx); err != nil {
		return m, err
	}
	plans, err := a.Store.HeldPlans(ctx, now, false)
	if err != nil {
		return m, err
	}
	for _, p := range plans {
		m.Holds[string(reconcile.HoldBrake)] += len(p.Actions)
	}
	counts, err := a.Store.HoldCounts(ctx)
	for kind, n := range counts.Kinds {
		m.Holds[string(kind)] += n.All
	}
	return m, err
}
