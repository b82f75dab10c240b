package planner

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// recheckAfter is how long a hold that people resolve in the panel, without a message to
// us, stands before we look again.
const recheckAfter = time.Hour

// planHostings decides about every bound hosting. All bindings of a hosting count
// together: it is up while any of them asks for it, untouched while any of them cannot be
// judged, and suspended only if none asks for it.
func (pl *planner) planHostings() {
	for i := range pl.assignments {
		first := true
		for j := range i {
			first = first && pl.assignments[j].Hosting != pl.assignments[i].Hosting
		}
		if first {
			pl.planHosting(pl.combine(i))
		}
	}
}

// demand is the state and plan that all bindings of one hosting ask for together.
type demand struct {
	lead    *assignment // the binding that speaks for it: the first that asks for it to be up, else the first
	desired desiredState
	plan    reconcile.EnhancePlan
	// torn means that two live subscriptions are for different plans, unsure that one of
	// its subscriptions cannot be judged.
	torn, unsure bool
	// endedAt is when the last of its subscriptions ended; zero unless it is known
	// of all.
	endedAt time.Time
	moved   []*assignment
}

func (pl *planner) combine(first int) demand {
	cl := demand{lead: &pl.assignments[first], desired: desiredEnded}
	up, datesMissing := false, false
	for i := range pl.assignments {
		l := &pl.assignments[i]
		if l.Hosting != cl.lead.Hosting {
			continue
		}
		if l.moved {
			cl.moved = append(cl.moved, l)
		}
		switch l.desired {
		case desiredActive:
			if !up {
				cl.lead, cl.plan, up = l, l.plan, true
			}
			cl.torn = cl.torn || cl.plan.ID != l.plan.ID
		case desiredKeep:
			cl.desired, cl.unsure = desiredKeep, true
		case desiredSuspended:
			if cl.desired == desiredEnded {
				cl.desired = desiredSuspended
			}
		case desiredEnded:
			ended := pl.subs[l.sub].EndedAt
			datesMissing = datesMissing || ended.IsZero()
			if ended.After(cl.endedAt) {
				cl.endedAt = ended
			}
		}
	}
	if datesMissing {
		cl.endedAt = time.Time{}
	}
	if up {
		cl.desired = desiredActive
	}
	return cl
}

func (pl *planner) planHosting(cl demand) {
	if len(cl.moved) > 0 && pl.org.blocked {
		return // the org has to be decided first, and a hold has the reason
	}
	for _, l := range cl.moved {
		pl.addAction(reconcile.Action{ID: linkID(l), Kind: reconcile.Link,
			Subscription: l.Subscription, Item: l.Item, Slot: l.Slot, Org: l.Org, Hosting: l.Hosting, How: l.How, Reason: linkReason(l)})
	}
	if cl.lead.hosting < 0 || pl.c.Hostings[cl.lead.hosting].ObservedAt.IsZero() {
		pl.addNeed(Need{Kind: NeedHosting, Org: cl.lead.Org, Hosting: cl.lead.Hosting})
		return
	}
	h := &pl.c.Hostings[cl.lead.hosting]
	if pl.unanswered(cl.lead) {
		return
	}
	switch cl.desired {
	case desiredActive:
		pl.planActive(cl, h)
	case desiredSuspended, desiredEnded:
		pl.planSuspend(cl, h)
	case desiredKeep:
	}
}

// planActive brings a paid hosting to its plan and switches it on again.
func (pl *planner) planActive(cl demand, h *reconcile.Hosting) {
	sub, s := cl.lead.Subscription, &pl.subs[cl.lead.sub]
	switch h.State {
	case reconcile.HostingMissing:
		pl.recheckHosting(h)
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldMissing, Subscription: sub, Hosting: h.ID, Reason: isMissing(s, h, pl.orUnbind(cl.lead))})
		return
	case reconcile.HostingDeleted:
		pl.recheckHosting(h)
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldDeleted, Subscription: sub, Hosting: h.ID, Reason: wasDeleted(s, h, pl.orUnbind(cl.lead))})
		return
	case reconcile.HostingUnknown:
		pl.recheckHosting(h)
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldUnknownStatus, Subscription: sub, Hosting: h.ID, Reason: paidStateNotKnown(h)})
		return
	case reconcile.HostingSuspended:
		if pl.perhapsOurs(h) {
			pl.askWhose(cl, h)
			return
		}
		if h.SuspendedByUs.IsZero() {
			pl.recheckHosting(h)
			pl.addHold(reconcile.Hold{Kind: reconcile.HoldForeignSuspension, Subscription: sub, Hosting: h.ID, Reason: suspendedByOthers(s, h)})
			return
		}
		pl.change(cl, h, reconcile.Action{ID: "resume:" + pl.ref(cl, h), Kind: reconcile.Resume,
			Reason: suspensionWasOurs(s, h)})
	case reconcile.HostingActive:
	}
	pl.planChangePlan(cl, h)
	pl.planWebsite(cl, h)
	pl.planApp(cl, h)
}

// askWhose holds the lifting of a suspension that carries our mark and that the journal
// does not know: this database was put back to an old copy, or staff lifted our
// suspension and set one of their own.
func (pl *planner) askWhose(cl demand, h *reconcile.Hosting) {
	pl.recheckHosting(h)
	pl.addHold(reconcile.Hold{Kind: reconcile.HoldPerhapsOurs, Subscription: cl.lead.Subscription, Hosting: h.ID, Reason: perhapsOurs(&pl.subs[cl.lead.sub], h)})
	pl.change(cl, h, reconcile.Action{ID: "resume:" + pl.ref(cl, h) + reconcile.PerhapsOursSuffix, Kind: reconcile.Resume,
		Reason: resumesPerhapsOurs(&pl.subs[cl.lead.sub], h)})
}

// planChangePlan changes the plan in place, and holds a change to less than is in use.
func (pl *planner) planChangePlan(cl demand, h *reconcile.Hosting) {
	switch {
	case cl.torn:
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldConflict, Subscription: cl.lead.Subscription, Hosting: h.ID, Reason: pl.severalPlans(h)})
		return
	case cl.plan.ID == 0 || cl.plan.ID == h.Plan:
		return
	case pl.subs[cl.lead.sub].LapseUnknown():
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldGrace, Subscription: cl.lead.Subscription, Hosting: h.ID, Reason: pl.lapseNotRead(cl.lead, h)})
		return
	case pl.unpaidUpgrade(cl, h):
		pl.recheckAt(pl.now.Add(recheckAfter))
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldUnpaidUpgrade, Subscription: cl.lead.Subscription, Hosting: h.ID, Reason: pl.upgradeNotPaid(cl, h)})
		return
	case cl.lead.fresh && pl.cat.lowers(h.Plan, cl.plan.ID):
		return // it is bound first: a hosting that was just found is not made smaller in the same decision
	case pl.staleFeatures(cl.lead) && pl.cat.lowers(h.Plan, cl.plan.ID):
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldFeatures, Subscription: cl.lead.Subscription, Hosting: h.ID, Reason: pl.smallerByOldFeatures(cl, h)})
		return
	case cl.unsure && pl.cat.lowers(h.Plan, cl.plan.ID):
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldConflict, Subscription: cl.lead.Subscription, Hosting: h.ID, Reason: pl.smallerBesideOther(cl, h)})
		return
	}
	if over := pl.exceeds(h, cl.plan); over != "" {
		pl.recheckHosting(h)
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldDowngrade, Subscription: cl.lead.Subscription, Hosting: h.ID, Reason: usesMore(cl.lead, h, pl.planRef(cl.plan.ID), pl.planRef(h.Plan), over)})
		return
	}
	pl.change(cl, h, reconcile.Action{ID: "change_plan:" + pl.ref(cl, h) + ":" + strconv.Itoa(h.Plan) + ">" + strconv.Itoa(cl.plan.ID), Kind: reconcile.ChangePlan,
		Plan: cl.plan.ID, PlanName: cl.plan.Name, FromPlan: h.Plan, Name: reconcile.NameOnPlan(h.FriendlyName, pl.cat.plans[h.Plan].Name, cl.plan.Name, pl.policy.Instance),
		Reason: pl.isForPlan(cl, h)})
}

// exceeds lists the resources of which more is used than the plan gives and of which it
// gives less than the present one. A customer who is over a limit already is not kept from
// a plan that has the same limit there and more of everything else.
func (pl *planner) exceeds(h *reconcile.Hosting, to reconcile.EnhancePlan) string {
	var over []string
	from := pl.cat.plans[h.Plan]
	for _, u := range h.Usage {
		limit, limited := to.Limits[u.Name]
		if !limited || u.Used <= limit {
			continue
		}
		if had, was := from.Limits[u.Name]; was && limit >= had {
			continue
		}
		over = append(over, usedOf(u, limit))
	}
	slices.Sort(over)
	return strings.Join(over, ", ")
}

// planSuspend suspends, and at the end of the retention period deletes.
func (pl *planner) planSuspend(cl demand, h *reconcile.Hosting) {
	switch h.State {
	case reconcile.HostingActive:
		pl.change(cl, h, reconcile.Action{ID: "suspend:" + pl.ref(cl, h), Kind: reconcile.Suspend, Reason: cl.lead.reason})
	case reconcile.HostingSuspended:
		pl.planTerminate(cl, h)
	case reconcile.HostingUnknown:
		pl.recheckHosting(h)
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldUnknownStatus, Subscription: cl.lead.Subscription, Hosting: h.ID, Reason: stateNotKnown(h)})
	case reconcile.HostingDeleted, reconcile.HostingMissing:
		// Gone already; there is nothing left to take away.
	}
}

// planTerminate is the last step of the ladder: only for a subscription that Stripe
// ended long enough ago, on a hosting that we ourselves suspended long enough ago.
func (pl *planner) planTerminate(cl demand, h *reconcile.Hosting) {
	if pl.policy.Retention <= 0 || cl.desired != desiredEnded || cl.endedAt.IsZero() || h.SuspendedByUs.IsZero() {
		return
	}
	from := pl.lastServed(cl.endedAt)
	if h.SuspendedByUs.After(from) {
		from = h.SuspendedByUs
	}
	if due := from.Add(pl.policy.Retention); pl.now.Before(due) {
		pl.recheckAt(due)
		pl.forecastTermination(cl, h, due)
		pl.deletions = append(pl.deletions, deletion{sub: cl.lead.sub, hosting: cl.lead.hosting, at: due})
		return
	}
	if pl.keepsLastContent(cl, h) || !pl.backedUp(cl, h) {
		return
	}
	pl.change(cl, h, reconcile.Action{ID: "terminate:" + pl.ref(cl, h), Kind: reconcile.Terminate,
		Reason: pl.retentionIsOver(cl, h)})
}

// lastServed is the end of the last of the customer's subscriptions that a hosting
// may have served, the end of its own being known: a later one that has fewer hostings
// than it asked for may have had this one, in a time of which an old copy of the
// database knows nothing.
func (pl *planner) lastServed(end time.Time) time.Time {
	for i := range pl.subs {
		s := &pl.subs[i]
		if s.desired == desiredEnded && s.EndedAt.After(end) && pl.underProvisioned(i) {
			end = s.EndedAt
		}
	}
	return end
}

// change adds an action on an existing hosting; the hosting must have been read lately.
func (pl *planner) change(cl demand, h *reconcile.Hosting, a reconcile.Action) {
	pl.readFresh(h)
	a.Subscription, a.Item, a.Slot = cl.lead.Subscription, cl.lead.Item, cl.lead.Slot
	a.Org, a.Hosting = h.Org, h.ID
	if a.Plan == 0 {
		a.Plan, a.PlanName = h.Plan, pl.planName(h.Plan)
	}
	pl.addAction(a)
}

// planWebsite creates the site that was ordered with the first hosting we made for a
// Subscription. Hostings that came to us otherwise have sites of their own.
func (pl *planner) planWebsite(cl demand, h *reconcile.Hosting) {
	s := &pl.subs[cl.lead.sub]
	if !pl.wantsWebsite(s, cl.lead.Item) || cl.lead.How != reconcile.BoundByCreate && cl.lead.How != reconcile.BoundByMarker || cl.lead.Slot != 1 || h.Website != "" {
		return
	}
	switch {
	case s.domain == "":
		// It was made before CREATE_WEBSITES was set: its domain has not been asked for.
		if cl.lead.How == reconcile.BoundByCreate || s.Domain != "" {
			pl.withoutDomain(s)
		}
	case pl.domainBlocked(s, h):
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldDomainTaken, Subscription: s.ID, Hosting: h.ID, Reason: pl.domainIsTaken(s, h)})
	default:
		site, problem := pl.site(s, cl.lead.Item, h.Plan)
		if problem != "" {
			pl.recheckHosting(h)
			pl.addHold(reconcile.Hold{Kind: reconcile.HoldWebsite, Subscription: s.ID, Hosting: h.ID, Reason: websiteWaits(s, problem)})
			return
		}
		pl.change(cl, h, reconcile.Action{ID: "create_website:" + reconcile.SlotID(s.ID, cl.lead.Slot) + ":" + s.domain, Kind: reconcile.CreateWebsite,
			Domain: s.domain, Site: site, Reason: orderedDomain(s)})
	}
}

// unanswered holds a hosting while a write to it has no known outcome, under
// whichever of its bindings that was sent: bindings come and go, and a hosting is
// taken over while a suspension of it is still on its way.
func (pl *planner) unanswered(l *assignment) bool {
	for i := range pl.c.Pending {
		p := &pl.c.Pending[i]
		if p.Kind == reconcile.CreateSubscription || p.Kind == reconcile.Backup || p.Kind == reconcile.InstallApp {
			continue // no hosting, or none that is changed by it
		}
		if p.Hosting != 0 && p.Hosting == l.Hosting || p.Subscription == l.Subscription && p.Slot == l.Slot {
			pl.holdPending(p)
			return true
		}
	}
	return false
}

func (pl *planner) holdPending(p *reconcile.Pending) {
	pl.recheckAt(p.SettleUntil)
	pl.addHold(reconcile.Hold{Kind: reconcile.HoldAmbiguous, Subscription: p.Subscription, ActionID: p.ActionID, Until: p.SettleUntil, Reason: neverAnswered(p)})
}

// readFresh asks for a new reading of a hosting whose last one is too old to act on.
func (pl *planner) readFresh(h *reconcile.Hosting) {
	if pl.now.Sub(h.ObservedAt) > pl.policy.Freshness() {
		pl.addNeed(Need{Kind: NeedHosting, Org: h.Org, Hosting: h.ID})
	}
}

// recheckHosting looks again within the hour at a hosting that only people can mend:
// Enhance sends us no message when they have.
func (pl *planner) recheckHosting(h *reconcile.Hosting) {
	pl.readFresh(h)
	pl.recheckAt(pl.now.Add(recheckAfter))
}

func (pl *planner) ref(cl demand, h *reconcile.Hosting) string {
	return reconcile.SlotID(cl.lead.Subscription, cl.lead.Slot) + ":" + reconcile.FormatID(h.ID)
}

func (pl *planner) planName(id int) string {
	p, _ := pl.cat.Plan(id)
	return p.Name
}

func linkID(l *assignment) string {
	return "link:" + reconcile.SlotID(l.Subscription, l.Slot) + ":" + reconcile.FormatID(l.Hosting) + ":" + l.Item
}
