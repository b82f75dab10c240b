package simulator

import (
	"net/http"
	"strconv"
)

// The rates of the world's own hostility, in a thousand calls. They are low
// enough that five tries in a row never all fail in practice, and high enough
// that a run of some hundred calls meets each kind.
const (
	writesUnheard = 50 // 502 after the work was done
	writesNotDone = 20 // 502 before
	throttled     = 12 // 429, nothing done
	readsBroken   = 8  // 500
	readsCut      = 8  // the body ends early
)

// mood is the fault that the world itself gives a call. It depends on the call
// and on how often the same one was made, so that a retry meets a new fate and
// other requests beside it change nothing.
func (w *World) mood(c Call) Fault {
	if w.opt.Calm || c.Route == "" {
		return Fault{}
	}
	what := w.dice.roll(c.Side.String(), c.Method, c.Path, c.Query.Encode(), string(c.Body))
	w.mu.Lock()
	w.tries[what]++
	try := w.tries[what]
	w.mu.Unlock()
	roll := w.dice.n("mood", what+try)
	// Different questions need different rolls, else the first answer decides all.
	switch again := mix(roll); {
	case chance(roll, throttled):
		return Throttled([]string{"", "1"}[below(again, 2)])
	case c.Write() && c.Side == Enhance:
		return moodOfWrite(again)
	case c.Write():
		return moodOfStripeWrite(again)
	case chance(again, readsBroken):
		return NotDone(http.StatusInternalServerError)
	case chance(mix(again), readsCut):
		return Fault{Truncate: true}
	}
	return Fault{}
}

func moodOfWrite(roll uint64) Fault {
	switch {
	case chance(roll, writesUnheard):
		return Unheard(http.StatusBadGateway)
	case chance(mix(roll), writesNotDone):
		return NotDone(http.StatusBadGateway)
	}
	return Fault{}
}

func moodOfStripeWrite(roll uint64) Fault {
	if chance(roll, writesNotDone) {
		return NotDone(http.StatusInternalServerError)
	}
	return Fault{}
}

// bucket counts the requests of one route within one second.
type bucket struct {
	second int64
	used   int
}

// overRate tells whether a route got more requests this second than it may.
func (w *World) overRate(c Call) bool {
	limit := w.opt.StripeRPS
	if c.Side == Enhance {
		limit = w.opt.EnhanceRPS
	}
	if limit <= 0 {
		return false
	}
	key := strconv.Itoa(int(c.Side)) + c.Route
	if c.Side == Enhance {
		key = "enhance" // the panel counts all together
	}
	b := w.buckets[key]
	if b == nil {
		b = &bucket{}
		w.buckets[key] = b
	}
	if now := w.now.Unix(); b.second != now {
		b.second, b.used = now, 0
	}
	b.used++
	return b.used > limit
}
