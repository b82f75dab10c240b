package server

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// serveNudged serves the subscriptions that webhooks name, until ctx ends: several at the
// same time, and beside the runs of the loop.
func (l *Loop) serveNudged(ctx context.Context) {
	var workers sync.WaitGroup
	for range l.o.Flows {
		workers.Go(func() {
			failed := 0
			for {
				select {
				case <-ctx.Done():
					return
				case <-l.served:
				}
				if l.serveAll(ctx) {
					failed = 0
					continue
				}
				pause := time.NewTimer(doubling(failGap, failGapMost, failed))
				failed++
				select {
				case <-ctx.Done():
				case <-pause.C:
				}
				pause.Stop()
			}
		})
	}
	workers.Wait()
}

// serveAll serves one subscription after another until none waits. It reports whether all
// went well; what failed is left to the next run.
func (l *Loop) serveAll(ctx context.Context) bool {
	for ctx.Err() == nil && l.runner.Leading() {
		var s reconcile.Served
		err := fault.Guard(func() (err error) {
			s, err = l.runner.Flow(ctx)
			return err
		})
		if s.Left {
			l.wakeRun("webhook")
		}
		if s.Subscription != "" {
			// An event that came since then has its nudge, by which the store knows that it
			// was not followed.
			now := l.o.Now()
			l.guard(s.Report.Run.ID, func() {
				l.recordWebhookResults(ctx, Request{Subscriptions: []string{s.Subscription}}, s.Report, nil, now)
			})
		}
		if s.Report.Run.ID != "" {
			l.guard(s.Report.Run.ID, func() { l.o.Observer.Served(context.WithoutCancel(ctx), s.Report) })
		}
		var held *reconcile.LeaseTaken
		switch {
		case errors.As(err, &held) || ctx.Err() != nil:
			return true
		case err != nil:
			l.o.Log.WithField("run", s.Report.Run.ID).WithError(err).Warn("a webhook was not followed; the next run follows it")
			return false
		case !s.Taken:
			return true
		}
	}
	return true
}

// Serve asks for the subscription that a webhook names to be served. It never blocks.
func (l *Loop) Serve() {
	if l.o.Flows <= 0 {
		l.wakeRun("webhook")
		return
	}
	select {
	case l.served <- struct{}{}:
	default: // every worker has a reason to look again already
	}
}
