package simulator

import (
	"fmt"
	"strconv"
	"sync"
	"time"
)

// World is one Stripe account, one Enhance panel, and the clock they share.
// All methods are safe for concurrent use.
type World struct {
	opt Options
	prf prf

	hookMu sync.RWMutex
	hook   func(Call) Fault // guarded by hookMu, never called with mu held

	mu     sync.Mutex // guards everything below
	now    time.Time
	ahead  time.Duration // how far Advance has moved the clock past Follow
	timers timers
	births uint64 // numbers objects, timers and ids in their order of creation

	account  account            // Stripe's side, see account.go
	panel    *panel             // Enhance's side, see panel.go
	log      journal            // what really happened, see effects.go
	webhooks outbox             // webhooks not sent yet, see webhook.go
	tries    map[uint64]uint64  // by the hash of a request: how often it was made
	buckets  map[string]*bucket // by route: the requests of the current second
}

// New makes an empty world: no products, no plans, no customers.
func New(o Options) *World {
	o = o.withDefaults()
	w := &World{
		opt:     o,
		prf:     prf(o.Seed),
		now:     o.Start,
		account: newAccount(),
		tries:   map[uint64]uint64{},
		buckets: map[string]*bucket{},
	}
	if o.Follow != nil {
		w.ahead = o.Start.Sub(o.Follow())
	}
	w.log = newJournal(o.RequestLog)
	w.panel = newPanel(w.prf.uuid("master organisation"), w.prf.uuid("a member of staff"), o.OrgID, o.Start)
	return w
}

// StripeKey is the key that the account accepts.
func (w *World) StripeKey() string { return w.opt.StripeKey }

// EnhanceToken is the token that the panel accepts.
func (w *World) EnhanceToken() string { return w.opt.EnhanceToken }

// OrgID is the organisation that sells; the client is configured with it.
func (w *World) OrgID() string { return w.opt.OrgID }

// enter locks the world and lets it catch up with the clock that it follows.
func (w *World) enter() {
	w.mu.Lock()
	w.catchUp()
}

// birth numbers a new object. If objects share a second, it decides their order in
// lists.
func (w *World) birth() uint64 {
	w.births++
	return w.births
}

// id makes an id of Stripe's form. As at Stripe, it does not reveal the object's age.
func (w *World) id(prefix string) string {
	return prefix + "_1" + base62(w.prf.nth(prefix, w.birth()), 15)
}

func (w *World) uuid(kind string) string {
	return w.prf.uuid(kind, strconv.FormatUint(w.birth(), 10))
}

// NotFoundError reports that the object of an operation does not exist.
type NotFoundError struct{ Kind, ID string }

func (e NotFoundError) Error() string { return fmt.Sprintf("no such %s: %q", e.Kind, e.ID) }

// RefusedError reports that the object's state does not allow the operation, such as
// paying for a subscription that was canceled.
type RefusedError struct{ ID, Reason string }

func (e RefusedError) Error() string { return e.ID + ": " + e.Reason }
