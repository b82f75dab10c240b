package simtest

import (
	"encoding/json"
	"hash/fnv"
	"net/http"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/simulator"
)

const (
	// latest is the latest that a write takes effect after it was answered: below
	// the settling time of 90 seconds.
	latest = 80 * time.Second
	// stalest is how old a listing may be.
	stalest = time.Minute
)

// page is an answer that was true once.
type page struct {
	at   time.Time
	body []byte
}

// faultOf decides what goes wrong with a call. It is a matter of the seed, the step and
// how often the route was called in it, and of nothing else.
func (y *play) faultOf(c simulator.Call) simulator.Fault {
	if y.calm || c.Route == "" {
		return simulator.Fault{Honest: true}
	}
	write := c.Write()
	for _, f := range allFaults {
		rate := y.Faults[f]
		if rate == 0 || !f.hits(c) || y.dice(string(f)+c.Side.String()+c.Route)%1000 >= uint64(rate) {
			continue
		}
		fault := y.misfortune(f, write)
		y.blind = y.blind || c.Side == simulator.Enhance && listing(c)
		y.logf("    fault: %s", f)
		return fault
	}
	if rewrite := y.rewrite(c); rewrite != nil {
		return simulator.Fault{Rewrite: rewrite}
	}
	return simulator.Fault{Honest: true}
}

// hits reports whether a fault can befall a call.
func (f Fault) hits(c simulator.Call) bool {
	switch f {
	case LateDone:
		return c.Write()
	case DoneBut, LostAfter:
		return c.Write()
	case ShortList:
		return c.Route == "GET /v1/subscriptions" || c.Side == simulator.Enhance && listing(c)
	case StaleList, LostEvent:
		return false // see rewrite
	}
	return true
}

func listing(c simulator.Call) bool {
	return !c.Write() && (strings.HasSuffix(c.Route, "/customers") || strings.HasSuffix(c.Route, "/subscriptions") || c.Route == "GET /v1/events")
}

func (y *play) misfortune(f Fault, write bool) simulator.Fault {
	roll := y.dice("how " + string(f))
	switch f {
	case DoneBut:
		return simulator.DoneBut(http.StatusBadGateway)
	case Refused:
		return simulator.NotDone([]int{500, 502, 503, 504}[roll%4])
	case LostAfter:
		return simulator.Lost(true)
	case LostEarly:
		return simulator.Lost(false)
	case TimeOut:
		y.late = 30 * time.Second
		if write {
			y.late = time.Minute
		}
		return simulator.Fault{Apply: simulator.Apply(1 + roll%2), Hang: true}
	case LateDone:
		return simulator.LateBy(time.Duration(1+roll%uint64(latest/time.Second)) * time.Second)
	case Throttled:
		return simulator.Throttled("")
	case Malformed:
		return simulator.Fault{Malformed: true}
	case Truncated:
		return simulator.Fault{Truncate: true}
	case Denied:
		return simulator.NotDone([]int{401, 403}[roll%2])
	case EmptyBody:
		return simulator.EmptyObject()
	case ShortList:
		return simulator.Fault{Rewrite: shorten(roll%2 == 0)}
	}
	return simulator.Fault{Honest: true}
}

// shorten takes elements out of a listing. Stripe's then looks complete; the panel's own
// total still counts the elements that are missing.
func shorten(all bool) func(int, []byte) (int, []byte) {
	return func(status int, body []byte) (int, []byte) {
		return status, edited(body, func(list map[string]json.RawMessage, field string, rows []json.RawMessage) []json.RawMessage {
			if field == "data" {
				list["has_more"] = json.RawMessage("false")
			}
			if all {
				return rows[:0]
			}
			return rows[:len(rows)/2]
		})
	}
}

// rewrite makes listings old, and leaves events out of them for good.
func (y *play) rewrite(c simulator.Call) func(int, []byte) (int, []byte) {
	if !listing(c) || y.Faults[StaleList]+y.Faults[LostEvent] == 0 {
		return nil
	}
	key, now := c.Path+"?"+c.Query.Encode(), y.world.Now()
	old, have := y.stale[key]
	again := have && now.Sub(old.at) <= stalest && y.dice("stale "+c.Route)%1000 < uint64(y.Faults[StaleList])
	if again {
		y.logf("    fault: %s", StaleList)
	}
	return func(status int, body []byte) (int, []byte) {
		if status != http.StatusOK {
			return status, body
		}
		if c.Route == "GET /v1/events" {
			body = edited(body, y.withoutLost)
		}
		if again {
			return status, old.body
		}
		y.stale[key] = page{now, body}
		return status, body
	}
}

// withoutLost leaves out the events that never arrive. The last of a page stays, because
// the next page is requested by its id.
func (y *play) withoutLost(_ map[string]json.RawMessage, _ string, rows []json.RawMessage) []json.RawMessage {
	kept := rows[:0:0]
	for i, row := range rows {
		var event struct {
			ID string `json:"id"`
		}
		h := fnv.New64a()
		if json.Unmarshal(row, &event) == nil && i < len(rows)-1 {
			_, _ = h.Write([]byte(event.ID))
			if h.Sum64()>>7%1000 < uint64(3*y.Faults[LostEvent]) {
				continue
			}
		}
		kept = append(kept, row)
	}
	return kept
}

// edited changes the elements of a listing of either side.
func edited(body []byte, change func(list map[string]json.RawMessage, field string, rows []json.RawMessage) []json.RawMessage) []byte {
	var list map[string]json.RawMessage
	if json.Unmarshal(body, &list) != nil {
		return body
	}
	field := "items"
	if _, ok := list["data"]; ok {
		field = "data"
	}
	var rows []json.RawMessage
	if json.Unmarshal(list[field], &rows) != nil || rows == nil {
		return body
	}
	text, err := json.Marshal(change(list, field, rows))
	if err != nil {
		return body
	}
	list[field] = text
	out, err := json.Marshal(list)
	if err != nil {
		return body
	}
	return out
}
