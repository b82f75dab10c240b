package planner

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// invoicesAgain is how long the planner waits before it asks again for invoices that the
// key could not read: one refusal must not make a grace period begin anew.
const invoicesAgain = 24 * time.Hour

// addHolds adds the holds that the subscriptions themselves give reason for.
func (pl *planner) addHolds() {
	for i := range pl.subs {
		pl.onSubscription(&pl.subs[i], i)
	}
	pl.forecastHolds()
	if h, ok := HoldForFailure(pl.c, pl.now); ok {
		pl.addHold(h)
	}
}

// HoldForFailure is the hold of a customer that is backed off or parked; false if it is
// neither. It looks at nothing else of the customer, so that it works even if Decide does
// not.
func HoldForFailure(c *reconcile.Customer, now time.Time) (h reconcile.Hold, ok bool) {
	h = reconcile.Hold{Kind: reconcile.HoldRetry, Customer: c.ID, Email: c.Email, Until: c.RetryAfter}
	if c.Org != nil {
		h.Org = c.Org.ID
	}
	switch {
	case !c.Parked.IsZero():
		h.Kind, h.Until = reconcile.HoldParked, time.Time{}
		h.Reason = setAside(c)
	case c.LastError == "" || !c.RetryAfter.After(now):
		return reconcile.Hold{}, false
	case c.Failures == 0:
		h.Reason = sideFailed(c)
	default:
		h.Reason = failedInARow(c)
	}
	return h, true
}

// markOrders marks each hold that keeps a paying customer without hosting until a person
// acts.
func (pl *planner) markOrders() {
	for i := range pl.out.Holds {
		h := &pl.out.Holds[i]
		h.Order = h.Kind.KeepsOrders() && pl.lacks(h.Subscription)
	}
}

// lacks reports whether a subscription gives hosting, and has none for one unit of it at
// least. "" is any subscription of the customer.
func (pl *planner) lacks(subscription string) bool {
	for i := range pl.subs {
		if pl.subs[i].desired != desiredActive || subscription != "" && subscription != pl.subs[i].ID {
			continue
		}
		units, there := 0, 0
		for j := range pl.units {
			if pl.units[j].sub == i {
				units++
			}
		}
		for j := range pl.assignments {
			l := &pl.assignments[j]
			if l.sub == i && (l.hosting < 0 || pl.c.Hostings[l.hosting].State != reconcile.HostingMissing && pl.c.Hostings[l.hosting].State != reconcile.HostingDeleted) {
				there++
			}
		}
		if there < max(units, 1) { // without a unit it is not known how many there are to be
			return true
		}
	}
	return false
}

func (pl *planner) onSubscription(s *assessed, i int) {
	linked := pl.assignmentsOf(i) > 0
	concerns := linked || s.mapped
	if s.none && !linked {
		return // a person mapped it to none: it does not concern us
	}
	if concerns {
		pl.forecastStripe(i)
	}
	switch why, unread := strings.CutPrefix(s.StatusText, reconcile.Unreadable); {
	case s.holdKind == reconcile.HoldUnknownStatus && unread:
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldUnknownStatus, Subscription: s.ID, Reason: answerUnreadable(s, why)})
	case s.holdKind == reconcile.HoldUnknownStatus:
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldUnknownStatus, Subscription: s.ID, Reason: statusNotKnown(s)})
	case s.holdKind == reconcile.HoldTrial && concerns:
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldTrial, Subscription: s.ID, Reason: secondTrial(s)})
	case s.holdKind == reconcile.HoldDispute && concerns:
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldDispute, Subscription: s.ID, Reason: disputeNotRead(s)})
	case s.holdKind == reconcile.HoldGone && linked:
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldGone, Subscription: s.ID, Reason: pl.isGone(i)})
	case s.desired == desiredActive && !s.mapped && !s.none && !pl.hasUnmappedHold(s.ID):
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldUnmapped, Subscription: s.ID, Reason: noneMapped(s, pl.unmapped(s)) + pl.cat.unreadFeatures(pl.unmapped(s))})
	}
	if concerns {
		pl.onGrace(s, i)
	}
}

// onGrace holds what a grace period withholds, and asks for the invoices where it is not
// known when that began.
func (pl *planner) onGrace(s *assessed, i int) {
	if s.LapseUnknown() {
		pl.addNeed(Need{Kind: NeedSubscription, Subscription: s.ID})
		pl.recheckAt(pl.now.Add(invoicesAgain)) // for a key that may not read invoices
	}
	if !s.graceEnds.IsZero() {
		pl.recheckAt(s.graceEnds)
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldGrace, Subscription: s.ID, Until: s.graceEnds, Reason: pl.inGrace(i)})
		if text := pl.inGrace(i); strings.Contains(text, suspendedThen) {
			pl.addForecast(reconcile.ForecastEntry{At: s.graceEnds, Kind: reconcile.ForecastSuspend, Subscription: s.ID, Reason: text})
		}
	}
}

func (pl *planner) hasUnmappedHold(sub string) bool {
	for i := range pl.out.Holds {
		if pl.out.Holds[i].Subscription == sub && pl.out.Holds[i].Kind == reconcile.HoldUnmapped {
			return true
		}
	}
	return false
}

// unmapped are the items without a mapping.
func (pl *planner) unmapped(s *assessed) (items []reconcile.Item) {
	for i := range s.items {
		if _, ok := pl.cat.match(&s.items[i]); !ok {
			items = append(items, s.items[i])
		}
	}
	return items
}

// ignored reports whether a person wants the whole customer left alone, and adds that
// hold.
func (pl *planner) ignored() bool {
	for i := range pl.c.Manual {
		m := &pl.c.Manual[i]
		if m.Kind == reconcile.Ignore && m.Subscription == "" && m.InForce(pl.now) {
			pl.recheckAt(m.Until)
			pl.holdManual(m, reconcile.Action{})
			pl.forecastHolds()
			return true
		}
	}
	return false
}

func (pl *planner) holdManual(m *reconcile.ManualHold, a reconcile.Action) {
	pl.addHold(reconcile.Hold{Kind: reconcile.HoldManual, Subscription: a.Subscription, Hosting: a.Hosting, ActionID: a.ID, Until: m.Until, Reason: heldByPerson(m, a), Manual: m.Kind})
}

// leaveAlone drops the holds of a subscription that a person wants left alone, and adds
// that person's hold in their place. The hold of an action stays: it is withheld by
// itself.
func (pl *planner) leaveAlone() {
	for i := range pl.c.Manual {
		m := &pl.c.Manual[i]
		if m.Kind != reconcile.Ignore || m.Subscription == "" || !m.InForce(pl.now) {
			continue
		}
		said := len(pl.out.Holds)
		pl.out.Holds = slices.DeleteFunc(pl.out.Holds, func(h reconcile.Hold) bool {
			return h.Subscription == m.Subscription && h.ActionID == "" && h.Kind != reconcile.HoldManual
		})
		if len(pl.out.Holds) < said {
			pl.recheckAt(m.Until)
			pl.holdManual(m, reconcile.Action{Subscription: m.Subscription})
		}
	}
}

// applyManualHolds withholds the actions that people or the mode forbid.
func (pl *planner) applyManualHolds() {
	kept := make([]reconcile.Action, 0, len(pl.out.Actions)) // the actions are looked at until all are judged
	for _, a := range pl.out.Actions {
		if m := cmp.Or(pl.forbids(a), pl.forbidsBasis(a)); m != nil {
			pl.recheckAt(m.Until)
			pl.holdManual(m, a)
			continue
		}
		if d := pl.withheldByDispute(a); d != nil {
			pl.addHold(a.Withheld(reconcile.HoldDispute, disputeWithholds(d, a)))
			continue
		}
		if pl.policy.Mode != reconcile.Enforce && pl.policy.Mode != reconcile.Observe && pl.cat.Takes(a) {
			pl.addHold(a.Withheld(reconcile.HoldMode, heldByMode(a, pl.policy.Mode)))
			continue
		}
		kept = append(kept, a)
	}
	pl.out.Actions = withoutEmptyOrg(kept)
	pl.leaveAlone()
}

// withoutEmptyOrg drops a new org, and the invitation to it, if everything that was to be
// created in it is withheld: those holds give the reason.
func withoutEmptyOrg(actions []reconcile.Action) []reconcile.Action {
	if slices.ContainsFunc(actions, func(a reconcile.Action) bool { return a.Kind == reconcile.CreateSubscription }) {
		return actions
	}
	return slices.DeleteFunc(actions, func(a reconcile.Action) bool {
		return a.Org == "" && a.Kind.Brake() == reconcile.CreateSubscription // the chain of a new hosting
	})
}

// forbids finds the hold of a person that withholds an action.
func (pl *planner) forbids(a reconcile.Action) *reconcile.ManualHold {
	for i := range pl.c.Manual {
		m := &pl.c.Manual[i]
		if !m.InForce(pl.now) || m.Subscription != "" && m.Subscription != a.Subscription && !pl.shares(m.Subscription, a.Hosting) {
			continue
		}
		if m.Kind == reconcile.Ignore || m.Kind == reconcile.NoSuspend && pl.cat.Takes(a) || m.Kind == reconcile.KeepSuspended && (a.Kind == reconcile.Resume || a.Kind == reconcile.Link && a.How == reconcile.BoundByResubscription) {
			return m // who comes back does not get around it by taking the hosting over
		}
	}
	return nil
}

// forbidsBasis finds the manual hold that withholds the Link action on which another
// action rests: the link that gives the hosting to the subscription that pays for the
// plan, or that puts another hosting in the place of the one that goes. Neither is done by
// halves.
func (pl *planner) forbidsBasis(a reconcile.Action) *reconcile.ManualHold {
	if a.Kind != reconcile.Suspend && a.Kind != reconcile.ChangePlan {
		return nil
	}
	for i := range pl.assignments {
		basis := pl.assignments[i].instead
		if l := &pl.assignments[i]; a.Kind == reconcile.ChangePlan && l.moved && l.How == reconcile.BoundByResubscription {
			basis = linkID(l)
		}
		if pl.assignments[i].Hosting != a.Hosting || basis == "" {
			continue
		}
		for j := range pl.out.Actions {
			if pl.out.Actions[j].ID == basis {
				return pl.forbids(pl.out.Actions[j])
			}
		}
	}
	return nil
}

// shares reports whether a hosting is a subscription's too: it is bound to it, beside
// others or until another takes it over, or was made for it and was taken over. So a
// manual hold stays in force however often a customer cancels and comes back.
func (pl *planner) shares(sub string, hosting int64) bool {
	if hosting == 0 {
		return false
	}
	if i := pl.hostingIndex(hosting); i >= 0 && pl.marker(&pl.c.Hostings[i]).StripeID == sub {
		return true
	}
	for i := range pl.c.Bindings {
		if pl.c.Bindings[i].Subscription == sub && pl.c.Bindings[i].Hosting == hosting {
			return true
		}
	}
	for i := range pl.assignments {
		if pl.assignments[i].Subscription == sub && pl.assignments[i].Hosting == hosting {
			return true
		}
	}
	return false
}

// Takes reports whether an action takes something away from a customer: it
// suspends, terminates, or moves to a plan that gives less of anything.
func (c *Catalog) Takes(a reconcile.Action) bool {
	switch a.Kind.Takes() {
	case reconcile.TakesNever:
		return false
	case reconcile.TakesIfSmaller:
		return c.lowers(a.FromPlan, a.Plan)
	case reconcile.TakesAlways:
	}
	return true
}

// Withhold moves the actions that take something away from a decision into holds
// of the kind, with the reason. The engine does so when the evidence of a run is
// not good enough to take anything away.
func Withhold(d Decision, cat *Catalog, kind reconcile.HoldKind, reason string) Decision {
	kept := make([]reconcile.Action, 0, len(d.Actions))
	for _, a := range d.Actions {
		if !cat.Takes(a) {
			kept = append(kept, a)
			continue
		}
		d.Holds = append(d.Holds, a.Withheld(kind, changeWithheld(a, reason)))
	}
	d.Actions = kept
	return d
}
