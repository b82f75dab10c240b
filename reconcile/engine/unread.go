package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

const (
	// unreadPage is how many orgs that were never listed are taken at once, and
	// unreadAtOnce how many are asked for at the same time: one less than the calls
	// after which the panel's breaker opens, so that orgs that cannot be read do not
	// keep us from those that can.
	unreadPage, unreadAtOnce = 200, 4
	// unreadPatience is how many orgs in a row cannot be listed before one is asked
	// for that could be: is it they, or is it the panel?
	unreadPatience = 3
	// mostOut is how many that do not answer are asked for in one look, and mostRefused
	// how many that are refused for good, which takes no time to find out. The rest is
	// asked for first in the next look: until then nobody knows what is in it.
	mostOut, mostRefused = 8, 200
	// unreadTold is how many of what was passed over are named in the notes of a run.
	unreadTold = 8
)

// errNotAsked is why an org is not known: others kept the look from getting to it.
var errNotAsked = fault.Errorf(fault.Transient, "too many others cannot be listed, it is asked for in the next look")

// unreadable is an org whose hostings cannot be listed, and why.
type unreadable struct {
	reconcile.Org
	err error
}

// look is one look at the orgs that were never listed.
type look struct {
	seen   int    // hostings
	good   string // an org that could be listed
	proved bool   // or one that was known before
	row    int    // that could not, since the last that could
	out    int    // that gave no answer, or none that can be read
	denied int    // that were refused for good
	last   string // that was asked for
	failed []unreadable
}

// short tells that a look ends before all were asked for.
func (l *look) short() bool { return l.out > mostOut || l.denied > mostRefused }

// readUnread lists the hostings of every org whose hostings were never listed. Our
// own are known from the moment they are made; others appear when somebody made
// one by hand, and when this database is older than the panel. The name of an org
// no longer tells whose it is once it is bound: only the hostings in it do.
//
// An org that cannot be listed is passed over, and said. It is no error of the run:
// one org, be it a stranger's, must not keep everybody from what they pay for, and
// neither must any number of them. What they keep from being made is said at barred. A
// panel of which nothing can be read is an error. So is a look that is cut short when
// nothing is known of the panel yet (all): it goes on in the next run.
//
// One look at a time: it is asked for by steps of the run, and with the index held.
func (r *run) readUnread(ctx context.Context, total int, all bool) (seen int, err error) {
	from, err := r.Cursors.Cursor(ctx, cursorUnread)
	if err != nil {
		return 0, err
	}
	var l look
	err = r.readBetween(ctx, &l, from, "", total)
	if err == nil && from != "" {
		err = r.readBetween(ctx, &l, "", from, total)
	}
	if err != nil {
		return l.seen, err
	}
	next := ""
	if l.short() {
		next = l.last
	}
	if next != from {
		if err := r.Cursors.SetCursor(ctx, r.tok, cursorUnread, next); err != nil {
			return l.seen, err
		}
	}
	if n := len(l.failed); n > 0 && (all && l.short() || n >= unreadPatience && l.good == "" && !l.proved) {
		i := slices.IndexFunc(l.failed, func(u unreadable) bool { return u.err != errNotAsked })
		return l.seen, fmt.Errorf("looking for hostings of ours: %d orgs could not be listed, one of them: %w", n, l.failed[i].err)
	}
	return l.seen, r.passOver(ctx, l.failed)
}

// readBetween looks into the orgs whose ids are after one and not after another; "": to
// the last.
func (r *run) readBetween(ctx context.Context, l *look, after, until string, total int) error {
	for {
		orgs, err := r.Inventory.UnreadOrgs(ctx, after, unreadPage)
		if err != nil {
			return err
		}
		if until != "" {
			orgs = slices.DeleteFunc(orgs, func(o reconcile.Org) bool { return o.ID > until })
		}
		if len(orgs) == 0 {
			return nil
		}
		if err := r.readEach(ctx, l, orgs); err != nil {
			return fmt.Errorf("looking for hostings of ours: %w", err)
		}
		after = orgs[len(orgs)-1].ID
		r.progress("comparing", l.seen, max(total, l.seen))
	}
}

// readEach looks into some orgs: several at once while all goes well, and one after
// the other while it does not.
func (r *run) readEach(ctx context.Context, l *look, orgs []reconcile.Org) error {
	for len(orgs) > 0 {
		if l.short() {
			for _, o := range orgs {
				l.failed = append(l.failed, unreadable{o, errNotAsked})
			}
			return nil
		}
		n := min(len(orgs), unreadAtOnce, r.Concurrency)
		if l.row > 0 {
			n = 1
		}
		lists, errs := make([][]reconcile.Hosting, n), make([]error, n)
		g := errgroup.Group{}
		for i, o := range orgs[:n] {
			g.Go(guarded(func() error {
				errs[i] = fault.Guard(func() (err error) {
					lists[i], err = r.hostingsOf(ctx, o.ID)
					return err
				})
				return nil
			}))
		}
		_ = g.Wait()
		for i, o := range orgs[:n] {
			l.last = o.ID
			if errs[i] != nil {
				if err := l.miss(ctx, o, errs[i]); err != nil {
					return err
				}
				continue
			}
			l.good, l.seen = o.ID, l.seen+len(lists[i])
			if n == 1 {
				l.row = 0
			}
			if err := r.Inventory.SaveHostings(ctx, r.tok, o.ID, lists[i], r.now); err != nil {
				return err
			}
		}
		if err := r.askAnother(ctx, l); err != nil {
			return err
		}
		orgs = orgs[n:]
	}
	return nil
}

// miss notes an org that could not be listed. The error is that of the look.
func (l *look) miss(ctx context.Context, o reconcile.Org, err error) error {
	if kind := fault.Of(err); kind == fault.Canceled || kind == fault.Fenced || ctx.Err() != nil {
		return err
	}
	l.row++
	l.failed = append(l.failed, unreadable{o, err})
	switch fault.Of(err) {
	case fault.Denied, fault.Permanent, fault.NotFound, fault.Conflict:
		l.denied++
	case fault.Malformed, fault.Transient, fault.Throttled, fault.Ambiguous, fault.Unknown, fault.Canceled, fault.Fenced:
		l.out++
	}
	return nil
}

// askAnother lists, after several that could not be, an org that could: one of this
// look, or one that we have hostings in.
func (r *run) askAnother(ctx context.Context, l *look) error {
	if l.row < unreadPatience {
		return nil
	}
	ask := []string{l.good}
	if l.good == "" {
		bound, err := r.anyBound(ctx)
		if err != nil {
			return err
		}
		ask = ask[:0]
		for _, h := range slices.Backward(bound) { // what was looked at longest ago may be in trouble itself
			if !slices.Contains(ask, h.Org) {
				ask = append(ask, h.Org)
			}
		}
	}
	found, _, err := anyThere(len(ask), func(i int) error {
		_, err := r.Panel.Hostings(ctx, ask[i])
		return err
	})
	if err != nil {
		return err
	}
	l.proved, l.row = l.proved || found, 0
	return nil
}

// hostingsOf lists the hostings of an org.
func (r *run) hostingsOf(ctx context.Context, org string) ([]reconcile.Hosting, error) {
	hostings, err := r.Panel.Hostings(ctx, org)
	if errors.Is(err, fault.NotFound) {
		return nil, nil // deleted since it was listed: an org without hostings
	}
	return hostings, err
}

// readOrg stores the hostings of one org.
func (r *run) readOrg(ctx context.Context, org string) error {
	hostings, err := r.hostingsOf(ctx, org)
	if err != nil {
		return err
	}
	return r.Inventory.SaveHostings(ctx, r.tok, org, hostings, r.now)
}

// passOver remembers for this run which orgs could not be listed, and tells it.
func (r *run) passOver(ctx context.Context, orgs []unreadable) error {
	if len(orgs) > 0 {
		text, err := r.Cursors.Cursor(ctx, cursorRecovery)
		if err != nil {
			return err
		}
		r.recovered, _ = time.Parse(time.RFC3339Nano, text) // none: the database has known the panel all along
	}
	r.mu.Lock()
	known := r.unreadable
	r.unreadable = orgs
	r.mu.Unlock()
	told := len(known)
	for _, o := range orgs {
		if told < unreadTold && !slices.ContainsFunc(known, func(k unreadable) bool { return k.ID == o.ID }) {
			told++
			r.note("the hostings of org %s (%q) cannot be listed, and it is passed over; who may have hosting there already gets no other: %v", o.ID, o.Name, o.err)
		}
	}
	if more := len(orgs) - unreadTold; more > 0 && len(known) <= unreadTold {
		r.note("the hostings of %d more orgs cannot be listed, and they are passed over like these", more)
	}
	return nil
}

// errCreationBlocked is why something is not created: it may be there already.
var errCreationBlocked = errors.New("it may be there already")

// barred keeps from being created what may be in an org that cannot be listed. A
// customer may have one already that this database does not know of, made before it
// was lost or put back; a second one would be paid for once and run twice.
//
// The rule: an org that cannot be listed bars the creation of orgs and hostings for
// a customer, unless one of these is so:
//
//   - The customer has an org of which it is certain: with our marker in its name,
//     or with a hosting in it that is bound. All of a customer's hostings are in one
//     org.
//   - It carries the marker of somebody else, or is older than the customer's oldest
//     subscription: we make nothing for who has not ordered.
//   - Somebody else owns it, and its name is not the customer's either. This does not
//     hold for what was there when the database knew nothing of the panel: names and
//     e-mails change, and then nothing in the database remembers the old ones.
//
// None of them counts for an org that is owned by the customer or has its name, unless
// a person has said that the order is new: it may hold what people made for it.
//
// An org without an owner says nothing about whose it is. So while one org cannot be
// read, everybody who orders later than it was made is served, and of those who
// ordered before, whoever it cannot belong to.
//
// What is barred is nobody's failure: it is looked for again, and counts for nothing.
func (r *run) barred(c *reconcile.Customer, a reconcile.Action) error {
	r.mu.Lock()
	orgs := r.unreadable
	r.mu.Unlock()
	for _, o := range orgs {
		if !r.elsewhere(c, o.Org) || mayHoldItsOwn(c, a, o.Org) {
			return fault.Errorf(fault.Transient, "%w: the hostings of org %s (%q) cannot be listed, and it may be this customer's. "+
				"Delete or mend it in the panel, or name the right org in the metadata enhance_org_id of the subscription (%w)", errCreationBlocked, o.ID, o.Name, o.err)
		}
	}
	return nil
}

// mayHoldItsOwn tells that an org shows by owner or name that what people made in it may
// be for an order of the customer.
func mayHoldItsOwn(c *reconcile.Customer, a reconcile.Action, o reconcile.Org) bool {
	if slices.ContainsFunc(c.Subscriptions, func(s reconcile.Subscription) bool { return s.ID == a.Subscription && s.SaidNew }) {
		return false
	}
	owner, name := reconcile.EmailKey(o.OwnerEmail), reconcile.NameKey(o.Name)
	return owner != "" && owner == reconcile.EmailKey(c.Email) ||
		name != "" && (name == reconcile.NameKey(c.Name) || name == reconcile.NameKey(c.Email))
}

// elsewhere tells that what a customer has cannot be in an org.
func (r *run) elsewhere(c *reconcile.Customer, o reconcile.Org) bool {
	if c.Org != nil && (!c.OrgNamed || slices.ContainsFunc(c.Bindings, func(b reconcile.Binding) bool { return b.Org == c.Org.ID })) {
		return true
	}
	m, marked := reconcile.MarkerOf(o.Name)
	if m = m.Of(r.Policy.Instance); marked && m.StripeID != c.ID &&
		!slices.ContainsFunc(c.Subscriptions, func(s reconcile.Subscription) bool { return s.StripeCustomer == m.StripeID || s.ID == m.StripeID }) {
		return true
	}
	if !o.Created.IsZero() && !slices.ContainsFunc(c.Subscriptions, func(s reconcile.Subscription) bool {
		return s.Created.IsZero() || !s.Created.Add(-indexOverlap).After(o.Created)
	}) {
		return true
	}
	if o.Created.IsZero() || !o.Created.After(r.recovered) {
		return false
	}
	own := func(name string) bool {
		return name != "" && strings.EqualFold(strings.TrimSpace(o.Name), strings.TrimSpace(name))
	}
	return o.OwnerEmail != "" && reconcile.EmailKey(o.OwnerEmail) != reconcile.EmailKey(c.Email) && !own(c.Name) && !own(c.Email) && !own(c.ID)
}
