// Package ratelimit holds a client to a rate that the other side can bear.
//
// A Limiter is two limits in one. The rate is what the other side has said, or
// is believed, to allow; it is lowered at once when the other side complains and
// raised slowly while it does not. The number in flight is what protects a slow
// server: without it a side that answers in ten seconds would collect requests
// at the full rate.
//
// Decisions, in the order in which they matter:
//
//  1. A slot comes before a token. A token taken while no slot is free would be
//     spent long after the limiter thought it was.
//  2. A refusal halves the rate once, however many requests were under way when
//     it came: all of them were sent under the old rate, so their refusals are
//     one piece of news. See settle.
//  3. Success raises by a fixed step, never by a factor. A factor finds the limit
//     again within seconds and spends the rest of its life being refused.
//  4. Nothing runs in the background. A limiter that is not used costs nothing,
//     and time moves only where the caller is waiting.
package ratelimit

import (
	"context"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// defaultRPS is below the lowest documented limit of either side (Stripe: 25
	// a second for one endpoint).
	defaultRPS = 20
	// defaultConcurrency keeps 20 requests a second busy at 400 ms each.
	defaultConcurrency = 8
	// defaultMin still moves; a rate of nothing could never learn that the other
	// side has recovered.
	defaultMin = 0.5
	// settle is how long after a lowering further refusals are taken to be about
	// requests sent before it. Longer than most answers take, much shorter than
	// the time in which the rate climbs back.
	settle = time.Second
	// climb is how many successes lead from nothing to the full rate: at 20 a
	// second, half a minute from half speed to full speed.
	climb = 400
	// maxBlock bounds what a single refusal can ask for. A server that says "come
	// back tomorrow" gets asked again, slowly, and an operator sees it.
	maxBlock = 5 * time.Minute
	// opened is the rate from which an unlimited limiter starts to be lowered.
	opened = 1000
)

// Options configure a Limiter. The zero value is a sensible one.
type Options struct {
	// RPS is the highest rate in requests a second, and the one to start with.
	// 0 or less: 20. math.Inf(1): no limit until the other side complains.
	RPS float64
	// Concurrency is the most requests in flight. 0 or less: 8.
	Concurrency int
	// Min is the rate below which refusals do not push. 0 or less: 0.5, or RPS
	// where that is lower.
	Min float64
}

// Limiter paces requests. Make one per side and share it among everything that
// talks to that side. All methods are safe for concurrent use.
type Limiter struct {
	slots  chan struct{}
	tokens *rate.Limiter
	top    float64 // the configured rate; +Inf when opened
	low    float64

	mu       sync.Mutex // guards what follows
	current  float64
	lowered  time.Time // when the rate was last halved
	blocked  time.Time // no token is given before this
	inflight int
}

// New makes a limiter that starts at its highest rate.
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
		slots:   make(chan struct{}, o.Concurrency),
		tokens:  rate.NewLimiter(limit(o.RPS), burst(o.RPS)),
		top:     o.RPS,
		low:     min(o.Min, o.RPS),
		current: o.RPS,
	}
}

// limit translates to the token bucket's own infinity.
func limit(rps float64) rate.Limit {
	if math.IsInf(rps, 1) {
		return rate.Inf
	}
	return rate.Limit(rps)
}

// burst is a twentieth of a second's worth: enough that a late timer does not
// lose the token it slept for, too little for a server to notice.
func burst(rps float64) int {
	return int(max(1, min(rps, opened)/20))
}

// Acquire waits until one more request may be sent. release must be called when
// its answer has been read; calling it again does nothing. The error is the
// context's own, and comes at once when the wait would outlast its deadline.
func (l *Limiter) Acquire(ctx context.Context) (release func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	select {
	case l.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err := l.token(ctx); err != nil {
		<-l.slots
		return nil, err
	}
	return sync.OnceFunc(func() {
		l.mu.Lock()
		l.inflight--
		l.mu.Unlock()
		<-l.slots
	}), nil
}

// token waits for the end of a block and for a token, and starts over when a
// block began meanwhile: a reservation made at the old rate is worth nothing.
func (l *Limiter) token(ctx context.Context) error {
	for {
		if err := Sleep(ctx, time.Until(l.blockedUntil())); err != nil {
			return err
		}
		r := l.tokens.Reserve()
		if err := Sleep(ctx, r.Delay()); err != nil {
			r.Cancel()
			return err
		}
		if l.enter() {
			return nil
		}
	}
}

// enter counts a request as in flight unless a block has begun.
func (l *Limiter) enter() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Now().Before(l.blocked) {
		return false
	}
	l.inflight++
	return true
}

func (l *Limiter) blockedUntil() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.blocked
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

// Throttled tells that the other side refused a request for being too fast. The
// rate is halved (not below Min) and nothing new is sent for retryAfter, which
// may be 0 and is taken to be at most five minutes.
func (l *Limiter) Throttled(retryAfter time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if until := now.Add(min(retryAfter, maxBlock)); until.After(l.blocked) {
		l.blocked = until
	}
	if !l.lowered.IsZero() && now.Sub(l.lowered) < settle {
		return
	}
	l.lowered = now
	l.set(max(min(l.current, opened)/2, l.low))
}

// Succeeded tells that a request was answered without complaint. Answers that
// arrive during a block, or right after a lowering, prove nothing about the new
// rate and do not raise it.
func (l *Limiter) Succeeded() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.current >= l.top {
		return
	}
	now := time.Now()
	if now.Before(l.blocked) || now.Sub(l.lowered) < settle {
		return
	}
	ceiling := min(l.top, opened)
	next := l.current + ceiling/climb
	if next >= ceiling {
		next = l.top
	}
	l.set(next)
}

// set changes the rate in force. The caller holds mu.
func (l *Limiter) set(rps float64) {
	l.current = rps
	l.tokens.SetLimit(limit(rps))
}

// Rate is the rate in force, in requests a second.
func (l *Limiter) Rate() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current
}

// Inflight is how many requests have been let through and not been released.
func (l *Limiter) Inflight() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.inflight
}
