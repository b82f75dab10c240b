package simulator

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

// Side is the service that a call went to.
type Side int

const (
	Stripe Side = iota + 1
	Enhance
)

func (s Side) String() string {
	switch s {
	case Stripe:
		return "stripe"
	case Enhance:
		return "enhance"
	}
	return "unknown side"
}

// Call is one request as a fault hook sees it, before it has any effect.
type Call struct {
	Side   Side
	Method string
	Route  string // "POST /orgs/{org}/customers", "GET /v1/subscriptions/{id}"; empty if no route matches
	Path   string // "/v1/subscriptions/sub_1…", "/orgs/…": Enhance's without /api
	Query  url.Values
	Header http.Header
	Body   []byte
	Seq    uint64 // 1 for the world's first request
}

// Write reports whether the call is meant to change something.
func (c Call) Write() bool {
	return c.Method != http.MethodGet && c.Method != http.MethodHead && c.Route != domainQuestion
}

// domainQuestion is a read, though the panel takes it by POST.
const domainQuestion = "POST /orgs/{org}/domains/check"

// Apply decides whether a call has its effect.
type Apply int

const (
	Do   Apply = iota + 1 // the effect happens (also if Apply is zero)
	Skip                  // it never happens
	Late                  // it happens Fault.After from now, whatever the answer was
)

func (a Apply) String() string {
	switch a {
	case 0, Do:
		return "do"
	case Skip:
		return "skip"
	case Late:
		return "late"
	}
	return "unknown apply"
}

// Fault is the fault of one call. Effect and answer are independent, because a client
// cannot see the effect. The zero Fault leaves the call to the world's own hostility;
// any other replaces that for this call.
type Fault struct {
	// Honest makes the call behave exactly as at a healthy service.
	Honest bool

	Apply Apply
	After time.Duration // with Late

	// Status, Header and Body replace the answer. If only Status is set, the body is
	// the one that the service would send with it. 0 keeps the real answer, or is 502
	// if nothing was done and 504 if it is late.
	Status int
	Header http.Header
	Body   []byte

	// Rewrite changes the answer that would have been sent.
	Rewrite func(status int, body []byte) (int, []byte)

	Malformed bool // the JSON ends in the middle, properly framed
	Truncate  bool // the connection ends in the middle of the body
	Reset     bool // the connection breaks before an answer
	Hang      bool // no answer: a time-out at the client

	// Delay passes before the answer: in real time over sockets, in simulated time
	// through Transport.
	Delay time.Duration
}

func (f Fault) zero() bool {
	return !f.Honest && f.Apply == 0 && f.Status == 0 && f.Header == nil && f.Body == nil && f.Rewrite == nil &&
		!f.Malformed && !f.Truncate && !f.Reset && !f.Hang && f.Delay == 0
}

// SetFault calls hook for every call from now on; nil ends that. The hook may use the
// world's methods, so that a customer can pay while a request is on its way. Several
// requests may call it concurrently.
func (w *World) SetFault(hook func(Call) Fault) {
	w.hookMu.Lock()
	defer w.hookMu.Unlock()
	w.hook = hook
}

// NotDone answers status and does nothing.
func NotDone(status int) Fault { return Fault{Apply: Skip, Status: status} }

// DoneBut does the work but answers status, so that the client cannot know.
func DoneBut(status int) Fault { return Fault{Apply: Do, Status: status} }

// LateBy answers 504 now and does the work d later.
func LateBy(d time.Duration) Fault {
	return Fault{Apply: Late, After: d, Status: http.StatusGatewayTimeout}
}

// Throttled answers 429 and does nothing. If retryAfter is empty there is no header.
func Throttled(retryAfter string) Fault {
	f := NotDone(http.StatusTooManyRequests)
	if retryAfter != "" {
		f.Header = http.Header{"Retry-After": {retryAfter}}
	}
	return f
}

// Lost breaks the connection; done decides whether the work is done before.
func Lost(done bool) Fault {
	if done {
		return Fault{Apply: Do, Reset: true}
	}
	return Fault{Apply: Skip, Reset: true}
}

// EmptyObject answers 200 with {} to every call.
func EmptyObject() Fault { return Fault{Apply: Do, Status: http.StatusOK, Body: []byte("{}")} }

// EmptyList answers a listing as if it had no elements.
func EmptyList() Fault {
	return Fault{Rewrite: func(status int, body []byte) (int, []byte) { return status, keepOfList(body, 0) }}
}

// HalfList answers a listing with its first half, as if that were complete.
func HalfList() Fault {
	return Fault{Rewrite: func(status int, body []byte) (int, []byte) { return status, keepOfList(body, 0.5) }}
}

// WrongLivemode answers with the other mode on every object.
func WrongLivemode() Fault {
	return Fault{Rewrite: func(status int, body []byte) (int, []byte) { return status, flipLivemode(body) }}
}

// keepOfList shortens a listing of either service to a part of its elements and makes
// it look complete. Other bodies stay as they are.
func keepOfList(body []byte, part float64) []byte {
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
	rows = rows[:int(float64(len(rows))*part)]
	short, err := json.Marshal(rows)
	if err != nil {
		return body
	}
	list[field] = short
	if field == "data" {
		list["has_more"] = json.RawMessage("false")
	} else {
		list["total"] = json.RawMessage(itoa(int64(len(rows))))
	}
	out, err := json.Marshal(list)
	if err != nil {
		return body
	}
	return out
}

func flipLivemode(body []byte) []byte {
	const yes, no, other = `"livemode":true`, `"livemode":false`, `"livemode":?`
	body = bytes.ReplaceAll(body, []byte(yes), []byte(other))
	body = bytes.ReplaceAll(body, []byte(no), []byte(yes))
	return bytes.ReplaceAll(body, []byte(other), []byte(no))
}
