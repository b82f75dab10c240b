package planner

import (
	"slices"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

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
