package planner

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// assign fills the units with hostings that exist, the nearest first: the item's own
// binding, another binding of the same subscription (an item replaced by another), a
// marker of the subscription on an unbound hosting, Stripe's metadata, a binding of the
// same subscription whose hosting has gone (it is held, and not made again under another
// item), and last the hosting of a subscription that has ended (a customer who comes
// back). A hosting that a person has unbound is taken by none of these. A hosting that is
// left over is surplus or its subscription has ended, and before it goes, byContent looks
// at its content.
func (pl *planner) assign() {
	pl.byItem()
	pl.withinSubscription(true)
	pl.byMarker()
	pl.byMetadata()
	pl.followMetadata()
	pl.withinSubscription(false)
	pl.holdUnbound()
	pl.byResubscription()
	pl.bySecond()
	pl.byTombstone()
	for i := range pl.assignments {
		pl.leftover(&pl.assignments[i])
	}
	pl.byContent()
}

// alive reports whether the hosting of an assignment can serve: seen, or not yet read at
// all.
func (pl *planner) alive(l *assignment) bool {
	if l.hosting < 0 {
		return false
	}
	return servable(pl.c.Hostings[l.hosting].State)
}

// servable is every state in which a hosting still exists and may be put to use.
func servable(s reconcile.HostingState) bool {
	switch s {
	case reconcile.HostingDeleted, reconcile.HostingMissing:
		return false
	case reconcile.HostingActive, reconcile.HostingSuspended, reconcile.HostingUnknown:
		return true
	}
	return true // not read yet
}

func (pl *planner) fill(w, l int) {
	pl.units[w].assignment = l
	pl.assignments[l].desired = desiredActive
	pl.assignments[l].plan = pl.units[w].plan
}

// keepPriority orders the hostings of one item when not all of them are paid for any more:
// first the one that a person has named in the metadata, then one with content, as far as
// that was read, then one that is up, so that no customer loses a site and keeps one that
// is down; last come those that are not ours to switch on, and those that are gone. Of
// equals the lower slot stays.
func (pl *planner) keepPriority(l *assignment) int {
	if !pl.alive(l) {
		return 0
	}
	h := &pl.c.Hostings[l.hosting]
	up := h.State == reconcile.HostingActive
	if !up && h.SuspendedByUs.IsZero() {
		return 1
	}
	worth := 2 * int(contentState(h))
	if up {
		worth++
	}
	if pl.ordered(l) {
		worth += 2 * int(fillingFull) // more than anything else
	}
	return worth
}

// byItem keeps the hostings of an item; if the quantity fell, see keepPriority.
func (pl *planner) byItem() {
	for w := range pl.units {
		best := -1
		for i := range pl.assignments {
			l := &pl.assignments[i]
			if l.desired != 0 || l.sub != pl.units[w].sub || l.Item != pl.units[w].item {
				continue
			}
			if best < 0 || pl.keepPriority(l) > pl.keepPriority(&pl.assignments[best]) {
				best = i
			}
		}
		if best >= 0 {
			pl.fill(w, best)
		}
	}
}

// withinSubscription gives the hosting of an item that is gone, or of units that are no
// longer wanted, to another item of the same subscription, because an upgrade by
// replacement keeps the hosting. Hostings that exist come first. One that is gone is
// passed on later: that its item was replaced is no reason to create it again.
func (pl *planner) withinSubscription(alive bool) {
	for _, samePlan := range [...]bool{true, false} {
		for w := range pl.units {
			if !pl.unassigned(pl.units[w]) {
				continue
			}
			best := -1
			for i := range pl.assignments {
				if pl.mayServe(&pl.assignments[i], &pl.units[w], alive, samePlan) &&
					(best < 0 || pl.keepPriority(&pl.assignments[i]) > pl.keepPriority(&pl.assignments[best])) {
					best = i
				}
			}
			if best >= 0 {
				pl.assignments[best].Item, pl.assignments[best].moved = pl.units[w].item, true
				pl.fill(w, best)
			}
		}
	}
}

// mayServe reports whether a hosting that serves no unit yet may serve this one of the
// same subscription. If the item of the hosting is still there and has only lost its
// mapping, it keeps the hosting. If an item has come that may be the replacement of its
// item, and may give more, the hosting does not move to a smaller plan.
func (pl *planner) mayServe(l *assignment, u *unit, alive, samePlan bool) bool {
	if l.desired != 0 || l.sub != u.sub || pl.alive(l) != alive || pl.lostMapping(l) != "" {
		return false
	}
	if samePlan && (l.hosting < 0 || pl.c.Hostings[l.hosting].Plan != u.plan.ID) {
		return false
	}
	return !alive || pl.replacementItem(l) == nil || pl.hasSpare(l.sub) || !pl.cat.lowers(pl.c.Hostings[l.hosting].Plan, u.plan.ID)
}

// byMarker binds unbound hostings whose friendly name names one of the subscriptions: a
// create whose answer was lost, or a database that was. It does so for ended subscriptions
// too, so that hostings that we made stay in our care.
func (pl *planner) byMarker() {
	for i := range pl.c.Hostings {
		h := &pl.c.Hostings[i]
		m := pl.marker(h)
		s := pl.subIndex(m.StripeID)
		if m.Slot == 0 || s < 0 || pl.bound(h.ID) || !h.TerminatedByUs.IsZero() || !servable(h.State) {
			continue
		}
		if h.ObservedAt.IsZero() {
			pl.addNeed(Need{Kind: NeedHosting, Org: h.Org, Hosting: h.ID})
			continue
		}
		if pl.markerTwice(m, h.ID) {
			pl.block(s)
			pl.holdSecond(h)
			continue
		}
		if pl.unboundFrom(m.StripeID, h.ID) {
			continue
		}
		if pl.c.Org != nil && pl.c.Org.ID != h.Org {
			pl.block(s)
			pl.addHold(reconcile.Hold{Kind: reconcile.HoldConflict, Subscription: m.StripeID, Hosting: h.ID, Reason: pl.markedElsewhere(h, m)})
			continue
		}
		l := assignment{Binding: reconcile.Binding{Subscription: m.StripeID, Slot: m.Slot, Org: h.Org, Hosting: h.ID, How: reconcile.BoundByMarker},
			sub: s, hosting: i, fresh: true, moved: true,
			reason: carriesMarker(h, m)}
		w := pl.unfilled(s, h.Plan)
		if w >= 0 {
			l.Item = pl.units[w].item
		}
		pl.assignments = append(pl.assignments, l)
		if w >= 0 {
			pl.fill(w, len(pl.assignments)-1)
		}
	}
}

// byTombstone gives what would now be made anew to a hosting that carries the marker of the
// subscription and was deleted, or that the panel no longer has: people did that, and a
// database that was lost has forgotten that it was bound. It is held like any other that is
// paid for and is gone.
func (pl *planner) byTombstone() {
	for i := range pl.c.Hostings {
		h := &pl.c.Hostings[i]
		m := pl.marker(h)
		s := pl.subIndex(m.StripeID)
		if m.Slot == 0 || s < 0 || h.State != reconcile.HostingDeleted && h.State != reconcile.HostingMissing || !h.TerminatedByUs.IsZero() || pl.bound(h.ID) || pl.markerTwice(m, h.ID) ||
			pl.unboundFrom(m.StripeID, h.ID) || pl.c.Org != nil && pl.c.Org.ID != h.Org {
			continue
		}
		w := pl.unfilled(s, h.Plan)
		if w < 0 {
			continue
		}
		pl.assignments = append(pl.assignments, assignment{Binding: reconcile.Binding{Subscription: m.StripeID, Slot: m.Slot, Item: pl.units[w].item, Org: h.Org, Hosting: h.ID, How: reconcile.BoundByMarker},
			sub: s, hosting: i, fresh: true, moved: true,
			reason: goneWithMarker(h, m)})
		pl.fill(w, len(pl.assignments)-1)
	}
}

// markerTwice reports whether the slot is taken: by a binding, be it to a hosting that has
// ended, or by another living hosting with the same marker, whatever is bound to it by
// now.
func (pl *planner) markerTwice(m reconcile.Marker, hosting int64) bool {
	for i := range pl.c.Bindings {
		b := &pl.c.Bindings[i]
		if b.Subscription == m.StripeID && b.Slot == m.Slot && b.Hosting != hosting {
			return true
		}
	}
	for i := range pl.assignments {
		l := &pl.assignments[i]
		if l.Subscription == m.StripeID && l.Slot == m.Slot && l.Hosting != hosting {
			return true
		}
	}
	for i := range pl.c.Hostings {
		h := &pl.c.Hostings[i]
		if h.ID != hosting && h.TerminatedByUs.IsZero() && servable(h.State) && pl.marker(h) == m {
			return true
		}
	}
	return false
}

// block stops creates for a subscription that has a hold.
func (pl *planner) block(sub int) {
	for w := range pl.units {
		if pl.units[w].sub == sub && pl.units[w].assignment < 0 {
			pl.units[w].blocked = true
		}
	}
}

func (pl *planner) bound(hosting int64) bool {
	return slices.ContainsFunc(pl.assignments, func(l assignment) bool { return l.Hosting == hosting })
}

// unfilled finds a unit of the subscription without a hosting, one for the plan first; -1
// for none.
func (pl *planner) unfilled(sub, plan int) int {
	found := -1
	for w := range pl.units {
		if pl.units[w].assignment >= 0 || pl.units[w].blocked || pl.units[w].sub != sub {
			continue
		}
		if pl.units[w].plan.ID == plan {
			return w
		}
		if found < 0 {
			found = w
		}
	}
	return found
}

func (pl *planner) ownBinding(sub int, hosting int64) bool {
	return slices.ContainsFunc(pl.assignments, func(l assignment) bool { return l.sub == sub && l.Hosting == hosting })
}

// byResubscription gives a new subscription the hosting of an ended one: one with content
// before an empty one (see turns), then same plan first, then the one that ended last.
// Nothing is recreated while the old site exists.
func (pl *planner) byResubscription() {
	for _, turn := range pl.orgTurns() {
		for _, samePlan := range [...]bool{true, false} {
			for w := range pl.units {
				if pl.units[w].assignment >= 0 || pl.units[w].blocked {
					continue
				}
				if i := pl.returning(w, samePlan, turn); i >= 0 {
					pl.takeOver(w, i)
				}
			}
		}
	}
}

// mayReturn reports whether a hosting may be given to a customer who comes back.
func (pl *planner) mayReturn(l *assignment) bool {
	return l.desired == 0 && l.sub >= 0 && pl.subs[l.sub].desired == desiredEnded && pl.alive(l) && !pl.served(l.Hosting) && pl.namedBy(l) == nil && !pl.unboundFromLive(l.Hosting)
}

// returning finds the best hosting of an ended subscription of the same Stripe customer
// among some, -1 for none.
func (pl *planner) returning(w int, samePlan bool, of []int) int {
	best, plan, buyer := -1, pl.units[w].plan.ID, pl.subs[pl.units[w].sub].StripeCustomer
	for _, i := range of {
		l := &pl.assignments[i]
		if !pl.mayReturn(l) || pl.subs[l.sub].StripeCustomer != buyer || samePlan && pl.c.Hostings[l.hosting].Plan != plan {
			continue
		}
		if best < 0 || cmp.Or(pl.subs[l.sub].EndedAt.Compare(pl.subs[pl.assignments[best].sub].EndedAt),
			cmp.Compare(pl.assignments[best].Hosting, l.Hosting)) > 0 {
			best = i
		}
	}
	return best
}

// served reports whether a subscription which has not ended is bound to the hosting: then
// it is known who uses it.
func (pl *planner) served(hosting int64) bool {
	return slices.ContainsFunc(pl.assignments, func(l assignment) bool {
		return l.Hosting == hosting && l.sub >= 0 && pl.subs[l.sub].desired != desiredEnded
	})
}

// namedBy finds the subscription that is to have the hosting of an ended one as soon
// as it can be given one: its metadata names it. It has none, has not ended, and is
// unpaid or waits for something. nil for none; of several, one that may be paid for.
func (pl *planner) namedBy(l *assignment) (by *assessed) {
	for i := range pl.subs {
		s := &pl.subs[i]
		if s.MetadataHosting != l.Hosting && !s.unclear() || pl.unboundFrom(s.ID, l.Hosting) || s.Gone || s.desired == desiredEnded || pl.assignmentsOf(i) > 0 || !pl.waits(i) {
			continue
		}
		if by == nil || by.desired == desiredSuspended {
			by = s
		}
	}
	return by
}

// waits reports whether a subscription may need a hosting that it cannot be given now.
func (pl *planner) waits(sub int) bool {
	s := &pl.subs[sub]
	return s.desired != desiredActive || slices.ContainsFunc(pl.units, func(w unit) bool { return w.sub == sub && w.assignment < 0 }) ||
		slices.ContainsFunc(s.items, func(it reconcile.Item) bool {
			_, ok := pl.cat.match(&it)
			return !ok && !s.mapped || pl.unclear(&it)
		})
}

func (pl *planner) takeOver(w, i int) {
	l, s := &pl.assignments[i], pl.units[w].sub
	old := l.Subscription
	n := pl.freeSlot(s)
	l.Binding.Subscription, l.Slot, l.Item, l.How = pl.subs[s].ID, n, pl.units[w].item, reconcile.BoundByResubscription
	l.sub, l.fresh, l.moved = s, true, true
	l.reason = customerIsBack(old, pl.subs[s].ID, l.Hosting)
	pl.fill(w, i)
}

// planMarks writes the marker into the names of the hostings that people have bound. A
// database that is lost finds such a hosting again by nothing else.
func (pl *planner) planMarks() {
	for i := range pl.assignments {
		l := &pl.assignments[i]
		if l.How != reconcile.BoundByAdopt || l.moved || l.fresh || l.hosting < 0 || pl.writtenTo(l.Hosting) {
			continue
		}
		h := &pl.c.Hostings[l.hosting]
		if !servable(h.State) || h.ObservedAt.IsZero() || pl.marksOther(l, h) {
			continue
		}
		m := reconcile.Marker{StripeID: l.Subscription, Slot: l.Slot, Instance: pl.policy.Instance}
		if name := reconcile.MarkedName(h.FriendlyName, m); name != "" {
			cl := demand{lead: l}
			pl.change(cl, h, reconcile.Action{ID: "mark_hosting:" + pl.ref(cl, h), Kind: reconcile.MarkHosting, Name: name, Reason: boundByPerson(l)})
		}
	}
}

// marksOther reports whether a hosting carries the marker of another binding that it has,
// or will get the marker of one that comes first.
func (pl *planner) marksOther(l *assignment, h *reconcile.Hosting) bool {
	m := pl.marker(h)
	return slices.ContainsFunc(pl.assignments, func(o assignment) bool {
		if o.Hosting != l.Hosting || o.Subscription == l.Subscription && o.Slot == l.Slot {
			return false
		}
		earlier := o.Subscription < l.Subscription || o.Subscription == l.Subscription && o.Slot < l.Slot
		return o.Subscription == m.StripeID && o.Slot == m.Slot || earlier && o.How == reconcile.BoundByAdopt
	})
}

// writtenTo reports whether a write to a hosting has no known outcome.
func (pl *planner) writtenTo(hosting int64) bool {
	return slices.ContainsFunc(pl.c.Pending, func(p reconcile.Pending) bool { return p.Hosting == hosting })
}

// planCreates makes hostings that are paid for and do not exist. Only units that no
// hosting, marker, metadata or former subscription could fill come this far.
func (pl *planner) planCreates() {
	if !slices.ContainsFunc(pl.units, pl.unassigned) || pl.org.blocked || pl.pendingCreate() || pl.orgUnusable() {
		return
	}
	if !pl.reachable() && pl.onboarding() != reconcile.NoOnboarding && !pl.c.OrgGuest && (pl.c.Org == nil || pl.c.Org.OwnerEmail == "") {
		pl.holdNoEmail()
		return
	}
	made := false
	for w := range pl.units {
		if pl.unassigned(pl.units[w]) && !pl.adoptable(w) {
			made = true
			pl.createHosting(w)
		}
	}
	switch {
	case !made:
		pl.withoutIdleLink()
	case pl.org.create:
		pl.createOrg()
	}
}

func (pl *planner) unassigned(w unit) bool { return w.assignment < 0 && !w.blocked }

// pendingCreate holds every creation of the customer while the outcome of one is not
// known: the hosting or org may be there already.
func (pl *planner) pendingCreate() bool {
	found := pl.c.Org == nil && pl.pendingOrg()
	for i := range pl.c.Pending {
		if pl.c.Pending[i].Kind == reconcile.CreateSubscription {
			pl.holdPending(&pl.c.Pending[i])
			found = true
		}
	}
	return found
}

func (pl *planner) orgUnusable() bool {
	o := pl.c.Org
	switch {
	case o == nil:
		return false
	case o.Deleted:
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldDeleted, Reason: orgWasDeleted(o)})
		return true
	case o.Suspended:
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldForeignSuspension, Reason: orgIsSuspended(o)})
		return true
	}
	return false
}

func (pl *planner) createHosting(w int) {
	u := &pl.units[w]
	s := &pl.subs[u.sub]
	n := pl.freeSlot(u.sub)
	pl.assignments = append(pl.assignments, assignment{Binding: reconcile.Binding{Subscription: s.ID, Slot: n, Item: u.item}, sub: u.sub, hosting: -1, desired: desiredActive})
	pl.addAction(reconcile.Action{ID: "create_subscription:" + reconcile.SlotID(s.ID, n) + ":" + strconv.Itoa(u.plan.ID), Kind: reconcile.CreateSubscription,
		Subscription: s.ID, Item: u.item, Slot: n, Org: pl.org.id, Plan: u.plan.ID, PlanName: u.plan.Name,
		How: reconcile.BoundByCreate, Reason: pl.lacksHosting(s, u) + pl.formerly(s.ID)})
	if n != 1 || !pl.wantsWebsite(s, u.item) {
		return
	}
	if s.domain == "" {
		pl.withoutDomain(s)
		return
	}
	if pl.domainGiven(s.domain) {
		return
	}
	site, problem := pl.site(s, u.item, u.plan.ID)
	if problem != "" {
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldWebsite, Subscription: s.ID, Reason: websiteWaits(s, problem)})
		return
	}
	pl.addAction(reconcile.Action{ID: "create_website:" + reconcile.SlotID(s.ID, n) + ":" + s.domain, Kind: reconcile.CreateWebsite, Subscription: s.ID, Item: u.item,
		Slot: n, Org: pl.org.id, Plan: u.plan.ID, PlanName: u.plan.Name, Domain: s.domain, Site: site, Reason: orderedDomain(s)})
}

// freeSlot is the smallest slot of a subscription that nothing has used yet, as far as we
// can see: no binding, no marker, no unbinding, no unanswered write.
func (pl *planner) freeSlot(sub int) int {
	id := pl.subs[sub].ID
	for n := 1; ; n++ {
		if !pl.slotUsed(id, n) {
			return n
		}
	}
}

func (pl *planner) slotUsed(id string, n int) bool {
	return slices.ContainsFunc(pl.assignments, func(l assignment) bool { return l.Subscription == id && l.Slot == n }) ||
		slotUsed(pl.c, id, n, pl.policy.Instance)
}

func (pl *planner) createOrg() {
	pl.addAction(reconcile.Action{ID: "create_org:" + pl.c.ID, Kind: reconcile.CreateOrg, Name: pl.orgName(),
		Reason: pl.lacksOrg()})
	pl.addAction(reconcile.Action{ID: "rename_org:" + pl.c.ID, Kind: reconcile.RenameOrg, Name: pl.orgName(),
		Reason: nameOfNewOrg})
	if pl.onboarding() != reconcile.NoOnboarding {
		pl.invite("", ownerOfNewOrg)
	}
}

// planMetadata writes the ids of org and hosting into the metadata at Stripe, if the
// operator wants that and the metadata is empty, or if the value that we wrote there is no
// longer true.
func (pl *planner) planMetadata() {
	pl.planMarks()
	if !pl.policy.WriteMetadata {
		return
	}
	for s := range pl.subs {
		if sub := &pl.subs[s]; sub.unclear() || (sub.MetadataOrg != "" || sub.MetadataHosting != 0) && !pl.outdated(s) {
			continue
		}
		for i := range pl.assignments {
			l := &pl.assignments[i]
			if l.sub == s && l.desired == desiredActive && l.Hosting != 0 && !l.moved {
				pl.addAction(reconcile.Action{ID: "write_metadata:" + pl.subs[s].ID + ":" + reconcile.FormatID(l.Hosting), Kind: reconcile.WriteMetadata, Subscription: pl.subs[s].ID,
					Slot: l.Slot, Org: l.Org, Hosting: l.Hosting, Reason: metadataIsEmpty})
				break
			}
		}
	}
}

// outdated reports whether the metadata of a subscription names, by our own hand, a
// hosting that no longer serves it: another one has taken its place.
func (pl *planner) outdated(sub int) bool {
	s := &pl.subs[sub]
	return s.MetadataHosting != 0 && s.MetadataHosting == s.MetadataWritten && !slices.ContainsFunc(pl.assignments, func(l assignment) bool {
		return l.sub == sub && l.Hosting == s.MetadataHosting && l.desired != desiredSuspended
	})
}

const (
	// siteAge is how old the panel's answer may be about where a domain is.
	siteAge = time.Hour
	// heldAge is how old the reading of an obstacle to a creation may be: a person who has
	// just removed it in the panel runs again, and expects to see the effect.
	heldAge = time.Minute
	// mostRechecked is how many look-alikes are read again at a time.
	mostRechecked = 20
)

// adoptable holds a unit for which the panel may have a hosting already: one that looks
// like it, or, until a person decides that the order is new, any that no subscription is
// bound to.
func (pl *planner) adoptable(w int) bool {
	s := &pl.subs[pl.units[w].sub]
	if s.IsNewOrder {
		return false
	}
	if alike := pl.lookalikes(s); len(alike) > 0 {
		pl.holdAlike(s, alike)
		return true
	}
	if !pl.c.Unbound {
		return false // there is nothing that it could be
	}
	switch after := pl.policy.NewAfter; {
	case pl.assignmentsOf(pl.units[w].sub) > 0:
	case after.IsZero() && pl.c.Undecided:
		pl.holdUndecided(s, pl.newAfterNotSet(s))
		return true
	case !after.IsZero() && s.Created.Before(after):
		pl.holdUndecided(s, pl.orderedBefore(s, after))
		return true
	}
	pl.askForSite(s)
	return false
}

func (pl *planner) holdUndecided(s *assessed, reason string) {
	pl.recheckAt(pl.now.Add(recheckAfter))
	pl.addHold(reconcile.Hold{Kind: reconcile.HoldAdopt, Subscription: s.ID, Reason: reason + oneOfThemOrNew(s)})
}

// askForSite has the panel asked where the ordered domain is, before anything is
// made for it.
func (pl *planner) askForSite(s *assessed) {
	switch {
	case s.Domain == "" && !s.DomainChecked:
		pl.addNeed(Need{Kind: NeedDomain, Subscription: s.ID})
	case s.domain != "" && pl.now.Sub(s.SiteReadAt) > siteAge:
		pl.addNeed(Need{Kind: NeedWebsiteLocation, Subscription: s.ID, Domain: s.domain})
	}
}

// lookalikes are those of a subscription, each once, with the strongest likeness. A
// hosting that this decision binds is none any more. If a person has split the customer from
// an org, one in it is none by its owner, by its name, or by the hostings that the
// customer still has there.
func (pl *planner) lookalikes(s *assessed) []reconcile.Lookalike {
	var all []reconcile.Lookalike
	for _, l := range pl.c.Lookalikes {
		if l.Subscription != "" && l.Subscription != s.ID || pl.bound(l.Hosting) {
			continue
		}
		if l.Why != reconcile.LikeDomain && l.Why != reconcile.LikeMetadata && pl.apart(l.Org) != nil {
			continue
		}
		if i := slices.IndexFunc(all, func(o reconcile.Lookalike) bool { return o.Hosting == l.Hosting }); i >= 0 {
			if l.Why < all[i].Why {
				all[i] = l
			}
			continue
		}
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b reconcile.Lookalike) int {
		return cmp.Or(cmp.Compare(a.Why, b.Why), cmp.Compare(a.Hosting, b.Hosting))
	})
	return all
}

func (pl *planner) holdAlike(s *assessed, alike []reconcile.Lookalike) {
	for _, l := range alike[:min(len(alike), mostRechecked)] {
		pl.readAgain(Need{Kind: NeedHosting, Org: l.Org, Hosting: l.Hosting}, l.ObservedAt)
	}
	l, more := alike[0], ""
	if n := len(alike) - 1; n > 0 {
		more = moreAlike(n)
	}
	pl.addHold(reconcile.Hold{Kind: reconcile.HoldAdopt, Subscription: s.ID, Org: l.Org, Hosting: l.Hosting, Reason: pl.looksLike(s, l, more)})
}

// readAgain asks for a new reading of an obstacle to a creation, unless it was just read.
func (pl *planner) readAgain(n Need, read time.Time) {
	pl.recheckAt(pl.now.Add(recheckAfter))
	if pl.now.Sub(read) > heldAge {
		pl.addNeed(n)
	}
}

// withoutIdleLink drops the binding of an org that was to get a hosting when none is
// made in it: which org it is belongs to what a person decides about the hosting.
func (pl *planner) withoutIdleLink() {
	pl.out.Actions = slices.DeleteFunc(pl.out.Actions, func(a reconcile.Action) bool {
		return a.Kind == reconcile.Link && a.Hosting == 0 && (a.How == reconcile.BoundByAdopt || a.How == reconcile.BoundByMetadata)
	})
}

// marker is the marker of a hosting, without INSTANCE, if it is one of ours: the markers
// of other installations on the panel do not concern us.
func (pl *planner) marker(h *reconcile.Hosting) reconcile.Marker {
	return h.Marker().Of(pl.policy.Instance)
}

// foreign reports whether an org carries the marker of another installation.
func (pl *planner) foreign(o *reconcile.Org) bool {
	m, marked := reconcile.MarkerOf(o.Name)
	return marked && m.Of(pl.policy.Instance) == reconcile.Marker{}
}
