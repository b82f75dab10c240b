package planner

import "github.com/stripe-enhance/stripe-enhance/reconcile"

// holdSecondTrial keeps a subscription in trial from getting anything new if its customer
// had a trial before. A person who decided that the order is new has allowed it.
func (pl *planner) holdSecondTrial(s *assessed) {
	if !pl.policy.OneTrial || s.Status != reconcile.StatusTrialing || s.desired != desiredActive || s.IsNewOrder {
		return
	}
	for i := range pl.c.Subscriptions {
		o := &pl.c.Subscriptions[i]
		if o.ID == s.ID || o.TrialStart.IsZero() || !triedBefore(o, s.Subscription) {
			continue
		}
		if s.trialBefore == nil || triedBefore(o, s.trialBefore) {
			s.trialBefore = o
		}
	}
	if s.trialBefore != nil {
		s.desired, s.holdKind = desiredKeep, reconcile.HoldTrial
	}
}

// triedBefore reports whether the trial of a began before that of b. Of two that began
// together, the subscription with the smaller id is the first.
func triedBefore(a, b *reconcile.Subscription) bool {
	if !a.TrialStart.Equal(b.TrialStart) {
		return a.TrialStart.Before(b.TrialStart)
	}
	return a.ID < b.ID
}

// unpaidUpgrade reports whether a hosting is to get more of something that is not paid yet.
// Only a read by id knows of invoices.
func (pl *planner) unpaidUpgrade(cl demand, h *reconcile.Hosting) bool {
	if !pl.policy.HoldUnpaidUpgrade || !pl.cat.lowers(cl.plan.ID, h.Plan) {
		return false
	}
	s := &pl.subs[cl.lead.sub]
	if !s.ByID || pl.now.Sub(s.ReadAt) > pl.policy.Freshness() {
		pl.addNeed(Need{Kind: NeedSubscription, Subscription: s.ID})
	}
	return s.Status == reconcile.StatusPastDue || !s.UnpaidChange.IsZero()
}
