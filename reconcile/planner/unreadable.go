package planner

import (
	"fmt"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// unclear reports whether the metadata of a subscription means an org or a hosting, and
// cannot be read.
func (s *assessed) unclear() bool { return s.MetadataOrgText != "" || s.MetadataHostingText != "" }

// holdUnclear holds a subscription whose metadata cannot be read. It keeps its hostings;
// nothing more is found or made for it, because the hosting that was meant may be there.
func (pl *planner) holdUnclear(s int) {
	sub := &pl.subs[s]
	if sub.desired == desiredEnded || !sub.mapped && pl.assignmentsOf(s) == 0 {
		return
	}
	pl.block(s)
	for _, t := range [...]struct{ key, text, want string }{
		{"enhance_org_id", sub.MetadataOrgText, "the UUID of an org"},
		{"enhance_subscription_id", sub.MetadataHostingText, "the number of a hosting"},
	} {
		if t.text != "" {
			pl.addHold(reconcile.Hold{Kind: reconcile.HoldUnreadable, Subscription: sub.ID, Reason: fmt.Sprintf(
				"the metadata %s of %s is %q, and %s is wanted: correct it, or take it out with `%s`; nothing is made for this subscription until then", t.key, sub.ID, t.text, t.want, MetadataCommand(sub.ID, t.key, ""))})
		}
	}
}

// withoutDomain asks for the domain of a subscription, or adds a hold if it cannot be
// read.
func (pl *planner) withoutDomain(s *assessed) {
	switch {
	case s.Domain != "":
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldUnreadable, Subscription: s.ID, Reason: fmt.Sprintf(
			"%s was ordered with the domain %q, which is none that a website can have: put the right one into its metadata with `%s`, or make the website in the panel and remove it there; the hosting itself is not concerned", s.ID, reconcile.Truncate(s.Domain), MetadataCommand(s.ID, "domain", "DOMAIN"))})
	case !s.DomainChecked:
		pl.addNeed(Need{Kind: NeedDomain, Subscription: s.ID})
	}
}
