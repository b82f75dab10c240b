package planner

import (
	"fmt"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// isDisputed is the reason of a suspension because of a dispute.
func isDisputed(v entitlement, s *reconcile.Subscription) string {
	return fmt.Sprintf("%s is %s, and %s (DISPUTE=suspend). If the customer is to be trusted: `%s`", s.ID, v.status, v.disputed.Describe(), TrustCommand(s.ID, "trusted"))
}

// disputeWithholds is why something new waits because of a dispute or a refund.
func disputeWithholds(d *reconcile.Dispute, a reconcile.Action) string {
	waits := fmt.Sprintf("%s gets no new hosting", a.Subscription)
	if a.Kind == reconcile.ChangePlan {
		waits = fmt.Sprintf("hosting %d keeps its plan", a.Hosting)
	}
	return fmt.Sprintf("%s: %s before that is over. If the customer is to be trusted: `%s`", d.Describe(), waits, TrustCommand(a.Subscription, "trusted"))
}

// disputeNotRead is for a subscription with a dispute that cannot be read again.
func disputeNotRead(s *assessed) string {
	return fmt.Sprintf("%s has a dispute that was read last at %s and cannot be read again: %s; its hostings stay as they are",
		s.ID, reconcile.FormatTime(s.disputed.ReadAt), s.disputed.Describe())
}

// whichDispute is a dispute with its consequence.
func (e *explainer) whichDispute(d *reconcile.Dispute) string {
	pl := planner{c: e.c, policy: e.policy, now: e.now}
	follows := "no new hosting and no larger plan before that is over (DISPUTE=hold)"
	switch {
	case d.Settled() && d.PaymentUnread:
		follows = "nothing follows from it, because the key may not read whether a later invoice was paid"
	case d.Settled():
		follows = "nothing follows from it, because a later invoice was paid at " + reconcile.FormatTime(d.PaidAt)
	case e.policy.Dispute == reconcile.TellDisputes:
		follows = "nothing follows from it (DISPUTE=tell)"
	case pl.trusted(d.Subscription):
		follows = "nothing follows from it, because a person trusts the customer (no-suspend)"
	case e.policy.Dispute == reconcile.SuspendDisputes && d.Subscription != "" && !d.Refund():
		follows = "its hostings are suspended before that is over (DISPUTE=suspend)"
	case e.policy.Dispute == reconcile.SuspendDisputes:
		follows = "no new hosting and no larger plan before that is over (DISPUTE=suspend)"
	}
	return d.Describe() + ": " + follows
}
