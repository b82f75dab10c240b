package planner

import (
	"slices"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Audit lists what one customer pays for and does not have, and the reverse, by the same
// policy as Decide. It changes and decides nothing: each reason is that of the decision,
// where there is one. A customer or a subscription that a person wants left alone is left
// out. Of a subscription with the kind PaidButUnpaidStatus the invoices remain to be read.
func Audit(c *reconcile.Customer, cat *Catalog, p reconcile.Policy, now time.Time) reconcile.Audit {
	a := audit{planner: planner{c: inOrder(c), cat: cat, policy: p, now: now}, decision: Decide(c, cat, p, now)}
	if a.ignored() {
		return reconcile.Audit{}
	}
	a.assess()
	a.assign()
	for i := range a.subs {
		a.subscription(i)
	}
	for i := range a.assignments {
		l := &a.assignments[i]
		if slices.IndexFunc(a.assignments, func(o assignment) bool { return o.Hosting == l.Hosting }) == i && l.hosting >= 0 {
			a.hosting(a.combine(i), &a.c.Hostings[l.hosting])
		}
		if l.hosting >= 0 && !a.c.Hostings[l.hosting].Bound {
			a.found.Linked = append(a.found.Linked, l.Hosting)
		}
	}
	for i := range a.subs {
		a.surplus(i)
	}
	a.duplicates()
	a.found.Discrepancies = slices.DeleteFunc(a.found.Discrepancies, a.leftAlone)
	return a.found
}

// audit is one audit at work.
type audit struct {
	planner
	decision Decision
	found    reconcile.Audit
}

func (a *audit) add(d reconcile.Discrepancy) {
	b := a.buyerOf(d.Subscription)
	d.Customer, d.Email = a.c.ID, strings.TrimSpace(b.Email)
	if d.Org == "" {
		d.Org = a.orgOf(d.Hosting)
	}
	for i := range a.c.Hostings {
		if h := &a.c.Hostings[i]; h.ID == d.Hosting {
			d.Usage = h.Usage
		}
	}
	a.found.Discrepancies = append(a.found.Discrepancies, d)
}

// leftAlone reports whether a person wants the subscription of a row left alone.
func (a *audit) leftAlone(d reconcile.Discrepancy) bool {
	return slices.ContainsFunc(a.c.Manual, func(m reconcile.ManualHold) bool {
		return m.Kind == reconcile.Ignore && m.Subscription != "" && m.InForce(a.now) && (m.Subscription == d.Subscription || a.shares(m.Subscription, d.Hosting))
	})
}

// subscription finds what a subscription pays for and does not have, and one that is paid
// although Stripe calls it unpaid.
func (a *audit) subscription(i int) {
	s := &a.subs[i]
	owes := s.Status == reconcile.StatusPastDue || s.Status == reconcile.StatusUnpaid
	if owes && s.UnpaidSince.IsZero() && !s.Gone && (s.mapped || a.assignmentsOf(i) > 0) {
		a.add(reconcile.Discrepancy{Kind: reconcile.PaidButUnpaidStatus, Subscription: s.ID, Since: unpaidSince(s), Shares: a.whole(s), Reason: paidThoughUnpaid(s)})
	}
	if s.desired != desiredActive || s.none {
		return
	}
	shares, n := a.lacking(i)
	if n == 0 {
		return
	}
	reason := a.withheld(func(h *reconcile.Hold) bool {
		return h.Kind.KeepsOrders() && (h.Subscription == s.ID || h.Subscription == "")
	})
	if reason == "" {
		reason = isToBeCreated(s, n, a.c.ID)
	}
	a.add(reconcile.Discrepancy{Kind: reconcile.PaidNotProvisioned, Subscription: s.ID, Since: s.Created, Shares: shares, Reason: reason})
}

// lacking counts the hostings that an active subscription asks for and does not have.
func (a *audit) lacking(i int) (shares []reconcile.Share, n int64) {
	s := &a.subs[i]
	for j := range s.items {
		it := &s.items[j]
		t, ok := a.cat.match(it)
		var units int64
		switch {
		case ok && t.none, !ok && (s.mapped || a.assignmentsOf(i) > 0):
			// It is no hosting, or an extra, or its mapping was lost and the hosting stays.
		case !ok, t.problem != "", it.OutOfRange():
			units = max(it.Quantity-a.has(i, it), 0)
		default:
			units = a.unfilled(i, it)
		}
		if units > 0 {
			shares, n = append(shares, reconcile.Share{Item: it.ID, Units: units, Of: it.Quantity}), n+units
		}
	}
	return shares, n
}

// unfilled counts the units of an item without a hosting that is there.
func (a *audit) unfilled(i int, it *reconcile.Item) (n int64) {
	for j := range a.units {
		u := &a.units[j]
		if u.sub == i && u.item == it.ID && (u.assignment < 0 || a.isGoneAt(u.assignment)) {
			n++
		}
	}
	return n
}

// isGoneAt reports whether the panel no longer has the hosting of an assignment.
func (a *audit) isGoneAt(at int) bool {
	h := a.assignments[at].hosting
	return h >= 0 && (a.c.Hostings[h].State == reconcile.HostingMissing || a.c.Hostings[h].State == reconcile.HostingDeleted)
}

// hosting compares one hosting with what all its subscriptions ask for.
func (a *audit) hosting(cl demand, h *reconcile.Hosting) {
	paid := cl.desired == desiredActive
	kept := cl.desired == desiredKeep && a.judgable(h)
	row := reconcile.Discrepancy{Subscription: cl.lead.Subscription, Hosting: h.ID, Org: h.Org, Shares: a.share(cl.lead)}
	row.Reason = a.reasonAbout(h.ID)
	var s *assessed
	if cl.lead.sub >= 0 {
		s = &a.subs[cl.lead.sub]
	}
	switch {
	case s == nil, cl.desired == desiredKeep && !kept:
		return
	case !paid && h.State == reconcile.HostingActive:
		row.Kind, row.Since = reconcile.ProvisionedNotPaid, unpaidSince(s)
		if row.Reason == "" {
			row.Reason = isUpUnpaid(s, h)
		}
	case !paid && h.State == reconcile.HostingSuspended && a.policy.Retention > 0:
		row.Kind, row.Since = reconcile.KeptTooLong, suspendedSince(s, h)
		if row.Since.IsZero() || a.now.Before(row.Since.Add(a.policy.Retention)) {
			return
		}
		if row.Reason == "" {
			row.Reason = a.isKept(s, h)
		}
	case paid && h.State == reconcile.HostingActive && (cl.torn || cl.plan.ID != 0 && cl.plan.ID != h.Plan):
		row.Kind = reconcile.WrongPlan
		if row.Reason == "" {
			row.Reason = a.isOnAnotherPlan(s, h, cl.plan.ID)
		}
	default:
		return
	}
	a.add(row)
}

// judgable reports whether no subscription of a hosting is entitled, and each of them can
// be judged: the decision keeps the hosting for another reason.
func (a *audit) judgable(h *reconcile.Hosting) bool {
	return !slices.ContainsFunc(a.assignments, func(l assignment) bool {
		return l.Hosting == h.ID && (l.sub < 0 || a.subs[l.sub].desired == desiredActive || a.subs[l.sub].desired == desiredKeep)
	})
}

// surplus finds a subscription that has more hostings up than it pays for, of which the
// decision does not say which one goes.
func (a *audit) surplus(i int) {
	s := &a.subs[i]
	reason := a.withheld(func(h *reconcile.Hold) bool { return h.Kind == reconcile.HoldContent && h.Subscription == s.ID })
	if s.desired != desiredActive || reason == "" {
		return
	}
	up, asked := int64(0), int64(0)
	for j := range a.assignments {
		if l := &a.assignments[j]; l.sub == i && l.hosting >= 0 && a.c.Hostings[l.hosting].State == reconcile.HostingActive && !a.reported(l.Hosting) {
			up++
		}
	}
	for j := range a.units {
		if a.units[j].sub == i {
			asked++
		}
	}
	if up > asked {
		var shares []reconcile.Share
		if len(s.items) == 1 {
			shares = []reconcile.Share{{Item: s.items[0].ID, Units: up - asked, Of: s.items[0].Quantity}}
		}
		a.add(reconcile.Discrepancy{Kind: reconcile.ProvisionedNotPaid, Subscription: s.ID, Shares: shares, Reason: reason})
	}
}

func (a *audit) reported(hosting int64) bool {
	return slices.ContainsFunc(a.found.Discrepancies, func(d reconcile.Discrepancy) bool {
		return d.Hosting == hosting && d.Kind == reconcile.ProvisionedNotPaid
	})
}

// duplicates finds hostings that were made a second time for a unit, and orgs that carry
// the customer's marker beside the one that is bound.
func (a *audit) duplicates() {
	for i := range a.c.MarkedOrgs {
		if o := &a.c.MarkedOrgs[i]; a.isSecondOrg(o) {
			a.add(reconcile.Discrepancy{Kind: reconcile.DuplicateMade, Org: o.ID, Since: o.Created, Reason: a.secondOrg(o) + "; an org has no price"})
		}
	}
	for i := range a.decision.Holds {
		h := &a.decision.Holds[i]
		at := a.hostingIndex(h.Hosting)
		if h.Kind != reconcile.HoldDuplicate || h.Hosting == 0 || at < 0 {
			continue
		}
		m := a.marker(&a.c.Hostings[at])
		of := assignment{Binding: reconcile.Binding{Subscription: h.Subscription}, sub: a.subIndex(h.Subscription)}
		for j := range a.assignments {
			if a.assignments[j].Subscription == m.StripeID && a.assignments[j].Slot == m.Slot {
				of = a.assignments[j]
			}
		}
		a.add(reconcile.Discrepancy{Kind: reconcile.DuplicateMade, Subscription: h.Subscription, Hosting: h.Hosting, Shares: a.share(&of), Reason: h.Reason})
	}
}

// reasonAbout is the reason of the decision about a hosting: of the action, else of the
// hold.
func (a *audit) reasonAbout(hosting int64) string {
	for i := range a.decision.Actions {
		act := &a.decision.Actions[i]
		if act.Hosting == hosting && (act.Kind == reconcile.Suspend || act.Kind == reconcile.Terminate || act.Kind == reconcile.ChangePlan) {
			return act.Reason
		}
	}
	return a.withheld(func(h *reconcile.Hold) bool { return h.Hosting == hosting && h.Kind != reconcile.HoldDomainTaken })
}

// withheld is the reason of the first hold that fits; "": none does.
func (a *audit) withheld(fits func(*reconcile.Hold) bool) string {
	for i := range a.decision.Holds {
		if fits(&a.decision.Holds[i]) {
			return a.decision.Holds[i].Reason
		}
	}
	return ""
}

// share is the part of its subscription that one hosting is, as far as its item is known.
func (a *audit) share(l *assignment) []reconcile.Share {
	if l.sub < 0 {
		return nil
	}
	s := &a.subs[l.sub]
	it := s.item(l.Item)
	if it == nil && len(s.items) == 1 {
		it = &s.items[0]
	}
	if it == nil {
		return nil
	}
	return []reconcile.Share{{Item: it.ID, Units: 1, Of: it.Quantity}}
}

// whole is everything in a subscription that is hosting.
func (a *audit) whole(s *assessed) (shares []reconcile.Share) {
	for i := range s.items {
		if t, ok := a.cat.match(&s.items[i]); ok && !t.none || !s.mapped {
			shares = append(shares, reconcile.Share{Item: s.items[i].ID, Units: s.items[i].Quantity, Of: s.items[i].Quantity})
		}
	}
	return shares
}

// unpaidSince is since when a subscription is not paid, as far as that is known.
func unpaidSince(s *assessed) time.Time {
	switch {
	case s.Status.Ended():
		return s.EndedAt
	case !s.Lapse.Begun().IsZero():
		return s.Lapse.Begun()
	case s.desired == desiredActive:
		return time.Time{} // the quantity fell, or the item is gone: it is not known when
	}
	return s.StatusSince
}

// suspendedSince is since when a hosting is suspended: by our own journal, else at the
// latest since the end of its subscription, if others suspended it.
func suspendedSince(s *assessed, h *reconcile.Hosting) time.Time {
	if h.SuspendedByUs.IsZero() && s.Status.Ended() {
		return s.EndedAt
	}
	return h.SuspendedByUs
}
