package planner

import (
	"cmp"
	"slices"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// InstructOrg returns the function that decides a statement about a customer's org: its
// change, or an [reconcile.InstructionRefused].
func InstructOrg(w reconcile.OrgInstruction) reconcile.OrgDecider {
	return func(c, into *reconcile.Customer) (reconcile.OrgChange, error) {
		ch := reconcile.OrgChange{Instruction: w, Stays: slices.Clone(c.Bindings)}
		var why string
		switch w.Kind {
		case reconcile.MergeOrgs:
			why = merge(&ch, c, into)
		case reconcile.SplitOrgs:
			why = split(&ch, c)
		default:
			why = "the statement has no kind"
		}
		if why != "" {
			return reconcile.OrgChange{}, reconcile.InstructionRefused(why)
		}
		return ch, nil
	}
}

// merge works out a merge; why it is refused, else "".
func merge(ch *reconcile.OrgChange, c, into *reconcile.Customer) (why string) {
	switch {
	case into == nil:
		return customerNotKnown(ch.Instruction.Into)
	case into.ID == c.ID:
		return sameCustomer(c)
	case into.Org == nil:
		return hasNoOrgYet(into)
	}
	ch.Org, ch.Host = *into.Org, hostOf(into)
	if ch.Already = c.Org != nil && c.Org.ID == into.Org.ID; ch.Already {
		return ""
	}
	switch {
	case into.Org.Deleted:
		return orgOfIsDeleted(into)
	case into.Org.Suspended:
		return orgOfIsSuspended(into)
	case len(guestsOf(c)) > 0:
		return hasGuests(c, guestsOf(c), into)
	case len(c.Pending) > 0:
		return outcomeNotKnown(&c.Pending[0])
	}
	if c.Org != nil && !c.OrgGuest {
		ch.Former = c.Org.ID
	}
	for _, h := range into.Hostings {
		if h.Org == ch.Org.ID {
			ch.There = append(ch.There, h)
		}
	}
	for _, l := range into.Lookalikes {
		if l.Org == ch.Org.ID && l.Why == reconcile.LikeOrg {
			ch.Alike = append(ch.Alike, l)
		}
	}
	ch.Sharers = withGuest(into, c, ch.Instruction.Why())
	return ""
}

// split works out a split; why it is refused, else "".
func split(ch *reconcile.OrgChange, c *reconcile.Customer) (why string) {
	switch {
	case c.Org == nil && len(c.Apart) > 0:
		ch.Already, ch.Org.ID = true, c.Apart[len(c.Apart)-1].Org
		return ""
	case c.Org == nil:
		return hasNoOrg(c)
	case !c.OrgGuest:
		return isNoGuest(c, guestsOf(c))
	case len(c.Pending) > 0:
		return outcomeNotKnown(&c.Pending[0])
	}
	ch.Org, ch.Host = *c.Org, hostOf(c)
	return ""
}

// hostOf is the customer who names the org of c, and has its owner.
func hostOf(c *reconcile.Customer) string {
	for i := range c.Sharers {
		if s := &c.Sharers[i]; !s.Guest {
			return s.ID
		}
	}
	return c.ID
}

// guestsOf are the others in the org of c, if it is its own.
func guestsOf(c *reconcile.Customer) (ids []string) {
	for i := range c.Sharers {
		if s := &c.Sharers[i]; s.ID != c.ID && !c.OrgGuest {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// withGuest are the customers of the org of into, and c as a guest.
func withGuest(into, c *reconcile.Customer, why string) []reconcile.Sharer {
	all := slices.Clone(into.Sharers)
	if len(all) == 0 {
		all = append(all, sharer(into))
	}
	guest := sharer(c)
	guest.Guest, guest.Why = true, why
	all = append(all, guest)
	slices.SortFunc(all, func(a, b reconcile.Sharer) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

func sharer(c *reconcile.Customer) reconcile.Sharer {
	s := reconcile.Sharer{ID: c.ID, Email: c.Email, Guest: c.OrgGuest, Why: c.OrgWhy}
	for i := range c.Subscriptions {
		s.Subscriptions = append(s.Subscriptions, c.Subscriptions[i].ID)
	}
	slices.Sort(s.Subscriptions)
	return s
}

// apart finds the statement of a person that an org is not this customer's; nil for none.
func (pl *planner) apart(org string) *reconcile.ApartOrg {
	for i := range pl.c.Apart {
		if o := &pl.c.Apart[i]; o.Org == org {
			return o
		}
	}
	return nil
}

// namedApart holds an order whose metadata names an org of which a person has stated that it
// is not this customer's. One of the two is wrong, and to make the hosting in either org
// would be a guess. Metadata of our own hand only shows where a hosting is.
func (pl *planner) namedApart() bool {
	for i := range pl.subs {
		s := &pl.subs[i]
		o := pl.apart(s.MetadataOrg)
		lacks := slices.ContainsFunc(pl.units, func(u unit) bool { return u.sub == i && u.assignment < 0 })
		if o == nil || !lacks || s.MetadataHosting != 0 && s.MetadataHosting == s.MetadataWritten {
			continue
		}
		pl.org.blocked = true
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldConflict, Subscription: s.ID, Reason: pl.namesApart(s, o)})
	}
	return pl.org.blocked
}
