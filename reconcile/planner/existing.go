package planner

import (
	"cmp"
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

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
