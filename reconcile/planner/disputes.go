package planner

import (
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// judgeDispute suspends a subscription whose payment is disputed, if the settings ask for it.
// A dispute that was not read lately suspends nothing, and lifts nothing.
func (pl *planner) judgeDispute(s *assessed) {
	if pl.policy.Dispute != reconcile.SuspendDisputes || s.desired != desiredActive || pl.trusted(s.ID) {
		return
	}
	for i := range pl.c.Disputes {
		d := &pl.c.Disputes[i]
		if d.Refund() || d.Settled() || d.Subscription != s.ID || d.StripeCustomer != s.StripeCustomer {
			continue
		}
		if s.disputed == nil || s.disputed.Opened.Before(d.Opened) {
			s.disputed = d
		}
	}
	switch {
	case s.disputed == nil:
		return
	case pl.now.Sub(s.disputed.ReadAt) > pl.policy.Freshness():
		pl.addNeed(Need{Kind: NeedDispute, Dispute: s.disputed.ID})
		pl.recheckAt(pl.now.Add(recheckAfter))
		s.desired, s.holdKind = desiredKeep, reconcile.HoldDispute
	default:
		s.desired, s.graceEnds = desiredSuspended, time.Time{}
	}
}

// trusted reports whether a person has decided to trust a customer, or one subscription: its
// disputes and refunds count for nothing.
func (pl *planner) trusted(sub string) bool {
	for i := range pl.c.Manual {
		m := &pl.c.Manual[i]
		if m.Kind == reconcile.NoSuspend && m.InForce(pl.now) && (m.Subscription == "" || m.Subscription == sub) {
			pl.recheckAt(m.Until)
			return true
		}
	}
	return false
}

// withheldByDispute finds the dispute or refund that withholds an action: a new hosting, and
// a plan with more of something.
func (pl *planner) withheldByDispute(a reconcile.Action) *reconcile.Dispute {
	gives := a.Kind == reconcile.CreateSubscription || a.Kind == reconcile.ChangePlan && pl.cat.lowers(a.Plan, a.FromPlan)
	if pl.policy.Dispute == reconcile.TellDisputes || !gives || pl.trusted(a.Subscription) {
		return nil
	}
	for i := range pl.c.Disputes {
		if d := &pl.c.Disputes[i]; !d.Settled() {
			return d
		}
	}
	return nil
}
