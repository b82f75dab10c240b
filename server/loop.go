package server

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/robfig/cron/v3"
	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// The waits of the loop, from the outside in.
const (
	// lookEvery is how often the loop looks at schedules and stored nudges. A nudge
	// that another replica has stored waits that long at most. A look is one indexed read.
	lookEvery = time.Second
	// firstLooks is how often the loop asks for the lease within the first look.
	firstLooks = 20
	// leastGap is the least time between the beginnings of two nudged runs. A
	// checkout makes half a dozen events within a second; they become two runs.
	leastGap = time.Second
	// busyGap is the gap when nudges keep waiting after each run: because customers buy
	// all the time, or because runs put back nudges that they could not follow.
	busyGap = 5 * time.Second
	// failGap is the first pause after a run that failed, failGapMost the longest.
	// Incremental runs go on by their schedule meanwhile.
	failGap, failGapMost = 5 * time.Second, time.Minute
	// fullRetry is when a full sweep that failed is tried again, doubling.
	fullRetry, fullRetryMost = time.Minute, time.Hour
)

// LoopOptions configure a Loop.
type LoopOptions struct {
	// Poll is the schedule of incremental runs, Full that of full sweeps. Required.
	Poll, Full cron.Schedule
	// Now is the wall clock that the schedules are compared with. nil: time.Now.
	Now func() time.Time
	// Flows is how many subscriptions that webhooks name are served at the same time,
	// beside the runs. 0: none; then each webhook is followed by a run.
	Flows int
	// Log gets the events of the loop itself. nil: they go nowhere.
	Log *logrus.Logger
	// Observer receives the results of runs. nil: they go nowhere.
	Observer Observer
}

// Loop decides when the reconciler runs. Make it with NewLoop; Work it once.
type Loop struct {
	o       LoopOptions
	runner  Runner
	nudges  Nudges
	history History
	wake    chan struct{} // capacity one: any number of nudges are one token
	served  chan struct{} // a token for each worker that is to look for a nudge

	mu     sync.Mutex // guards why, asks, atWork, next and ended
	why    string     // trigger of the latest nudge; "": none since the last wait
	asks   []*Asked
	atWork string    // id of the run at work; "" between runs
	next   time.Time // when the next run is due by its schedule; zero: this process does none
	ended  bool      // Work has returned, or is about to

	agenda // of the goroutine of Work
}

// agenda is the state from which the loop decides what to do next. It belongs to the
// goroutine of Work.
type agenda struct {
	led        bool
	poll, full time.Time // wall clock; zero: never
	looked     time.Time // wall clock at the last look
	nudged     bool
	trigger    string
	notBefore  time.Time     // process clock: no nudged run before this
	gap        time.Duration // grows while nudges keep waiting
	failures   int           // runs in a row
	fullFailed int           // full sweeps in a row
	askedLast  bool          // the last run was asked for: if a schedule is due, it comes next
	blind      bool          // the last look for nudges failed; this is logged once
}

// NewLoop makes a loop that does nothing until Work.
func NewLoop(o LoopOptions, runner Runner, nudges Nudges, history History) *Loop {
	if o.Now == nil {
		o.Now = time.Now
	}
	// Round removes the reading of the process clock that time.Now adds. That clock stands
	// still while the machine sleeps, and comparisons would prefer it.
	clock := o.Now
	o.Now = func() time.Time { return clock().Round(0) }
	if o.Log == nil {
		o.Log = logrus.New()
		o.Log.SetOutput(io.Discard)
	}
	if o.Observer == nil {
		o.Observer = noObserver{}
	}
	l := &Loop{o: o, runner: runner, nudges: nudges, history: history, wake: make(chan struct{}, 1),
		served: make(chan struct{}, max(o.Flows, 1))}
	l.agenda.gap = leastGap
	return l
}

type noObserver struct{}

func (noObserver) RunEnded(context.Context, reconcile.Report, error) {}
func (noObserver) Served(context.Context, reconcile.Report)          {}
func (noObserver) WebhookAnswered(string)                            {}
func (noObserver) Led(context.Context)                               {}

// Wake asks for a run as soon as one may begin. It never blocks. If it is called several
// times before the run begins, there is one run.
func (l *Loop) Wake(trigger string) { l.wakeRun(trigger) }

func (l *Loop) wakeRun(trigger string) {
	l.mu.Lock()
	l.why = trigger
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Work runs until ctx ends: it campaigns for the lease, and does the runs that are due
// while it leads. When ctx ends, the run at work finishes the action in hand, and the
// lease is released before Work returns.
func (l *Loop) Work(ctx context.Context) error {
	// The lease outlives ctx, because the outcome of the last action is recorded under it.
	leading, resign := context.WithCancel(context.WithoutCancel(ctx))
	defer resign()
	var gaveBack error
	var leader sync.WaitGroup
	leader.Go(func() { gaveBack = fault.Guard(func() error { return l.runner.Lead(leading) }) })
	l.awaitLease(ctx)
	var flow sync.WaitGroup
	flow.Go(func() { _ = fault.Guard(func() error { l.serveNudged(ctx); return nil }) })
	for ctx.Err() == nil {
		l.step(ctx)
		l.sleep(ctx)
	}
	l.close()
	flow.Wait()
	resign()
	leader.Wait()
	return gaveBack
}

// awaitLease gives the campaign a moment, so that a service that is alone begins its first
// run with its first look and not with its second.
func (l *Loop) awaitLease(ctx context.Context) {
	tick := time.NewTicker(lookEvery / firstLooks)
	defer tick.Stop()
	for range firstLooks {
		if l.runner.Leading() {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// sleep waits until the next look, a nudge, or the end.
func (l *Loop) sleep(ctx context.Context) {
	pause := lookEvery
	if left := time.Until(l.notBefore); l.agenda.nudged && left > 0 && left < pause {
		pause = left
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-l.wake:
		l.mu.Lock()
		if l.why != "" { // else the token is of a request that waits
			l.agenda.nudged, l.agenda.trigger, l.why = true, l.why, ""
		}
		l.mu.Unlock()
	}
}

// step does every run that is due now.
func (l *Loop) step(ctx context.Context) {
	defer l.publish()
	if !l.runner.Leading() {
		l.led, l.agenda.nudged = false, false // nudges are stored, and the writer finds them
		l.failRequests(errFollower)
		return
	}
	now := l.o.Now()
	if !l.led {
		l.takeOver(ctx, now)
	}
	l.lookForNudges(ctx)
	for ctx.Err() == nil {
		j, ok := l.nextJob(l.o.Now())
		if !ok || !l.runJob(ctx, j) {
			return
		}
	}
}

// publish makes the next tick known to other goroutines.
func (l *Loop) publish() {
	next := l.poll
	if next.IsZero() || !l.full.IsZero() && l.full.Before(next) {
		next = l.full
	}
	if !l.led {
		next = time.Time{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next = next
}

// Next returns when the next run begins by its schedule; zero: another process does it.
func (l *Loop) Next() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next
}

// takeOver reads when the writer before this one ran last, so that a missed tick is made
// up, once.
func (l *Loop) takeOver(ctx context.Context, now time.Time) {
	l.led = true
	l.guard("", func() { l.o.Observer.Led(ctx) })
	l.poll, l.full = now, l.o.Full.Next(now)
	runs, err := l.history.Runs(ctx, 1)
	if err == nil && len(runs) > 0 {
		l.poll = l.o.Poll.Next(notAfter(runs[0].Started, now))
	}
	listed, err2 := l.history.LastListed(ctx)
	if err2 == nil && !listed.At.IsZero() { // if there is none, the first run is full anyway
		l.full = l.o.Full.Next(notAfter(listed.At, now))
	}
	if err := errors.Join(err, err2); err != nil && ctx.Err() == nil {
		l.o.Log.WithError(err).Warn("history not read; running now")
	}
	l.o.Log.WithFields(logrus.Fields{"poll_at": l.poll, "full_at": l.full}).Info("leading")
}

func notAfter(t, now time.Time) time.Time {
	if t.After(now) {
		return now
	}
	return t
}

func (l *Loop) lookForNudges(ctx context.Context) {
	if l.agenda.nudged {
		return
	}
	waiting, err := l.runNudged(ctx)
	if err != nil {
		if !l.blind && ctx.Err() == nil {
			l.o.Log.WithError(err).Warn("nudges not read")
		}
		l.blind = true
		return
	}
	l.blind = false
	if waiting {
		l.agenda.nudged, l.agenda.trigger = true, "nudge"
	} else if l.failures == 0 {
		l.gap = leastGap
	}
}

// runNudged reports whether a nudge is stored that is for a run. One that a webhook has
// stored with the name of a subscription is served by itself, unless it waits for long.
func (l *Loop) runNudged(ctx context.Context) (bool, error) {
	if l.o.Flows <= 0 {
		return l.nudges.NudgesWaiting(ctx)
	}
	l.Serve() // another replica may have stored one
	return l.nudges.NudgesOverdue(ctx, l.o.Now().Add(-reconcile.FlowPatience))
}

// job is one run that is due, with the requests that wait for it.
type job struct {
	Request
	asks []*Asked
}

// nextJob takes the run that is due now, if there is one.
func (l *Loop) nextJob(now time.Time) (job, bool) {
	if now.Before(l.looked) { // the clock was set back, which must not put off the next tick
		l.poll, l.full = sooner(l.poll, l.o.Poll, now), sooner(l.full, l.o.Full, now)
	}
	l.looked = now
	scheduled := reached(l.full, now) || reached(l.poll, now)
	if asks := l.takeRequests(); len(asks) > 0 {
		if !scheduled || !l.askedLast {
			l.askedLast = true
			return job{Request: asks[0].Request, asks: asks}, true
		}
		l.returnRequests(asks)
	}
	l.askedLast = false
	switch {
	case reached(l.full, now):
		return job{Request: Request{Full: true, Trigger: "cron"}}, true
	case reached(l.poll, now):
		return job{Request: Request{Trigger: "cron"}}, true
	case l.agenda.nudged && time.Until(l.notBefore) <= 0:
		return job{Request: Request{Trigger: l.agenda.trigger}}, true
	}
	return job{}, false
}

// sooner returns the next tick by the present clock, if that is earlier than next.
func sooner(next time.Time, s cron.Schedule, now time.Time) time.Time {
	if n := s.Next(now); !next.IsZero() && !n.IsZero() && n.Before(next) {
		return n
	}
	return next
}

func reached(next, now time.Time) bool { return !next.IsZero() && !now.Before(next) }

// runJob does one run and passes its result on. It reports whether the loop may go on.
func (l *Loop) runJob(ctx context.Context, j job) bool {
	began := l.o.Now()
	if len(j.Subscriptions) == 0 {
		l.agenda.nudged = false // this run takes every stored nudge
		l.notBefore = time.Now().Add(l.gap)
		l.gap = min(2*l.gap, busyGap)
	}
	report, err := l.runner.Run(ctx, j.Request, func(run string) { l.announce(run, j.asks) })
	l.announce("", nil)
	var held *reconcile.LeaseTaken
	if errors.As(err, &held) {
		l.led = false
		answerAll(j.asks, outcome{err: errFollower})
		return false
	}
	if len(j.Subscriptions) == 0 {
		l.scheduleNext(j.Request, err, l.o.Now())
	}
	l.guard(report.Run.ID, func() { l.recordWebhookResults(ctx, j.Request, report, err, began) })
	l.guard(report.Run.ID, func() { l.o.Observer.RunEnded(context.WithoutCancel(ctx), report, err) })
	answerAll(j.asks, outcome{report: report, err: err})
	return true
}

// guard calls f, which reads the texts of customers: if these make it panic, the loop
// goes on.
func (l *Loop) guard(run string, f func()) {
	if err := fault.Guard(func() error { f(); return nil }); err != nil {
		l.o.Log.WithField("run", run).WithField("stack", fault.StackOf(err)).WithError(err).Error("panic after a run")
	}
}

// scheduleNext sets the next ticks after a full or an incremental run. Ticks that passed
// during the run are not made up, because the next one is near.
func (l *Loop) scheduleNext(r Request, err error, now time.Time) {
	l.poll = l.o.Poll.Next(now)
	if err != nil {
		l.notBefore = time.Now().Add(doubling(failGap, failGapMost, l.failures))
		l.failures++
	} else {
		l.failures = 0
	}
	switch {
	case !r.Full:
	case err != nil:
		l.full = now.Add(doubling(fullRetry, fullRetryMost, l.fullFailed))
		l.fullFailed++
	default:
		l.full, l.fullFailed = l.o.Full.Next(now), 0
	}
}

func doubling(first, most time.Duration, n int) time.Duration {
	return min(first<<min(n, 16), most)
}

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
