package planner

import (
	"cmp"
	"slices"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// byMetadata binds the hosting that the metadata of a subscription names. Only the
// operator can write there, so it is an order, not a guess.
func (pl *planner) byMetadata() {
	for s := range pl.subs {
		sub := &pl.subs[s]
		if sub.unclear() {
			pl.holdUnclear(s)
			continue
		}
		if sub.MetadataHosting == 0 || pl.ownBinding(s, sub.MetadataHosting) || pl.unboundFrom(sub.ID, sub.MetadataHosting) {
			continue
		}
		if w := pl.unfilled(s, 0); w >= 0 {
			pl.bindNamed(s, w)
		}
	}
}

// bindNamed binds the hosting that the metadata of a subscription names to a unit. If it
// cannot serve the subscription, a hold has the reason, and no other hosting is found or
// created.
func (pl *planner) bindNamed(s, w int) {
	sub := &pl.subs[s]
	id, org := sub.MetadataHosting, sub.MetadataOrg
	if org == "" && pl.c.Org != nil {
		org = pl.c.Org.ID
	}
	h := pl.hostingIndex(id)
	switch {
	case org == "" || pl.c.Org != nil && pl.c.Org.ID != org:
		pl.block(s)
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldConflict, Subscription: sub.ID, Hosting: id, Reason: pl.namesOtherOrg(sub, id)})
	case h < 0 || pl.c.Hostings[h].ObservedAt.IsZero():
		pl.block(s)
		pl.addNeed(Need{Kind: NeedHosting, Org: org, Hosting: id})
	case pl.c.Hostings[h].Serves != "":
		pl.block(s)
		pl.holdServes(s, h)
	case pl.c.Hostings[h].Org != org || !servable(pl.c.Hostings[h].State):
		pl.block(s)
		if !servable(pl.c.Hostings[h].State) {
			sub.missingHosting = id
		}
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldMissing, Subscription: sub.ID, Hosting: id, Reason: namedIsMissing(sub, &pl.c.Hostings[h], org)})
	default:
		pl.assignments = append(pl.assignments, assignment{Binding: reconcile.Binding{Subscription: sub.ID, Item: pl.units[w].item,
			Slot: pl.freeSlot(s), Org: org, Hosting: id, How: reconcile.BoundByMetadata},
			sub: s, hosting: h, fresh: true, moved: true,
			reason: metadataNames(sub)})
		pl.fill(w, len(pl.assignments)-1)
	}
}

// followMetadata looks at the hosting that the metadata of a subscription names beside the
// one that serves it. A person wrote that and meant something. If the case is clear, the
// named one takes the place of the other: when that is gone, or is empty and of our
// making. Else the bound hosting goes on serving, and a hold names both and the command.
func (pl *planner) followMetadata() {
	for s := range pl.subs {
		sub := &pl.subs[s]
		id := sub.MetadataHosting
		units := pl.filledUnits(s)
		if id == 0 || id == sub.MetadataWritten || len(units) == 0 || pl.ownBinding(s, id) || pl.instructedSince(sub.ID, id) {
			continue
		}
		first := &pl.assignments[pl.units[units[0]].assignment]
		org := cmp.Or(sub.MetadataOrg, first.Org)
		h := pl.hostingIndex(id)
		switch {
		case org != first.Org:
			pl.holdNamed(s, first, org, notTheOrg(first.Org))
		case h < 0 || pl.c.Hostings[h].ObservedAt.IsZero():
			pl.addNeed(Need{Kind: NeedHosting, Org: org, Hosting: id})
		case !servable(pl.c.Hostings[h].State):
		case pl.c.Hostings[h].Org != org:
			pl.holdNamed(s, first, pl.c.Hostings[h].Org, notTheOrg(org))
		case pl.servesOther(s, h) != "":
			pl.holdNamed(s, first, org, namedIsBound(pl.servesOther(s, h), id))
		case pl.unboundFrom(sub.ID, id):
			pl.holdNamed(s, first, org, namedWasUnbound)
		case pl.honoured(s, units, h):
		default:
			pl.holdNamed(s, pl.least(units), org, bothAreThere)
		}
	}
}

// instructedSince reports whether a person has unbound the named hosting when the metadata
// named it already.
func (pl *planner) instructedSince(sub string, hosting int64) bool {
	return slices.ContainsFunc(pl.c.Unbindings, func(p reconcile.Unbinding) bool { return p.Subscription == sub && p.Hosting == hosting && p.Named })
}

// filledUnits are the units of a subscription if all of them have a hosting; nil when one
// has none, which byMetadata has looked at.
func (pl *planner) filledUnits(s int) (units []int) {
	for w := range pl.units {
		if pl.units[w].sub != s {
			continue
		}
		if pl.units[w].assignment < 0 {
			return nil
		}
		units = append(units, w)
	}
	return units
}

// servesOther is another subscription that is bound to a hosting and has not ended; ""
// for none.
func (pl *planner) servesOther(s, h int) string {
	for i := range pl.assignments {
		if l := &pl.assignments[i]; l.Hosting == pl.c.Hostings[h].ID && l.sub != s && (l.sub < 0 || pl.subs[l.sub].desired != desiredEnded) {
			return l.Subscription
		}
	}
	return pl.c.Hostings[h].Serves
}

// least is the assignment of the unit that is worth least.
func (pl *planner) least(units []int) *assignment {
	w := slices.MinFunc(units, func(a, b int) int {
		return cmp.Compare(pl.keepPriority(&pl.assignments[pl.units[a].assignment]), pl.keepPriority(&pl.assignments[pl.units[b].assignment]))
	})
	return &pl.assignments[pl.units[w].assignment]
}

func (pl *planner) holdNamed(s int, bound *assignment, org, why string) {
	sub := &pl.subs[s]
	id := sub.MetadataHosting
	for _, h := range [...]int64{bound.Hosting, id} { // either may be deleted in the panel, to choose the other
		if i := pl.hostingIndex(h); i >= 0 {
			pl.recheckHosting(&pl.c.Hostings[i])
		}
	}
	pl.addHold(reconcile.Hold{Kind: reconcile.HoldConflict, Subscription: sub.ID, Hosting: id, Reason: pl.namedBesideBound(sub, bound, org, why)})
}

// honoured gives the named hosting the place of one that is gone, or that is empty, of our
// making, serves nothing else and was not made twice. It reports whether it did, or waits
// for the content of that one to be read.
func (pl *planner) honoured(s int, units []int, h int) bool {
	if !pl.free(s, h) {
		return false
	}
	for _, w := range units {
		if l := &pl.assignments[pl.units[w].assignment]; l.hosting >= 0 && !pl.alive(l) {
			pl.instead(s, w, h, "is gone")
			return true
		}
	}
	if pl.madeTwice(h) {
		return false // a hold asks which of the two goes
	}
	for _, w := range units {
		l := &pl.assignments[pl.units[w].assignment]
		if l.hosting < 0 || pl.c.Hostings[l.hosting].ObservedAt.IsZero() || l.How == reconcile.BoundByMetadata || l.How == reconcile.BoundByAdopt {
			continue
		}
		e := &pl.c.Hostings[l.hosting]
		pl.readFresh(e)
		if !pl.readContent(e, pl.freshSince()) {
			return true
		}
		if pl.replaceable(pl.units[w].assignment) {
			pl.instead(s, w, h, "has nothing on it")
			return true
		}
	}
	return false
}

// madeTwice reports whether another hosting that lives carries the same marker of ours.
func (pl *planner) madeTwice(h int) bool {
	m := pl.marker(&pl.c.Hostings[h])
	return m.Slot > 0 && slices.ContainsFunc(pl.c.Hostings, func(o reconcile.Hosting) bool {
		return o.ID != pl.c.Hostings[h].ID && servable(o.State) && pl.marker(&o) == m
	})
}

// free reports whether a hosting is bound to no subscription and marked for no other one.
func (pl *planner) free(s, h int) bool {
	m := pl.c.Hostings[h].Marker()
	return !pl.bound(pl.c.Hostings[h].ID) && !pl.c.Hostings[h].Bound &&
		(m.StripeID == "" || m.Of(pl.policy.Instance).StripeID == pl.subs[s].ID)
}

// instead binds the named hosting to a unit in the place of the one that it has.
func (pl *planner) instead(s, w, h int, why string) {
	k := pl.units[w].assignment
	named, sub := &pl.c.Hostings[h], pl.subs[s].ID
	pl.assignments = append(pl.assignments, assignment{Binding: reconcile.Binding{Subscription: sub, Item: pl.units[w].item,
		Slot: pl.freeSlot(s), Org: named.Org, Hosting: named.ID, How: reconcile.BoundByMetadata},
		sub: s, hosting: h, fresh: true, moved: true,
		reason: namedReplaces(sub, named.ID, pl.assignments[k].Hosting, why)})
	pl.fill(w, len(pl.assignments)-1)
	e := &pl.assignments[k]
	e.instead, e.desired, e.plan = linkID(&pl.assignments[len(pl.assignments)-1]), 0, reconcile.EnhancePlan{}
	pl.leftover(e)
	if e.desired == desiredSuspended {
		e.reason = namedInstead(e, sub, named.ID)
	}
}

// holdServes holds an order whose metadata names a hosting that serves another customer's
// subscription.
func (pl *planner) holdServes(s, h int) {
	sub, o := pl.subs[s].ID, &pl.c.Hostings[h]
	pl.recheckHosting(o)
	pl.addHold(reconcile.Hold{Kind: reconcile.HoldConflict, Subscription: sub, Hosting: o.ID, Reason: pl.namedServesOther(sub, o)})
}
