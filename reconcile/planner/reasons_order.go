package planner

import (
	"fmt"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// newAfterNotSet is for an order that may be old, while the setting that decides it is empty.
func (pl *planner) newAfterNotSet(s *assessed) string {
	return fmt.Sprintf("%s has no hosting that is known, and the panel has hostings that no subscription is bound to: "+
		"set NEW_CUSTOMERS_ONLY_AFTER to the day from which orders are new", pl.order(s))
}

// orderedBefore is for an order from before NEW_CUSTOMERS_ONLY_AFTER.
func (pl *planner) orderedBefore(s *assessed, after time.Time) string {
	return fmt.Sprintf("%s has no hosting that is known and was ordered at %s, before NEW_CUSTOMERS_ONLY_AFTER (%s), "+
		"and the panel has hostings that no subscription is bound to", pl.order(s), reconcile.FormatTime(s.Created), reconcile.FormatTime(after))
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

// oneOfThemOrNew names the two commands that decide it.
func oneOfThemOrNew(s *assessed) string {
	return fmt.Sprintf(". If one of them is its hosting: `%s`; if the order is new: `%s`", bindCommand(s.ID, "HOSTING", "it is its hosting"), BindNewCommand(s.ID))
}

func moreAlike(n int) string {
	return fmt.Sprintf(" (and %d more that look like it)", n)
}

// looksLike is for an order that an unbound hosting looks like.
func (pl *planner) looksLike(s *assessed, l reconcile.Lookalike, more string) string {
	return fmt.Sprintf("%s may be what hosting %d%s is for, on plan %q in org %s (%q), to which no subscription is bound: %s. "+
		"If it is: `%s`; if the order is new: `%s`",
		pl.order(s), l.Hosting, more, pl.planLabel(l.Plan), l.Org, l.OrgName, pl.likeness(s, l),
		BindCommand(s.ID, l.Hosting, pl.bindFlags(s.ID, l.Org, l.Hosting)...), BindNewCommand(s.ID))
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

// planLabel is a plan's name, or its number where the panel no longer sells it.
func (pl *planner) planLabel(id int) string {
	if name := pl.planName(id); name != "" {
		return name
	}
	return reconcile.FormatID(int64(id))
}

// wasUnbound is for a unit whose hosting a person has unbound.
func wasUnbound(p *reconcile.Unbinding) string {
	return fmt.Sprintf("hosting %d of org %s was unbound from %s by %s at %s (%s), and nothing is made for %s before a person gives an instruction. If an existing hosting serves it: `%s`; if the order is new: `%s`",
		p.Hosting, p.Org, reconcile.SlotID(p.Subscription, p.Slot), p.Author, reconcile.FormatTime(p.At), p.Reason, p.Subscription,
		bindCommand(p.Subscription, "HOSTING", "it is its hosting"), BindNewCommand(p.Subscription))
}

// orUnbind names the other two ways for a hosting that is paid for and gone.
func (pl *planner) orUnbind(l *assignment) string {
	return fmt.Sprintf("; or bind the hosting that serves %s in its place (`%s`), or unbind it, so that the order can become new (`%s`)",
		l.Subscription, bindCommand(pl.unit(l.Subscription, l.Slot), "HOSTING", "it is its hosting"), UnbindCommand(l.Subscription, l.Hosting))
}
