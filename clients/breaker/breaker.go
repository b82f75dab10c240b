// Package breaker stops calling a service that is in trouble, and lets it recover.
//
// A client asks before each call and reports afterwards how it ended. The breaker opens
// after five calls in a row that failed for the service's own reasons, or if half of at
// least twenty calls within a minute did. Then it refuses every call for half a minute.
// After that it lets a single read through as a probe: if the probe succeeds the
// breaker closes, and each time it fails the pause doubles, up to five minutes. A
// refused call was never sent. So it is not a failure of the customer it was for, and
// its outcome is not in doubt.
//
//	closed → open:       five failures in a row, or half of twenty within a minute
//	open → half-open:    the pause has passed
//	half-open → closed:  the probe, which is a read, succeeds
//	half-open → open:    the probe fails, and the pause doubles
//
// A refused credential is different. After three refusals without an accepted write in
// between, the breaker stops writes and lets reads go on. A single refusal may concern
// one org only. Therefore several refusals about the same org count once, a read that
// is refused for one org does not count, and an org that was refused while others were
// accepted does not count until a write to it is accepted.
//
// Decisions:
//
//  1. It counts calls, not attempts. If one object always answers 500, its five attempts
//     are one failure and must not stop everything else.
//  2. Only a read probes. A write to a service in trouble would most likely end without
//     an answer, and then has to be looked for. If a client has nothing to read, it
//     makes a harmless read first; see ErrReadFirst.
//  3. "Not found", "conflict" and "too fast" are answers, so they prove that the service
//     works. Slowing down is the work of package ratelimit. A call that found no room in
//     the rate was not sent, so it proves nothing; see Unasked.
//  4. Nothing is stored. A process that starts finds out for itself.
package breaker

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
)

const (
	// maxConsecutive failures open the breaker, and so do failures in half of at least
	// minCalls calls within window.
	maxConsecutive = 5
	minCalls       = 20
	window         = time.Minute
	// firstPause doubles up to longestPause while probes fail.
	firstPause   = 30 * time.Second
	longestPause = 5 * time.Minute
	// maxRefusals in a row are taken for a refusal of the credential.
	maxRefusals = 3
	// denialPause is how long no write follows a refused credential.
	denialPause = 5 * time.Minute
)

// ErrReadFirst refuses a write because no read has succeeded since the breaker opened.
var ErrReadFirst = errors.New("a read must succeed before the next write")

// ErrCredential marks an error as a refusal of the credential itself, whatever the call
// was about.
var ErrCredential = errors.New("the credential itself is refused")

// Unasked marks the error of a call that ended before its request was sent, because there
// was no room in the rate. It proves nothing about the service, so the breaker does not
// count it. The text and the kind stay err's own.
func Unasked(err error) error { return uncounted{err} }

// uncounted is an error that proves nothing about the service.
type uncounted struct{ error }

func (u uncounted) Unwrap() error { return u.error }

// OfOneObject marks the error of a call about one object that gave no answer, while the
// service answered other calls. It proves nothing about the service as a whole either.
func OfOneObject(err error) error { return uncounted{err} }

// Breaker guards one service. Make one per service and share it among everything that
// calls that service. A nil Breaker lets every call pass. Safe for concurrent use.
type Breaker struct {
	side string
	now  func() time.Time

	mu          sync.Mutex // guards the fields below
	consecutive int        // failures in a row
	failed      int        // of calls, since windowStart
	calls       int
	windowStart time.Time
	pause       time.Duration // 0: closed
	openUntil   time.Time     // open until then, half-open after it
	probing     bool          // half-open: a read is under way
	reason      string        // the last failure

	refused      int             // in a row; an accepted write ends the row
	refusedFor   map[string]bool // the orgs of those refusals
	refusedAlone map[string]bool // orgs that were refused while others were accepted
	deniedUntil  time.Time       // writes are refused until then
	refusal      string
}

// New makes a closed breaker. side is the service's name in messages, now is the clock
// for the pauses; nil: time.Now.
func New(side string, now func() time.Time) *Breaker {
	if now == nil {
		now = time.Now
	}
	return &Breaker{side: side, now: now, refusedFor: map[string]bool{}, refusedAlone: map[string]bool{}}
}

// Enter asks whether a call may be sent. If it may, the caller must call leave with the
// call's error; fault.Canceled counts as nothing. If it may not, the error is
// fault.LeftAlone and one of two kinds: fault.Transient, which wraps ErrReadFirst if a
// read would help, or fault.Denied.
func (b *Breaker) Enter(write bool) (leave func(error), err error) { return b.EnterFor("", write) }

// EnterFor is Enter for a call about one org, or about something else that a service
// may refuse to touch although it accepts the credential. "": about none.
func (b *Breaker) EnterFor(about string, write bool) (leave func(error), err error) {
	if b == nil {
		return func(error) {}, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if err := b.blocked(write, now); err != nil {
		return nil, fault.Unsent(err)
	}
	if b.pause > 0 {
		b.probing = true
		return b.leave(about, write, true), nil
	}
	return b.leave(about, write, false), nil
}

// blocked returns why a call may not be sent at an instant, or nil. The caller holds
// mu.
func (b *Breaker) blocked(write bool, now time.Time) error {
	switch {
	case write && now.Before(b.deniedUntil):
		return fault.Errorf(fault.Denied, "writes to %s are paused until %s: it refused the credential (%s)", b.side, clock(b.deniedUntil), b.refusal)
	case b.pause == 0:
		return nil
	case now.Before(b.openUntil) && b.openUntil.Sub(now) <= longestPause: // else the clock was set back
		return fault.Errorf(fault.Transient, "calls to %s are paused until %s: %s", b.side, clock(b.openUntil), b.reason)
	case write:
		return fault.Wrap(fault.Transient, fmt.Errorf("calls to %s were paused, because %s; %w", b.side, b.reason, ErrReadFirst))
	case b.probing:
		return fault.Errorf(fault.Transient, "a probe is finding out whether %s works again: %s", b.side, b.reason)
	}
	return nil
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05Z") }

// leave records the end of a call once. probe marks the one read of a half-open
// breaker.
func (b *Breaker) leave(about string, write, probe bool) func(error) {
	var once sync.Once
	return func(err error) {
		once.Do(func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			if probe {
				b.probing = false
			}
			b.record(about, write, err)
		})
	}
}

// record counts the end of a call. The caller holds mu.
func (b *Breaker) record(about string, write bool, err error) {
	switch {
	case errors.Is(err, fault.Denied):
		b.deny(about, write, err)
	case err == nil && write:
		b.accept(about)
	}
	switch kind := fault.Of(err); {
	case kind == fault.Canceled || kind == fault.Fenced || errors.As(err, new(uncounted)):
		return // we stopped the call, so it proves nothing about the service
	case errors.Is(err, fault.Throttled): // whatever it means for the caller
	case kind == fault.Transient || kind == fault.Malformed || kind == fault.Ambiguous:
		b.fail(err)
		return
	}
	b.consecutive, b.pause = 0, 0
	b.count(false)
}

// deny counts a refusal. A read that one org's permissions forbid is not counted,
// because it proves nothing about writes to other orgs. The caller holds mu.
func (b *Breaker) deny(about string, write bool, err error) {
	if errors.Is(err, ErrCredential) {
		about = ""
	}
	if about != "" && (!write || b.refusedAlone[about]) {
		return
	}
	if about == "" || !b.refusedFor[about] {
		b.refused++
	}
	if about != "" {
		b.refusedFor[about] = true
	}
	if b.refused >= maxRefusals {
		b.deniedUntil, b.refusal = b.now().Add(denialPause), err.Error()
	}
}

// accept records an accepted write. It proves that the credential is good, so the orgs
// that were refused before it have reasons of their own. The caller holds mu.
func (b *Breaker) accept(about string) {
	for org := range b.refusedFor {
		b.refusedAlone[org] = true
	}
	delete(b.refusedAlone, about)
	clear(b.refusedFor)
	b.refused, b.deniedUntil = 0, time.Time{}
}

func (b *Breaker) fail(err error) {
	b.consecutive++
	b.count(true)
	switch {
	case b.pause > 0 && !b.now().Before(b.openUntil):
		b.pause = min(2*b.pause, longestPause) // the probe failed
	case b.pause > 0:
		return // sent before the breaker opened
	case b.consecutive >= maxConsecutive:
		b.reason = fmt.Sprintf("%d calls in a row failed, the last: %v", b.consecutive, err)
		b.pause = firstPause
	case b.calls >= minCalls && 2*b.failed >= b.calls:
		b.reason = fmt.Sprintf("%d of %d calls failed within a minute, the last: %v", b.failed, b.calls, err)
		b.pause = firstPause
	default:
		return
	}
	b.openUntil = b.now().Add(b.pause)
	b.failed, b.calls = 0, 0
}

func (b *Breaker) count(failed bool) {
	if now := b.now(); now.Sub(b.windowStart) >= window || now.Before(b.windowStart) {
		b.windowStart, b.calls, b.failed = now, 0, 0
	}
	b.calls++
	if failed {
		b.failed++
	}
}

// Open returns the error with which a write would be refused now; nil if the breaker is
// closed.
func (b *Breaker) Open() error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.blocked(true, b.now())
}
