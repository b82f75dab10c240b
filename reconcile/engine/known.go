package engine

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// maxKnown is how many loaded customers a run keeps. A larger run loads the others
// again.
const maxKnown = 256

// known keeps customers as they were loaded, so that a customer is planned again
// before every step without being loaded again. A kept customer counts only while
// nothing else has changed: see get and run.current.
type known struct {
	changes *changes

	mu        sync.Mutex // guards customers
	customers map[string]knownCustomer
}

// knownCustomer is a customer, and how many changes there had been when it was loaded.
type knownCustomer struct {
	*reconcile.Customer
	at int64
}

func newKnown(c *changes) *known { return &known{changes: c, customers: map[string]knownCustomer{}} }

// put keeps a customer that was loaded when there had been at changes.
func (k *known) put(c *reconcile.Customer, at int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, replaces := k.customers[c.ID]; replaces || len(k.customers) < maxKnown {
		k.customers[c.ID] = knownCustomer{c, at}
	}
}

// forget drops a customer that is not needed any more.
func (k *known) forget(id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.customers, id)
}

// get returns a customer if this process has changed none since; nil: it must be
// loaded.
func (k *known) get(id string) *reconcile.Customer {
	k.mu.Lock()
	defer k.mu.Unlock()
	if c := k.customers[id]; c.Customer != nil && c.at == k.changes.now() {
		return c.Customer
	}
	return nil
}

// learner returns a function that keeps a customer with the outcome of an action, if
// recording its intent and its outcome are all that this process has changed meanwhile.
// It is called before the intent is recorded.
func (k *known) learner(c *reconcile.Customer) (learn func(reconcile.Outcome)) {
	k.mu.Lock()
	has := k.customers[c.ID]
	k.mu.Unlock()
	if has.Customer != c || has.at != k.changes.now() {
		return func(reconcile.Outcome) {}
	}
	after := has.at + 2*perWrite
	return func(o reconcile.Outcome) {
		if k.changes.now() != after {
			return
		}
		if next := learned(c, o); next != nil {
			k.put(next, after)
		}
	}
}

// current returns a customer as the database has it. If nothing has changed it, one
// statement shows that, and nothing is loaded.
func (r *run) current(ctx context.Context, id string) (*reconcile.Customer, error) {
	c := r.known.get(id)
	if c == nil {
		return r.load(ctx, id)
	}
	versions, err := r.Queue.Versions(ctx, []string{id})
	if err != nil {
		return nil, err
	}
	if version, exists := versions[id]; !exists || version != c.Version {
		return r.load(ctx, id)
	}
	return c, nil
}

// learned is a customer as the database has it after an outcome was recorded; nil: it
// must be loaded. How an outcome changes a customer stands in the row of its effect.
func learned(c *reconcile.Customer, o reconcile.Outcome) *reconcile.Customer {
	if o.State != reconcile.ActionApplied || c.Org != nil && slices.ContainsFunc(c.Kin, func(k reconcile.Kin) bool { return k.Org.ID == c.Org.ID }) {
		return nil // not known to be applied; or the org is shared, and shows twice
	}
	e, err := effectOf(o.Action.Kind)
	if err != nil || e.learn == nil {
		return nil
	}
	next := *c
	if !e.learn(&next, o) {
		return nil
	}
	return &next
}

// The functions below change a copy of a customer as the store does when it records the
// outcome. false: what the database has then is not known.

func learnOrg(next *reconcile.Customer, o reconcile.Outcome) bool {
	org := *o.Org
	org.ObservedAt, org.HostingsRead = stored(org.ObservedAt), stored(org.HostingsRead)
	next.Org, next.OrgNamed, next.OrgGuest = &org, false, false
	return true
}

func learnName(next *reconcile.Customer, o reconcile.Outcome) bool {
	if next.Org == nil || !o.Org.HostingsRead.IsZero() {
		return false
	}
	org, was := *o.Org, next.Org
	org.Created, org.ObservedAt = cmpTime(stored(org.Created), was.Created), stored(org.ObservedAt)
	org.Owners, org.OwnersRead = was.Owners, was.OwnersRead
	if org.Hostings == was.Hostings {
		org.HostingsRead = was.HostingsRead
	}
	next.Org, next.OrgNamed = &org, true
	if next.NameWanted == org.Name {
		next.NameWanted = ""
	}
	return true
}

func learnInvitation(next *reconcile.Customer, o reconcile.Outcome) bool {
	next.Invited, next.InvitedEmail = stored(o.Invited), cmp.Or(o.InvitedEmail, next.InvitedEmail)
	if next.InviteWanted == next.InvitedEmail {
		next.InviteWanted = ""
	}
	return true
}

func learnHosting(next *reconcile.Customer, o reconcile.Outcome) bool {
	if next.Org == nil || next.Org.ID != o.Binding.Org || hostingOf(next, o.Hosting.ID) != nil {
		return false
	}
	org, h, b := *next.Org, *o.Hosting, *o.Binding
	org.Hostings++
	h.ObservedAt, h.Bound, b.At = stored(h.ObservedAt), true, stored(b.At)
	next.Org, next.Hostings, next.Bindings = &org, append(slices.Clone(next.Hostings), h), append(slices.Clone(next.Bindings), b)
	slices.SortFunc(next.Hostings, func(a, b reconcile.Hosting) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(next.Bindings, func(a, b reconcile.Binding) int {
		return cmp.Or(cmp.Compare(a.Subscription, b.Subscription), cmp.Compare(a.Slot, b.Slot))
	})
	return true
}

func learnSuspension(next *reconcile.Customer, o reconcile.Outcome) bool {
	i := slices.IndexFunc(next.Hostings, func(h reconcile.Hosting) bool { return h.ID == o.Hosting.ID })
	if i < 0 || o.Hosting.State != reconcile.HostingSuspended || o.Hosting.SuspendedByUs.IsZero() || o.Hosting.Usage == nil {
		return false
	}
	next.Hostings = slices.Clone(next.Hostings)
	h := &next.Hostings[i]
	h.State, h.Plan, h.SuspendedBy, h.FriendlyName = o.Hosting.State, o.Hosting.Plan, o.Hosting.SuspendedBy, o.Hosting.FriendlyName
	h.Usage, h.ObservedAt, h.SuspendedByUs = o.Hosting.Usage, stored(o.Hosting.ObservedAt), stored(o.Hosting.SuspendedByUs)
	return true
}

// stored is a time as the database returns it.
func stored(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.UTC().Truncate(time.Microsecond)
}

// cmpTime is the first time that is not zero.
func cmpTime(a, b time.Time) time.Time {
	if a.IsZero() {
		return b
	}
	return a
}
