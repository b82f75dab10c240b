package reconcile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Likeness is what makes an unbound hosting look like the one that a customer pays
// for. The zero value is invalid.
type Likeness uint8

const (
	// LikeOrg: it is in the org in which the customer's hosting would be made.
	LikeOrg Likeness = iota + 1
	// LikeMetadata: the subscription's metadata names its org.
	LikeMetadata
	// LikeOwner: the owner of its org has the customer's e-mail.
	LikeOwner
	// LikeDomain: the domain that was ordered is a website in its org.
	LikeDomain
	// LikeName: its org is called like the customer.
	LikeName
)

// Lookalike is an unbound living hosting that may be what a customer already has.
// Unbound means that no subscription is bound to it and that it carries no marker:
// people made it by hand, or another program did. In the customer's own org it may
// carry the marker of a subscription that is not known.
type Lookalike struct {
	Subscription string // sub_… that it looks like; "": any of the customer's
	Org          string
	OrgName      string
	Hosting      int64
	Plan         int
	Why          Likeness
	ObservedAt   time.Time // when the hosting was last read
}

// Unbound counts the unbound living hostings of the panel.
type Unbound struct {
	Hostings, Orgs int
	// Undecided: there were some when nothing was bound yet, and there are some still.
	Undecided bool
}

// Site is where the panel has a website.
type Site struct {
	Org     string
	Hosting int64 // 0: the panel does not say
}

// NameKey is the form in which two names are the same: in lower case, without
// white space.
func NameKey(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, strings.ToLower(name))
}

const (
	// siteAge is how old the panel's answer may be about where a domain is.
	siteAge = time.Hour
	// heldAge is how old the reading may be of what keeps something from being made: a
	// person who has just put it right in the panel runs again, and expects to see it.
	heldAge = time.Minute
	// mostRechecked is how many look-alikes are read again at a time.
	mostRechecked = 20
)

// adoptable holds a unit for which the panel may have a hosting already: one that
// looks like it, or, as long as nobody said that the order is new, any that no
// subscription is bound to.
func (pl *planner) adoptable(w int) bool {
	s := &pl.subs[pl.wants[w].sub]
	if s.SaidNew {
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
	case pl.linksOf(pl.wants[w].sub) > 0:
	case after.IsZero() && pl.c.Undecided:
		pl.holdUndecided(s, fmt.Sprintf("%s has no hosting that is known, and the panel has hostings that no subscription is bound to: "+
			"set NEW_CUSTOMERS_ONLY_AFTER to say which orders are new", pl.order(s)))
		return true
	case !after.IsZero() && s.Created.Before(after):
		pl.holdUndecided(s, fmt.Sprintf("%s has no hosting that is known and was ordered at %s, before NEW_CUSTOMERS_ONLY_AFTER (%s), "+
			"and the panel has hostings that no subscription is bound to", pl.order(s), day(s.Created), day(after)))
		return true
	}
	pl.askForSite(s)
	return false
}

// order names a subscription and who pays for it.
func (pl *planner) order(s *judged) string {
	buyer := s.StripeCustomer
	if buyer == "" {
		buyer = pl.c.ID
	}
	if pl.c.Email == "" {
		return s.ID + " of " + buyer
	}
	return fmt.Sprintf("%s of %s (%s)", s.ID, buyer, pl.c.Email)
}

func (pl *planner) holdUndecided(s *judged, reason string) {
	pl.at(pl.now.Add(recheckAfter))
	pl.hold(Hold{Kind: HoldAdopt, Subscription: s.ID, Reason: reason + fmt.Sprintf(
		". If one of them is its hosting: `%s`; if the order is new: `%s`", bindCommand(s.ID, "HOSTING", "it is its hosting"), BindNewCommand(s.ID))})
}

// askForSite has the panel asked where the ordered domain is, before anything is
// made for it.
func (pl *planner) askForSite(s *judged) {
	switch {
	case s.Domain == "" && !s.DomainChecked:
		pl.need(Need{Kind: NeedDomain, Subscription: s.ID})
	case s.domain != "" && pl.now.Sub(s.SiteReadAt) > siteAge:
		pl.need(Need{Kind: NeedSite, Subscription: s.ID, Domain: s.domain})
	}
}

// lookalikes are those of a subscription, each once, with what says most of it. What
// this plan binds is none any more.
func (pl *planner) lookalikes(s *judged) []Lookalike {
	var all []Lookalike
	for _, l := range pl.c.Lookalikes {
		if l.Subscription != "" && l.Subscription != s.ID || pl.bound(l.Hosting) {
			continue
		}
		if i := slices.IndexFunc(all, func(o Lookalike) bool { return o.Hosting == l.Hosting }); i >= 0 {
			if l.Why < all[i].Why {
				all[i] = l
			}
			continue
		}
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b Lookalike) int {
		return cmp.Or(cmp.Compare(a.Why, b.Why), cmp.Compare(a.Hosting, b.Hosting))
	})
	return all
}

func (pl *planner) holdAlike(s *judged, alike []Lookalike) {
	for _, l := range alike[:min(len(alike), mostRechecked)] {
		pl.readAgain(Need{Kind: NeedHosting, Org: l.Org, Hosting: l.Hosting}, l.ObservedAt)
	}
	l, more := alike[0], ""
	if n := len(alike) - 1; n > 0 {
		more = fmt.Sprintf(" (and %d more that look like it)", n)
	}
	pl.hold(Hold{Kind: HoldAdopt, Subscription: s.ID, Hosting: l.Hosting, Reason: fmt.Sprintf(
		"%s may be what hosting %d%s is for, on plan %q in org %s (%q), to which no subscription is bound: %s. "+
			"If it is: `%s`; if the order is new: `%s`",
		pl.order(s), l.Hosting, more, pl.planLabel(l.Plan), l.Org, l.OrgName, pl.likeness(s, l),
		BindCommand(s.ID, l.Hosting, pl.bindFlags(s.ID, l.Org, l.Hosting)...), BindNewCommand(s.ID))})
}

// readAgain asks for what keeps something from being made, unless it was just read.
func (pl *planner) readAgain(n Need, read time.Time) {
	pl.at(pl.now.Add(recheckAfter))
	if pl.now.Sub(read) > heldAge {
		pl.need(n)
	}
}

// planLabel is a plan's name, or its number where the panel no longer sells it.
func (pl *planner) planLabel(id int) string {
	if name := pl.planName(id); name != "" {
		return name
	}
	return num(int64(id))
}

func (pl *planner) likeness(s *judged, l Lookalike) string {
	switch l.Why {
	case LikeOrg:
		return "that is this customer's own org"
	case LikeMetadata:
		return "the subscription's metadata names this org"
	case LikeOwner:
		return "the owner of this org has the customer's e-mail"
	case LikeDomain:
		return fmt.Sprintf("the domain %s, which was ordered, is in this org", s.domain)
	case LikeName:
		return "this org has the customer's name"
	}
	return "they look alike"
}

// withoutIdleLink drops the binding of an org that was to get a hosting when none is
// made in it: which org it is belongs to what a person decides about the hosting.
func (pl *planner) withoutIdleLink() {
	pl.out.Actions = slices.DeleteFunc(pl.out.Actions, func(a Action) bool {
		return a.Kind == Link && a.Hosting == 0 && (a.How == BoundByAdopt || a.How == BoundByMetadata)
	})
}

// marker is the marker of a hosting, without the word, where it is one of ours: that
// of another installation on the panel says nothing to us.
func (pl *planner) marker(h *Hosting) Marker { return h.Marker().Of(pl.policy.Instance) }

// foreign tells that an org carries the marker of another installation.
func (pl *planner) foreign(o *Org) bool {
	m, marked := MarkerOf(o.Name)
	return marked && m.Of(pl.policy.Instance) == Marker{}
}
