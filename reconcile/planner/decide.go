package planner

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

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
