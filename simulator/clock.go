package simulator

import (
	"container/heap"
	"time"
)

// Now returns the simulated time.
func (w *World) Now() time.Time {
	w.enter()
	defer w.mu.Unlock()
	return w.now
}

// Advance moves the clock. Everything that falls due on the way happens in order, each
// at its own instant. If several things are due at one instant, they happen in the
// order in which they were scheduled. A negative d does nothing, because time does not
// run back.
func (w *World) Advance(d time.Duration) {
	w.enter()
	defer w.mu.Unlock()
	if d <= 0 {
		return
	}
	w.ahead += d
	w.runUntil(w.now.Add(d))
}

// catchUp follows the clock given in the options, if there is one.
func (w *World) catchUp() {
	if w.opt.Follow != nil {
		w.runUntil(w.opt.Follow().UTC().Add(w.ahead))
	}
}

func (w *World) runUntil(target time.Time) {
	for len(w.timers) > 0 && w.timers[0].at <= target.UnixNano() {
		t := heap.Pop(&w.timers).(timer)
		if at := time.Unix(0, t.at).UTC(); at.After(w.now) {
			w.now = at
		}
		w.fire(t)
	}
	if target.After(w.now) {
		w.now = target
	}
	w.dropOldEvents()
}

func (w *World) fire(t timer) {
	switch {
	case t.do != nil:
		t.do()
	case t.gen == t.sub.gen: // else a later transition replaced it
		w.transition(t.sub)
	}
}

// after schedules a function, which is called with the world locked.
func (w *World) after(d time.Duration, do func()) {
	heap.Push(&w.timers, timer{at: w.now.Add(d).UnixNano(), seq: w.birth(), do: do})
}

// timer is one scheduled transition: a function, or the next step in the life of a
// subscription. The latter is no closure, because there may be a million of them.
type timer struct {
	at  int64 // Unix nanoseconds
	seq uint64
	do  func()
	sub *Subscription
	gen uint32
}

// timers is a heap, the earliest first.
type timers []timer

func (t timers) Len() int { return len(t) }
func (t timers) Less(i, j int) bool {
	if t[i].at != t[j].at {
		return t[i].at < t[j].at
	}
	return t[i].seq < t[j].seq
}
func (t timers) Swap(i, j int) { t[i], t[j] = t[j], t[i] }
func (t *timers) Push(x any)   { *t = append(*t, x.(timer)) }
func (t *timers) Pop() any {
	old := *t
	last := old[len(old)-1]
	old[len(old)-1] = timer{}
	*t = old[:len(old)-1]
	return last
}
