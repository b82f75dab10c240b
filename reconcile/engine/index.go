package engine

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// orgIndex is what a run knows of the orgs at the panel: whether its index of them
// is fresh, which of them it has looked into, made or found, and which of them cannot
// be looked into.
type orgIndex struct {
	// refreshing is full while the index is being read from the panel. Who waits for that
	// waits no longer than its context, which a mutex would not allow.
	refreshing chan struct{}

	mu       sync.Mutex      // guards all below
	recent   bool            // the newest orgs were read in this run
	complete bool            // all orgs were read in this run, for a lost write
	listed   map[string]bool // orgs whose hostings were read in this run
	made     map[string]bool // orgs made in this run
	found    map[string]bool // orgs bound in this run that were there before
	unlisted []unlistedOrg   // orgs whose hostings could not be listed in this run
	// recoveredUntil is when the newest org was made that was there when the database
	// knew nothing of the panel: any older org may hold objects of ours. Zero: the
	// database has always known the panel.
	recoveredUntil time.Time
}

// unlistedOrg is an org whose hostings cannot be listed, and why.
type unlistedOrg struct {
	reconcile.Org
	err error
}

func newOrgIndex() *orgIndex {
	return &orgIndex{refreshing: make(chan struct{}, 1), listed: map[string]bool{}, made: map[string]bool{}, found: map[string]bool{}}
}

// again is the index for a plan that is made again in the same run: orgs that were read
// stay read, and orgs that are to be looked into first are looked into again.
func (x *orgIndex) again() *orgIndex {
	x.mu.Lock()
	defer x.mu.Unlock()
	next := newOrgIndex()
	next.recent, next.complete, next.unlisted, next.recoveredUntil = x.recent, x.complete, x.unlisted, x.recoveredUntil
	return next
}

// firstLook reports whether the hostings of an org were not read in this run yet, and
// notes that they are now.
func (x *orgIndex) firstLook(org string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	first := !x.listed[org]
	x.listed[org] = true
	return first
}

// addMade notes an org that was made in this run. It began empty, so nothing has to
// be looked for in it.
func (x *orgIndex) addMade(org string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.made[org], x.listed[org] = true, true
}

// addFound notes an org that was bound in this run and was there before.
func (x *orgIndex) addFound(org string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.found[org] = true
}

func (x *orgIndex) isMade(org string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.made[org]
}

func (x *orgIndex) isFound(org string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.found[org]
}

// setRecent notes that the newest orgs were read in this run.
func (x *orgIndex) setRecent() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.recent = true
}

// oneAtATime waits until no other caller reads the index. done lets the next one begin.
func (x *orgIndex) oneAtATime(ctx context.Context) (done func(), err error) {
	select {
	case x.refreshing <- struct{}{}:
		return func() { <-x.refreshing }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// refresh runs read unless the index is recent already, one caller at a time.
func (x *orgIndex) refresh(ctx context.Context, read func() error) error {
	done, err := x.oneAtATime(ctx)
	if err != nil {
		return err
	}
	defer done()
	x.mu.Lock()
	recent := x.recent
	x.mu.Unlock()
	if recent {
		return nil
	}
	return read()
}

// refreshAll runs read unless all orgs were read in this run already, one caller at
// a time.
func (x *orgIndex) refreshAll(ctx context.Context, read func() error) error {
	done, err := x.oneAtATime(ctx)
	if err != nil {
		return err
	}
	defer done()
	x.mu.Lock()
	complete := x.complete
	x.mu.Unlock()
	if complete {
		return nil
	}
	if err := read(); err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.complete = true
	return nil
}

// setUnlisted notes which orgs cannot be listed, and returns those noted before.
func (x *orgIndex) setUnlisted(orgs []unlistedOrg) (before []unlistedOrg) {
	x.mu.Lock()
	defer x.mu.Unlock()
	before, x.unlisted = x.unlisted, orgs
	return before
}

// setRecovered notes up to which date an org may hold objects of ours that the database has forgotten.
func (x *orgIndex) setRecovered(until time.Time) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.recoveredUntil = until
}

// errCreationBlocked is why something is not created: it may be there already.
var errCreationBlocked = errors.New("it may be there already")

// creationBlocked fails if the thing that an action creates may be in an org that
// cannot be listed. The customer may have one there already that this database does
// not know of, because it was made before the database was lost or put back; a
// second one would be paid for once and run twice.
//
// The rule: an org that cannot be listed blocks the creation of orgs and hostings
// for a customer, unless one of these is true:
//
//   - The customer has an org of which it is certain: with our marker in its name,
//     or with a bound hosting in it. All hostings of a customer are in one org.
//   - The org carries the marker of another customer, or is older than the customer's
//     oldest subscription: we make nothing before there is an order.
//   - Another person owns it, and its name is not the customer's either. This does
//     not count for orgs that were there when the database knew nothing of the panel:
//     names and e-mails change, and the database no longer remembers the old ones.
//
// None of them counts if the customer owns the org or the org has the customer's
// name, unless a person has declared the order to be new: it may hold hostings that people
// made for this order.
//
// An org without an owner does not show whose it is. So while one org cannot be
// read, customers who order after it was made are served, and of those who ordered
// before, the ones that it cannot belong to.
//
// A blocked creation is no failure of the customer: it is looked for again, and is
// not counted.
func (x *orgIndex) creationBlocked(c *reconcile.Customer, a reconcile.Action, instance string) error {
	x.mu.Lock()
	orgs, recovered := x.unlisted, x.recoveredUntil
	x.mu.Unlock()
	for _, o := range orgs {
		if !cannotBelongTo(c, o.Org, instance, recovered) || mayHoldItsOwn(c, a, o.Org) {
			return fault.Errorf(fault.Transient, "%w: the hostings of org %s (%q) cannot be listed, and it may be this customer's. "+
				"Delete or mend it in the panel, or name the right org in the metadata enhance_org_id of the subscription (%w)", errCreationBlocked, o.ID, o.Name, o.err)
		}
	}
	return nil
}

// mayHoldItsOwn reports whether an org has the customer as owner or in its name, so that
// people may have made something in it for the order.
func mayHoldItsOwn(c *reconcile.Customer, a reconcile.Action, o reconcile.Org) bool {
	if slices.ContainsFunc(c.Subscriptions, func(s reconcile.Subscription) bool { return s.ID == a.Subscription && s.IsNewOrder }) {
		return false
	}
	owner, name := reconcile.EmailKey(o.OwnerEmail), reconcile.NameKey(o.Name)
	return owner != "" && owner == reconcile.EmailKey(c.Email) ||
		name != "" && (name == reconcile.NameKey(c.Name) || name == reconcile.NameKey(c.Email))
}

// cannotBelongTo reports whether no hosting of a customer can be in an org.
func cannotBelongTo(c *reconcile.Customer, o reconcile.Org, instance string, recoveredUntil time.Time) bool {
	return hasCertainOrg(c) || markedForAnother(c, o, instance) || olderThanItsOrders(c, o) ||
		o.Created.After(recoveredUntil) && ownedByAnother(c, o)
}

// hasCertainOrg reports whether the customer's org is known to be the right one.
func hasCertainOrg(c *reconcile.Customer) bool {
	return c.Org != nil && (!c.OrgNamed || slices.ContainsFunc(c.Bindings, func(b reconcile.Binding) bool { return b.Org == c.Org.ID }))
}

// markedForAnother reports whether an org carries our marker of another customer.
func markedForAnother(c *reconcile.Customer, o reconcile.Org, instance string) bool {
	m, marked := reconcile.MarkerOf(o.Name)
	m = m.Of(instance)
	return marked && m.StripeID != c.ID &&
		!slices.ContainsFunc(c.Subscriptions, func(s reconcile.Subscription) bool { return s.StripeCustomer == m.StripeID || s.ID == m.StripeID })
}

// olderThanItsOrders reports whether an org was made before the customer ordered anything.
func olderThanItsOrders(c *reconcile.Customer, o reconcile.Org) bool {
	return !o.Created.IsZero() && !slices.ContainsFunc(c.Subscriptions, func(s reconcile.Subscription) bool {
		return s.Created.IsZero() || !s.Created.Add(-indexOverlap).After(o.Created)
	})
}

// ownedByAnother reports whether another person owns an org, and that its name is not the
// customer's.
func ownedByAnother(c *reconcile.Customer, o reconcile.Org) bool {
	own := func(name string) bool {
		return name != "" && strings.EqualFold(strings.TrimSpace(o.Name), strings.TrimSpace(name))
	}
	return o.OwnerEmail != "" && reconcile.EmailKey(o.OwnerEmail) != reconcile.EmailKey(c.Email) &&
		!own(c.Name) && !own(c.Email) && !own(c.ID)
}
