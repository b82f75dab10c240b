package planner

import (
	"fmt"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// paidThoughUnpaid is for a subscription whose invoices are paid.
func paidThoughUnpaid(s *assessed) string {
	return fmt.Sprintf("%s, though none of its invoices is open and the newest was paid: nothing makes it active again by itself. "+
		"Look at it at Stripe: collect the drafts, or cancel it and sell a new one", standing(s))
}

// isToBeCreated is for hostings of which no hold keeps them from being created.
func isToBeCreated(s *assessed, n int64, customer string) string {
	what := "its hosting is not there: the next run creates it, unless the brake holds it"
	if n > 1 {
		what = fmt.Sprintf("%d of its hostings are not there: the next run creates them, unless the brake holds them", n)
	}
	return fmt.Sprintf("%s, and %s; `stripe-enhance customers show --customer %s` shows that", standing(s), what, customer)
}

// isUpUnpaid is for a hosting that is up and not paid for, with no reason in the decision.
func isUpUnpaid(s *assessed, h *reconcile.Hosting) string {
	return fmt.Sprintf("%s, and hosting %d of org %s is up", standing(s), h.ID, h.Org)
}

// isKept is for a hosting that has been suspended for longer than the retention period and
// is not to be deleted.
func (a *audit) isKept(s *assessed, h *reconcile.Hosting) string {
	since := reconcile.FormatTime(suspendedSince(s, h))
	switch {
	case h.SuspendedByUs.IsZero():
		return fmt.Sprintf("%s: hosting %d is suspended, not by us, and so it is never deleted by us; delete it in the panel if nothing on it is needed", standing(s), h.ID)
	case !s.Status.Ended():
		return fmt.Sprintf("%s: hosting %d is suspended since %s, and retention counts from the end of the subscription; cancel it at Stripe if it is not paid any more", standing(s), h.ID, since)
	}
	return fmt.Sprintf("%s: hosting %d is suspended since %s, longer than the retention period of %s", standing(s), h.ID, since, reconcile.FormatDuration(a.policy.Retention))
}

// isOnAnotherPlan is for a hosting on a plan that is not paid for.
func (a *audit) isOnAnotherPlan(s *assessed, h *reconcile.Hosting, plan int) string {
	return fmt.Sprintf("%s, for plan %s, and hosting %d is on plan %s", standing(s), a.planRef(plan), h.ID, a.planRef(h.Plan))
}

// UnboundHosting is a hosting at the panel that no subscription is bound to.
func UnboundHosting(u reconcile.UnboundOrg) reconcile.Discrepancy {
	marker := ""
	if u.Marker.StripeID != "" {
		marker = fmt.Sprintf(" (it carries the marker %s)", u.Marker)
	}
	return reconcile.Discrepancy{Kind: reconcile.ProvisionedNotPaid, Email: u.OwnerEmail, Org: u.ID, Hosting: u.Hosting,
		Reason: fmt.Sprintf("no subscription at Stripe is bound to hosting %d of org %s %q, on plan %d%s, and so it has no price: "+
			"`%s` if one pays for it, or else suspend it in the panel", u.Hosting, u.ID, u.Name, u.Plan, marker, BindCommand("SUBSCRIPTION", u.Hosting))}
}

// LeftEmpty is an org at the panel in which nothing is.
func LeftEmpty(u reconcile.UnboundOrg) reconcile.Discrepancy {
	whose := "no customer at Stripe is bound to it"
	if u.Customer != "" {
		whose = "every subscription of " + u.Customer + " has ended"
	}
	return reconcile.Discrepancy{Kind: reconcile.EmptyOrg, Customer: u.Customer, Email: u.OwnerEmail, Org: u.ID, Since: u.Created,
		Reason: fmt.Sprintf("org %s %q had no hosting at %s, and %s; an org has no price: delete it in the panel if it is not needed", u.ID, u.Name, reconcile.FormatTime(u.ObservedAt), whose)}
}
