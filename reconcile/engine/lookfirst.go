package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// premiseAge is how old the reading may be on which something is taken away, or an owner is
// invited.
const premiseAge = time.Minute

// preparation is the reads for the actions of one customer before they are done. A
// dry run prepares its actions like any other, so that it comes upon the same things.
type preparation struct {
	*run
	readAt map[string]time.Time // action id → when the facts that it rests on were read
	looked map[string]bool      // ids of the actions that were looked for first
}

func (r *run) newPreparation() *preparation {
	return &preparation{r, map[string]time.Time{}, map[string]bool{}}
}

// prepare reads what an action needs before it is done. If it reports that it has read
// something, the customer is planned again with the new facts.
func (p *preparation) prepare(ctx context.Context, c *reconcile.Customer, a reconcile.Action, contents []string) (read bool, err error) {
	e, err := effectOf(a.Kind)
	if err != nil {
		return false, err
	}
	if e.premise && p.isOld(a) {
		if err := p.readPremise(ctx, c, a, there(contents)); err != nil {
			return false, fmt.Errorf("%s: checking the premise: %w", describe(a), err)
		}
		p.readAt[a.ID] = p.clock()
		return true, nil
	}
	if e.lookFirst == nil {
		return false, nil
	}
	first := !p.looked[a.ID]
	p.looked[a.ID] = true
	if read, err = e.lookFirst(p.run, ctx, c, a, first); err != nil {
		return false, fmt.Errorf("%s: looking first: %w", describe(a), err)
	}
	return read, nil
}

// isOld reports whether the facts on which an action rests were not read, or too long ago. A
// dry run takes no time, and a hosting that it makes in thought cannot be read.
func (p *preparation) isOld(a reconcile.Action) bool {
	at, read := p.readAt[a.ID]
	if p.req.Dry {
		return !read && a.Hosting > 0
	}
	return !read || p.clock().Sub(at) > premiseAge
}

// lookForOrg makes sure that the newest orgs are known before another one is made. What
// may be in an org that cannot be listed is an error: see orgIndex.creationBlocked.
func (r *run) lookForOrg(ctx context.Context, c *reconcile.Customer, a reconcile.Action, first bool) (bool, error) {
	if first {
		return true, r.freshIndex(ctx)
	}
	return false, r.index.creationBlocked(c, a, r.Policy.Instance)
}

// lookForHosting reads the hostings of the org, once for each org: we are the only
// writer, and an org that was made in this run began empty. If something of the customer
// stands in another org, this may stand there as well, and that org is read first.
func (r *run) lookForHosting(ctx context.Context, c *reconcile.Customer, a reconcile.Action, first bool) (bool, error) {
	if !first {
		return false, r.index.creationBlocked(c, a, r.Policy.Instance)
	}
	read := false
	for _, org := range elsewhere(c, a.Org) {
		one, err := r.lookOnce(ctx, r.index.creating, org, c.ID, func() error { return r.readOrg(ctx, org) })
		if err != nil {
			return false, fmt.Errorf("org %s, in which the customer has a hosting: %w", org, err)
		}
		read = read || one
	}
	one, err := r.lookOnce(ctx, r.index.creating, a.Org, c.ID, func() error { return r.lookBeforeCreate(ctx, a.Org) })
	if read = read || one; read || err != nil {
		return read, err
	}
	return false, r.index.creationBlocked(c, a, r.Policy.Instance)
}

// elsewhere are the other orgs in which a living hosting of the customer stands, as those that
// another installation made, or that staff moved.
func elsewhere(c *reconcile.Customer, org string) (orgs []string) {
	for i := range c.Hostings {
		h := &c.Hostings[i]
		alive := h.State == reconcile.HostingActive || h.State == reconcile.HostingSuspended
		if h.Org != "" && h.Org != org && alive && !slices.Contains(orgs, h.Org) {
			orgs = append(orgs, h.Org)
		}
	}
	return orgs
}

func (r *run) lookBeforeCreate(ctx context.Context, org string) error {
	if err := r.readOrg(ctx, org); err != nil {
		return err
	}
	if err := r.noticeSeconds(ctx); err != nil {
		return err
	}
	return r.freshIndex(ctx) // a database that was put back may not know where else it is
}

// lookOnce looks into an org for a customer, unless this run has done so before. Customers
// who share the org come one after another, because what the first one finds may be the
// second one's: each of them is loaded again after the look, and if it fails, the next one
// looks. It reports whether the customer is to be loaded again.
func (r *run) lookOnce(ctx context.Context, l looks, org, customer string, look func() error) (bool, error) {
	if _, loaded := r.index.looked(l, org, customer); loaded {
		return false, nil
	}
	next, err := r.together.turns.take(ctx, lookKey(r.rec.ID, org), true)
	if err != nil {
		return false, err
	}
	defer next()
	if done, _ := r.index.looked(l, org, customer); !done {
		if err := look(); err != nil {
			return false, err
		}
	}
	r.index.noteLook(l, org, customer)
	return true, nil
}

// lookForMarked reads the hostings of an org before one of them is given to a subscription
// whose marker it does not carry. If the database was put back, it may have forgotten the
// hosting that was made for the subscription, which would then be a second one.
func (r *run) lookForMarked(ctx context.Context, c *reconcile.Customer, a reconcile.Action, first bool) (bool, error) {
	if !first || a.Hosting == 0 || a.How == reconcile.BoundByMarker {
		return false, nil
	}
	return r.lookOnce(ctx, r.index.linking, a.Org, c.ID, func() error { return r.readOrg(ctx, a.Org) })
}

// lookAtHosting reads a hosting that is about to be switched on again: staff may have
// suspended it as well.
func (r *run) lookAtHosting(ctx context.Context, _ *reconcile.Customer, a reconcile.Action, first bool) (bool, error) {
	if !first {
		return false, nil
	}
	return true, r.lookAt(ctx, a.Org, a.Hosting)
}

// lookAtBuyer reads the subscription of the buyer who is about to be invited, unless it was
// read lately. If the event about a new e-mail was lost, the address is not the buyer's any
// more, and the person who has it now would become the owner of the org.
func (r *run) lookAtBuyer(ctx context.Context, c *reconcile.Customer, a reconcile.Action, first bool) (bool, error) {
	if !first || a.Instead != "" {
		return false, nil
	}
	var latest *reconcile.Subscription
	for i := range c.Subscriptions {
		s := &c.Subscriptions[i]
		its := slices.ContainsFunc(c.Buyers, func(b reconcile.Buyer) bool {
			return b.ID == s.StripeCustomer && reconcile.EmailKey(b.Email) == reconcile.EmailKey(a.Email)
		})
		if its && (latest == nil || s.ReadAt.After(latest.ReadAt)) {
			latest = s
		}
	}
	if latest == nil || r.clock().Sub(latest.ReadAt).Abs() <= premiseAge {
		return false, nil
	}
	return true, r.readOne(ctx, latest.ID, false)
}

// readPremise reads afresh, by id, what such an action rests on: every subscription
// bound to the hosting, and last the hosting itself. One that goes does so because
// nothing else needs it, so before that whatever else the customer has at both sides,
// unless it was just read: another subscription may have grown without an event, and its hostings must be
// there; and the websites on the hostings, if they mattered for the choice.
func (r *run) readPremise(ctx context.Context, c *reconcile.Customer, a reconcile.Action, contents []string) error {
	var served []string
	for _, b := range c.Bindings {
		if b.Hosting == a.Hosting && !slices.Contains(served, b.Subscription) {
			served = append(served, b.Subscription)
		}
	}
	if a.Kind != reconcile.ChangePlan {
		if err := r.readAround(ctx, c, a.Hosting, served); err != nil {
			return err
		}
		for _, org := range contents {
			if err := r.readContent(ctx, org); err != nil {
				return err
			}
		}
	}
	for _, id := range served {
		if err := r.readOne(ctx, id, true); err != nil {
			return err
		}
	}
	if err := r.readDisputesOf(ctx, c, served); err != nil {
		return err
	}
	return r.lookAt(ctx, a.Org, a.Hosting)
}

// readAround reads what a customer has besides a hosting and the subscriptions that it
// serves: some at once, for resellers have hundreds.
func (r *run) readAround(ctx context.Context, c *reconcile.Customer, but int64, served []string) error {
	just := func(at time.Time) bool { return r.clock().Sub(at).Abs() <= premiseAge }
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(r.Concurrency)
	for i := range c.Subscriptions {
		if s := &c.Subscriptions[i]; !s.Status.Ended() && !slices.Contains(served, s.ID) && !(s.ByID && just(s.ReadAt)) {
			g.Go(guarded(func() error { return r.readOne(ctx, s.ID, true) }))
		}
	}
	looked := map[int64]bool{but: true}
	for i := range c.Hostings {
		h := &c.Hostings[i]
		looked[h.ID] = looked[h.ID] || just(h.ObservedAt)
	}
	for _, b := range c.Bindings {
		if !looked[b.Hosting] {
			looked[b.Hosting] = true
			g.Go(guarded(func() error { return r.lookAt(ctx, b.Org, b.Hosting) }))
		}
	}
	return g.Wait()
}

// readContent lists the websites of an org and stores them for each of its hostings. If
// the panel or the token does not allow that, it is a fact and not a failure: nothing is
// taken away without it, but the customer must not wait for the rest. An error that may
// pass by itself is tried again.
func (r *run) readContent(ctx context.Context, org string) error {
	now := r.clock()
	sites, err := r.Contents.Websites(ctx, org)
	unread := ""
	if refused(err) {
		unread, err = err.Error(), nil
	}
	if err != nil {
		return err
	}
	return r.ContentStore.SaveContent(ctx, r.tok, org, sites, unread, now)
}

// looksNeeded is how many complete looks after the settling time must find
// nothing before an unanswered create is sent again.
const looksNeeded = 2

// findLostWrites finds out whether writes without an answer were done, this process's or
// those of one that died. A write that is found is adopted. If nothing is found, it concludes
// only after the settling time that the write was not done, and for creates only
// after two complete looks.
func (r *run) findLostWrites(ctx context.Context, c *reconcile.Customer) (*reconcile.Customer, error) {
	if r.req.Dry || len(c.Pending) == 0 {
		return c, nil
	}
	for _, p := range c.Pending {
		err := r.findLostWrite(ctx, c, p)
		if err != nil && leftAside(reconcile.Action{Kind: p.Kind}, err) {
			r.log.WithField("action", p.ActionID).WithField("customer", c.ID).WithError(err).Warn("not found out; it is looked for again")
			continue
		}
		if err != nil {
			return c, fmt.Errorf("looking for the unanswered %s: %w", p.Kind, err)
		}
	}
	return r.load(ctx, c.ID)
}

// settledAt is when an unanswered call can no longer take effect. A row that never got an
// outcome belongs to a process that died: it counts from when it was sent.
func (r *run) settledAt(p reconcile.Pending) time.Time {
	if at := p.SentAt.Add(r.Settle); at.After(p.SettleUntil) {
		return at
	}
	return p.SettleUntil
}

// lookGap keeps two looks from being one.
func (r *run) lookGap() time.Duration { return r.Settle / 3 }

// lookAgain is when the next look at an unanswered write is due; zero: none.
func (r *run) lookAgain(c *reconcile.Customer) time.Time {
	var first time.Time
	for _, p := range c.Pending {
		at := r.settledAt(p)
		if next := p.LookedAt.Add(r.lookGap()); p.Looks > 0 && next.After(at) {
			at = next
		}
		if first.IsZero() || at.Before(first) {
			first = at
		}
	}
	if !first.IsZero() && !first.After(r.now) {
		return r.nextRun()
	}
	return first
}

func (r *run) findLostWrite(ctx context.Context, c *reconcile.Customer, p reconcile.Pending) error {
	out := reconcile.Outcome{Run: r.rec.ID, State: reconcile.ActionAdopted,
		Action: reconcile.Action{ID: p.ActionID, Kind: p.Kind, Customer: c.ID, Subscription: p.Subscription, Slot: p.Slot}}
	e, err := effectOf(p.Kind)
	if err != nil {
		return err
	}
	found := false
	if e.find != nil {
		if found, err = e.find(r, ctx, c, p, &out); err != nil {
			return err
		}
	}
	out.At = r.clock()
	if !found {
		out.Hosting, out.Org, out.Binding, out.Unsuspend, out.OrgNamed = nil, nil, nil, false, false
	}
	switch {
	case found:
		r.evidence.addRecovered(c.ID)
		r.log.WithField("action", p.ActionID).WithField("customer", c.ID).Info("found done, its answer had been lost")
	case e.repeatable:
		out.State, out.Error = reconcile.ActionFailed, "no answer, and not done; it is harmless to repeat"
	case out.At.Before(r.settledAt(p)) && !p.SettleUntil.Equal(p.SentAt):
		return nil
	case out.At.Before(r.settledAt(p)):
		// A row of a process that died is no longer in flight, and must not
		// delay the other actions of the customer.
		out.State, out.SettleUntil, out.Looks, out.LookedAt = reconcile.ActionAmbiguous, r.settledAt(p), p.Looks, p.LookedAt
		out.Error = "no answer; it is looked for again after the settling time"
	default:
		r.conclude(e, p, &out)
	}
	err = r.Journal.RecordOutcome(ctx, r.tok, out)
	if errors.Is(err, fault.Conflict) && out.Binding != nil {
		out.Binding = nil // another subscription has it by now; the planner's hold names it
		err = r.Journal.RecordOutcome(ctx, r.tok, out)
	}
	return err
}

// conclude counts a look that found nothing after the settling time. One that came too soon
// after the last that counts is not counted, and does not put off the next.
func (r *run) conclude(e effect, p reconcile.Pending, out *reconcile.Outcome) {
	looks, counted := p.Looks, p.LookedAt
	switch {
	case looks == 0 || !out.At.Before(counted.Add(r.lookGap())):
		looks, counted = looks+1, out.At
	case counted.After(out.At): // by a clock that was wrong
		counted = out.At
	}
	if e.twoLooks && looks < looksNeeded {
		out.State, out.SettleUntil, out.Looks, out.LookedAt = reconcile.ActionAmbiguous, r.settledAt(p), looks, counted
		out.Error = "no answer; one complete look after the settling time found nothing"
		return
	}
	out.State, out.Looks, out.LookedAt = reconcile.ActionFailed, looks, out.At
	out.Error = "no answer, and it was looked for after the settling time: it was not done"
}

// findOrg looks through the newest orgs, and, where finding nothing is to prove
// something, through all of them: when it was sent is known by our clock only, and
// that may have been wrong. It stores the orgs that it finds; the planner then binds one by
// its marker.
func (r *run) findOrg(ctx context.Context, c *reconcile.Customer, p reconcile.Pending, _ *reconcile.Outcome) (bool, error) {
	look := r.newestOrgs
	if !r.clock().Before(r.settledAt(p)) {
		look = r.everyOrgOnce
	}
	if err := look(ctx); err != nil {
		return false, err
	}
	again, err := r.load(ctx, c.ID)
	if err != nil {
		return false, err
	}
	marker := reconcile.Marker{StripeID: c.ID}
	ours := func(o reconcile.Org) bool {
		m, _ := reconcile.MarkerOf(o.Name)
		return m.Of(r.Policy.Instance) == marker && !o.Deleted
	}
	return again.Org != nil && ours(*again.Org) || slices.ContainsFunc(again.MarkedOrgs, ours), nil
}

// findHosting looks for a hosting by the marker that it was made with, in the org in which it
// was to be, whichever is the customer's by now, and binds it as the journal says that it was
// meant: only the journal knows the item, and that item, or the whole subscription, may have
// ended by now. Found twice, or bound to something else, it is left to the planner.
func (r *run) findHosting(ctx context.Context, c *reconcile.Customer, p reconcile.Pending, out *reconcile.Outcome) (bool, error) {
	org := p.Org
	if org == "" && c.Org != nil {
		org = c.Org.ID
	}
	if org == "" {
		return false, fault.Errorf(fault.Permanent, "hosting for %s was created in an org that is not known", p.Subscription)
	}
	hostings, err := r.Panel.Hostings(ctx, org)
	if err != nil {
		return false, err
	}
	if err := r.Inventory.SaveHostings(ctx, r.tok, org, hostings, r.now); err != nil {
		return false, err
	}
	marker := reconcile.Marker{StripeID: p.Subscription, Slot: p.Slot}
	made := slices.DeleteFunc(hostings, func(h reconcile.Hosting) bool { return h.Marker().Of(r.Policy.Instance) != marker })
	if len(made) == 1 && (made[0].State == reconcile.HostingActive || made[0].State == reconcile.HostingSuspended) &&
		!slices.ContainsFunc(c.Bindings, func(b reconcile.Binding) bool {
			return b.Hosting == made[0].ID || b.Subscription == p.Subscription && b.Slot == p.Slot
		}) {
		out.Binding = &reconcile.Binding{Subscription: p.Subscription, Item: p.Item, Slot: p.Slot, Org: org, Hosting: made[0].ID,
			How: reconcile.BoundByCreate, At: p.SentAt}
	}
	return len(made) > 0, nil
}

// findInvitation looks whether the customer is an owner of the org. If any order may have
// the onboarding "password", that proves nothing: the mail with which the customer chooses a password
// comes last, and nothing shows whether it was sent. Sent again it is one mail too many;
// not sent, the customer is locked out.
func (r *run) findInvitation(ctx context.Context, c *reconcile.Customer, p reconcile.Pending, out *reconcile.Outcome) (bool, error) {
	if c.Org == nil || r.catalog.SendsPasswords(r.Policy.Onboarding) {
		return false, nil
	}
	emails, err := r.Owners.OwnerEmails(ctx, c.Org.ID)
	if err != nil {
		return false, err
	}
	is := func(email string) func(string) bool {
		return func(e string) bool { return reconcile.EmailKey(e) == reconcile.EmailKey(email) }
	}
	elsewhere := c.InviteWanted != "" && c.InviteWanted == reconcile.EmailKey(p.Email)
	if !slices.ContainsFunc(emails, is(p.Email)) || elsewhere && slices.ContainsFunc(emails, is(c.InvitedEmail)) {
		return false, nil
	}
	out.Invited, out.InvitedEmail = p.SentAt, reconcile.EmailKey(p.Email)
	return true, nil
}

// findName looks whether the org has lost its marker, and has the name that a person wants.
func (r *run) findName(ctx context.Context, c *reconcile.Customer, _ reconcile.Pending, out *reconcile.Outcome) (bool, error) {
	if c.Org == nil {
		return false, nil
	}
	o, err := r.Panel.Org(ctx, c.Org.ID)
	if err != nil {
		return false, err
	}
	if r.marked(o) || c.NameWanted != "" && o.Name != c.NameWanted {
		return false, nil
	}
	o.ObservedAt = r.clock()
	out.Org, out.OrgNamed = &o, true
	return true, nil
}

// readChanged reads the hosting that was to be changed: the one that the journal names,
// no matter which subscription it is bound to by now. A customer who came back may have
// taken it over while a suspension of it was still on its way; looked for under the old
// binding it would pass for another person's, and would not be lifted. nil: the
// database does not know the hosting.
//
// A change that shows is ours, because the hosting was read without it right before the
// call; of a suspension the panel shows whose it is.
func (r *run) readChanged(ctx context.Context, c *reconcile.Customer, p reconcile.Pending, out *reconcile.Outcome) (*reconcile.Hosting, error) {
	if err := r.lookAt(ctx, p.Org, p.Hosting); err != nil {
		return nil, err
	}
	again, err := r.load(ctx, c.ID)
	if err != nil {
		return nil, err
	}
	stored := hostingOf(again, p.Hosting)
	if stored == nil {
		return nil, nil
	}
	h := *stored
	out.Hosting = &h
	return &h, nil
}

func (r *run) findSuspension(ctx context.Context, c *reconcile.Customer, p reconcile.Pending, out *reconcile.Outcome) (bool, error) {
	h, err := r.readChanged(ctx, c, p, out)
	if err != nil || h == nil {
		return false, err
	}
	if h.State == reconcile.HostingActive && reconcile.SuspensionMarked(h.FriendlyName, r.Policy.Instance) {
		return true, nil // our mark came with it: it was done, counts for the brake, and somebody has lifted it since
	}
	if h.State != reconcile.HostingSuspended {
		return false, nil
	}
	// Dated from now: if the database was put back to an old copy, another call may have
	// done it, and the hosting must not be deleted earlier than its suspension allows.
	h.SuspendedByUs = r.clock()
	return r.isOurs(ctx, *h, false)
}

func (r *run) findResumption(ctx context.Context, c *reconcile.Customer, p reconcile.Pending, out *reconcile.Outcome) (bool, error) {
	h, err := r.readChanged(ctx, c, p, out)
	if err != nil || h == nil {
		return false, err
	}
	out.Unsuspend = h.State == reconcile.HostingActive
	return out.Unsuspend, nil
}

func (r *run) findPlanChange(ctx context.Context, c *reconcile.Customer, p reconcile.Pending, out *reconcile.Outcome) (bool, error) {
	h, err := r.readChanged(ctx, c, p, out)
	if err != nil || h == nil {
		return false, err
	}
	return strings.HasSuffix(p.ActionID, ">"+strconv.Itoa(h.Plan)), nil
}

func (r *run) findMark(ctx context.Context, c *reconcile.Customer, p reconcile.Pending, out *reconcile.Outcome) (bool, error) {
	h, err := r.readChanged(ctx, c, p, out)
	if err != nil || h == nil {
		return false, err
	}
	return h.Marker() == reconcile.Marker{StripeID: p.Subscription, Slot: p.Slot, Instance: r.Policy.Instance}, nil
}

func (r *run) findTermination(ctx context.Context, c *reconcile.Customer, p reconcile.Pending, out *reconcile.Outcome) (bool, error) {
	h, err := r.readChanged(ctx, c, p, out)
	if err != nil || h == nil {
		return false, err
	}
	h.TerminatedByUs = p.SentAt
	return h.State == reconcile.HostingDeleted || h.State == reconcile.HostingMissing, nil
}

const (
	// unlistedPage is how many unlisted orgs are taken from the database at a time, and
	// unlistedParallel how many are read at the same time: one less than the calls
	// after which the panel's breaker opens, so that orgs that cannot be listed do not
	// keep us from those that can.
	unlistedPage, unlistedParallel = 200, 4
	// unlistedPatience is how many orgs in a row may fail before an org is read that
	// could be listed before: do these orgs fail, or does the panel?
	unlistedPatience = 3
	// maxUnanswered is how many orgs without an answer one search asks for, and
	// maxRefused how many that are refused for good, which takes no time to find out.
	// The next search begins with the rest: until then their hostings are not known.
	maxUnanswered, maxRefused = 8, 200
	// maxUnlistedNotes is how many of the orgs that were skipped the notes of a run name.
	maxUnlistedNotes = 8
)

// errNotAsked is why an org is not known: other orgs kept the search from reaching it.
var errNotAsked = fault.Errorf(fault.Transient, "too many others cannot be listed, it is asked for in the next look")

// orgSearch is one search through the orgs that were never listed.
type orgSearch struct {
	all        bool   // nothing is known of the panel yet, see readMarked
	hostings   int    // that were seen
	listable   string // an org that could be listed
	answers    bool   // an org that could be listed before this search still can
	failedRow  int    // orgs that failed since the last one that did not
	unanswered int    // orgs without an answer, or with one that cannot be read
	refused    int    // orgs that are refused for good
	last       string // the org that was read last
	failed     []unlistedOrg
}

// exhausted reports whether a search ends before all orgs were read.
func (s *orgSearch) exhausted() bool { return s.unanswered > maxUnanswered || s.refused > maxRefused }

// proves reports whether the panel does list orgs, so that those that failed are to blame.
func (s *orgSearch) proves() bool {
	return len(s.failed) < unlistedPatience || s.listable != "" || s.answers
}

// searchUnlisted lists the hostings of every org whose hostings were never listed.
// Our own orgs are known from the moment they are made; others appear if a person
// made one, or if this database is older than the panel. Once an org is bound, its
// name no longer shows whose it is: only its hostings do.
//
// An org that cannot be listed is skipped and noted; it does not fail the run,
// because one org must not keep all customers from what they pay for. orgIndex.creationBlocked has
// the rule for the creations that it blocks. A panel of which nothing can be read
// is an error. So is a search that is cut short if nothing is known of the panel yet
// (all): it goes on in the next run.
//
// Only one search runs at a time: steps of the run start it, or the holder of the
// index.
func (r *run) searchUnlisted(ctx context.Context, total int, all bool) (hostings int, err error) {
	from, err := r.Cursors.Cursor(ctx, cursorUnread)
	if err != nil {
		return 0, err
	}
	s := orgSearch{all: all}
	err = r.searchBetween(ctx, &s, from, "", total)
	if err == nil && from != "" {
		err = r.searchBetween(ctx, &s, "", from, total)
	}
	if err != nil {
		return s.hostings, err
	}
	next := ""
	if s.exhausted() {
		next = s.last
	}
	if next != from {
		if err := r.Cursors.SetCursor(ctx, r.tok, cursorUnread, next); err != nil {
			return s.hostings, err
		}
	}
	if n := len(s.failed); n > 0 && (all && s.exhausted() || !s.proves()) {
		i := slices.IndexFunc(s.failed, func(u unlistedOrg) bool { return !errors.Is(u.err, errNotAsked) })
		return s.hostings, fmt.Errorf("looking for hostings of ours: %d orgs could not be listed, one of them: %w", n, s.failed[i].err)
	}
	return s.hostings, r.noteUnlisted(ctx, s.failed)
}

// searchBetween reads the orgs whose ids are after one and not after another; "": to
// the last.
func (r *run) searchBetween(ctx context.Context, s *orgSearch, after, until string, total int) error {
	for {
		orgs, err := r.Inventory.UnreadOrgs(ctx, after, unlistedPage)
		if err != nil {
			return err
		}
		if until != "" {
			orgs = slices.DeleteFunc(orgs, func(o reconcile.Org) bool { return o.ID > until })
		}
		if len(orgs) == 0 {
			return nil
		}
		if err := r.searchEach(ctx, s, orgs); err != nil {
			return fmt.Errorf("looking for hostings of ours: %w", err)
		}
		after = orgs[len(orgs)-1].ID
		r.progress.show("comparing", s.hostings, max(total, s.hostings))
	}
}

// searchEach reads some orgs: several in parallel while they can be listed, and one
// after the other while they cannot.
func (r *run) searchEach(ctx context.Context, s *orgSearch, orgs []reconcile.Org) error {
	for len(orgs) > 0 && !s.exhausted() {
		n := min(len(orgs), unlistedParallel, r.Concurrency)
		if s.failedRow > 0 {
			n = 1
		}
		lists, errs := r.listParallel(ctx, orgs[:n])
		for i, o := range orgs[:n] {
			if err := r.addSearched(ctx, s, o, lists[i], errs[i]); err != nil {
				return err
			}
			if n == 1 && errs[i] == nil {
				s.failedRow = 0
			}
		}
		if err := r.askAnother(ctx, s); err != nil {
			return err
		}
		orgs = orgs[n:]
	}
	for _, o := range orgs {
		s.failed = append(s.failed, unlistedOrg{o, errNotAsked})
	}
	return nil
}

// listParallel lists the hostings of some orgs, all at the same time.
func (r *run) listParallel(ctx context.Context, orgs []reconcile.Org) ([][]reconcile.Hosting, []error) {
	lists, errs := make([][]reconcile.Hosting, len(orgs)), make([]error, len(orgs))
	g := errgroup.Group{}
	for i, o := range orgs {
		g.Go(guarded(func() error {
			lists[i], errs[i] = r.listOne(ctx, o.ID)
			return nil
		}))
	}
	_ = g.Wait()
	return lists, errs
}

// listOne lists the hostings of an org. A flow run does not ask for an org that could not
// be listed lately: who has just paid does not wait for the org of another customer. How
// long one listing may take is the client's rule.
func (r *run) listOne(ctx context.Context, org string) (list []reconcile.Hosting, err error) {
	known := &r.together.unlistable
	if err := known.lately(org); err != nil && r.flows {
		return nil, err
	}
	err = fault.Guard(func() (err error) {
		list, err = r.hostingsOf(ctx, org)
		return err
	})
	known.note(org, err)
	return list, err
}

// addSearched stores the hostings of an org, or notes why there are none. The error
// that it returns ends the search.
func (r *run) addSearched(ctx context.Context, s *orgSearch, o reconcile.Org, hostings []reconcile.Hosting, err error) error {
	s.last = o.ID
	if err != nil {
		return s.fail(ctx, o, err)
	}
	s.listable, s.hostings = o.ID, s.hostings+len(hostings)
	if !s.all {
		err = r.knowMarked(ctx, hostings)
	}
	if err == nil {
		return r.Inventory.SaveHostings(ctx, r.tok, o.ID, hostings, r.now)
	}
	if !ended(ctx, err) {
		s.failed, err = append(s.failed, unlistedOrg{o, err}), nil
	}
	return err
}

// ended reports whether it is the run that ended, and not one call that failed.
func ended(ctx context.Context, err error) bool {
	kind := fault.Of(err)
	return kind == fault.Canceled || kind == fault.Fenced || err != nil && ctx.Err() != nil
}

// knowMarked makes sure that each subscription that these hostings are marked with is in
// the mirror, or is one that Stripe does not know. Without that the customer whose org it is
// would not be known, and would get another one. The org of a hosting whose subscription
// cannot be read counts as one that cannot be listed, until it can.
func (r *run) knowMarked(ctx context.Context, hostings []reconcile.Hosting) error {
	var ids []string
	for i := range hostings {
		if m := hostings[i].Marker().Of(r.Policy.Instance); m.Slot > 0 && m.Instance == "" {
			ids = append(ids, m.StripeID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	unknown, err := r.Mirror.Unknown(ctx, distinct(ids))
	if err != nil {
		return err
	}
	for _, id := range unknown {
		if _, err := r.readByMarker(ctx, id); err != nil {
			return fmt.Errorf("%s, which a hosting in it is marked with, cannot be read at Stripe: %w", id, err)
		}
	}
	return nil
}

// fail notes an org that could not be listed. The error that it returns ends the
// search.
func (s *orgSearch) fail(ctx context.Context, o reconcile.Org, err error) error {
	if ended(ctx, err) {
		return err
	}
	s.failedRow++
	s.failed = append(s.failed, unlistedOrg{o, err})
	switch fault.Of(err) {
	case fault.Denied, fault.Permanent, fault.NotFound, fault.Conflict:
		s.refused++
	case fault.Malformed, fault.Transient, fault.Throttled, fault.Ambiguous, fault.Unknown, fault.Canceled, fault.Fenced:
		s.unanswered++
	}
	return nil
}

// askAnother lists, after several orgs that failed, one that could be listed: one of
// this search, or one that we have hostings in.
func (r *run) askAnother(ctx context.Context, s *orgSearch) error {
	if s.failedRow < unlistedPatience {
		return nil
	}
	ask := []string{s.listable}
	if s.listable == "" {
		bound, err := r.someBound(ctx)
		if err != nil {
			return err
		}
		ask = ask[:0]
		for _, h := range bound {
			if !slices.Contains(ask, h.Org) {
				ask = append(ask, h.Org)
			}
		}
	}
	found, _, err := anyExists(len(ask), func(i int) error {
		_, err := r.Panel.Hostings(ctx, ask[i])
		return err
	})
	if err != nil {
		return err
	}
	s.answers, s.failedRow = s.answers || found, 0
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
	done, err := r.together.turns.take(ctx, orgKey(org), false)
	if err != nil {
		return err
	}
	defer done()
	hostings, err := r.hostingsOf(ctx, org)
	if err != nil {
		return err
	}
	return r.Inventory.SaveHostings(ctx, r.tok, org, hostings, r.now)
}

// noteUnlisted keeps for this run which orgs could not be listed, and notes them.
func (r *run) noteUnlisted(ctx context.Context, orgs []unlistedOrg) error {
	if len(orgs) > 0 {
		text, err := r.Cursors.Cursor(ctx, cursorRecovery)
		if err != nil {
			return err
		}
		until, _ := time.Parse(time.RFC3339Nano, text) // none: the database has always known the panel
		r.index.setRecovered(until)
	}
	known := r.index.setUnlisted(orgs)
	noted := len(known)
	for _, o := range orgs {
		if noted < maxUnlistedNotes && !slices.ContainsFunc(known, func(k unlistedOrg) bool { return k.ID == o.ID }) {
			noted++
			r.note("the hostings of org %s (%q) cannot be listed, and it is skipped; a customer that may have a hosting there gets no other: %v", o.ID, o.Name, o.err)
		}
	}
	if more := len(orgs) - maxUnlistedNotes; more > 0 && len(known) <= maxUnlistedNotes {
		r.note("the hostings of %d more orgs cannot be listed, and they are skipped like these", more)
	}
	return nil
}
