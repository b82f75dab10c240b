package reconcile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// recheckAfter is how long a hold that is mended in the panel, where nobody tells
// us, stands before we look again.
const recheckAfter = time.Hour

// onHostings decides about every bound hosting. A hosting is judged by all its
// bindings together: up while any of them wants it up, untouched while any of
// them cannot be judged, down only when all of them say so.
func (pl *planner) onHostings() {
	for i := range pl.links {
		first := true
		for j := range i {
			first = first && pl.links[j].Hosting != pl.links[i].Hosting
		}
		if first {
			pl.onHosting(pl.sum(i))
		}
	}
}

// claim is what all bindings of one hosting want together.
type claim struct {
	lead   *link // the binding that speaks for it: the first that wants it up, else the first
	stance stance
	plan   Plan
	// torn tells that two live subscriptions want different plans, unsure that one
	// of its subscriptions cannot be judged.
	torn, unsure bool
	// endedAt is when the last of its subscriptions ended; zero unless it is known
	// of all.
	endedAt time.Time
	moved   []*link
}

func (pl *planner) sum(first int) claim {
	cl := claim{lead: &pl.links[first], stance: stanceEnded}
	up, datesMissing := false, false
	for i := range pl.links {
		l := &pl.links[i]
		if l.Hosting != cl.lead.Hosting {
			continue
		}
		if l.moved {
			cl.moved = append(cl.moved, l)
		}
		switch l.stance {
		case stanceUp:
			if !up {
				cl.lead, cl.plan, up = l, l.plan, true
			}
			cl.torn = cl.torn || cl.plan.ID != l.plan.ID
		case stanceKeep:
			cl.stance, cl.unsure = stanceKeep, true
		case stanceDown:
			if cl.stance == stanceEnded {
				cl.stance = stanceDown
			}
		case stanceEnded:
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
		cl.stance = stanceUp
	}
	return cl
}

func (pl *planner) onHosting(cl claim) {
	if len(cl.moved) > 0 && pl.org.blocked {
		return // which org it is has to be settled first, and that has been said
	}
	for _, l := range cl.moved {
		pl.act(Action{ID: linkID(l), Kind: Link,
			Subscription: l.Subscription, Item: l.Item, Slot: l.Slot, Org: l.Org, Hosting: l.Hosting, How: l.How, Reason: linkReason(l)})
	}
	if cl.lead.hosting < 0 || pl.c.Hostings[cl.lead.hosting].ObservedAt.IsZero() {
		pl.need(Need{Kind: NeedHosting, Org: cl.lead.Org, Hosting: cl.lead.Hosting})
		return
	}
	h := &pl.c.Hostings[cl.lead.hosting]
	if pl.unanswered(cl.lead) {
		return
	}
	switch cl.stance {
	case stanceUp:
		pl.keepUp(cl, h)
	case stanceDown, stanceEnded:
		pl.takeDown(cl, h)
	case stanceKeep:
	}
}

// keepUp brings a paid hosting to its plan and switches it on again.
func (pl *planner) keepUp(cl claim, h *Hosting) {
	sub, s := cl.lead.Subscription, &pl.subs[cl.lead.sub]
	switch h.State {
	case HostingMissing:
		pl.recheck(h)
		pl.hold(Hold{Kind: HoldMissing, Subscription: sub, Hosting: h.ID, Reason: isMissing(s, h, pl.orUnbind(cl.lead))})
		return
	case HostingDeleted:
		pl.recheck(h)
		pl.hold(Hold{Kind: HoldDeleted, Subscription: sub, Hosting: h.ID, Reason: wasDeleted(s, h, pl.orUnbind(cl.lead))})
		return
	case HostingUnknown:
		pl.recheck(h)
		pl.hold(Hold{Kind: HoldUnknownStatus, Subscription: sub, Hosting: h.ID, Reason: fmt.Sprintf(
			"hosting %d of org %s is in a state that this version does not know: nothing is changed; look at it in the panel", h.ID, h.Org)})
		return
	case HostingSuspended:
		if pl.perhapsOurs(h) {
			pl.askWhose(cl, h)
			return
		}
		if h.SuspendedByUs.IsZero() {
			pl.recheck(h)
			pl.hold(Hold{Kind: HoldForeignSuspension, Subscription: sub, Hosting: h.ID, Reason: suspendedByOthers(s, h)})
			return
		}
		pl.change(cl, h, Action{ID: "resume:" + pl.ref(cl, h), Kind: Resume,
			Reason: standing(s) + ": the suspension of " + day(h.SuspendedByUs) + " was ours and is lifted"})
	case HostingActive:
	}
	pl.toPlan(cl, h)
	pl.website(cl, h)
}

// askWhose holds the lifting of a suspension that carries our mark and that the journal
// does not know: this database was put back to an old copy, or staff lifted our
// suspension and set one of their own.
func (pl *planner) askWhose(cl claim, h *Hosting) {
	pl.recheck(h)
	pl.hold(Hold{Kind: HoldPerhapsOurs, Subscription: cl.lead.Subscription, Hosting: h.ID, Reason: perhapsOurs(&pl.subs[cl.lead.sub], h)})
	pl.change(cl, h, Action{ID: "resume:" + pl.ref(cl, h) + unsure, Kind: Resume,
		Reason: fmt.Sprintf("%s, and the suspension of hosting %d is perhaps ours", standing(&pl.subs[cl.lead.sub]), h.ID)})
}

// toPlan changes the plan in place, and holds a change to less than is in use.
func (pl *planner) toPlan(cl claim, h *Hosting) {
	switch {
	case cl.torn:
		pl.hold(Hold{Kind: HoldConflict, Subscription: cl.lead.Subscription, Hosting: h.ID, Reason: pl.severalPlans(h)})
		return
	case cl.plan.ID == 0 || cl.plan.ID == h.Plan:
		return
	case pl.subs[cl.lead.sub].lapseUnknown():
		pl.hold(Hold{Kind: HoldGrace, Subscription: cl.lead.Subscription, Hosting: h.ID, Reason: fmt.Sprintf(
			"%s is past_due, and since when could not be read: hosting %d keeps plan %s until that can be read or Stripe says active", cl.lead.Subscription, h.ID, pl.planRef(h.Plan))})
		return
	case cl.lead.fresh && pl.cat.lowers(h.Plan, cl.plan.ID):
		return // it is bound first: what is found today is not made smaller today
	case cl.unsure && pl.cat.lowers(h.Plan, cl.plan.ID):
		pl.hold(Hold{Kind: HoldConflict, Subscription: cl.lead.Subscription, Hosting: h.ID, Reason: fmt.Sprintf(
			"%s is for the smaller plan %s, but another subscription bound to hosting %d cannot be judged: it keeps plan %s", cl.lead.Subscription, pl.planRef(cl.plan.ID), h.ID, pl.planRef(h.Plan))})
		return
	}
	if over := pl.exceeds(h, cl.plan); over != "" {
		pl.recheck(h)
		pl.hold(Hold{Kind: HoldDowngrade, Subscription: cl.lead.Subscription, Hosting: h.ID, Reason: usesMore(cl.lead, h, pl.planRef(cl.plan.ID), pl.planRef(h.Plan), over)})
		return
	}
	pl.change(cl, h, Action{ID: "change_plan:" + pl.ref(cl, h) + ":" + strconv.Itoa(h.Plan) + ">" + strconv.Itoa(cl.plan.ID), Kind: ChangePlan,
		Plan: cl.plan.ID, PlanName: cl.plan.Name, FromPlan: h.Plan, Name: NameOnPlan(h.FriendlyName, pl.cat.plans[h.Plan].Name, cl.plan.Name, pl.policy.Instance),
		Reason: fmt.Sprintf("%s and is for plan %s; hosting %d has plan %s", standing(&pl.subs[cl.lead.sub]), pl.planRef(cl.plan.ID), h.ID, pl.planRef(h.Plan))})
}

// exceeds lists the resources of which more is used than the plan gives and of
// which it gives less than the present one. Who is over a limit already is not
// kept from a plan that has the same limit there and more of everything else.
func (pl *planner) exceeds(h *Hosting, to Plan) string {
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
		over = append(over, fmt.Sprintf("%s %d of %d", u.Name, u.Used, limit))
	}
	slices.Sort(over)
	return strings.Join(over, ", ")
}

// takeDown suspends, and at the end of the retention period deletes.
func (pl *planner) takeDown(cl claim, h *Hosting) {
	switch h.State {
	case HostingActive:
		pl.change(cl, h, Action{ID: "suspend:" + pl.ref(cl, h), Kind: Suspend, Reason: cl.lead.reason})
	case HostingSuspended:
		pl.retire(cl, h)
	case HostingUnknown:
		pl.recheck(h)
		pl.hold(Hold{Kind: HoldUnknownStatus, Subscription: cl.lead.Subscription, Hosting: h.ID, Reason: fmt.Sprintf(
			"hosting %d of org %s is in a state that this version does not know: nothing is changed", h.ID, h.Org)})
	case HostingDeleted, HostingMissing:
		// Gone already; there is nothing left to take away.
	}
}

// retire is the last step of the ladder: only for a subscription that Stripe
// ended long enough ago, on a hosting that we ourselves suspended long enough ago.
func (pl *planner) retire(cl claim, h *Hosting) {
	if pl.policy.Retention <= 0 || cl.stance != stanceEnded || cl.endedAt.IsZero() || h.SuspendedByUs.IsZero() {
		return
	}
	from := pl.lastServed(cl.endedAt)
	if h.SuspendedByUs.After(from) {
		from = h.SuspendedByUs
	}
	if due := from.Add(pl.policy.Retention); pl.now.Before(due) {
		pl.at(due)
		pl.deletedAt(cl, h, due)
		return
	}
	if pl.lastContent(cl, h) {
		return
	}
	pl.change(cl, h, Action{ID: "terminate:" + pl.ref(cl, h), Kind: Terminate,
		Reason: fmt.Sprintf("%s; hosting %d is suspended since %s and the retention period of %s is over", cl.lead.reason, h.ID, day(h.SuspendedByUs), span(pl.policy.Retention))})
}

// lastServed is the end of the last of the customer's subscriptions that a hosting
// may have served, the end of its own being known: a later one that has fewer hostings
// than it asked for may have had this one, in a time of which an old copy of the
// database knows nothing.
func (pl *planner) lastServed(end time.Time) time.Time {
	for i := range pl.subs {
		s := &pl.subs[i]
		if s.stance == stanceEnded && s.EndedAt.After(end) && pl.short(i) {
			end = s.EndedAt
		}
	}
	return end
}

// change adds an action on an existing hosting; what it is based on must have
// been read lately.
func (pl *planner) change(cl claim, h *Hosting, a Action) {
	pl.fresh(h)
	a.Subscription, a.Item, a.Slot = cl.lead.Subscription, cl.lead.Item, cl.lead.Slot
	a.Org, a.Hosting = h.Org, h.ID
	if a.Plan == 0 {
		a.Plan, a.PlanName = h.Plan, pl.planName(h.Plan)
	}
	pl.act(a)
}

// website creates the site that was ordered with the first hosting we made for a
// subscription. Hostings that came to us otherwise have sites of their own.
func (pl *planner) website(cl claim, h *Hosting) {
	s := &pl.subs[cl.lead.sub]
	if !pl.policy.CreateWebsites || cl.lead.How != BoundByCreate && cl.lead.How != BoundByMarker || cl.lead.Slot != 1 || h.Website != "" {
		return
	}
	switch s.domain {
	case "":
		// It was made while nobody wanted websites: nobody has asked for its domain.
		if cl.lead.How == BoundByCreate || s.Domain != "" {
			pl.withoutDomain(s)
		}
	case h.WebsiteTaken:
		pl.hold(Hold{Kind: HoldDomainTaken, Subscription: s.ID, Hosting: h.ID, Reason: fmt.Sprintf(
			"the panel says that the domain %s of %s is taken, or is none that it accepts: remove it where it is, or correct it with `%s`; the hosting itself is up", s.domain, s.ID, MetadataCommand(s.ID, "domain", "DOMAIN"))})
	default:
		pl.change(cl, h, Action{ID: "create_website:" + slot(s.ID, cl.lead.Slot) + ":" + s.domain, Kind: CreateWebsite,
			Domain: s.domain, Reason: s.ID + " was ordered with the domain " + s.domain})
	}
}

// unanswered holds a hosting while a write to it has no known outcome, under
// whichever of its bindings that was sent: bindings come and go, and a hosting is
// taken over while a suspension of it is still on its way.
func (pl *planner) unanswered(l *link) bool {
	for i := range pl.c.Pending {
		p := &pl.c.Pending[i]
		if p.Kind == CreateSubscription {
			continue
		}
		if p.Hosting != 0 && p.Hosting == l.Hosting || p.Subscription == l.Subscription && p.Slot == l.Slot {
			pl.holdPending(p)
			return true
		}
	}
	return false
}

func (pl *planner) holdPending(p *Pending) {
	pl.at(p.SettleUntil)
	pl.hold(Hold{Kind: HoldAmbiguous, Subscription: p.Subscription, ActionID: p.ActionID, Until: p.SettleUntil, Reason: fmt.Sprintf(
		"%s was sent at %s and never answered: it is looked for, and not sent again before two complete looks after %s found nothing",
		p.Kind, day(p.SentAt), day(p.SettleUntil))})
}

// fresh asks for a new reading of a hosting whose last one is too old to act on.
func (pl *planner) fresh(h *Hosting) {
	if pl.now.Sub(h.ObservedAt) > pl.policy.freshFor() {
		pl.need(Need{Kind: NeedHosting, Org: h.Org, Hosting: h.ID})
	}
}

// recheck looks again within the hour at a hosting that only people can mend:
// Enhance does not tell us when they have.
func (pl *planner) recheck(h *Hosting) {
	pl.fresh(h)
	pl.at(pl.now.Add(recheckAfter))
}

func (pl *planner) ref(cl claim, h *Hosting) string {
	return slot(cl.lead.Subscription, cl.lead.Slot) + ":" + num(h.ID)
}

func (pl *planner) planName(id int) string {
	p, _ := pl.cat.Plan(id)
	return p.Name
}

func num(id int64) string { return strconv.FormatInt(id, 10) }

func linkID(l *link) string {
	return "link:" + slot(l.Subscription, l.Slot) + ":" + num(l.Hosting) + ":" + l.Item
}

func linkReason(l *link) string {
	if l.reason != "" {
		return l.reason
	}
	return fmt.Sprintf("hosting %d now serves item %s of %s", l.Hosting, l.Item, l.Subscription)
}
