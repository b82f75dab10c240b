package planner

import (
	"slices"

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

// byTombstone gives what would now be made anew to a deleted hosting that carries the
// marker of the subscription: it was deleted in the panel, and a database that was lost
// has forgotten that it was bound. It is held like any other that is paid for and was
// deleted.
func (pl *planner) byTombstone() {
	for i := range pl.c.Hostings {
		h := &pl.c.Hostings[i]
		m := pl.marker(h)
		s := pl.subIndex(m.StripeID)
		if m.Slot == 0 || s < 0 || h.State != reconcile.HostingDeleted || !h.TerminatedByUs.IsZero() || pl.bound(h.ID) || pl.markerTwice(m, h.ID) ||
			pl.unboundFrom(m.StripeID, h.ID) || pl.c.Org != nil && pl.c.Org.ID != h.Org {
			continue
		}
		w := pl.unfilled(s, h.Plan)
		if w < 0 {
			continue
		}
		pl.assignments = append(pl.assignments, assignment{Binding: reconcile.Binding{Subscription: m.StripeID, Slot: m.Slot, Item: pl.units[w].item, Org: h.Org, Hosting: h.ID, How: reconcile.BoundByMarker},
			sub: s, hosting: i, fresh: true, moved: true,
			reason: deletedWithMarker(h, m)})
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
