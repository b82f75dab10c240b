package server

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// company is a strict stand-in for the engine and the store. It fails the test if the loop
// breaks the engine's rules: one run at a time, and only while leading.
type company struct {
	mu       sync.Mutex // guards everything below
	leading  bool
	led      int // how often Lead was ended
	busy     bool
	overlaps int
	runs     []ran
	fail     error         // of the next runs
	takes    time.Duration // how long a run takes
	mine     []string      // subscriptions nudged and not taken
	waiting  bool          // a nudge is stored
	results  []result
	last     time.Time // the last run in the history
	listed   time.Time
	putBack  bool              // runs leave their nudges where they are
	taken    bool              // another process takes the lease before a run begins
	report   *reconcile.Report // of the next runs; nil: one with an id
	outage   error             // of the history and the nudges
	failures []reconcile.ActionRecord

	named   []string // subscriptions that webhooks have named
	namedAt time.Time
	serve   func(subscription string) (reconcile.Served, error)
}

// webhook stores that a webhook has named subscriptions.
func (c *company) webhook(l *Loop, subscriptions ...string) {
	c.mu.Lock()
	c.named, c.namedAt = append(c.named, subscriptions...), time.Now()
	c.mu.Unlock()
	l.Serve()
}

// ran is one run as it was requested.
type ran struct {
	At time.Duration // since the beginning of the test
	Request
	Nudged []string
}

type result struct {
	Subscription, Problem string
}

var t0 = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // where a synctest bubble begins

func (c *company) Run(ctx context.Context, r Request, began func(string)) (reconcile.Report, error) {
	c.mu.Lock()
	if !c.leading || c.taken {
		c.mu.Unlock()
		return reconcile.Report{}, &reconcile.LeaseTaken{Owner: "another"}
	}
	if c.busy {
		c.overlaps++
	}
	c.busy = true
	one := ran{At: time.Since(t0), Request: r}
	if len(r.Subscriptions) == 0 && !c.putBack {
		one.Nudged, c.mine, c.waiting = c.mine, nil, false
	}
	c.runs = append(c.runs, one)
	takes, fail, failures := c.takes, c.fail, c.failures
	c.last = time.Now()
	c.mu.Unlock()
	began("run-1")
	if takes > 0 {
		select { // like the engine: the action in hand is finished, and no other begins
		case <-time.After(takes):
		case <-ctx.Done():
			fail = ctx.Err()
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy = false
	if r.Full && fail == nil {
		c.listed = time.Now()
	}
	if c.report != nil {
		return *c.report, fail
	}
	return reconcile.Report{Run: reconcile.RunRecord{ID: "run-1", Started: t0, Trigger: r.Trigger}, Actions: failures}, fail
}

// Flow serves the subscriptions of named, each with serve; nil: nothing is to be served.
func (c *company) Flow(context.Context) (reconcile.Served, error) {
	c.mu.Lock()
	if c.serve == nil || len(c.named) == 0 {
		c.mu.Unlock()
		return reconcile.Served{}, nil
	}
	id, serve := c.named[0], c.serve
	c.named = c.named[1:]
	c.mu.Unlock()
	return serve(id)
}

func (c *company) NudgesOverdue(ctx context.Context, before time.Time) (bool, error) {
	c.mu.Lock()
	overdue := len(c.named) > 0 && c.namedAt.Before(before)
	c.mu.Unlock()
	waiting, err := c.NudgesWaiting(ctx)
	return waiting || overdue, err
}

func (c *company) Lead(ctx context.Context) error {
	<-ctx.Done()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy {
		return errors.New("the lease was given back during a run")
	}
	c.led++
	c.leading = false
	return nil
}

func (c *company) Leading() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.leading
}

func (c *company) LogWebhook(_ context.Context, _, _, subscription string, _ bool, _ time.Time) (bool, error) {
	return true, c.Nudge(context.Background(), []string{subscription}, "webhook", time.Now())
}

func (c *company) WebhookResult(_ context.Context, subscription string, _ time.Time, problem string, _ time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.results = append(c.results, result{subscription, problem})
	return nil
}

func (c *company) Nudge(_ context.Context, subscriptions []string, _ string, _ time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mine = append(c.mine, subscriptions...)
	c.waiting = true
	return nil
}

func (c *company) NudgesWaiting(context.Context) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.waiting, c.outage
}

func (c *company) Runs(context.Context, int) ([]reconcile.RunRecord, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last.IsZero() || c.outage != nil {
		return nil, c.outage
	}
	return []reconcile.RunRecord{{ID: "last", Started: c.last}}, nil
}

func (c *company) LastListed(context.Context) (reconcile.ListedState, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return reconcile.ListedState{At: c.listed}, c.outage
}

// set changes the world while the loop is at work.
func (c *company) set(do func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	do()
}

// history is the company as the loop's History.
type history struct{ *company }

func (history) Run(context.Context, string) (reconcile.RunRecord, error) {
	return reconcile.RunRecord{}, errors.New("not asked for by the loop")
}

func (history) RunActions(context.Context, string, func(reconcile.ActionRecord) error) error {
	return errors.New("not asked for by the loop")
}

func (history) Holds(context.Context, func(reconcile.Hold) error) error {
	return errors.New("not asked for by the loop")
}
