package engine

import (
	"context"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/stripe-enhance/stripe-enhance/internal/priority"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// work is the customers that a run has planned and is to apply, and the actions that
// failed for them.
type work struct {
	// These are written by one goroutine, before customers are applied.

	list     []customerWork
	unread   idSet // customers that a dry run could not look at
	complete bool  // every customer that is due was planned

	applying atomic.Bool // planning is over

	mu     sync.Mutex      // guards all below
	failed map[string]bool // ids of the actions that failed in this run
	read   map[string]bool // subscriptions that were read because the planner asked
}

// customerWork is one customer with something to apply.
type customerWork struct {
	id      string
	founds  uint64 // hash of the e-mail if an org is to be made; 0: none is
	takes   uint32 // how many of its actions take something away
	failing bool
	// onlyMails means that there is nothing to apply but mails, which are sent later.
	onlyMails bool
}

// urgency is ctx with the class of the requests that are made for the customer.
func (w customerWork) urgency(ctx context.Context) context.Context {
	if w.takes > 0 || w.failing {
		return ctx
	}
	return priority.With(ctx, priority.Urgent)
}

func newWork() *work {
	return &work{unread: idSet{}, failed: map[string]bool{}, read: map[string]bool{}}
}

// again is the work of a plan that is made again in the same run.
func (w *work) again() *work {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := newWork()
	next.read = w.read
	return next
}

// add queues a planned customer, if there is something to apply.
func (w *work) add(p reconcile.Planned, failing bool, takes func(reconcile.Action) bool) {
	if len(p.Actions) == 0 {
		return
	}
	c := customerWork{id: p.Customer, failing: failing, onlyMails: true}
	for _, a := range p.Actions {
		c.onlyMails = c.onlyMails && a.Kind == reconcile.SendMail
		if a.Kind == reconcile.CreateOrg {
			c.founds = maphash.String(seed, reconcile.EmailKey(a.Email))
		}
		if takes(a) {
			c.takes++
		}
	}
	w.list = append(w.list, c)
}

// dropTakers removes the customers that lose something, and returns their ids.
func (w *work) dropTakers() (ids []string) {
	w.list = slices.DeleteFunc(w.list, func(c customerWork) bool {
		if c.takes > 0 {
			ids = append(ids, c.id)
		}
		return c.takes > 0
	})
	return ids
}

// hasTakers reports whether a customer is to lose something.
func (w *work) hasTakers() bool {
	return slices.ContainsFunc(w.list, func(c customerWork) bool { return c.takes > 0 })
}

// addFailed notes an action that is known not to be done, after that was recorded.
func (w *work) addFailed(action string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed[action] = true
}

func (w *work) hasFailed(action string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed[action]
}

// addRead notes a subscription that was read because the planner asked.
func (w *work) addRead(subscription string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.read[subscription] = true
}

// unanswered leaves out the subscriptions that were read in this run: if that did not
// show what the planner asks, the key may not read it.
func (w *work) unanswered(needs []planner.Need) []planner.Need {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(needs, func(n planner.Need) bool {
		return n.Kind == planner.NeedSubscription && w.read[n.Subscription] || n.Kind == planner.NeedDispute && w.read[n.Dispute]
	})
}

// progress calls the option Progress, one call at a time.
type progress struct {
	call func(reconcile.Progress)
	mu   sync.Mutex // held during a call
}

func (p *progress) show(phase string, done, total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.call(reconcile.Progress{Phase: phase, Done: done, Total: total})
}
