package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
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
	made     map[string]bool // orgs made in this run
	found    map[string]bool // orgs bound in this run that were there before
	searched bool            // orgs that were never listed were looked for in this run
	unlisted []unlistedOrg   // those of them whose hostings could not be listed
	// creating and linking are the looks before something is made in an org, and before a
	// hosting is linked there. They are kept apart because more is read before a create.
	creating, linking looks
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
	return &orgIndex{refreshing: make(chan struct{}, 1), made: map[string]bool{}, found: map[string]bool{}, creating: looks{}, linking: looks{}}
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

// looks is the orgs that a run has looked into, each with the customers who were loaded
// after that. An org is in it only once its look has succeeded.
type looks map[string]map[string]bool

// looked reports whether an org was looked into, and whether a customer was loaded after
// that. Nothing has to be looked for in an org that this run has made: it began empty.
func (x *orgIndex) looked(l looks, org, customer string) (done, loaded bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return l[org] != nil, l[org][customer] || x.made[org]
}

// noteLook notes that an org was looked into, and that a customer is loaded after it.
func (x *orgIndex) noteLook(l looks, org, customer string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if l[org] == nil {
		l[org] = map[string]bool{}
	}
	l[org][customer] = true
}

// addMade notes an org that was made in this run.
func (x *orgIndex) addMade(org string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.made[org] = true
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
	before, x.unlisted, x.searched = x.unlisted, orgs, true
	return before
}

// allListed reports whether no org is left whose hostings were never listed.
func (x *orgIndex) allListed() bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.searched && len(x.unlisted) == 0
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

// indexOverlap is read again each time the index of orgs is refreshed: two clocks
// are compared, and an org created in between must not be missed.
const indexOverlap = 15 * time.Minute

// indexPanel knows the orgs of the panel, and the objects of others there; see
// existing.
func (r *run) indexPanel(ctx context.Context) error {
	if err := r.indexOrgs(ctx); err != nil {
		return err
	}
	return r.existing(ctx)
}

// indexOrgs lists all orgs in a full run, and, when nothing is known yet, also every
// hosting. That first look is what makes a lost database harmless: whatever carries
// our marker is found again before anything is created, and in that run nothing is
// taken away.
func (r *run) indexOrgs(ctx context.Context) error {
	since, err := r.Cursors.Cursor(ctx, cursorOrgs)
	if err != nil {
		return err
	}
	if since == "" {
		return r.recover(ctx)
	}
	if r.mode == reconcile.RunFull {
		return r.listEveryOrg(ctx)
	}
	return nil
}

// recover looks at the whole panel. It can be interrupted: orgs whose hostings
// were read are not read again, and their hostings are not forgotten. Those that
// cannot be read are passed over, and keep from being made what may be in them; see
// barred.
func (r *run) recover(ctx context.Context) error {
	began := r.clock()
	interrupted, err := r.Cursors.Cursor(ctx, cursorRecovery)
	if err != nil {
		return err
	}
	orgs, err := r.saveEveryOrg(ctx)
	if err != nil {
		return err
	}
	// An org that cannot be read now may hold objects of ours until it is read.
	newest, err := r.Inventory.NewestOrg(ctx)
	if err != nil {
		return err
	}
	if err := r.Cursors.SetCursor(ctx, r.tok, cursorRecovery, newest.UTC().Format(time.RFC3339Nano)); err != nil {
		return err
	}
	seen, err := r.searchUnlisted(ctx, orgs, true)
	if err != nil {
		return err
	}
	if !r.index.allListed() {
		if err := r.Existing.NoteHidden(ctx, r.tok, began); err != nil {
			return err
		}
	}
	if seen > 0 || interrupted != "" && orgs > 0 {
		again, err := r.readMarked(ctx)
		if err != nil {
			return err
		}
		if again {
			if _, err := r.searchUnlisted(ctx, orgs, false); err != nil {
				return err
			}
		}
		r.evidence.setLossNoted()
		r.blockRemovals(fmt.Sprintf("this database knew nothing of the panel: %d orgs and %d hostings were looked at, what carries a marker of ours is bound again", orgs, seen))
	}
	return r.indexedAt(ctx, began)
}

// saveEveryOrg stores the whole index, page by page: each org as it was read is
// true by itself. It returns how many there are.
func (r *run) saveEveryOrg(ctx context.Context) (int, error) {
	n := 0
	kept, err := r.Cursors.Cursor(ctx, cursorOrgPage)
	if err != nil {
		return n, err
	}
	r.OrgLister.UseOrgPage(kept)
	err = r.OrgLister.EveryOrg(ctx, func(page []reconcile.Org) error {
		n += len(page)
		r.progress.show("comparing", n, 0)
		return r.Inventory.SaveOrgs(ctx, r.tok, page, false, r.now)
	})
	if err != nil {
		return n, fmt.Errorf("listing orgs: %w", err)
	}
	if known := r.OrgLister.OrgPage(); known != "" && known != kept {
		if err := r.Cursors.SetCursor(ctx, r.tok, cursorOrgPage, known); err != nil {
			return n, err
		}
	}
	return n, r.Inventory.SaveOrgs(ctx, r.tok, nil, true, r.now)
}

// listEveryOrg refreshes the whole index.
func (r *run) listEveryOrg(ctx context.Context) error {
	if err := r.lookForPanel(ctx); err != nil {
		return err
	}
	began := r.clock()
	if _, err := r.saveEveryOrg(ctx); err != nil {
		return err
	}
	if _, err := r.searchUnlisted(ctx, 0, false); err != nil {
		return err
	}
	return r.indexedAt(ctx, began)
}

// everyOrgOnce refreshes the whole index, once in a run.
func (r *run) everyOrgOnce(ctx context.Context) error {
	return r.index.refreshAll(ctx, func() error { return r.listEveryOrg(ctx) })
}

// newestOrgs brings the newest orgs into the index: back to the newest of the last
// listing, by the panel's own dates. Our clock may have been wrong when we looked
// last, and orgs that were made since would be missed; and the newest that we know may be
// one that was read by itself, with others before it that were not listed.
func (r *run) newestOrgs(ctx context.Context) error {
	text, err := r.Cursors.Cursor(ctx, cursorNewest)
	if err != nil {
		return err
	}
	since := time.Time{}
	if newest, err := time.Parse(time.RFC3339Nano, text); err == nil {
		since = newest.Add(-indexOverlap)
	}
	orgs, err := r.Panel.Orgs(ctx, since)
	if err != nil {
		return fmt.Errorf("listing orgs: %w", err)
	}
	return r.Inventory.SaveOrgs(ctx, r.tok, orgs, false, r.now)
}

// indexedAt notes that the index is complete up to an instant, and up to which org.
func (r *run) indexedAt(ctx context.Context, began time.Time) error {
	newest, err := r.Inventory.NewestOrg(ctx)
	if err != nil {
		return err
	}
	if !newest.IsZero() {
		if err := r.Cursors.SetCursor(ctx, r.tok, cursorNewest, newest.UTC().Format(time.RFC3339Nano)); err != nil {
			return err
		}
	}
	r.index.setRecent()
	return r.Cursors.SetCursor(ctx, r.tok, cursorOrgs, began.UTC().Format(time.RFC3339))
}

// freshIndex makes sure, once in a run, that orgs created lately are known. It
// is the look before the first org is created.
func (r *run) freshIndex(ctx context.Context) error {
	return r.index.refresh(ctx, func() error {
		began := r.clock()
		if err := r.newestOrgs(ctx); err != nil {
			return err
		}
		if _, err := r.searchUnlisted(ctx, 0, false); err != nil {
			return err
		}
		// What an org shows that could not be read before may be staff's, or another
		// installation's.
		if err := r.existing(ctx); err != nil {
			return err
		}
		return r.indexedAt(ctx, began)
	})
}

// lookAt reads one hosting and stores what it is. Enhance's own "not found" is a
// state to be held; every other error is only an error.
func (r *run) lookAt(ctx context.Context, org string, id int64) error {
	_, err := r.look(ctx, org, id)
	return err
}

func (r *run) look(ctx context.Context, org string, id int64) (reconcile.Hosting, error) {
	done, err := r.together.turns.take(ctx, orgKey(org), false)
	if err != nil {
		return reconcile.Hosting{}, err
	}
	defer done()
	h, err := r.Panel.Hosting(ctx, org, id)
	if errors.Is(err, fault.NotFound) {
		h, err = reconcile.Hosting{ID: id, Org: org, State: reconcile.HostingMissing}, nil
	}
	if err != nil {
		return h, err
	}
	h.ObservedAt = r.clock()
	return h, r.Inventory.SaveHosting(ctx, r.tok, h, r.now)
}

// noticeLoss notes that a marker of ours was found which nothing in this database
// accounts for: it was restored from a backup that is older than the panel. What
// else it has forgotten is not known, so this run takes nothing away.
func (r *run) noticeLoss(c *reconcile.Customer, d planner.Decision) {
	i := slices.IndexFunc(d.Actions, func(a reconcile.Action) bool { return a.Kind == reconcile.Link && a.How == reconcile.BoundByMarker })
	if i < 0 || len(c.Pending) > 0 {
		return
	}
	if r.evidence.findLoss(c.ID) {
		r.blockRemovals(fmt.Sprintf("this database is older than the panel, it seems: %s, and this database has no record that it was made. "+
			"Each hosting that carries a marker of ours is bound again", d.Actions[i].Reason))
	}
}

// seed is one for the process.
var seed = maphash.MakeSeed()

// idSet is a set of ids by their 64-bit hashes: some 20 bytes each, whatever the
// ids are, so that a million customers with something to do fit in memory. Two of
// a million ids are taken for one with probability 3·10⁻⁸.
type idSet map[uint64]struct{}

func (s idSet) add(id string)      { s[maphash.String(seed, id)] = struct{}{} }
func (s idSet) has(id string) bool { _, ok := s[maphash.String(seed, id)]; return ok }

// distinct sorts and removes doubles; the order of reads is then reproducible.
func distinct(ids []string) []string {
	sorted := slices.Clone(ids)
	slices.Sort(sorted)
	return slices.Compact(sorted)
}

func cmpText(a, b string) int { return cmp.Compare(a, b) }

// cursorFallen is the hostings by which it was noticed that this database was put back
// to an old copy, or lost its last transactions. Each is a reason once: staff may leave
// our mark in a name.
const cursorFallen = "fallen"

// A database that was put back to an old copy has forgotten its later actions, and no
// unchanged fact makes a customer due. Two things make up for that:
//
//   - The hostings of every subscription that an event has touched since the cursor are
//     looked at again, changed or not, and whatever the run: who was suspended in the time
//     that is forgotten, and has paid since, has an event.
//   - A suspension with our mark that the journal does not know makes every bound hosting
//     due for a look, once, and a run that takes nothing away.

// lookAtTouched looks again at what events have touched since the cursor, which a full
// run moves without following them. If they cannot be listed, every hosting is read.
func (r *run) lookAtTouched(ctx context.Context) error {
	since, err := r.eventCursor(ctx)
	if err != nil {
		return err
	}
	if since.IsZero() {
		return r.Timetable.LookAgain(ctx, r.tok, nil)
	}
	events, err := r.Billing.Events(ctx, since.Add(-eventOverlap))
	if err != nil {
		r.note("the events since %s could not be listed, so every hosting is read: %v", since.Format(time.RFC3339), err)
		return r.Timetable.LookAgain(ctx, r.tok, nil)
	}
	fresh, err := r.unseen(ctx, events.Touched)
	if err != nil {
		return err
	}
	subs, err := r.touched(ctx, fresh)
	if err != nil || len(subs) == 0 {
		return err
	}
	return r.Timetable.LookAgain(ctx, r.tok, subs)
}

// touched is the subscriptions that events are about.
func (r *run) touched(ctx context.Context, events []reconcile.Event) ([]string, error) {
	var subs, customers []string
	for _, ev := range events {
		switch {
		case ev.Subscription != "":
			subs = append(subs, ev.Subscription)
		case ev.StripeCustomer != "":
			customers = append(customers, ev.StripeCustomer)
		}
	}
	if len(customers) > 0 {
		of, err := r.Cursors.SubscriptionsOf(ctx, distinct(customers))
		if err != nil {
			return nil, err
		}
		subs = append(subs, of...)
	}
	return distinct(subs), nil
}

// noticePerhapsOurs notes a suspension that is perhaps ours.
func (r *run) noticePerhapsOurs(d planner.Decision) {
	for _, h := range d.Holds {
		if h.Kind != reconcile.HoldPerhapsOurs {
			continue
		}
		r.evidence.addPerhapsOurs(h.Hosting)
	}
}

// fellBack notes, once every customer that is due is planned, that the database is old, and
// makes every bound hosting due for a look.
func (r *run) fellBack(ctx context.Context) error {
	if r.evidence.lossFound && !r.req.Dry {
		if err := r.Timetable.LookAgain(ctx, r.tok, nil); err != nil {
			return err
		}
	}
	if len(r.evidence.perhapsOurs) == 0 {
		return nil
	}
	text, err := r.Cursors.Cursor(ctx, cursorFallen)
	if err != nil {
		return err
	}
	var known []int64
	_ = json.Unmarshal([]byte(text), &known) // nothing that can be read: noticed again
	fresh := slices.DeleteFunc(slices.Clone(r.evidence.perhapsOurs), func(id int64) bool { return slices.Contains(known, id) })
	if len(fresh) == 0 {
		return nil
	}
	slices.Sort(fresh)
	r.blockRemovals(fmt.Sprintf("this database was put back to an old copy, it seems, or lost its last changes: %s suspended with our mark, and this database has no record of that. "+
		"Every hosting is looked at again in the next run; those whose subscription is active, in trial or within its grace period wait in one held plan of kind resume, see `stripe-enhance plans`", hostingsAre(fresh)))
	if r.req.Dry {
		return nil
	}
	packed, err := json.Marshal(append(known, fresh...))
	if err != nil {
		return err
	}
	if err := r.Timetable.LookAgain(ctx, r.tok, nil); err != nil {
		return err
	}
	return r.Cursors.SetCursor(ctx, r.tok, cursorFallen, string(packed))
}

func hostingsAre(ids []int64) string {
	if len(ids) == 1 {
		return fmt.Sprintf("hosting %d is", ids[0])
	}
	return fmt.Sprintf("%d hostings (%d and others) are", len(ids), ids[0])
}
