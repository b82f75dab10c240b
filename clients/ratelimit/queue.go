package ratelimit

import (
	"container/list"
	"context"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/priority"
)

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
