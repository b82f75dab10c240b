package planner

import (
	"fmt"
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
	reason := fmt.Sprintf("hosting %d in org %s carries the marker %s of hosting %d too: delete the one that is not used in the panel, nothing is created or bound until then; or, if hosting %d is the one that is used: `%s`",
		h.ID, h.Org, h.Marker(), other, h.ID, BindCommand(m.StripeID, h.ID, pl.bindFlags(m.StripeID, h.Org, h.ID)...))
	if by != "" {
		reason = fmt.Sprintf("hosting %d in org %s carries the marker %s of hosting %d, to which %s is bound: two were made for one unit. "+
			"Delete the one that is not used in the panel; where hosting %d is the one that is used, run `%s` before that. "+
			"Nothing is created for %s until then",
			h.ID, h.Org, h.Marker(), other, by, h.ID, pl.bindInstead(by, other, h), m.StripeID)
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
	if i := slices.IndexFunc(pl.assignments, func(l assignment) bool { return of(l.Binding) }); i >= 0 {
		return pl.assignments[i].Hosting, m.StripeID
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
	if pl.c.Org == nil || slices.ContainsFunc(pl.c.Pending, func(p reconcile.Pending) bool { return p.Kind == reconcile.CreateOrg }) {
		return
	}
	for i := range pl.c.MarkedOrgs {
		o := &pl.c.MarkedOrgs[i]
		if o.Deleted || o.ID == pl.c.Org.ID || pl.foreign(o) {
			continue
		}
		pl.readAgain(Need{Kind: NeedOrg, Org: o.ID}, o.ObservedAt)
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldDuplicate, Reason: fmt.Sprintf(
			"org %s (%q) carries this customer's marker, and the customer's org is %s: two were made. Delete the one that is not used in the panel, "+
				"or take the marker out of its name", o.ID, o.Name, pl.c.Org.ID)})
	}
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
			d.Holds = append(d.Holds, a.Withheld(reconcile.HoldDuplicate, fmt.Sprintf("%s is withheld (%s): %s", a.Kind, a.Reason, reason)))
		}
	}
	d.Actions = slices.DeleteFunc(kept, func(a reconcile.Action) bool {
		return a.Kind == reconcile.CreateWebsite && a.Hosting == 0
	})
	d.Actions = withoutEmptyOrg(d.Actions)
	return d
}
