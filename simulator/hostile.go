package simulator

import (
	"net/http"
	"strconv"
)

// The rates of the world's own hostility, in a thousand calls. They are low enough that
// five tries in a row do not all fail in practice, and high enough that a run of some
// hundred calls meets each kind.
const (
	writesDoneWith502    = 50 // 502 after the work was done
	writesNotDoneWith502 = 20 // 502 before
	throttled            = 12 // 429, nothing done
	readsBroken          = 8  // 500
	readsCut             = 8  // the body ends early
)

// ownFault is the fault that the world itself gives a call. It depends on the call and
// on how often the same one was made. So a retry gets a new fault, and other requests
// made meanwhile change nothing.
func (w *World) ownFault(c Call) Fault {
	if w.opt.Calm || c.Route == "" {
		return Fault{}
	}
	what := w.prf.hash(c.Side.String(), c.Method, c.Path, c.Query.Encode(), string(c.Body))
	w.mu.Lock()
	w.tries[what]++
	try := w.tries[what]
	w.mu.Unlock()
	roll := w.prf.nth("mood", what+try)
	// Every decision needs a number of its own, because otherwise the first would
	// decide all.
	switch again := mix(roll); {
	case chance(roll, throttled):
		return Throttled([]string{"", "1"}[below(again, 2)])
	case c.Write() && c.Side == Enhance:
		return ownFaultOfWrite(again)
	case c.Write():
		return ownFaultOfStripeWrite(again)
	case chance(again, readsBroken):
		return NotDone(http.StatusInternalServerError)
	case chance(mix(again), readsCut):
		return Fault{Truncate: true}
	}
	return Fault{}
}

func ownFaultOfWrite(roll uint64) Fault {
	switch {
	case chance(roll, writesDoneWith502):
		return DoneBut(http.StatusBadGateway)
	case chance(mix(roll), writesNotDoneWith502):
		return NotDone(http.StatusBadGateway)
	}
	return Fault{}
}

func ownFaultOfStripeWrite(roll uint64) Fault {
	if chance(roll, writesNotDoneWith502) {
		return NotDone(http.StatusInternalServerError)
	}
	return Fault{}
}

// bucket counts the requests of one route within one second.
type bucket struct {
	second int64
	used   int
}

// overRate reports whether a route got more requests this second than it may.
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
