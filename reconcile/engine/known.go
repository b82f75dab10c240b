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
		k.changes.note(c)
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
	if c := k.customers[id]; c.Customer != nil && !k.changes.changed(c.Customer, c.at) {
		return c.Customer
	}
	return nil
}

// learner returns a function that keeps a customer with the outcome of an action, if
// recording its intent and its outcome are all that has changed the customer meanwhile. It
// is called before the intent is recorded.
func (k *known) learner(c *reconcile.Customer, action string) (learn func(reconcile.Outcome)) {
	k.mu.Lock()
	has := k.customers[c.ID]
	k.mu.Unlock()
	k.changes.note(c) // as it is now, however it was loaded
	if has.Customer != c || k.changes.changed(c, has.at) {
		return func(reconcile.Outcome) {}
	}
	return func(o reconcile.Outcome) {
		now, changed := k.changes.changedBy(c, has.at, action)
		if changed {
			return
		}
		if next := learned(c, o); next != nil {
			k.put(next, now)
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

// stored is a time as the database returns it; the zero time stays zero.
func stored(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// cmpTime is the first time that is not zero.
func cmpTime(a, b time.Time) time.Time {
	if a.IsZero() {
		return b
	}
	return a
}

// changes is a record of the writes of this process that may change what a customer looks
// like when it is loaded. Customer.Version counts what other processes and people change. If
// neither has changed, a customer need not be loaded again.
//
// A write is about every customer, or about some subjects: a customer, a subscription, an
// e-mail or an org. A customer who stands alone, see standsAlone, changes by the writes about
// its own subjects only, and any other customer by each write. So one who is served does not
// have to be loaded again because others are served beside it. Safe for concurrent use.
type changes struct {
	mu    sync.Mutex          // guards all below
	n     int64               // marks so far
	all   int64               // the last mark of a write about every customer
	last  map[string]mark     // by subject
	about map[string][]string // the subjects that each customer has had since it was first loaded
}

// mark is the last mark about a subject. by is the action whose intent or outcome was
// written, "" for other writes; before it, others was the last mark.
type mark struct {
	n, others int64
	by        string
}

// Subjects of writes.
func customerSubject(id string) string     { return "customer " + id }
func subscriptionSubject(id string) string { return "subscription " + id }
func emailSubject(email string) string     { return "email " + reconcile.EmailKey(email) }

// maxSubjects bounds the memory. When it is full, every customer has changed.
const maxSubjects = 50_000

// subjectsOf are the subjects whose writes change a customer who stands alone.
func subjectsOf(c *reconcile.Customer) []string {
	all := []string{customerSubject(c.ID)}
	if c.Email != "" {
		all = append(all, emailSubject(c.Email))
	}
	for i := range c.Buyers {
		all = append(all, customerSubject(c.Buyers[i].ID))
		if c.Buyers[i].Email != "" {
			all = append(all, emailSubject(c.Buyers[i].Email))
		}
	}
	for i := range c.Subscriptions {
		all = append(all, subscriptionSubject(c.Subscriptions[i].ID))
	}
	if c.Org != nil {
		all = append(all, orgKey(c.Org.ID))
	}
	return distinct(all)
}

// fewFacts is how many facts are kept apart.
const fewFacts = 20

// subjectsOfFacts are the subjects of facts; nil, for many of them: every customer.
func subjectsOfFacts(facts []reconcile.SubscriptionFacts) []string {
	if len(facts) > fewFacts {
		return nil
	}
	all := []string{} // none: about no customer
	for i := range facts {
		buyer := &facts[i].Buyer
		all = append(all, subscriptionSubject(facts[i].Subscription.ID), customerSubject(facts[i].Subscription.StripeCustomer), customerSubject(buyer.ID), emailSubject(buyer.Email))
	}
	return all
}

func subscriptionSubjects(ids []string) []string {
	all := make([]string, len(ids))
	for i, id := range ids {
		all[i] = subscriptionSubject(id)
	}
	return all
}

// standsAlone reports whether nothing that a customer was loaded with is another's too, or
// could become its own by changes for others: no kin, no org but its own, and nothing
// at the panel whose owner is open.
func standsAlone(c *reconcile.Customer) bool {
	return len(c.Kin) == 0 && len(c.Sharers) == 0 && len(c.MarkedOrgs) == 0 && len(c.OwnedOrgs) == 0 && len(c.NamedOrgs) == 0 && len(c.Apart) == 0 &&
		!c.OrgGuest && !c.Unbound && !c.Undecided && len(c.Lookalikes) == 0 &&
		!slices.ContainsFunc(c.Subscriptions, func(s reconcile.Subscription) bool { return s.MetadataOrg != "" || s.MetadataHosting != 0 })
}

// now is the mark to compare with; it is asked before a customer is loaded.
func (c *changes) now() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// during makes a write about every customer.
func (c *changes) during(write func() error) error { return c.duringAbout(nil, "", write) }

// duringAbout makes a write about some subjects; nil: about every customer. It is marked
// before and after, so that a customer that was loaded during the write does not pass for
// unchanged.
func (c *changes) duringAbout(subjects []string, by string, write func() error) error {
	c.mark(subjects, by)
	defer c.mark(subjects, by)
	return write()
}

func (c *changes) mark(subjects []string, by string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	if len(c.last) > maxSubjects {
		c.last, c.about, subjects = nil, nil, nil
	}
	if subjects == nil {
		c.all = c.n
		return
	}
	if c.last == nil {
		c.last = map[string]mark{}
	}
	for _, s := range subjects {
		m := c.last[s]
		if by == "" || m.by != by {
			m.others, m.by = m.n, by
		}
		m.n = c.n
		c.last[s] = m
	}
}

// note keeps the subjects of a customer that was loaded. An address that it had before
// counts as well: another process may not have seen that it changed.
func (c *changes) note(customer *reconcile.Customer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.about == nil || len(c.about) > maxSubjects {
		c.about = map[string][]string{}
	}
	c.about[customer.ID] = distinct(append(c.about[customer.ID], subjectsOf(customer)...))
}

// of are the subjects of a write about an action; nil: its customer was not loaded, so it
// may be about every customer.
func (c *changes) of(a reconcile.Action, more ...string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := c.about[a.Customer]
	if all == nil {
		return nil
	}
	all = append(slices.Clone(all), more...)
	if a.Email != "" {
		all = append(all, emailSubject(a.Email))
	}
	if a.Org != "" {
		all = append(all, orgKey(a.Org))
	}
	return all
}

// changed reports whether a customer that was loaded at a mark may have changed since.
func (c *changes) changed(customer *reconcile.Customer, at int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n != at && (c.all > at || !standsAlone(customer) || slices.ContainsFunc(subjectsOf(customer), func(s string) bool { return c.last[s].n > at }))
}

// changedBy is changed, if it does not count that the intent and the outcome of an action
// were written since. now is the mark at which that is so.
func (c *changes) changedBy(customer *reconcile.Customer, at int64, action string) (now int64, changed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.all > at {
		return c.n, true
	}
	if !standsAlone(customer) {
		return c.n, c.n != at+2*perWrite
	}
	return c.n, slices.ContainsFunc(subjectsOf(customer), func(s string) bool {
		m := c.last[s]
		return m.n > at && (m.by != action || m.others > at)
	})
}

// perWrite is how many marks a write makes.
const perWrite = 2

// countChanges puts a count in front of the ports that change customers.
func countChanges(p Ports, c *changes) Ports {
	p.Mirror, p.Timetable, p.Journal = countedMirror{p.Mirror, c}, countedTimetable{p.Timetable, c}, countedJournal{p.Journal, c}
	p.Inventory, p.PlanStore = countedInventory{p.Inventory, c}, countedPlans{p.PlanStore, c}
	p.ContentStore, p.Existing = countedContent{p.ContentStore, c}, countedExisting{p.Existing, c}
	return p
}

type countedMirror struct {
	Mirror
	changes *changes
}

func (m countedMirror) MergeSweep(ctx context.Context, tok reconcile.Token, now time.Time) (changed int, err error) {
	err = m.changes.during(func() error { changed, err = m.Mirror.MergeSweep(ctx, tok, now); return err })
	return changed, err
}

func (m countedMirror) SaveFacts(ctx context.Context, tok reconcile.Token, facts []reconcile.SubscriptionFacts, force bool, now time.Time) error {
	return m.changes.duringAbout(subjectsOfFacts(facts), "", func() error { return m.Mirror.SaveFacts(ctx, tok, facts, force, now) })
}

func (m countedMirror) MarkGone(ctx context.Context, tok reconcile.Token, subscription string, now time.Time) error {
	return m.changes.during(func() error { return m.Mirror.MarkGone(ctx, tok, subscription, now) })
}

type countedTimetable struct {
	Timetable
	changes *changes
}

func (t countedTimetable) Postpone(ctx context.Context, tok reconcile.Token, b reconcile.Backoff, now time.Time) error {
	return t.changes.duringAbout([]string{customerSubject(b.Customer)}, "", func() error { return t.Timetable.Postpone(ctx, tok, b, now) })
}

func (t countedTimetable) LookAgain(ctx context.Context, tok reconcile.Token, subscriptions []string) error {
	return t.changes.duringAbout(subscriptionSubjects(subscriptions), "", func() error { return t.Timetable.LookAgain(ctx, tok, subscriptions) })
}

type countedJournal struct {
	Journal
	changes *changes
}

func (j countedJournal) RecordIntent(ctx context.Context, tok reconcile.Token, run string, a reconcile.Action, planID string, now time.Time) error {
	return j.changes.duringAbout(j.changes.of(a), a.ID, func() error { return j.Journal.RecordIntent(ctx, tok, run, a, planID, now) })
}

func (j countedJournal) RecordOutcome(ctx context.Context, tok reconcile.Token, o reconcile.Outcome) error {
	var subjects []string // of an outcome of another kind not all is known
	if e, err := effectOf(o.Action.Kind); err == nil && e.learn != nil {
		subjects = j.changes.of(o.Action)
		if subjects != nil && o.Org != nil {
			subjects = append(subjects, orgKey(o.Org.ID))
		}
	}
	return j.changes.duringAbout(subjects, o.Action.ID, func() error { return j.Journal.RecordOutcome(ctx, tok, o) })
}

type countedInventory struct {
	Inventory
	changes *changes
}

func (i countedInventory) SaveOrgs(ctx context.Context, tok reconcile.Token, orgs []reconcile.Org, complete bool, now time.Time) error {
	return i.changes.during(func() error { return i.Inventory.SaveOrgs(ctx, tok, orgs, complete, now) })
}

func (i countedInventory) SaveOwners(ctx context.Context, tok reconcile.Token, org string, emails []string, now time.Time) error {
	return i.changes.during(func() error { return i.Inventory.SaveOwners(ctx, tok, org, emails, now) })
}

func (i countedInventory) SaveHostings(ctx context.Context, tok reconcile.Token, org string, hostings []reconcile.Hosting, now time.Time) error {
	return i.changes.during(func() error { return i.Inventory.SaveHostings(ctx, tok, org, hostings, now) })
}

func (i countedInventory) SaveHosting(ctx context.Context, tok reconcile.Token, h reconcile.Hosting, now time.Time) error {
	return i.changes.during(func() error { return i.Inventory.SaveHosting(ctx, tok, h, now) })
}

type countedPlans struct {
	PlanStore
	changes *changes
}

func (p countedPlans) DomainChecked(ctx context.Context, tok reconcile.Token, subscription, domain string) error {
	return p.changes.duringAbout(subscriptionSubjects([]string{subscription}), "", func() error { return p.PlanStore.DomainChecked(ctx, tok, subscription, domain) })
}

type countedContent struct {
	ContentStore
	changes *changes
}

func (c countedContent) SaveContent(ctx context.Context, tok reconcile.Token, org string, sites []reconcile.Website, unread string, now time.Time) error {
	return c.changes.during(func() error { return c.ContentStore.SaveContent(ctx, tok, org, sites, unread, now) })
}

func (c countedContent) SaveDomainUse(ctx context.Context, tok reconcile.Token, hosting int64, use reconcile.DomainUse) error {
	return c.changes.during(func() error { return c.ContentStore.SaveDomainUse(ctx, tok, hosting, use) })
}

func (c countedContent) SaveSiteApp(ctx context.Context, tok reconcile.Token, hosting int64, app reconcile.SiteApp) error {
	return c.changes.during(func() error { return c.ContentStore.SaveSiteApp(ctx, tok, hosting, app) })
}

type countedExisting struct {
	Existing
	changes *changes
}

func (e countedExisting) AskAboutUnbound(ctx context.Context, tok reconcile.Token, now time.Time) (u reconcile.Unbound, err error) {
	err = e.changes.during(func() error {
		u, err = e.Existing.AskAboutUnbound(ctx, tok, now)
		return err
	})
	return u, err
}

func (e countedExisting) NoteHidden(ctx context.Context, tok reconcile.Token, since time.Time) error {
	return e.changes.during(func() error { return e.Existing.NoteHidden(ctx, tok, since) })
}

func (e countedExisting) SaveSites(ctx context.Context, tok reconcile.Token, domain string, sites []reconcile.WebsiteLocation, now time.Time) error {
	return e.changes.during(func() error { return e.Existing.SaveSites(ctx, tok, domain, sites, now) })
}
