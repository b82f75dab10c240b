package simulator

import (
	"maps"
	"regexp"
	"slices"
	"time"
)

// Effect is one write that was really done, whatever its caller was answered.
type Effect struct {
	Seq  int // 1, 2, 3 …
	At   time.Time
	Side Side
	// Kind is create_org, rename_org, suspend_org, resume_org, delete_org,
	// invite_owner, take_invitation_back, remove_member, create_login, add_member, set_owner, recover_password,
	// create_subscription, suspend, resume, change_plan, rename_subscription,
	// delete_subscription, undelete_subscription, create_website,
	// remove_website, move_website, backup_website, install_app, create_database,
	// write_metadata.
	Kind string

	Org     string // Enhance organisation
	Hosting int    // Enhance subscription, 0 if there is none
	Object  string // the Stripe object written to; or the new login, member, website
	Before  State  // zero if the object was created
	After   State

	// Subscription is the Stripe subscription named by a marker like [sub_1Nq…/1] in
	// the hosting's friendlyName, and Unit the rest of the marker. StripeStatus and
	// StripePrices are that subscription's at this instant.
	Subscription, Unit string
	StripeStatus       string
	StripePrices       []string

	Staff bool // done by staff in the panel, not through the API
	Late  bool // done after the answer, by a fault
}

// State is the part of an organisation or a hosting that can be changed.
type State struct {
	Name        string // or friendlyName
	Plan        int
	Status      string // active, deleted
	SuspendedBy string
}

// Request is one call that reached a service.
type Request struct {
	Seq    uint64
	At     time.Time
	Side   Side
	Method string
	Route  string
	Path   string
	Query  string
	Status int  // as sent; the client may have seen less
	Done   bool // false if a fault prevented or delayed it
	Faulty bool // a fault of any kind
}

// Violation is a request that must never be sent.
type Violation struct {
	At time.Time
	// Kind is force, org-delete, idempotency-key, foreign-resume, or stripe-write and
	// enhance-write for a write that our clients have no reason to send.
	Kind string
	Call string // method and path
}

// Mail is one that Enhance sent.
type Mail struct {
	At        time.Time
	Kind, To  string // invite, password-recovery
	Org, Link string
}

// journal records what really happened. It is guarded by the world's mutex.
type journal struct {
	effects    []Effect
	requests   []Request // the latest of keep to 2·keep
	keep       int
	seq        uint64
	counts     map[Side]map[string]int
	violations []Violation
	mails      []Mail
	late       bool // the write in progress was requested earlier
}

func newJournal(keep int) journal {
	return journal{keep: keep, counts: map[Side]map[string]int{Stripe: {}, Enhance: {}}}
}

func (j *journal) request(c Call, at time.Time, status int, done bool, f Fault) {
	j.counts[c.Side][c.Route]++
	if len(j.requests) >= 2*j.keep {
		j.requests = append(j.requests[:0], j.requests[j.keep:]...)
	}
	j.requests = append(j.requests, Request{
		Seq: c.Seq, At: at, Side: c.Side, Method: c.Method, Route: c.Route, Path: c.Path,
		Query: c.Query.Encode(), Status: status, Done: done, Faulty: !f.zero() && !f.Honest,
	})
}

// effect adds to the log and looks up the subscription that the marker names.
func (w *World) effect(e Effect) {
	e.Seq, e.At, e.Late = len(w.log.effects)+1, w.now, w.log.late
	if e.Side == 0 {
		e.Side = Enhance
	}
	if e.Subscription == "" {
		e.Subscription, e.Unit = marker(e.After.Name)
	}
	if e.Subscription == "" {
		e.Subscription, e.Unit = marker(e.Before.Name)
	}
	if s := w.account.subs.byID[e.Subscription]; s != nil {
		e.StripeStatus = s.Status
		for _, it := range s.Items {
			e.StripePrices = append(e.StripePrices, it.Price)
		}
	}
	w.log.effects = append(w.log.effects, e)
}

var markerPattern = regexp.MustCompile(`\[(sub_[0-9A-Za-z]+)(?:/([0-9A-Za-z_/.]+))?(?:@[0-9a-z-]+)?\]`)

func marker(name string) (subscription, unit string) {
	m := markerPattern.FindStringSubmatch(name)
	if m == nil {
		return "", ""
	}
	return m[1], m[2]
}

func (w *World) violate(kind string, c Call) {
	w.log.violations = append(w.log.violations, Violation{At: w.now, Kind: kind, Call: c.Method + " " + c.Path})
}

// Effects returns all writes that were done, in order. The log only grows.
func (w *World) Effects() []Effect {
	w.enter()
	defer w.mu.Unlock()
	return slices.Clone(w.log.effects)
}

// Requests returns the latest calls of both sides, oldest first: at least
// Options.RequestLog of them, if there were that many.
func (w *World) Requests() []Request {
	w.enter()
	defer w.mu.Unlock()
	return slices.Clone(w.log.requests)
}

// Counts returns the number of calls of one side so far by route, like "GET
// /v1/subscriptions"; calls to unknown routes are under "".
func (w *World) Counts(side Side) map[string]int {
	w.enter()
	defer w.mu.Unlock()
	out := make(map[string]int, len(w.log.counts[side]))
	maps.Copy(out, w.log.counts[side])
	return out
}

// Total returns how many calls a side got.
func (w *World) Total(side Side) (n int) {
	for _, v := range w.Counts(side) {
		n += v
	}
	return n
}

// Violations returns the requests that must never be sent. A correct client has none.
func (w *World) Violations() []Violation {
	w.enter()
	defer w.mu.Unlock()
	return slices.Clone(w.log.violations)
}

// Mails returns the mails that Enhance sent to people.
func (w *World) Mails() []Mail {
	w.enter()
	defer w.mu.Unlock()
	return slices.Clone(w.log.mails)
}
