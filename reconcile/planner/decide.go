package planner

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// NeedKind is the kind of a read that the planner asks for before it decides.
type NeedKind uint8

const (
	// NeedHosting: the hosting ID in Org was never read, or too long ago.
	NeedHosting NeedKind = iota + 1
	// NeedOrgHostings: the complete list of the hostings of Org.
	NeedOrgHostings
	// NeedOrg: the org itself.
	NeedOrg
	// NeedDomain: the Checkout Session of Subscription.
	NeedDomain
	// NeedSubscription: Subscription read by id, with its oldest unpaid invoice.
	NeedSubscription
	// NeedWebsiteLocation: where at the panel the Domain that Subscription ordered is.
	NeedWebsiteLocation
	// NeedOwners: the members of Org with the role Owner.
	NeedOwners
	// NeedContent: the websites of Org. The only need that the panel may refuse for good:
	// the refusal is a fact, and the content of the org's hostings counts as unread.
	NeedContent
	// NeedBackups: the backups that the websites of a hosting have since an instant.
	NeedBackups
	// NeedDomainUse: whether a website on Hosting in Org may have Domain by now.
	NeedDomainUse
	// NeedSiteApps: the applications that are on the website of a hosting by now.
	NeedSiteApps
	// NeedFeatures: the features of Product. Like content, Stripe may refuse it for good.
	NeedFeatures
	// NeedDispute: Dispute read by id. Without an answer nothing is suspended for it.
	NeedDispute
)

// Need is one read that the planner asks for. The engine reads it and plans
// again; a need that cannot be read is an error of the run for that customer,
// never "not there".
type Need struct {
	Kind         NeedKind
	Org          string
	Hosting      int64
	Subscription string
	Domain       string
	Product      string    // NeedFeatures
	Dispute      string    // NeedDispute
	Since        time.Time // NeedBackups
}

// Decision is the result of Decide for one customer.
type Decision struct {
	Actions []reconcile.Action // in the order in which they are to be applied
	Holds   []reconcile.Hold
	// Needs, when not empty, makes the rest provisional: read these, plan again.
	Needs []Need
	// Contents are the orgs whose content mattered for this decision. The engine reads it
	// again right before an action that takes something away.
	Contents []string
	// Forecast lists the changes that come with a date if nothing else happens until then,
	// by time.
	Forecast []reconcile.ForecastEntry
	// Next is when the decision changes by the mere passing of time (grace,
	// retention, a hold that expires). Zero: never.
	Next time.Time
}

// Decide decides about one customer. It is pure: the same facts give the same
// decision, whatever the order of the slices; it reads no clock and cannot fail,
// it can only hold. c is not changed.
func Decide(c *reconcile.Customer, cat *Catalog, p reconcile.Policy, now time.Time) Decision {
	pl := planner{c: inOrder(c), cat: cat, policy: p, now: now}
	if pl.ignored() {
		return pl.out
	}
	pl.assess()
	pl.assign()
	pl.resolveOrg()
	pl.planHostings()
	pl.planOrg()
	pl.planCreates()
	pl.planMetadata()
	pl.addHolds()
	pl.applyManualHolds()
	pl.planMails()
	pl.sortDecision()
	return pl.out
}

// inOrder is c with its hostings, pending writes and manual holds in an order of
// their own, so that of two that would do the same one is chosen whatever came
// first. The store gives them so already; then c itself is returned.
func inOrder(c *reconcile.Customer) *reconcile.Customer {
	hostings := ordered(c.Hostings, func(a, b *reconcile.Hosting) int { return cmp.Compare(a.ID, b.ID) })
	pending := ordered(c.Pending, func(a, b *reconcile.Pending) int {
		return cmp.Or(a.SentAt.Compare(b.SentAt), cmp.Compare(a.ActionID, b.ActionID))
	})
	manual := ordered(c.Manual, func(a, b *reconcile.ManualHold) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	if same(hostings, c.Hostings) && same(pending, c.Pending) && same(manual, c.Manual) {
		return c
	}
	sorted := *c
	sorted.Hostings, sorted.Pending, sorted.Manual = hostings, pending, manual
	return &sorted
}

// ordered is all itself when it is in order, else a sorted copy.
func ordered[T any](all []T, by func(a, b *T) int) []T {
	for i := 1; i < len(all); i++ {
		if by(&all[i-1], &all[i]) > 0 {
			all = slices.Clone(all)
			slices.SortStableFunc(all, func(a, b T) int { return by(&a, &b) })
			return all
		}
	}
	return all
}

// same reports whether two slices are one.
func same[T any](a, b []T) bool { return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0]) }

// planner is one planning at work. Its order of calls is the policy of the
// package comment.
type planner struct {
	c      *reconcile.Customer
	cat    *Catalog
	policy reconcile.Policy
	now    time.Time

	subs        []assessed   // by (created, id)
	units       []unit       // hostings that are paid for, in order
	assignments []assignment // bindings as they will be after this plan
	org         orgChoice    // the org that creates go to
	deletions   []deletion   // that the retention period brings
	out         Decision
}

// assessed is one subscription with its entitlement.
type assessed struct {
	*reconcile.Subscription
	entitlement
	items          []reconcile.Item        // by (created, id)
	mapped         bool                    // at least one item is mapped to a plan, even if that plan does not exist
	none           bool                    // a person mapped every item to none
	domain         string                  // Domain in its one form; "": none, or unreadable
	trialBefore    *reconcile.Subscription // the customer's earlier trial, if it is held because of that
	missingHosting int64                   // the hosting that its metadata names and that is gone; 0: none
}

// unit is one unit of one item that shall be up.
type unit struct {
	sub        int // index into planner.subs
	item       string
	plan       reconcile.EnhancePlan
	assignment int // index into planner.assignments, -1 while unfilled
	// blocked keeps this unit from being filled: a hold gives the reason.
	blocked bool
}

// assignment is a binding as this plan sees it.
type assignment struct {
	reconcile.Binding
	sub     int // index into planner.subs, -1 for a subscription we never saw
	hosting int // index into c.Hostings, -1 when not in the picture
	// desired and plan are the state and plan that this assignment asks for.
	desired desiredState
	plan    reconcile.EnhancePlan // with desiredActive; zero ID: no opinion
	reason  string
	// fresh means that this decision made the assignment: a hosting that was just found is
	// not taken away in the same decision.
	fresh bool
	// moved means that the stored binding has to change (another item or owner).
	moved bool
	// instead is the id of the Link action by which another hosting takes the place of this
	// one: while that action is withheld, this hosting is not taken away.
	instead string
}

// assess applies the policy table to every subscription and spreads the entitled
// ones into units.
func (pl *planner) assess() {
	pl.subs = make([]assessed, 0, len(pl.c.Subscriptions))
	for i := range pl.c.Subscriptions {
		s := &pl.c.Subscriptions[i]
		items := ordered(s.Items, func(a, b *reconcile.Item) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
		pl.subs = append(pl.subs, assessed{Subscription: s, entitlement: entitlementOf(s, pl.cat.policyFor(s, pl.policy), pl.now), items: items, domain: reconcile.DomainKey(s.Domain)})
	}
	slices.SortFunc(pl.subs, func(a, b assessed) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	pl.assignments = make([]assignment, 0, len(pl.c.Bindings)+1)
	for _, b := range pl.c.Bindings {
		l := assignment{Binding: b, sub: pl.subIndex(b.Subscription), hosting: pl.hostingIndex(b.Hosting)}
		if l.hosting >= 0 && !pl.c.Hostings[l.hosting].TerminatedByUs.IsZero() {
			continue // history: neither its slot nor its hosting is used again
		}
		pl.assignments = append(pl.assignments, l)
	}
	slices.SortFunc(pl.assignments, func(a, b assignment) int {
		return cmp.Or(cmp.Compare(a.Subscription, b.Subscription), cmp.Compare(a.Slot, b.Slot))
	})
	for i := range pl.subs {
		pl.holdSecondTrial(&pl.subs[i])
		pl.judgeDispute(&pl.subs[i])
		pl.askFeatures(&pl.subs[i])
		pl.spreadUnits(i)
	}
}

// spreadUnits spreads one entitled subscription into units. Unmapped items beside mapped
// ones are extras and are ignored, and so are items that a person mapped to none.
func (pl *planner) spreadUnits(i int) {
	s := &pl.subs[i]
	s.none = len(s.items) > 0
	for j := range s.items {
		it := &s.items[j]
		t, ok := pl.cat.match(it)
		s.mapped, s.none = s.mapped || ok && !t.none, s.none && t.none
		if s.desired != desiredActive || !ok || t.none {
			continue
		}
		switch {
		case t.problem != "":
			pl.addHold(reconcile.Hold{Kind: t.problem, Subscription: s.ID, Reason: t.why})
		case it.OutOfRange():
			pl.addHold(reconcile.Hold{Kind: reconcile.HoldQuantity, Subscription: s.ID, Reason: tooMany(s, it)})
		default:
			for range it.Quantity {
				pl.units = append(pl.units, unit{sub: i, item: it.ID, plan: t.plan, assignment: -1})
			}
		}
	}
}

func (pl *planner) subIndex(id string) int {
	for i := range pl.subs {
		if pl.subs[i].ID == id {
			return i
		}
	}
	return -1
}

func (pl *planner) hostingIndex(id int64) int {
	for i := range pl.c.Hostings {
		if pl.c.Hostings[i].ID == id {
			return i
		}
	}
	return -1
}

// item finds an item of a subscription; nil when Stripe does not list it.
func (s *assessed) item(id string) *reconcile.Item {
	for i := range s.items {
		if s.items[i].ID == id {
			return &s.items[i]
		}
	}
	return nil
}

// addHold adds a hold, and fills in its customer, e-mail and org as far as they are known.
func (pl *planner) addHold(h reconcile.Hold) {
	h.Customer = pl.c.ID
	h.Email = strings.TrimSpace(pl.buyerOf(h.Subscription).Email)
	if h.Org == "" {
		h.Org = pl.orgOf(h.Hosting)
	}
	pl.out.Holds = append(pl.out.Holds, h)
}

// orgOf is the org of a hosting, else the customer's; "": none is known.
func (pl *planner) orgOf(hosting int64) string {
	if i := pl.hostingIndex(hosting); hosting != 0 && i >= 0 {
		return pl.c.Hostings[i].Org
	}
	for i := range pl.assignments {
		if hosting != 0 && pl.assignments[i].Hosting == hosting {
			return pl.assignments[i].Org
		}
	}
	switch {
	case hosting != 0:
		return ""
	case pl.c.Org != nil:
		return pl.c.Org.ID
	}
	return pl.org.id
}

func (pl *planner) addAction(a reconcile.Action) {
	a.Customer, a.Instructions = pl.c.ID, pl.c.Instructions
	a.Email = strings.TrimSpace(pl.buyerOf(a.Subscription).Email)
	pl.out.Actions = append(pl.out.Actions, a)
}

func (pl *planner) addNeed(n Need) {
	if !slices.Contains(pl.out.Needs, n) {
		pl.out.Needs = append(pl.out.Needs, n)
	}
}

// recheckAt moves Next to the earliest future instant at which the decision may change.
func (pl *planner) recheckAt(t time.Time) {
	if t.After(pl.now) && (pl.out.Next.IsZero() || t.Before(pl.out.Next)) {
		pl.out.Next = t
	}
}

// repeatsHoldOfHosting reports whether a hold of a subscription has the same sentence as
// another one of its hosting.
func (pl *planner) repeatsHoldOfHosting(h reconcile.Hold) bool {
	return h.Hosting == 0 && slices.ContainsFunc(pl.out.Holds, func(o reconcile.Hold) bool {
		return o.Hosting != 0 && o.Kind == h.Kind && o.Subscription == h.Subscription && o.ActionID == h.ActionID && o.Reason == h.Reason
	})
}

// sortDecision brings actions and holds into their total order.
func (pl *planner) sortDecision() {
	slices.SortStableFunc(pl.out.Actions, func(a, b reconcile.Action) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Subscription, b.Subscription),
			cmp.Compare(a.Slot, b.Slot), cmp.Compare(a.ID, b.ID))
	})
	pl.markOrders()
	slices.SortStableFunc(pl.out.Holds, func(a, b reconcile.Hold) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Subscription, b.Subscription),
			cmp.Compare(a.Hosting, b.Hosting), cmp.Compare(a.ActionID, b.ActionID))
	})
	pl.out.Holds = slices.CompactFunc(pl.out.Holds, func(a, b reconcile.Hold) bool { return a == b })
	pl.out.Holds = slices.DeleteFunc(pl.out.Holds, pl.repeatsHoldOfHosting)
	slices.Sort(pl.out.Contents)
	sortForecast(pl.out.Forecast)
	slices.SortFunc(pl.out.Needs, func(a, b Need) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Org, b.Org),
			cmp.Compare(a.Hosting, b.Hosting), cmp.Compare(a.Subscription, b.Subscription), cmp.Compare(a.Product, b.Product), cmp.Compare(a.Dispute, b.Dispute))
	})
}

// orgTurns are the hostings of ended subscriptions in the order in which a returning
// customer is given them. If there is one, there is nothing to choose. Of several, those
// with content come first; if there are more of those than places, the ones that are up
// come first, so that nothing is taken away. If even those are more than the places, one
// with content would go: all stay, and a person has to choose.
func (pl *planner) orgTurns() (turns [][]int) {
	var buyers []string
	for i := range pl.subs {
		if buyer := pl.subs[i].StripeCustomer; !slices.Contains(buyers, buyer) {
			buyers = append(buyers, buyer)
			turns = append(turns, pl.turnsOf(buyer)...)
		}
	}
	return turns
}

// turnsOf are the turns of one Stripe customer: no hosting passes from one to another.
func (pl *planner) turnsOf(buyer string) [][]int {
	var all, full, up, rest []int
	for i := range pl.assignments {
		if l := &pl.assignments[i]; pl.mayReturn(l) && pl.payer(l) == buyer {
			all = append(all, i)
		}
	}
	places := 0
	for _, w := range pl.units {
		if pl.unassigned(w) && pl.subs[w.sub].StripeCustomer == buyer {
			places++
		}
	}
	if len(all) < 2 || places == 0 {
		return [][]int{all}
	}
	known := true
	for _, i := range all {
		h := &pl.c.Hostings[pl.assignments[i].hosting]
		pl.readFresh(h)
		known = pl.readContent(h, pl.freshSince()) && known
	}
	if !known {
		return [][]int{all}
	}
	for _, i := range all {
		switch h := &pl.c.Hostings[pl.assignments[i].hosting]; {
		case contentState(h) == fillingEmpty:
			rest = append(rest, i)
		case h.State == reconcile.HostingActive:
			full, up = append(full, i), append(up, i)
		default:
			full = append(full, i)
		}
	}
	switch {
	case len(full) <= places:
		return [][]int{full, rest}
	case len(up) <= places:
		return [][]int{up, full, rest}
	}
	pl.tooMany(full)
	return [][]int{rest}
}

// tooMany keeps the hostings of ended subscriptions if more of them have content than
// there are places, and holds the subscriptions that would be given one.
func (pl *planner) tooMany(full []int) {
	c := contest{keepers: full[1:]}
	for _, i := range full {
		pl.assignments[i].desired = desiredKeep
		pl.recheckHosting(&pl.c.Hostings[pl.assignments[i].hosting])
	}
	first := &pl.assignments[full[0]]
	for s := range pl.subs {
		if pl.subs[s].StripeCustomer != pl.payer(first) || !slices.ContainsFunc(pl.units, func(w unit) bool { return w.sub == s && pl.unassigned(w) }) {
			continue
		}
		pl.block(s)
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldContent, Subscription: pl.subs[s].ID, Hosting: first.Hosting, Reason: pl.moreThanPlaces(&c, s, full, first)})
	}
}

// Answers answers what support staff ask about a customer, from what is stored. It decides
// as the next run would, and once more as if Stripe reported active. It claims no payment:
// Stripe's status is all that is known of one.
func Answers(r *reconcile.CustomerRecord, cat *Catalog, p reconcile.Policy, now time.Time) []reconcile.Answer {
	e := explainer{c: &r.Customer, cat: cat, policy: p, now: now, history: r.History}
	e.next = Decide(e.c, cat, p, now)
	e.next.Forecast = withSchedules(e.next.Forecast, r, cat, now)
	paid := paidUp(e.c)
	e.paid = Decide(&paid, cat, p, now)
	e.holds = e.next.Holds
	for _, h := range r.Held { // what brakes and gates hold, no planner knows
		if h.Kind == reconcile.HoldBrake || h.Kind == reconcile.HoldEvidence {
			e.holds = append(e.holds, h)
		}
	}
	for i := range e.c.Subscriptions {
		e.subscription(&e.c.Subscriptions[i])
	}
	for i := range e.c.Disputes {
		d := &e.c.Disputes[i]
		e.add(reconcile.QuestionDispute, d.Subscription, 0, e.whichDispute(d))
	}
	e.hostings()
	e.invitation()
	e.owner()
	return e.all
}

// explainer is the answers in the making.
type explainer struct {
	c          *reconcile.Customer
	cat        *Catalog
	policy     reconcile.Policy
	now        time.Time
	history    []reconcile.ActionRecord
	next, paid Decision
	holds      []reconcile.Hold
	all        []reconcile.Answer
}

func (e *explainer) add(q reconcile.Question, sub string, hosting int64, text string) {
	if text != "" {
		e.all = append(e.all, reconcile.Answer{Question: q, Subscription: sub, Hosting: hosting, Text: text})
	}
}

// paidUp is the customer as if Stripe reported active where a payment can bring that about.
func paidUp(c *reconcile.Customer) reconcile.Customer {
	paid := *c
	paid.Subscriptions = slices.Clone(c.Subscriptions)
	for i := range paid.Subscriptions {
		if s := &paid.Subscriptions[i]; payable(s) {
			s.Status, s.StatusText, s.Lapse = reconcile.StatusActive, reconcile.StatusActive.String(), reconcile.Lapse{}
		}
	}
	return paid
}

// payable reports whether a payment makes the subscription active.
func payable(s *reconcile.Subscription) bool {
	switch s.Status {
	case reconcile.StatusPastDue, reconcile.StatusUnpaid, reconcile.StatusIncomplete, reconcile.StatusPaused:
		return !s.Gone
	case reconcile.StatusActive, reconcile.StatusTrialing, reconcile.StatusIncompleteExpired, reconcile.StatusCanceled, reconcile.StatusUnknown:
	}
	return false
}

// entitled reports whether Stripe's status alone asks for hosting.
func entitled(s *reconcile.Subscription) bool {
	return !s.Gone && (s.Status == reconcile.StatusActive || s.Status == reconcile.StatusTrialing)
}

// subscription answers what concerns one subscription and its hostings.
func (e *explainer) subscription(s *reconcile.Subscription) {
	bound := e.c.BindingsOf(s.ID)
	for _, b := range bound {
		h := e.hosting(b)
		switch {
		case h.State == reconcile.HostingActive && e.orgDown(h.Org) == "":
			if !entitled(s) {
				e.add(reconcile.QuestionUp, s.ID, h.ID, e.whyUp(s, h))
			}
		default:
			e.add(reconcile.QuestionDown, s.ID, h.ID, e.whyDown(s, h))
		}
		e.add(reconcile.QuestionPlan, s.ID, h.ID, e.whyPlan(s, b, h))
	}
	if len(bound) == 0 && (entitled(s) || s.Status == reconcile.StatusIncomplete) {
		e.add(reconcile.QuestionDown, s.ID, 0, e.whyNone(s))
	}
	e.add(reconcile.QuestionWhen, s.ID, 0, e.when(s, bound))
	e.add(reconcile.QuestionPayment, s.ID, 0, whichPayment(s))
	e.add(reconcile.QuestionPayNow, s.ID, 0, e.ifPaid(s, bound))
	e.add(reconcile.QuestionPeriodEnd, s.ID, 0, e.atPeriodEnd(s))
}

// hosting is what is stored of a bound hosting.
func (e *explainer) hosting(b reconcile.Binding) *reconcile.Hosting {
	for i := range e.c.Hostings {
		if e.c.Hostings[i].ID == b.Hosting {
			return &e.c.Hostings[i]
		}
	}
	return &reconcile.Hosting{ID: b.Hosting, Org: b.Org}
}

// orgDown describes an org in which nothing is up; "" if that is not so.
func (e *explainer) orgDown(org string) string {
	switch o := e.c.Org; {
	case o == nil || o.ID != org:
	case o.Deleted:
		return "its organisation was deleted in the panel"
	case o.Suspended:
		return "its organisation is suspended in the panel, with everything in it"
	}
	return ""
}

// planned returns the reason of an action that a decision has for a hosting, or for an order
// of the subscription.
func planned(d Decision, kind reconcile.ActionKind, sub string, hosting int64) (a reconcile.Action, ok bool) {
	i := slices.IndexFunc(d.Actions, func(a reconcile.Action) bool {
		return a.Kind == kind && (hosting != 0 && a.Hosting == hosting || hosting == 0 && a.Subscription == sub)
	})
	if i < 0 {
		return a, false
	}
	return d.Actions[i], true
}

// holding returns the hold of one of these kinds that concerns a subscription or its hosting.
func holding(holds []reconcile.Hold, sub string, hosting int64, kinds ...reconcile.HoldKind) *reconcile.Hold {
	for _, kind := range kinds {
		for i := range holds {
			h := &holds[i]
			if h.Kind == kind && (h.Hosting != 0 && h.Hosting == hosting || h.Subscription == sub || h.Subscription == "" && h.Hosting == 0) {
				return h
			}
		}
	}
	return nil
}

// lastDone is the newest row of the journal by which we did something to a hosting.
func (e *explainer) lastDone(kind reconcile.ActionKind, hosting int64) *reconcile.ActionRecord {
	for i := range e.history { // the newest first
		r := &e.history[i]
		if r.Kind == kind && r.Hosting == hosting && (r.State == reconcile.ActionApplied || r.State == reconcile.ActionAdopted) {
			return r
		}
	}
	return nil
}

// hostings answers why there are several.
func (e *explainer) hostings() {
	live := map[int64][]string{}
	var order []int64
	for _, b := range e.c.Bindings {
		if h := e.hosting(b); h.State == reconcile.HostingActive || h.State == reconcile.HostingSuspended {
			if live[h.ID] == nil {
				order = append(order, h.ID)
			}
			live[h.ID] = append(live[h.ID], b.Subscription)
		}
	}
	var unbound []int64
	for i := range e.c.Hostings {
		h := &e.c.Hostings[i]
		if live[h.ID] == nil && !h.Bound && (h.State == reconcile.HostingActive || h.State == reconcile.HostingSuspended) {
			unbound = append(unbound, h.ID)
		}
	}
	if len(order)+len(unbound) > 1 {
		e.add(reconcile.QuestionHostings, "", 0, e.whySeveral(order, live, unbound))
	}
	for _, k := range e.c.Kin {
		for _, h := range k.Hostings {
			if h.State == reconcile.HostingActive || h.State == reconcile.HostingSuspended {
				e.add(reconcile.QuestionHostings, h.Subscription, h.Hosting, ofKin(&k, &h))
			}
		}
	}
}

// invitation answers what became of it.
func (e *explainer) invitation() {
	c := e.c
	invite, soon := planned(e.next, reconcile.InviteOwner, "", 0)
	hold := holding(e.holds, "", 0, reconcile.HoldNoEmail)
	var text string
	switch {
	case !c.Invited.IsZero():
		text = wasInvited(c)
	case c.OrgGuest:
		text = invitedByOther(c)
	case e.policy.Onboarding == reconcile.NoOnboarding:
		text = "no owner is invited, because ONBOARDING is none"
	case c.Org != nil && c.Org.OwnerEmail != "":
		text = hasOwner(c)
	case hold != nil:
		text = "no invitation was sent: " + hold.Reason
	case soon:
		text = "no invitation was sent yet: " + e.soon("invites "+invite.Email, false) + ", because " + invite.Reason
	case c.Org == nil:
		text = "no invitation was sent, because there is no organisation at the panel yet"
	default:
		text = "no invitation was sent: nothing in the organisation serves a subscription that is entitled to hosting"
	}
	if r := e.failedInvitation(); r != nil && c.Invited.IsZero() {
		text += ". The last try failed at " + reconcile.FormatTime(r.At()) + ": " + r.Error
	}
	e.add(reconcile.QuestionInvitation, "", 0, text)
}

// failedInvitation is the newest row of the journal about an invitation, if it failed.
func (e *explainer) failedInvitation() *reconcile.ActionRecord {
	for i := range e.history {
		if r := &e.history[i]; r.Kind == reconcile.InviteOwner {
			if r.State == reconcile.ActionFailed {
				return r
			}
			return nil
		}
	}
	return nil
}

// owner answers whether Stripe has another address or name than the panel.
func (e *explainer) owner() {
	c := e.c
	at := ""
	switch {
	case c.Org != nil && c.Org.OwnerEmail != "":
		at = c.Org.OwnerEmail
	case !c.Invited.IsZero():
		at = c.InvitedEmail
	}
	if now := reconcile.EmailKey(c.Email); at != "" && now != "" && reconcile.EmailKey(at) != now && !c.OrgGuest {
		e.add(reconcile.QuestionOwner, "", 0, otherEmail(c, at))
	}
	if c.Org != nil && c.OrgNamed && !c.OrgGuest && c.Name != "" && reconcile.NameKey(c.Org.Name) != reconcile.NameKey(c.Name) {
		e.add(reconcile.QuestionOwner, "", 0, otherName(c))
	}
}
