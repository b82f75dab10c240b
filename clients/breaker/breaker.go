// Package breaker leaves a side alone that is in trouble.
//
// A client asks before each call and tells afterwards how it ended. Five calls in
// a row that failed for the side's own reasons, or half of at least twenty within
// a minute, and the side is left alone for half a minute; then a single read asks
// whether it is back, and each time that it is not the pause doubles, to five
// minutes. What is refused here was never sent, so it is no customer's failure and
// nothing about it is in doubt.
//
// A refused credential is another matter: after three refusals without a write
// that was accepted in between, writes stop and reads go on. One refusal may be
// about one org: several about the same one count once, one that may not be read
// counts not at all, and those that were refused while others were accepted do not
// count until they are accepted themselves.
//
// Decisions:
//
//  1. Calls are counted, not attempts. One object that always answers 500 is tried
//     five times for itself; that must not stop everything else.
//  2. Only a read tries a side that was left alone. A write tried there would most
//     likely end without an answer, and then has to be looked for. A client that
//     has nothing to read asks something harmless first; see ErrReadFirst.
//  3. An answer is an answer: not found, conflict and too fast say that the side
//     works. Slowing down is what package ratelimit does.
//  4. Nothing is stored. A process that starts asks once for itself.
package breaker

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
)

const (
	// maxConsecutive opens the breaker, and so does half of enough within window.
	maxConsecutive = 5
	minCalls       = 20
	window         = time.Minute
	// firstPause doubles to longestPause while the side is asked in vain.
	firstPause   = 30 * time.Second
	longestPause = 5 * time.Minute
	// refusals in a row are taken for those of the credential.
	maxRefusals = 3
	// denialPause is how long no write follows a refused credential.
	denialPause = 5 * time.Minute
)

// ErrReadFirst refuses a write to a side that was left alone and was not asked
// since whether it is back.
var ErrReadFirst = errors.New("a read has to find the side well before anything is written")

// ErrCredential in an error says that the credential itself was refused, whatever
// the call was about.
var ErrCredential = errors.New("the credential itself is refused")

// Breaker guards one side. Make one per side and share it among everything that
// talks to that side. A nil Breaker lets everything pass. Safe for concurrent use.
type Breaker struct {
	side string
	now  func() time.Time

	mu          sync.Mutex // guards what follows
	consecutive int        // failures in a row
	failed      int        // of asked calls, since began
	calls       int
	windowStart time.Time
	pause       time.Duration // 0: closed
	openUntil   time.Time     // open until then, half-open after it
	probing     bool          // half-open: a read is under way
	reason      string        // the last failure

	refused      int             // in a row, but for reads that were answered
	refusedFor   map[string]bool // whose refusals those were
	refusedAlone map[string]bool // who was refused while others were not
	deniedUntil  time.Time       // no writes until then
	refusal      string
}

// New makes a closed breaker for a side by its name in messages. now is the clock
// of the pauses; nil: time.Now.
func New(side string, now func() time.Time) *Breaker {
	if now == nil {
		now = time.Now
	}
	return &Breaker{side: side, now: now, refusedFor: map[string]bool{}, refusedAlone: map[string]bool{}}
}

// Enter asks whether a call may be sent. leave must be called with how it ended;
// fault.Canceled, and a nil leave in the place of an error, count as nothing. The
// error is fault.Transient, around ErrReadFirst where a read would help, or
// fault.Denied; and fault.LeftAlone in any case.
func (b *Breaker) Enter(write bool) (leave func(error), err error) { return b.EnterFor("", write) }

// EnterFor is Enter for a call that is about one org, or whatever else a side may
// refuse to touch while it accepts the credential. "": about none.
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

// blocked says why a call may not be sent at an instant. Called with mu held.
func (b *Breaker) blocked(write bool, now time.Time) error {
	switch {
	case write && now.Before(b.deniedUntil):
		return fault.Errorf(fault.Denied, "nothing is written to %s until %s: it refused the credential (%s)", b.side, clock(b.deniedUntil), b.refusal)
	case b.pause == 0:
		return nil
	case now.Before(b.openUntil) && b.openUntil.Sub(now) <= longestPause: // else the clock was set back
		return fault.Errorf(fault.Transient, "%s is left alone until %s: %s", b.side, clock(b.openUntil), b.reason)
	case write:
		return fault.Wrap(fault.Transient, fmt.Errorf("%s was left alone, because %s; %w", b.side, b.reason, ErrReadFirst))
	case b.probing:
		return fault.Errorf(fault.Transient, "%s is being asked whether it is back: %s", b.side, b.reason)
	}
	return nil
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05Z") }

// leave notes once how a call ended. probe is the one read of a half-open side.
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

// record is called with mu held.
func (b *Breaker) record(about string, write bool, err error) {
	switch {
	case errors.Is(err, fault.Denied):
		b.deny(about, write, err)
	case err == nil && write:
		b.accept(about)
	}
	switch kind := fault.Of(err); {
	case kind == fault.Canceled || kind == fault.Fenced:
		return // we stopped it: that says nothing of the side
	case errors.Is(err, fault.Throttled): // whatever it means for the caller
	case kind == fault.Transient || kind == fault.Malformed || kind == fault.Ambiguous:
		b.fail(err)
		return
	}
	b.consecutive, b.pause = 0, 0
	b.count(false)
}

// deny counts a refusal. What may not be read of one org says nothing of writing to
// others. Called with mu held.
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

// accept notes a write that was accepted: the credential is good, and whoever was
// refused before it is so for a reason of his own. Called with mu held.
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
		b.pause = min(2*b.pause, longestPause) // it was asked in vain
	case b.pause > 0:
		return // sent before it was left alone
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

// Open is why not everything reaches the side at present, in the words and the
// kind that a write would be refused with; nil while it is closed.
func (b *Breaker) Open() error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.blocked(true, b.now())
}
