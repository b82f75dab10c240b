package planner

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// invoicesAgain is how long the planner waits before it asks again for invoices that the
// key could not read: one refusal must not make a grace period begin anew.
const invoicesAgain = 24 * time.Hour

// addHolds adds the holds that the subscriptions themselves give reason for.
func (pl *planner) addHolds() {
	for i := range pl.subs {
		pl.onSubscription(&pl.subs[i], i)
	}
	pl.forecastHolds()
	if h, ok := HoldForFailure(pl.c, pl.now); ok {
		pl.addHold(h)
	}
}

// HoldForFailure is the hold of a customer that is backed off or parked; false if it is
// neither. It looks at nothing else of the customer, so that it works even if Decide does
// not.
func HoldForFailure(c *reconcile.Customer, now time.Time) (h reconcile.Hold, ok bool) {
	h = reconcile.Hold{Kind: reconcile.HoldRetry, Customer: c.ID, Email: c.Email, Until: c.RetryAfter}
	if c.Org != nil {
		h.Org = c.Org.ID
	}
	switch {
	case !c.Parked.IsZero():
		h.Kind, h.Until = reconcile.HoldParked, time.Time{}
		h.Reason = setAside(c)
	case c.LastError == "" || !c.RetryAfter.After(now):
		return reconcile.Hold{}, false
	case c.Failures == 0:
		h.Reason = sideFailed(c)
	default:
		h.Reason = failedInARow(c)
	}
	return h, true
}

// markOrders marks each hold that keeps a paying customer without hosting until a person
// acts.
func (pl *planner) markOrders() {
	for i := range pl.out.Holds {
		h := &pl.out.Holds[i]
		h.Order = h.Kind.KeepsOrders() && pl.lacks(h.Subscription)
	}
}

// lacks reports whether a subscription gives hosting, and has none for one unit of it at
// least. "" is any subscription of the customer.
func (pl *planner) lacks(subscription string) bool {
	for i := range pl.subs {
		if pl.subs[i].desired != desiredActive || subscription != "" && subscription != pl.subs[i].ID {
			continue
		}
		units, there := 0, 0
		for j := range pl.units {
			if pl.units[j].sub == i {
				units++
			}
		}
		for j := range pl.assignments {
			l := &pl.assignments[j]
			if l.sub == i && (l.hosting < 0 || pl.c.Hostings[l.hosting].State != reconcile.HostingMissing && pl.c.Hostings[l.hosting].State != reconcile.HostingDeleted) {
				there++
			}
		}
		if there < max(units, 1) { // without a unit it is not known how many there are to be
			return true
		}
	}
	return false
}

func (pl *planner) onSubscription(s *assessed, i int) {
	linked := pl.assignmentsOf(i) > 0
	concerns := linked || s.mapped
	if s.none && !linked {
		return // a person mapped it to none: it does not concern us
	}
	if concerns {
		pl.forecastStripe(i)
	}
	switch why, unread := strings.CutPrefix(s.StatusText, reconcile.Unreadable); {
	case s.holdKind == reconcile.HoldUnknownStatus && unread:
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldUnknownStatus, Subscription: s.ID, Reason: answerUnreadable(s, why)})
	case s.holdKind == reconcile.HoldUnknownStatus:
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldUnknownStatus, Subscription: s.ID, Reason: statusNotKnown(s)})
	case s.holdKind == reconcile.HoldTrial && concerns:
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldTrial, Subscription: s.ID, Reason: secondTrial(s)})
	case s.holdKind == reconcile.HoldDispute && concerns:
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldDispute, Subscription: s.ID, Reason: disputeNotRead(s)})
	case s.holdKind == reconcile.HoldGone && linked:
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldGone, Subscription: s.ID, Reason: pl.isGone(i)})
	case s.desired == desiredActive && !s.mapped && !s.none && !pl.hasUnmappedHold(s.ID):
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldUnmapped, Subscription: s.ID, Reason: noneMapped(s, pl.unmapped(s)) + pl.cat.unreadFeatures(pl.unmapped(s))})
	}
	if concerns {
		pl.onGrace(s, i)
	}
}

// onGrace holds what a grace period withholds, and asks for the invoices where it is not
// known when that began.
func (pl *planner) onGrace(s *assessed, i int) {
	if s.LapseUnknown() {
		pl.addNeed(Need{Kind: NeedSubscription, Subscription: s.ID})
		pl.recheckAt(pl.now.Add(invoicesAgain)) // for a key that may not read invoices
	}
	if !s.graceEnds.IsZero() {
		pl.recheckAt(s.graceEnds)
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldGrace, Subscription: s.ID, Until: s.graceEnds, Reason: pl.inGrace(i)})
		if text := pl.inGrace(i); strings.Contains(text, suspendedThen) {
			pl.addForecast(reconcile.ForecastEntry{At: s.graceEnds, Kind: reconcile.ForecastSuspend, Subscription: s.ID, Reason: text})
		}
	}
}

func (pl *planner) hasUnmappedHold(sub string) bool {
	for i := range pl.out.Holds {
		if pl.out.Holds[i].Subscription == sub && pl.out.Holds[i].Kind == reconcile.HoldUnmapped {
			return true
		}
	}
	return false
}

// unmapped are the items without a mapping.
func (pl *planner) unmapped(s *assessed) (items []reconcile.Item) {
	for i := range s.items {
		if _, ok := pl.cat.match(&s.items[i]); !ok {
			items = append(items, s.items[i])
		}
	}
	return items
}

// ignored reports whether a person wants the whole customer left alone, and adds that
// hold.
func (pl *planner) ignored() bool {
	for i := range pl.c.Manual {
		m := &pl.c.Manual[i]
		if m.Kind == reconcile.Ignore && m.Subscription == "" && m.InForce(pl.now) {
			pl.recheckAt(m.Until)
			pl.holdManual(m, reconcile.Action{})
			pl.forecastHolds()
			return true
		}
	}
	return false
}

func (pl *planner) holdManual(m *reconcile.ManualHold, a reconcile.Action) {
	pl.addHold(reconcile.Hold{Kind: reconcile.HoldManual, Subscription: a.Subscription, Hosting: a.Hosting, ActionID: a.ID, Until: m.Until, Reason: heldByPerson(m, a), Manual: m.Kind})
}

// leaveAlone drops the holds of a subscription that a person wants left alone, and adds
// that person's hold in their place. The hold of an action stays: it is withheld by
// itself.
func (pl *planner) leaveAlone() {
	for i := range pl.c.Manual {
		m := &pl.c.Manual[i]
		if m.Kind != reconcile.Ignore || m.Subscription == "" || !m.InForce(pl.now) {
			continue
		}
		said := len(pl.out.Holds)
		pl.out.Holds = slices.DeleteFunc(pl.out.Holds, func(h reconcile.Hold) bool {
			return h.Subscription == m.Subscription && h.ActionID == "" && h.Kind != reconcile.HoldManual
		})
		if len(pl.out.Holds) < said {
			pl.recheckAt(m.Until)
			pl.holdManual(m, reconcile.Action{Subscription: m.Subscription})
		}
	}
}

// applyManualHolds withholds the actions that people or the mode forbid.
func (pl *planner) applyManualHolds() {
	kept := make([]reconcile.Action, 0, len(pl.out.Actions)) // the actions are looked at until all are judged
	for _, a := range pl.out.Actions {
		if m := cmp.Or(pl.forbids(a), pl.forbidsBasis(a)); m != nil {
			pl.recheckAt(m.Until)
			pl.holdManual(m, a)
			continue
		}
		if d := pl.withheldByDispute(a); d != nil {
			pl.addHold(a.Withheld(reconcile.HoldDispute, disputeWithholds(d, a)))
			continue
		}
		if pl.policy.Mode != reconcile.Enforce && pl.policy.Mode != reconcile.Observe && pl.cat.Takes(a) {
			pl.addHold(a.Withheld(reconcile.HoldMode, heldByMode(a, pl.policy.Mode)))
			continue
		}
		kept = append(kept, a)
	}
	pl.out.Actions = withoutEmptyOrg(kept)
	pl.leaveAlone()
}

// withoutEmptyOrg drops a new org, and the invitation to it, if everything that was to be
// created in it is withheld: those holds give the reason.
func withoutEmptyOrg(actions []reconcile.Action) []reconcile.Action {
	if slices.ContainsFunc(actions, func(a reconcile.Action) bool { return a.Kind == reconcile.CreateSubscription }) {
		return actions
	}
	return slices.DeleteFunc(actions, func(a reconcile.Action) bool {
		return a.Org == "" && a.Kind.Brake() == reconcile.CreateSubscription // the chain of a new hosting
	})
}

// forbids finds the hold of a person that withholds an action.
func (pl *planner) forbids(a reconcile.Action) *reconcile.ManualHold {
	for i := range pl.c.Manual {
		m := &pl.c.Manual[i]
		if !m.InForce(pl.now) || m.Subscription != "" && m.Subscription != a.Subscription && !pl.shares(m.Subscription, a.Hosting) {
			continue
		}
		if pl.withholds(m, a) {
			return m
		}
	}
	return nil
}

// withholds reports whether the hold of a person withholds an action on what it covers.
func (pl *planner) withholds(m *reconcile.ManualHold, a reconcile.Action) bool {
	switch {
	case m.Kind == reconcile.Ignore:
		return true
	case a.Kind == reconcile.MarkHosting && m.Subscription != a.Subscription:
		i := pl.hostingIndex(a.Hosting) // by the marker that stands there the hold counts for the hosting
		return i >= 0 && m.Subscription != "" && pl.marker(&pl.c.Hostings[i]).StripeID == m.Subscription
	case m.Kind == reconcile.NoSuspend:
		return pl.cat.Takes(a)
	default: // keep-suspended: who comes back does not get around it by taking the hosting over
		return a.Kind == reconcile.Resume || a.Kind == reconcile.Link && a.How == reconcile.BoundByResubscription && a.Hosting != 0
	}
}

// forbidsBasis finds the manual hold that withholds the Link action on which another
// action rests: the link that gives the hosting to the subscription that pays for the
// plan, or that puts another hosting in the place of the one that goes. Neither is done by
// halves.
func (pl *planner) forbidsBasis(a reconcile.Action) *reconcile.ManualHold {
	if a.Kind != reconcile.Suspend && a.Kind != reconcile.ChangePlan {
		return nil
	}
	for i := range pl.assignments {
		basis := pl.assignments[i].instead
		if l := &pl.assignments[i]; a.Kind == reconcile.ChangePlan && l.moved && l.How == reconcile.BoundByResubscription {
			basis = linkID(l)
		}
		if pl.assignments[i].Hosting != a.Hosting || basis == "" {
			continue
		}
		for j := range pl.out.Actions {
			if pl.out.Actions[j].ID == basis {
				return pl.forbids(pl.out.Actions[j])
			}
		}
	}
	return nil
}

// shares reports whether a hosting is a subscription's too: it is bound to it, beside
// others or until another takes it over, or was made for it and was taken over. So a
// manual hold stays in force however often a customer cancels and comes back.
func (pl *planner) shares(sub string, hosting int64) bool {
	if hosting == 0 {
		return false
	}
	if i := pl.hostingIndex(hosting); i >= 0 && pl.marker(&pl.c.Hostings[i]).StripeID == sub {
		return true
	}
	for i := range pl.c.Bindings {
		if pl.c.Bindings[i].Subscription == sub && pl.c.Bindings[i].Hosting == hosting {
			return true
		}
	}
	for i := range pl.assignments {
		if pl.assignments[i].Subscription == sub && pl.assignments[i].Hosting == hosting {
			return true
		}
	}
	return false
}

// Takes reports whether an action takes something away from a customer: it
// suspends, terminates, or moves to a plan that gives less of anything.
func (c *Catalog) Takes(a reconcile.Action) bool {
	switch a.Kind.Takes() {
	case reconcile.TakesNever:
		return false
	case reconcile.TakesIfSmaller:
		return c.lowers(a.FromPlan, a.Plan)
	case reconcile.TakesAlways:
	}
	return true
}

// Withhold moves the actions that take something away from a decision into holds
// of the kind, with the reason. The engine does so when the evidence of a run is
// not good enough to take anything away.
func Withhold(d Decision, cat *Catalog, kind reconcile.HoldKind, reason string) Decision {
	kept := make([]reconcile.Action, 0, len(d.Actions))
	for _, a := range d.Actions {
		if !cat.Takes(a) {
			kept = append(kept, a)
			continue
		}
		d.Holds = append(d.Holds, a.Withheld(kind, changeWithheld(a, reason)))
	}
	d.Actions = kept
	return d
}

// Limit is the most changes of one kind in one run: the larger of Count and
// Percent of the bound hostings.
type Limit struct {
	Count   int
	Percent float64
}

// Allow is the limit for a fleet of bound hostings.
func (l Limit) Allow(bound int) int {
	return max(l.Count, int(float64(bound)*l.Percent/100))
}

// Brakes are the limits per kind of change. Resumes have none: they are the way
// back, and a paying customer never waits for an approval to be switched on again.
type Brakes struct {
	Suspend    Limit
	ChangePlan Limit
	Create     Limit
	Terminate  Limit
}

// mailLimit is the limit on mails to customers. It is no setting: a hundred mails about
// something that is not so are as bad in a large fleet as in a small one.
var mailLimit = Limit{Count: 25, Percent: 10}

// DefaultBrakes are the limits of the contract.
func DefaultBrakes() Brakes {
	return Brakes{
		Suspend:    Limit{Count: 5, Percent: 2},
		ChangePlan: Limit{Count: 5, Percent: 5},
		Create:     Limit{Count: 25, Percent: 10},
		Terminate:  Limit{Count: 1, Percent: 1},
	}
}

// dayFactor is how many times the limit of a run may be used up in 24 hours.
const dayFactor = 2.5

// Limit returns the limit of a brake kind as BrakeKind names it.
func (b Brakes) Limit(k reconcile.ActionKind) Limit {
	switch k.Brake() {
	case reconcile.CreateSubscription:
		return b.Create
	case reconcile.ChangePlan:
		return b.ChangePlan
	case reconcile.Suspend:
		return b.Suspend
	case reconcile.Terminate:
		return b.Terminate
	case reconcile.SendMail:
		return mailLimit
	default:
		return Limit{}
	}
}

// BrakeLoad is what the brake looks at, for one kind.
type BrakeLoad struct {
	Kind      reconcile.ActionKind // as BrakeKind names it
	Planned   int                  // in this run, without what an approval released
	AtWork    int                  // those that runs at work beside this one may still do
	Performed int                  // in the last 24 hours, without what approvals released
	Bound     int                  // hostings bound: the base of the percentages
}

// Holds reports whether all changes of the kind are to be held, and why. It holds all or
// nothing: if it stopped after the first N, the sort order would pick N victims.
func (b Brakes) Holds(l BrakeLoad) (reason string, held bool) {
	limit := b.Limit(l.Kind).Allow(l.Bound)
	day := int(float64(limit) * dayFactor)
	switch {
	case l.Planned == 0:
		return "", false
	case l.Planned+l.AtWork > limit:
		return tooManyInRun(l, limit), true
	case l.Planned+l.AtWork+l.Performed > day:
		return tooManyInDay(l, day), true
	}
	return "", false
}

// plausibleOrder is the most hostings that one customer plausibly orders in one run. An
// agency that brings ten sites is a good day. More is usually a script, a quantity that
// counts something else, or an abuse of a trial without a card, and such an order is worth
// a look. It does not grow with the fleet, as the percentage of the limit does; it grows
// with the count that an operator sets, of which it is orderShare: 10 of the usual 25. So
// no single order comes near the limit of the fleet.
const (
	plausibleOrder = 10
	orderShare     = 0.4
)

// Order is the most hostings that one customer may order in one run, in a fleet of bound
// hostings, without being held.
func (b Brakes) Order(bound int) int {
	most := max(plausibleOrder, int(float64(b.Create.Count)*orderShare))
	if limit := b.Create.Allow(bound); limit > 0 {
		most = min(most, limit)
	}
	return most
}

// Order is the hostings to be created for one customer: those that are held already, and
// new ones.
type Order struct {
	Held, New int
	Done      int // made in the last 24 hours, without what approvals released
	// Alone: it is the one order for which the fleet is over its limit.
	Alone bool
}

// OrdersVerdict is the result of the brake on creates for all orders of a run.
type OrdersVerdict struct {
	// Large are the orders that are held by themselves.
	Large map[uint64]Order
	// Others is why all other new orders are held as well; "": they are not.
	Others string
	Most   int // hostings that one customer plausibly orders
	Limit  int // of the fleet, in one run
}

// JudgeOrders is the brake on creates. An order that is larger than one customer plausibly
// orders, in this run or 2.5 times that in 24 hours, is held by itself and does not count
// against the others. The limit of the fleet is for the hostings of all others, including
// those that are held already: if there are too many, all of them are held. Hostings are
// counted, and not customers, because the limit is one of changes, and no order that
// counts has more than Most of them. Where it is a single order with which the fleet is
// over its limit, that order is held and not the others. performed is the number of
// hostings created in the last 24 hours, and atWork of those that other runs may still
// create which are at work at the same time: several runs may not make together what one
// may not.
func (b Brakes) JudgeOrders(orders map[uint64]Order, atWork, performed, bound int) OrdersVerdict {
	v := OrdersVerdict{Large: map[uint64]Order{}, Most: b.Order(bound), Limit: b.Create.Allow(bound)}
	load := BrakeLoad{Kind: reconcile.CreateSubscription, AtWork: atWork, Performed: performed, Bound: bound}
	largest, size, second := uint64(0), 0, 0
	for key, o := range orders {
		n := o.Held + o.New
		if n > v.Most || n+o.Done > int(float64(v.Most)*dayFactor) {
			v.Large[key] = o
			continue
		}
		load.Planned += n
		if n > size {
			largest, size, second = key, n, size
		} else {
			second = max(second, n)
		}
	}
	reason, over := b.Holds(load)
	if !over {
		return v
	}
	load.Planned -= size
	if _, still := b.Holds(load); !still && size > 1 && size > second {
		o := orders[largest]
		o.Alone = true
		v.Large[largest] = o
		return v
	}
	v.Others = reason
	return v
}

// holdSecondTrial keeps a subscription in trial from getting anything new if its customer
// had a trial before. A person who decided that the order is new has allowed it.
func (pl *planner) holdSecondTrial(s *assessed) {
	if !pl.policy.OneTrial || s.Status != reconcile.StatusTrialing || s.desired != desiredActive || s.IsNewOrder {
		return
	}
	for i := range pl.c.Subscriptions {
		o := &pl.c.Subscriptions[i]
		if o.ID == s.ID || o.TrialStart.IsZero() || !triedBefore(o, s.Subscription) {
			continue
		}
		if s.trialBefore == nil || triedBefore(o, s.trialBefore) {
			s.trialBefore = o
		}
	}
	if s.trialBefore != nil {
		s.desired, s.holdKind = desiredKeep, reconcile.HoldTrial
	}
}

// triedBefore reports whether the trial of a began before that of b. Of two that began
// together, the subscription with the smaller id is the first.
func triedBefore(a, b *reconcile.Subscription) bool {
	if !a.TrialStart.Equal(b.TrialStart) {
		return a.TrialStart.Before(b.TrialStart)
	}
	return a.ID < b.ID
}

// unpaidUpgrade reports whether a hosting is to get more of something that is not paid yet.
// Only a read by id knows of invoices.
func (pl *planner) unpaidUpgrade(cl demand, h *reconcile.Hosting) bool {
	if !pl.policy.HoldUnpaidUpgrade || !pl.cat.lowers(cl.plan.ID, h.Plan) {
		return false
	}
	s := &pl.subs[cl.lead.sub]
	if !s.ByID || pl.now.Sub(s.ReadAt) > pl.policy.Freshness() {
		pl.addNeed(Need{Kind: NeedSubscription, Subscription: s.ID})
	}
	return s.Status == reconcile.StatusPastDue || !s.UnpaidChange.IsZero()
}

// judgeDispute suspends a subscription whose payment is disputed, if the settings ask for it.
// A dispute that was not read lately suspends nothing, and lifts nothing.
func (pl *planner) judgeDispute(s *assessed) {
	if pl.policy.Dispute != reconcile.SuspendDisputes || s.desired != desiredActive || pl.trusted(s.ID) {
		return
	}
	for i := range pl.c.Disputes {
		d := &pl.c.Disputes[i]
		if d.Refund() || d.Settled() || d.Subscription != s.ID || d.StripeCustomer != s.StripeCustomer {
			continue
		}
		if s.disputed == nil || s.disputed.Opened.Before(d.Opened) {
			s.disputed = d
		}
	}
	switch {
	case s.disputed == nil:
		return
	case pl.now.Sub(s.disputed.ReadAt) > pl.policy.Freshness():
		pl.addNeed(Need{Kind: NeedDispute, Dispute: s.disputed.ID})
		pl.recheckAt(pl.now.Add(recheckAfter))
		s.desired, s.holdKind = desiredKeep, reconcile.HoldDispute
	default:
		s.desired, s.graceEnds = desiredSuspended, time.Time{}
	}
}

// trusted reports whether a person has decided to trust a customer, or one subscription: its
// disputes and refunds count for nothing.
func (pl *planner) trusted(sub string) bool {
	for i := range pl.c.Manual {
		m := &pl.c.Manual[i]
		if m.Kind == reconcile.NoSuspend && m.InForce(pl.now) && (m.Subscription == "" || m.Subscription == sub) {
			pl.recheckAt(m.Until)
			return true
		}
	}
	return false
}

// withheldByDispute finds the dispute or refund that withholds an action: a new hosting, and
// a plan with more of something.
func (pl *planner) withheldByDispute(a reconcile.Action) *reconcile.Dispute {
	gives := a.Kind == reconcile.CreateSubscription || a.Kind == reconcile.ChangePlan && pl.cat.lowers(a.Plan, a.FromPlan)
	if pl.policy.Dispute == reconcile.TellDisputes || !gives || pl.trusted(a.Subscription) {
		return nil
	}
	for i := range pl.c.Disputes {
		if d := &pl.c.Disputes[i]; !d.Settled() {
			return d
		}
	}
	return nil
}

// unclear reports whether the metadata of a subscription means an org or a hosting, and
// cannot be read.
func (s *assessed) unclear() bool { return s.MetadataOrgText != "" || s.MetadataHostingText != "" }

// holdUnclear holds a subscription whose metadata cannot be read. It keeps its hostings;
// nothing more is found or made for it, because the hosting that was meant may be there.
func (pl *planner) holdUnclear(s int) {
	sub := &pl.subs[s]
	if sub.desired == desiredEnded || !sub.mapped && pl.assignmentsOf(s) == 0 {
		return
	}
	pl.block(s)
	for _, t := range [...]struct{ key, text, want string }{
		{"enhance_org_id", sub.MetadataOrgText, "the UUID of an org"},
		{"enhance_subscription_id", sub.MetadataHostingText, "the number of a hosting"},
	} {
		if t.text != "" {
			pl.addHold(reconcile.Hold{Kind: reconcile.HoldUnreadable, Subscription: sub.ID, Reason: metadataUnreadable(sub, t.key, t.text, t.want)})
		}
	}
}

// withoutDomain asks for the domain of a subscription, or adds a hold if it cannot be
// read.
func (pl *planner) withoutDomain(s *assessed) {
	switch {
	case s.Domain != "":
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldUnreadable, Subscription: s.ID, Reason: domainUnreadable(s)})
	case !s.DomainChecked:
		pl.addNeed(Need{Kind: NeedDomain, Subscription: s.ID})
	}
}
