package planner

import (
	"cmp"
	"fmt"
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
		pl.holdUndecided(s, fmt.Sprintf("%s has no hosting that is known, and the panel has hostings that no subscription is bound to: "+
			"set NEW_CUSTOMERS_ONLY_AFTER to say which orders are new", pl.order(s)))
		return true
	case !after.IsZero() && s.Created.Before(after):
		pl.holdUndecided(s, fmt.Sprintf("%s has no hosting that is known and was ordered at %s, before NEW_CUSTOMERS_ONLY_AFTER (%s), "+
			"and the panel has hostings that no subscription is bound to", pl.order(s), reconcile.FormatTime(s.Created), reconcile.FormatTime(after)))
		return true
	}
	pl.askForSite(s)
	return false
}

// order names a subscription and who pays for it.
func (pl *planner) order(s *assessed) string {
	buyer := s.StripeCustomer
	if buyer == "" {
		buyer = pl.c.ID
	}
	if pl.c.Email == "" {
		return s.ID + " of " + buyer
	}
	return fmt.Sprintf("%s of %s (%s)", s.ID, buyer, pl.c.Email)
}

func (pl *planner) holdUndecided(s *assessed, reason string) {
	pl.recheckAt(pl.now.Add(recheckAfter))
	pl.addHold(reconcile.Hold{Kind: reconcile.HoldAdopt, Subscription: s.ID, Reason: reason + fmt.Sprintf(
		". If one of them is its hosting: `%s`; if the order is new: `%s`", bindCommand(s.ID, "HOSTING", "it is its hosting"), BindNewCommand(s.ID))})
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
// hosting that this decision binds is none any more.
func (pl *planner) lookalikes(s *assessed) []reconcile.Lookalike {
	var all []reconcile.Lookalike
	for _, l := range pl.c.Lookalikes {
		if l.Subscription != "" && l.Subscription != s.ID || pl.bound(l.Hosting) {
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
		more = fmt.Sprintf(" (and %d more that look like it)", n)
	}
	pl.addHold(reconcile.Hold{Kind: reconcile.HoldAdopt, Subscription: s.ID, Hosting: l.Hosting, Reason: fmt.Sprintf(
		"%s may be what hosting %d%s is for, on plan %q in org %s (%q), to which no subscription is bound: %s. "+
			"If it is: `%s`; if the order is new: `%s`",
		pl.order(s), l.Hosting, more, pl.planLabel(l.Plan), l.Org, l.OrgName, pl.likeness(s, l),
		BindCommand(s.ID, l.Hosting, pl.bindFlags(s.ID, l.Org, l.Hosting)...), BindNewCommand(s.ID))})
}

// readAgain asks for a new reading of an obstacle to a creation, unless it was just read.
func (pl *planner) readAgain(n Need, read time.Time) {
	pl.recheckAt(pl.now.Add(recheckAfter))
	if pl.now.Sub(read) > heldAge {
		pl.addNeed(n)
	}
}

// planLabel is a plan's name, or its number where the panel no longer sells it.
func (pl *planner) planLabel(id int) string {
	if name := pl.planName(id); name != "" {
		return name
	}
	return reconcile.FormatID(int64(id))
}

func (pl *planner) likeness(s *assessed, l reconcile.Lookalike) string {
	switch l.Why {
	case reconcile.LikeOrg:
		return "that is this customer's own org"
	case reconcile.LikeMetadata:
		return "the subscription's metadata names this org"
	case reconcile.LikeOwner:
		return "the owner of this org has the customer's e-mail"
	case reconcile.LikeDomain:
		return fmt.Sprintf("the domain %s, which was ordered, is in this org", s.domain)
	case reconcile.LikeName:
		return "this org has the customer's name"
	}
	return "they look alike"
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
