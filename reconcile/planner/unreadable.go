package planner

import "github.com/stripe-enhance/stripe-enhance/reconcile"

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
			pl.addHold(reconcile.Hold{Kind: reconcile.HoldUnreadable, Subscription: sub.ID, Reason: metadataUnreadable(sub, t.key, t.text, t.want)})
		}
	}
}

// withoutDomain asks for the domain of a subscription, or adds a hold if it cannot be
// read.
func (pl *planner) withoutDomain(s *assessed) {
	switch {
	case s.Domain != "":
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldUnreadable, Subscription: s.ID, Reason: domainUnreadable(s)})
	case !s.DomainChecked:
		pl.addNeed(Need{Kind: NeedDomain, Subscription: s.ID})
	}
}
