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
	// inARow opens the breaker, and so does half of enough within window.
	inARow = 5
	enough = 20
	window = time.Minute
	// firstPause doubles to longestPause while the side is asked in vain.
	firstPause   = 30 * time.Second
	longestPause = 5 * time.Minute
	// refusals in a row are taken for those of the credential.
	refusals = 3
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

	mu     sync.Mutex // guards what follows
	row    int        // failures in a row
	failed int        // of asked calls, since began
	asked  int
	began  time.Time
	pause  time.Duration // 0: closed
	until  time.Time     // open until then, half-open after it
	asking bool          // half-open: a read is under way
	why    string        // the last failure

	refused int             // in a row, but for reads that were answered
	about   map[string]bool // whose refusals those were
	known   map[string]bool // who was refused while others were not
	denied  time.Time       // no writes until then
	refusal string
}

// New makes a closed breaker for a side by its name in messages. now is the clock
// of the pauses; nil: time.Now.
func New(side string, now func() time.Time) *Breaker {
	if now == nil {
		now = time.Now
	}
	return &Breaker{side: side, now: now, about: map[string]bool{}, known: map[string]bool{}}
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
	if err := b.closedTo(write, now); err != nil {
		return nil, fault.Unsent(err)
	}
	if b.pause > 0 {
		b.asking = true
		return b.leave(about, write, true), nil
	}
	return b.leave(about, write, false), nil
}

// closedTo says why a call may not be sent at an instant. Called with mu held.
func (b *Breaker) closedTo(write bool, now time.Time) error {
	switch {
	case write && now.Before(b.denied):
		return fault.Errorf(fault.Denied, "nothing is written to %s until %s: it refused the credential (%s)", b.side, clock(b.denied), b.refusal)
	case b.pause == 0:
		return nil
	case now.Before(b.until) && b.until.Sub(now) <= longestPause: // else the clock was set back
		return fault.Errorf(fault.Transient, "%s is left alone until %s: %s", b.side, clock(b.until), b.why)
	case write:
		return fault.Wrap(fault.Transient, fmt.Errorf("%s was left alone, because %s; %w", b.side, b.why, ErrReadFirst))
	case b.asking:
		return fault.Errorf(fault.Transient, "%s is being asked whether it is back: %s", b.side, b.why)
	}
	return nil
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05Z") }

// leave notes once how a call ended. trial is the one read of a half-open side.
func (b *Breaker) leave(about string, write, trial bool) func(error) {
	var once sync.Once
	return func(err error) {
		once.Do(func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			if trial {
				b.asking = false
			}
			b.note(about, write, err)
		})
	}
}

// note is called with mu held.
func (b *Breaker) note(about string, write bool, err error) {
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
	b.row, b.pause = 0, 0
	b.count(false)
}

// deny counts a refusal. What may not be read of one org says nothing of writing to
// others. Called with mu held.
func (b *Breaker) deny(about string, write bool, err error) {
	if errors.Is(err, ErrCredential) {
		about = ""
	}
	if about != "" && (!write || b.known[about]) {
		return
	}
	if about == "" || !b.about[about] {
		b.refused++
	}
	if about != "" {
		b.about[about] = true
	}
	if b.refused >= refusals {
		b.denied, b.refusal = b.now().Add(denialPause), err.Error()
	}
}

// accept notes a write that was accepted: the credential is good, and whoever was
// refused before it is so for a reason of his own. Called with mu held.
func (b *Breaker) accept(about string) {
	for org := range b.about {
		b.known[org] = true
	}
	delete(b.known, about)
	clear(b.about)
	b.refused, b.denied = 0, time.Time{}
}

func (b *Breaker) fail(err error) {
	b.row++
	b.count(true)
	switch {
	case b.pause > 0 && !b.now().Before(b.until):
		b.pause = min(2*b.pause, longestPause) // it was asked in vain
	case b.pause > 0:
		return // sent before it was left alone
	case b.row >= inARow:
		b.why = fmt.Sprintf("%d calls in a row failed, the last: %v", b.row, err)
		b.pause = firstPause
	case b.asked >= enough && 2*b.failed >= b.asked:
		b.why = fmt.Sprintf("%d of %d calls failed within a minute, the last: %v", b.failed, b.asked, err)
		b.pause = firstPause
	default:
		return
	}
	b.until = b.now().Add(b.pause)
	b.failed, b.asked = 0, 0
}

func (b *Breaker) count(failed bool) {
	if now := b.now(); now.Sub(b.began) >= window || now.Before(b.began) {
		b.began, b.asked, b.failed = now, 0, 0
	}
	b.asked++
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
	return b.closedTo(true, b.now())
}
