package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stripe-enhance/stripe-enhance/clients/breaker"
	"github.com/stripe-enhance/stripe-enhance/clients/enhance"
	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
	"github.com/stripe-enhance/stripe-enhance/clients/stripe"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/metrics"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/server"
)

// serviceParts are parts, and what only the service has.
type serviceParts struct {
	parts
	now      func() time.Time
	owner    string
	leaseTTL time.Duration
	version  string
	metrics  *metrics.Metrics

	stripeLimiter, enhanceLimiter *ratelimit.Limiter
	stripeBreaker, enhanceBreaker *breaker.Breaker
	stripeSeen, enhanceSeen       seen
}

// seen is what the last answer of a side said about it.
type seen struct {
	ok       atomic.Bool
	at       atomic.Int64 // unix nanoseconds by the process clock
	answered atomic.Int64 // by the wall clock: the last answer, whatever it said; 0: none
}

// note is called for every request to the side; code is 0 when no answer came.
func (s *seen) note(code int, now time.Time) {
	if code > 0 {
		s.answered.Store(now.UnixNano())
	}
	s.ok.Store(code >= 200 && code < 300 || code == 404)
	s.at.Store(time.Now().UnixNano())
}

// seenAge is how long a good answer to the reconciler speaks for a side. An idle
// service polls once a minute.
const seenAge = 75 * time.Second

// fine reports that the side answered well a moment ago, so that nobody need ask.
func (s *seen) fine() bool {
	return s.ok.Load() && time.Since(time.Unix(0, s.at.Load())) < seenAge
}

// connect makes the two clients. It contacts nobody.
func (a *serviceParts) connect() (err error) {
	c := a.config
	a.stripeLimiter = ratelimit.New(ratelimit.Options{RPS: float64(c.StripeRPS), Concurrency: c.Concurrency})
	a.enhanceLimiter = ratelimit.New(ratelimit.Options{RPS: float64(c.EnhanceRPS), Concurrency: c.Concurrency})
	a.stripeBreaker, a.enhanceBreaker = breaker.New("Stripe", a.now), breaker.New("Enhance", a.now)
	a.stripe, err = stripe.New(stripe.Options{
		Key: c.StripeKey, BaseURL: c.StripeURL.String(), Limiter: a.stripeLimiter, Breaker: a.stripeBreaker, Concurrency: c.Concurrency,
		Log: a.log, Now: a.now, Observe: a.observe(metrics.Stripe, &a.stripeSeen),
	})
	if err != nil {
		return err
	}
	a.enhance, err = enhance.New(enhance.Options{
		BaseURL: c.EnhanceURL.String(), Token: c.EnhanceToken, Org: string(c.EnhanceOrg), Limiter: a.enhanceLimiter, Breaker: a.enhanceBreaker,
		Log: a.log, Now: a.now, Observe: a.observe(metrics.Enhance, &a.enhanceSeen),
	})
	return err
}

func (a *serviceParts) observe(side string, s *seen) func(string, int) {
	count := a.metrics.Request(side, a.now)
	return func(route string, code int) {
		count(route, code)
		s.note(code, a.now())
	}
}

// askStripe and askEnhance are for health. Each is one small read that needs the
// credential, and none while the reconciler was answered well a moment ago.
func (a *serviceParts) askStripe(ctx context.Context) error {
	if a.stripeSeen.fine() {
		return nil
	}
	_, err := a.stripe.Events(ctx, a.now())
	return err
}

func (a *serviceParts) askEnhance(ctx context.Context) error {
	if err := a.enhanceBreaker.Open(); errors.Is(err, fault.Denied) {
		return err // it may read and not write: that is no health
	}
	if a.enhanceSeen.fine() {
		return nil
	}
	_, err := a.enhance.Self(ctx)
	return err
}

// answered is when a side last answered anything.
func (a *serviceParts) answered(side string) time.Time {
	s := &a.stripeSeen
	if side == "enhance" {
		s = &a.enhanceSeen
	}
	if at := s.answered.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}

// terminates: without a retention period, or in any mode but enforce, there is no
// wire by which anything could be deleted.
func (a *serviceParts) terminates() bool {
	return a.config.Mode == reconcile.Enforce && a.config.Retention > 0
}

func (a *serviceParts) engineOptions() engine.Options {
	c := a.config
	return engine.Options{
		Policy: c.Policy(), Brakes: c.Brakes(), Settle: c.SettleTime, RetryMin: c.RetryMin, RetryMax: c.RetryMax,
		LeaseTTL: a.leaseTTL, KeepLease: true, DriftInterval: c.DriftInterval, Concurrency: c.Concurrency,
		Owner: a.owner, Now: a.now, Log: a.log,
	}
}

func verifier(secrets []secret.Text) server.Verify {
	return func(body []byte, signature string, now time.Time) (reconcile.Event, error) {
		return stripe.VerifyWebhook(body, signature, secrets, now)
	}
}

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

// Lead implements server.Runner.
func (r *runner) Lead(ctx context.Context) error { return r.engine.Lead(ctx) }

// Leading implements server.Runner.
func (r *runner) Leading() bool { return r.engine.Leading() }

// beginnings tells the runner the id of a run as soon as it is recorded.
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

// driftCounter counts hostings that turn out to be other than they were stored,
// among those that a run compares because they are due.
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
