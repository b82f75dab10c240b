package app

import (
	"context"
	"sync"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/server"
)

// runner is the engine as the service's loop calls it.
type runner struct {
	engine *engine.Engine

	mu    sync.Mutex // guards began
	began func(string)
}

// Run implements server.Runner.
func (r *runner) Run(ctx context.Context, q server.Request, began func(string)) (reconcile.Report, error) {
	r.set(began)
	defer r.set(nil)
	return r.engine.Run(ctx, engine.Request{Full: q.Full, Subscriptions: q.Subscriptions, Trigger: q.Trigger, Scheduled: q.Trigger == "cron"})
}

func (r *runner) set(began func(string)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.began = began
}

// Flow implements server.Runner.
func (r *runner) Flow(ctx context.Context) (reconcile.Served, error) { return r.engine.Flow(ctx) }

// Lead implements server.Runner.
func (r *runner) Lead(ctx context.Context) error { return r.engine.Lead(ctx) }

// Leading implements server.Runner.
func (r *runner) Leading() bool { return r.engine.Leading() }

// beginnings reports the id of a run to the runner as soon as the run is recorded.
type beginnings struct {
	engine.History
	runner *runner
}

func (b *beginnings) BeginRun(ctx context.Context, tok reconcile.Token, r reconcile.RunRecord) error {
	err := b.History.BeginRun(ctx, tok, r)
	b.runner.mu.Lock()
	began := b.runner.began
	b.runner.mu.Unlock()
	if err == nil && began != nil {
		began(r.ID)
	}
	return err
}

// driftCounter counts the hostings that differ from their stored state, among those that a
// run compares because they are due.
type driftCounter struct {
	engine.Inventory
	found func()

	mu  sync.Mutex // guards due
	due map[int64]reconcile.Hosting
}

func (d *driftCounter) DriftDue(ctx context.Context, before, after time.Time, limit int) ([]reconcile.Hosting, error) {
	hostings, err := d.Inventory.DriftDue(ctx, before, after, limit)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.due = make(map[int64]reconcile.Hosting, len(hostings))
	for _, h := range hostings {
		if h.State != 0 { // one that was never read cannot have changed
			d.due[h.ID] = h
		}
	}
	return hostings, err
}

func (d *driftCounter) SaveHosting(ctx context.Context, tok reconcile.Token, h reconcile.Hosting, now time.Time) error {
	d.mu.Lock()
	was, compared := d.due[h.ID]
	delete(d.due, h.ID)
	d.mu.Unlock()
	if compared && (was.State != h.State || was.Plan != h.Plan && h.State != reconcile.HostingMissing || was.SuspendedBy != h.SuspendedBy) {
		d.found()
	}
	return d.Inventory.SaveHosting(ctx, tok, h, now)
}
