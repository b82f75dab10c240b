package planner

import (
	"slices"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// holdSecond holds a hosting whose marker names a slot that is taken: two hostings were
// made for one unit, by another installation of this program or by a create whose answer
// came too late.
func (pl *planner) holdSecond(h *reconcile.Hosting) {
	m := pl.marker(h)
	other, by := pl.first(m, h.ID)
	pl.readAgain(Need{Kind: NeedHosting, Org: h.Org, Hosting: h.ID}, h.ObservedAt)
	reason := pl.sameMarker(h, m, other)
	if by != "" {
		reason = pl.secondForUnit(h, m, other, by)
	}
	pl.addHold(reconcile.Hold{Kind: reconcile.HoldDuplicate, Subscription: m.StripeID, Hosting: h.ID, Reason: reason})
}

// first is the other hosting that a marker stands for, and the subscription that is
// bound to it; "" when none is.
func (pl *planner) first(m reconcile.Marker, but int64) (hosting int64, by string) {
	of := func(b reconcile.Binding) bool {
		return b.Subscription == m.StripeID && b.Slot == m.Slot && b.Hosting != but
	}
	if i := slices.IndexFunc(pl.c.Bindings, of); i >= 0 {
		return pl.c.Bindings[i].Hosting, m.StripeID
	}
	for i := range pl.c.Hostings {
		h := &pl.c.Hostings[i]
		if h.ID == but || pl.marker(h) != m || !servable(h.State) || !h.TerminatedByUs.IsZero() {
			continue
		}
		if hosting == 0 {
			hosting = h.ID
		}
		if i := slices.IndexFunc(pl.assignments, func(l assignment) bool { return l.Hosting == h.ID }); i >= 0 {
			return h.ID, pl.assignments[i].Subscription
		}
	}
	return hosting, ""
}

// secondOrgs holds orgs that carry the customer's marker beside the one that is bound.
func (pl *planner) secondOrgs() {
	for i := range pl.c.MarkedOrgs {
		o := &pl.c.MarkedOrgs[i]
		if !pl.isSecondOrg(o) {
			continue
		}
		pl.readAgain(Need{Kind: NeedOrg, Org: o.ID}, o.ObservedAt)
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldDuplicate, Reason: pl.secondOrg(o)})
	}
}

// isSecondOrg reports whether an org carries the customer's marker beside the bound one,
// and is not the late result of our own call. If a person has put the customer into the
// bound one, the other may be the one that it had before.
func (pl *planner) isSecondOrg(o *reconcile.Org) bool {
	return pl.c.Org != nil && pl.c.OrgWhy == "" && !o.Deleted && o.ID != pl.c.Org.ID && !pl.foreign(o) &&
		!slices.ContainsFunc(pl.c.Pending, func(p reconcile.Pending) bool { return p.Kind == reconcile.CreateOrg })
}

// WithholdCreates moves what makes orgs and hostings from a decision into holds, with
// the reason. The engine does so while another installation seems to make hostings
// for the same subscriptions.
func WithholdCreates(d Decision, reason string) Decision {
	kept := make([]reconcile.Action, 0, len(d.Actions))
	for _, a := range d.Actions {
		if a.Kind != reconcile.CreateOrg && a.Kind != reconcile.CreateSubscription {
			kept = append(kept, a)
		}
		if a.Kind == reconcile.CreateSubscription {
			d.Holds = append(d.Holds, a.Withheld(reconcile.HoldDuplicate, createWithheld(a, reason)))
		}
	}
	d.Actions = slices.DeleteFunc(kept, func(a reconcile.Action) bool {
		return a.Kind == reconcile.CreateWebsite && a.Hosting == 0
	})
	d.Actions = withoutEmptyOrg(d.Actions)
	return d
}
