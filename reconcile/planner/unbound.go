package planner

import (
	"cmp"
	"slices"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// holdUnbound holds the units whose hosting a person has unbound, until a person decides:
// they are served by another hosting, or the order is new. Nothing is made or taken over
// for the subscription before that.
func (pl *planner) holdUnbound() {
	for s := range pl.subs {
		p := openUnbinding(pl.c, pl.subs[s].ID)
		if p == nil || !slices.ContainsFunc(pl.units, func(w unit) bool { return w.sub == s && pl.unassigned(w) }) {
			continue
		}
		pl.block(s)
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldAdopt, Subscription: p.Subscription, Org: cmp.Or(pl.orgOf(p.Hosting), p.Org), Hosting: p.Hosting, Reason: wasUnbound(p)})
	}
}

// unboundFrom reports whether a person has unbound a hosting from a subscription.
func (pl *planner) unboundFrom(sub string, hosting int64) bool {
	return slices.ContainsFunc(pl.c.Unbindings, func(p reconcile.Unbinding) bool { return p.Subscription == sub && p.Hosting == hosting })
}

// unboundFromLive reports whether a person has unbound a hosting from a subscription that
// has not ended. Then only a person knows which customer it serves.
func (pl *planner) unboundFromLive(hosting int64) bool {
	return slices.ContainsFunc(pl.c.Unbindings, func(p reconcile.Unbinding) bool {
		s := pl.subIndex(p.Subscription)
		return p.Hosting == hosting && s >= 0 && pl.subs[s].desired != desiredEnded
	})
}

// bindFlags are the flags without which the command that binds a hosting would refuse.
func (pl *planner) bindFlags(sub, org string, hosting int64) (flags []string) {
	if pl.c.Org != nil && org != "" && org != pl.c.Org.ID || pl.apart(org) != nil {
		flags = append(flags, "--other-org")
	}
	if i := pl.hostingIndex(hosting); i >= 0 {
		if m := pl.c.Hostings[i].Marker(); m.StripeID != "" && (m.Of(pl.policy.Instance) == reconcile.Marker{} || m.StripeID != sub && !pl.endedHere(m.StripeID, hosting)) {
			flags = append(flags, "--other-marker")
		}
	}
	return flags
}

// endedHere reports whether a hosting is bound to the subscription that its marker names,
// and that one has ended.
func (pl *planner) endedHere(sub string, hosting int64) bool {
	s := pl.subIndex(sub)
	return s >= 0 && pl.subs[s].desired == desiredEnded && slices.ContainsFunc(pl.c.Bindings, func(b reconcile.Binding) bool {
		return b.Subscription == sub && b.Hosting == hosting
	})
}

// bindInstead is the command that binds a hosting in the place of another one of a
// Subscription.
func (pl *planner) bindInstead(sub string, instead int64, h *reconcile.Hosting) string {
	unit, own := sub, pl.c.BindingsOf(sub)
	if i := slices.IndexFunc(own, func(b reconcile.Binding) bool { return b.Hosting == instead }); i >= 0 {
		unit = pl.unit(sub, own[i].Slot)
	}
	return BindCommand(unit, h.ID, pl.bindFlags(sub, h.Org, h.ID)...)
}

// unit names a unit of a subscription in a command: by its slot where there are several.
func (pl *planner) unit(sub string, n int) string {
	if len(pl.c.BindingsOf(sub)) > 1 {
		return reconcile.SlotID(sub, n)
	}
	return sub
}

// bindKept are the commands by which a hosting that is about to go takes the place of
// one that stays. Of a subscription that has not ended it is unbound first.
func (pl *planner) bindKept(l, other *assignment) string {
	bind := "`" + BindCommand(pl.unit(other.Subscription, other.Slot), l.Hosting, pl.bindFlags(other.Subscription, l.Org, l.Hosting)...) + "`"
	if l.Subscription == other.Subscription || pl.subs[l.sub].desired == desiredEnded {
		return bind
	}
	return "`" + UnbindCommand(l.Subscription, l.Hosting) + "`, and then " + bind + ","
}
