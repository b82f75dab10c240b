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
//     limiter with one slot cannot keep one free, and one that is Alone need not.
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
	"net/http"
	"strconv"
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
	// Alone means that callers of several classes do not wait for each other, because they
	// call one after the other: every class may use all slots.
	Alone bool
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
	slots := shares(o.Concurrency)
	if o.Alone {
		slots = [classes]int{o.Concurrency, o.Concurrency, o.Concurrency}
	}
	return &Limiter{
		top:     o.RPS,
		low:     min(o.Min, o.RPS),
		slots:   slots,
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

const (
	classes = len(priority.Classes)
	// share is how many requests leave for one of a less urgent class that waits.
	share = 8
)

// rank is the place of a class: 0 goes first.
func rank(c priority.Class) int { return int(c - priority.Urgent) }

var bulk = rank(priority.Bulk)

// shares returns how many of the slots a class may hold together with those below it.
func shares(slots int) [classes]int {
	leave := slots / 4
	if leave == 0 && slots > 1 {
		leave = 1
	}
	return [classes]int{slots, slots - slots/8, slots - leave}
}

// waiter is one call of Acquire. Its fields belong to the limiter's mutex, except that
// class never changes.
type waiter struct {
	class int
	place *list.Element // in the queue of the class; nil: it was let through or has left
	ready chan struct{} // closed when it is let through
}

// join puts a caller at the end of the queue of its class, and lets it through if it is its
// turn. It returns false if the deadline comes before those who are in front can have gone.
// A less urgent caller that has its turn meanwhile, or a slot that stays busy, makes the
// wait longer than that; then the context ends it.
func (l *Limiter) join(ctx context.Context, w *waiter) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.settle(time.Now())
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(l.earliest(w.class)) {
		return false
	}
	w.place = l.queues[w.class].PushBack(w)
	l.advance()
	return true
}

// leave takes a caller whose context has ended out of the queue. If it was let through in
// the same moment, its slot goes to the next. Its time is lost, which makes the others wait
// for one request that is not sent.
func (l *Limiter) leave(w *waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.place == nil {
		l.inflight[w.class]--
	} else {
		l.queues[w.class].Remove(w.place)
		w.place = nil
	}
	l.advance()
}

// settle forgets the saved time that is more than a limiter may have. The caller holds
// mu.
func (l *Limiter) settle(now time.Time) {
	if oldest := now.Add(-l.most()); l.saved.Before(oldest) {
		l.saved = oldest
	}
}

// most is the longest time that may be saved up. It is enough for one request at any rate.
func (l *Limiter) most() time.Duration { return max(mostSaved, l.interval()) }

// needed is the saved time that must be there before the first of a class goes, if no more
// urgent caller waits. After a refusal nothing is saved. Then Bulk leaves as much time as
// its requests and those of the others have used since, until that is its usual part: so a
// sweep goes on at half of the rate while the other half is saved up.
func (l *Limiter) needed(class int) time.Duration {
	cost := l.interval()
	if class != bulk {
		return cost
	}
	used := l.saved.Add(cost).Sub(l.emptied)
	return min(cost+min(bulkLeaves, used), l.most())
}

// earliest is when a new caller of a class can go if all in front of it do, and if no slot
// is missing. The caller holds mu.
func (l *Limiter) earliest(class int) time.Time {
	front := 0
	for c := range class + 1 {
		front += l.queues[c].Len()
	}
	return l.saved.Add(time.Duration(front)*l.interval() + l.needed(class))
}

// advance lets all callers through whose turn has come. If only time is missing for the
// next, it sets the timer. Everything that changes the fields of the limiter ends with it,
// so that no caller waits for something that has happened already. The caller holds mu.
func (l *Limiter) advance() {
	if l.timer != nil {
		l.timer.Stop() // if it has fired already, that wakes in vain, which is harmless
		l.timer = nil
	}
	now := time.Now()
	l.settle(now)
	for {
		class, at, ok := l.turn()
		if !ok {
			return
		}
		if wait := at.Sub(now); wait > 0 {
			l.timer = time.AfterFunc(wait, l.wake)
			return
		}
		l.grant(class)
	}
}

// wake is called when the time that was missing has passed.
func (l *Limiter) wake() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.advance()
}

// turn returns the class whose first caller goes next, and when the rate allows it. It is
// the most urgent one that waits and has a slot, unless that has had its share. A class
// that goes because the others have had theirs needs the time of one request only, or it
// would wait for savings that the others use up. The caller holds mu.
func (l *Limiter) turn() (class int, at time.Time, ok bool) {
	needed := time.Duration(0)
	for c := range l.queues {
		if l.queues[c].Len() == 0 {
			continue
		}
		if !l.hasSlot(c) {
			break // nor has any class below
		}
		if needed = l.interval(); !ok {
			needed = l.needed(c)
		}
		class, ok = c, true
		if l.passed[c] < share-1 {
			break
		}
	}
	return class, l.saved.Add(needed), ok
}

// hasSlot reports whether one more request of a class may be in flight.
func (l *Limiter) hasSlot(class int) bool {
	for c := range class + 1 {
		if l.busy(c) >= l.slots[c] {
			return false
		}
	}
	return true
}

// busy is how many requests of a class and those below it are in flight.
func (l *Limiter) busy(class int) (n int) {
	for _, held := range l.inflight[class:] {
		n += held
	}
	return n
}

// grant lets the first caller of a class through. The caller holds mu.
func (l *Limiter) grant(class int) {
	w := l.queues[class].Remove(l.queues[class].Front()).(*waiter)
	w.place = nil
	close(w.ready)
	l.saved = l.saved.Add(l.interval())
	l.inflight[class]++
	l.granted[class]++
	below := 0
	for c := range l.queues {
		switch {
		case c < class && l.queues[c].Len() > 0:
			l.passed[c] = 0 // this was the turn of those below
		case c > class:
			below += l.queues[c].Len()
		}
	}
	if below > 0 {
		l.passed[class]++
	}
}

// RetryAfter reads a Retry-After header in either of its forms, limited to the longest
// wait that the caller can bear. It returns false if the header is missing or makes no
// sense.
func RetryAfter(h http.Header, now time.Time, longest time.Duration) (wait time.Duration, ok bool) {
	raw := h.Get("Retry-After")
	if seconds, err := strconv.ParseInt(raw, 10, 64); err == nil {
		if seconds < 0 {
			return 0, false
		}
		return time.Duration(min(seconds, int64(longest/time.Second))) * time.Second, true
	}
	until, err := http.ParseTime(raw)
	if err != nil {
		return 0, false
	}
	// The server gave a date of its own clock, and ours may differ.
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		now = date
	}
	return min(max(until.Sub(now), 0), longest), true
}
