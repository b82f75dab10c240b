// Package ratelimit keeps a client at a rate that the server can take.
//
// A Limiter is two limits in one. The first is the rate: it starts at the configured
// one, drops when the server complains, and climbs slowly while it does not. The second
// is the number of requests in flight, which protects a slow server: without it, a
// server that takes ten seconds per answer would collect requests at the full rate.
//
// Decisions, in the order in which they matter:
//
//  1. A slot comes before a token. If the token came first and no slot were free, the
//     request would leave long after the limiter had counted it.
//  2. A refusal halves the rate once, however many requests are under way when it
//     comes. All of them were sent at the old rate, so their refusals report the same
//     thing. See refusalWindow.
//  3. Success raises the rate by a fixed step, never by a factor. A factor would reach
//     the limit again within seconds and spend the rest of its time being refused.
//  4. Nothing runs in the background. A limiter that is not used costs nothing, and it
//     looks at the clock only when a caller waits.
package ratelimit

import (
	"context"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
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
)

// Options configure a Limiter. The zero value is a sensible one.
type Options struct {
	// RPS is the highest rate in requests a second, and the first one. 0 or less: 20.
	// math.Inf(1): no limit until the server complains.
	RPS float64
	// Concurrency is the most requests in flight. 0 or less: 8.
	Concurrency int
	// Min is the lowest rate that refusals can lead to. 0 or less: 0.5, or RPS if that
	// is lower.
	Min float64
}

// Limiter spaces requests. Make one per server and share it among everything that sends
// requests to that server. All methods are safe for concurrent use.
type Limiter struct {
	slots  chan struct{}
	tokens *rate.Limiter
	top    float64 // the configured rate; +Inf: unlimited
	low    float64

	mu       sync.Mutex // guards the fields below
	current  float64
	lowered  time.Time // when the rate was last halved
	blocked  time.Time // no request is sent before this
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

// limit converts to the token bucket's own infinity.
func limit(rps float64) rate.Limit {
	if math.IsInf(rps, 1) {
		return rate.Inf
	}
	return rate.Limit(rps)
}

// burst is a twentieth of a second's worth: enough that a timer which fires late does
// not lose its token, and too little for a server to notice.
func burst(rps float64) int {
	return int(max(1, min(rps, unlimitedStart)/20))
}

// Acquire waits until one more request may be sent. The caller must call release when
// it has read the answer; a second call does nothing. The error is the context's own.
// If the wait would outlast the context's deadline, Acquire returns it without waiting.
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

// token waits until no block is in force and then for a token. If a block begins
// meanwhile it starts over, because the token was reserved at the old rate.
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

// enter counts a request as in flight, unless a block has begun.
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

// Throttled records that the server refused a request for being too fast. It halves the
// rate (not below Min) and blocks new requests for retryAfter, at most five minutes.
// retryAfter may be 0.
func (l *Limiter) Throttled(retryAfter time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if until := now.Add(min(retryAfter, maxBlock)); until.After(l.blocked) {
		l.blocked = until
	}
	if !l.lowered.IsZero() && now.Sub(l.lowered) < refusalWindow {
		return
	}
	l.lowered = now
	l.set(max(min(l.current, unlimitedStart)/2, l.low))
}

// Succeeded records that the server answered without complaint. An answer that arrives
// during a block or right after a halving does not raise the rate, because its request
// was sent at the old one.
func (l *Limiter) Succeeded() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.current >= l.top {
		return
	}
	now := time.Now()
	if now.Before(l.blocked) || now.Sub(l.lowered) < refusalWindow {
		return
	}
	ceiling := min(l.top, unlimitedStart)
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
	return l.inflight
}
