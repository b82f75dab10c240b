// Package ratelimit keeps a client at a rate that the server can take, and decides which
// caller goes first if they cannot all go.
//
// A Limiter is two limits in one. The first is the rate: it starts at the configured
// one, drops when the server complains, and climbs slowly while it does not. The second
// is the number of requests in flight, which protects a slow server: without it, a
// server that takes ten seconds per answer would collect requests at the full rate.
//
// # The rate
//
// The rate is kept as time. A request costs the time between two requests at the current
// rate, and a limiter that rests saves up time, one second at most. So the first requests
// after a rest leave without a wait, and in any time t at most rate × (t + 1 s) requests
// leave (below one a second: rate × t + 1).
//
// # The classes
//
// The context of a caller carries its class, see package priority. Callers of one class go
// in the order in which they came. Between the classes the limiter has four rules:
//
//  1. The more urgent class goes first.
//  2. But of eight requests that leave while a less urgent class waits, one is of a less
//     urgent class. Among those, the same rule holds again. So Normal gets an eighth and
//     Bulk a sixty-fourth of the rate (an eighth, if no Normal caller waits) while more
//     urgent callers take all that they can get. A caller waits for those of its own
//     class in front of it and for a number of others that depends on these alone.
//  3. Bulk leaves three quarters of the saved second to the others. So a caller with a
//     customer behind it does not wait for a sweep that uses up the rate, and the sweep
//     itself begins with a quarter of a second's worth. At the default rate of 20 that is
//     25 in the first second, which is Stripe's limit for one endpoint. After a refusal a
//     sweep goes on at half of the rate until that much is saved again.
//  4. Bulk leaves a quarter of the slots to the others, at least one of two, and Bulk and
//     Normal together leave an eighth to Urgent. Of 8 slots Bulk can hold 6, and Normal
//     and Bulk together 7. So if every request of a sweep hangs, the others still go. A
//     limiter with one slot cannot keep one free.
//
// # Decisions, in the order in which they matter
//
//  1. A caller gets slot and time together, when both are there. If it got the time first
//     and no slot were free, the request would leave long after the limiter had counted
//     it. If it held the slot while it waited for time, a more urgent one could not pass.
//  2. A refusal halves the rate once, however many requests are under way when it
//     comes. All of them were sent at the old rate, so their refusals report the same
//     thing. See refusalWindow.
//  3. A refusal empties the saved time, because the server has just shown that it does not
//     allow more than it gets. If it asks for a pause, one request leaves at the end of
//     the pause and the rest follow at the rate.
//  4. Success raises the rate by a fixed step, never by a factor. A factor would reach
//     the limit again within seconds and spend the rest of its time being refused.
//  5. Nothing runs in the background. A limiter that is not used costs nothing, and it
//     looks at the clock only when it is called. One timer is set while callers wait for
//     time to pass, and for them alone.
package ratelimit

import (
	"container/list"
	"context"
	"math"
	"sync"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/priority"
)

const (
	// defaultRPS is below the lowest documented limit of either service (Stripe: 25 a
	// second for one endpoint).
	defaultRPS = 20
	// defaultConcurrency keeps 20 requests a second busy at 400 ms each.
	defaultConcurrency = 8
	// defaultMin is above zero because a client that sends nothing cannot notice that
	// the server has recovered.
	defaultMin = 0.5
	// refusalWindow is how long after a halving further refusals count as answers to
	// requests sent before it. Longer than most answers take, much shorter than the
	// time in which the rate climbs back.
	refusalWindow = time.Second
	// climb is how many successes lead from nothing to the full rate: at 20 a
	// second, half a minute from half speed to full speed.
	climb = 400
	// maxBlock bounds the pause that a single refusal can ask for. If a server answers
	// "come back tomorrow", the client asks again after five minutes, slowly, and an
	// operator sees it.
	maxBlock = 5 * time.Minute
	// unlimitedStart is the rate from which an unlimited limiter is halved first.
	unlimitedStart = 1000
	// mostSaved is the time that a resting limiter saves up. A new customer takes about
	// ten requests to each side, so a second's worth serves the first without a wait.
	mostSaved = time.Second
	// bulkLeaves is the part of it that Bulk leaves to the others.
	bulkLeaves = mostSaved * 3 / 4
	// longestInterval bounds the time between two requests, so that sums of it fit a
	// time.Duration.
	longestInterval = time.Hour
)

// Options configure a Limiter. The zero value is a sensible one.
type Options struct {
	// RPS is the highest rate in requests a second, and the first one. 0 or less: 20.
	// math.Inf(1): no limit until the server complains.
	RPS float64
	// Concurrency is the most requests in flight, of which the less urgent classes leave
	// some free. 0 or less: 8.
	Concurrency int
	// Min is the lowest rate that refusals can lead to. 0 or less: 0.5, or RPS if that
	// is lower.
	Min float64
}

// Limiter spaces requests. Make one per server and share it among everything that sends
// requests to that server. All methods are safe for concurrent use.
type Limiter struct {
	top   float64      // the configured rate; +Inf: unlimited
	low   float64      // the lowest one
	slots [classes]int // how many requests of a class and those below it may be in flight

	mu       sync.Mutex // guards the fields below
	current  float64
	saved    time.Time // the time from here on is saved up, mostSaved at most
	emptied  time.Time // saved, as the last refusal left it
	lowered  time.Time // when the rate was last halved
	blocked  time.Time // no request is sent before this, because nothing is saved until then
	queues   [classes]list.List
	passed   [classes]int // requests of a class that left since a less urgent waiter had its turn
	inflight [classes]int
	granted  [classes]int
	timer    *time.Timer // set if time alone lets the next waiter go
}

// New makes a limiter that starts at its highest rate, and rested.
func New(o Options) *Limiter {
	if !(o.RPS > 0) { // NaN included
		o.RPS = defaultRPS
	}
	if o.Concurrency <= 0 {
		o.Concurrency = defaultConcurrency
	}
	if !(o.Min > 0) {
		o.Min = defaultMin
	}
	return &Limiter{
		top:     o.RPS,
		low:     min(o.Min, o.RPS),
		slots:   shares(o.Concurrency),
		current: o.RPS,
	}
}

// Acquire waits until one more request of the context's class may be sent. The caller
// must call release when it has read the answer; a second call does nothing. The error is
// the context's own. If the wait for the rate and for those in front would outlast the
// context's deadline, Acquire returns it without waiting.
func (l *Limiter) Acquire(ctx context.Context) (release func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w := &waiter{class: rank(priority.Of(ctx)), ready: make(chan struct{})}
	if !l.join(ctx, w) {
		return nil, context.DeadlineExceeded
	}
	select {
	case <-w.ready:
	case <-ctx.Done():
		l.leave(w)
		return nil, ctx.Err()
	}
	return sync.OnceFunc(func() { l.release(w.class) }), nil
}

func (l *Limiter) release(class int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inflight[class]--
	l.advance()
}

// Sleep waits for d. If the context's deadline comes before that, it returns
// context.DeadlineExceeded without waiting.
func Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < d {
		return context.DeadlineExceeded
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Throttled records that the server refused a request for being too fast. It halves the
// rate (not below Min), takes away the saved time and blocks new requests for retryAfter,
// at most five minutes. retryAfter may be 0.
func (l *Limiter) Throttled(retryAfter time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if until := now.Add(min(retryAfter, maxBlock)); until.After(l.blocked) {
		l.blocked = until
	}
	if l.lowered.IsZero() || now.Sub(l.lowered) >= refusalWindow {
		l.lowered = now
		l.current = max(min(l.current, unlimitedStart)/2, l.low)
	}
	l.saved = now
	if first := l.blocked.Add(-l.interval()); first.After(now) {
		l.saved = first // so that one request leaves at the end of the block, and none before
	}
	l.emptied = l.saved
	l.advance()
}

// Succeeded records that the server answered without complaint. An answer that arrives
// during a block or right after a halving does not raise the rate, because its request
// was sent at the old one.
func (l *Limiter) Succeeded() {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if now.Before(l.blocked) || now.Sub(l.lowered) < refusalWindow {
		return
	}
	ceiling := min(l.top, unlimitedStart)
	l.current += ceiling / climb
	if l.current >= ceiling {
		l.current = l.top
	}
	l.advance()
}

// Rate returns the current rate, in requests a second.
func (l *Limiter) Rate() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current
}

// Inflight returns the number of requests that were let through and not yet released.
func (l *Limiter) Inflight() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.busy(0)
}

// Granted returns how many requests of a class were let through since the start. It is
// meant for a metric that is read when it is scraped.
func (l *Limiter) Granted(c priority.Class) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.granted[rank(c)]
}

// interval is what a request costs: the time between two of them at the current rate. It
// is rounded up, so that the rate is never exceeded. The caller holds mu.
func (l *Limiter) interval() time.Duration {
	return time.Duration(min(math.Ceil(float64(time.Second)/l.current), float64(longestInterval)))
}
