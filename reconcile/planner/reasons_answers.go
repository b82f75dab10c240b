package planner

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// keeps are the kinds of holds that keep something up, in the order of their weight.
var keeps = []reconcile.HoldKind{reconcile.HoldManual, reconcile.HoldMode, reconcile.HoldEvidence, reconcile.HoldBrake, reconcile.HoldContent,
	reconcile.HoldGrace, reconcile.HoldAmbiguous, reconcile.HoldGone, reconcile.HoldUnknownStatus, reconcile.HoldNotHosting}

// because puts a sentence of a hold or an action behind another one.
func because(text, why string) string { return text + ": " + why }

// soon is what the next run does with a planned change.
func (e *explainer) soon(does string, begins bool) string {
	text := "the next run " + does
	if e.policy.Mode == reconcile.Observe {
		text = "a run " + does + " as soon as MODE is not observe"
	}
	if begins {
		text = strings.ToUpper(text[:1]) + text[1:]
	}
	return text
}

// whyDown is for a bound hosting that is not up, with who suspended it.
func (e *explainer) whyDown(s *reconcile.Subscription, h *reconcile.Hosting) string {
	name := fmt.Sprintf("hosting %d", h.ID)
	switch h.State {
	case reconcile.HostingSuspended:
		return e.whySuspended(s, h, name)
	case reconcile.HostingDeleted:
		return name + " was deleted in the panel, and not by this program"
	case reconcile.HostingMissing:
		return name + " does not exist at the panel any more"
	case reconcile.HostingUnknown:
		return name + " is in a state that this program does not know"
	case reconcile.HostingActive:
		return because(name+" is active, and down", e.orgDown(h.Org))
	}
	return name + " has not been read at the panel yet"
}

func (e *explainer) whySuspended(s *reconcile.Subscription, h *reconcile.Hosting, name string) string {
	if hold := holding(e.holds, s.ID, h.ID, reconcile.HoldPerhapsOurs); hold != nil && hold.Hosting == h.ID {
		return because(name+" is suspended", hold.Reason)
	}
	if h.SuspendedByUs.IsZero() {
		text := name + " was suspended by staff at the panel, and not by this program"
		if h.SuspendedBy != "" {
			text += " (the panel names " + h.SuspendedBy + ")"
		}
		return text + ": only they lift that, also if the subscription is active"
	}
	text := name + " was suspended by this program at " + reconcile.FormatTime(h.SuspendedByUs)
	if r := e.lastDone(reconcile.Suspend, h.ID); r != nil {
		text = because(text, r.Reason)
	} else {
		text = because(text, s.ID+reconcile.DescribeSubscription(s))
	}
	switch hold := holding(e.holds, s.ID, h.ID, reconcile.HoldManual, reconcile.HoldAmbiguous); {
	case !entitled(s):
	case hold != nil:
		text += ". It stays suspended now: " + hold.Reason
	default:
		if a, ok := planned(e.next, reconcile.Resume, s.ID, h.ID); ok {
			text += ". " + e.soon("resumes it", true) + ": " + a.Reason
		}
	}
	return text
}

// whyNone is for a subscription without a hosting.
func (e *explainer) whyNone(s *reconcile.Subscription) string {
	text := s.ID + reconcile.DescribeSubscription(s) + " and has no hosting"
	for i := range e.holds {
		if h := &e.holds[i]; h.Subscription == s.ID || h.Subscription == "" {
			return because(text, h.Reason)
		}
	}
	if a, ok := planned(e.next, reconcile.CreateSubscription, s.ID, 0); ok {
		return because(text+" yet, and "+e.soon("makes it", false), a.Reason)
	}
	if a, ok := planned(e.next, reconcile.Link, s.ID, 0); ok {
		return because(text+" yet, and "+e.soon("binds one", false), a.Reason)
	}
	if s.Status == reconcile.StatusIncomplete {
		return text + ": it gets one when its first payment is made"
	}
	return text + ", and none is planned: its prices buy no hosting"
}

// whyUp is for a hosting that is up though the status of its subscription asks for none.
func (e *explainer) whyUp(s *reconcile.Subscription, h *reconcile.Hosting) string {
	text := fmt.Sprintf("hosting %d is up, though %s%s", h.ID, s.ID, reconcile.DescribeSubscription(s))
	for _, b := range e.c.Bindings {
		if o := e.c.Subscription(b.Subscription); b.Hosting == h.ID && b.Subscription != s.ID && o != nil && entitled(o) {
			return because(text, "it serves "+o.ID+" too, which"+reconcile.DescribeSubscription(o))
		}
	}
	if hold := holding(e.holds, s.ID, h.ID, keeps...); hold != nil {
		return because(text, strings.TrimPrefix(hold.Reason, s.ID+reconcile.DescribeSubscription(s)+": "))
	}
	if a, ok := planned(e.next, reconcile.Suspend, s.ID, h.ID); ok {
		return because(text+", and "+e.soon("suspends it", false), a.Reason)
	}
	return text + ": this status takes nothing away"
}

// when is for when the hostings of a subscription will be suspended.
func (e *explainer) when(s *reconcile.Subscription, bound []reconcile.Binding) string {
	up := slices.ContainsFunc(bound, func(b reconcile.Binding) bool { return e.hosting(b).State == reconcile.HostingActive })
	if !up {
		return ""
	}
	for _, b := range bound {
		if _, ok := planned(e.next, reconcile.Suspend, s.ID, b.Hosting); ok {
			if hold := holding(e.holds, s.ID, b.Hosting, reconcile.HoldBrake, reconcile.HoldEvidence); hold != nil {
				return because("its suspension has no date", hold.Reason)
			}
			return e.soon("suspends it", false)
		}
	}
	for _, f := range e.next.Forecast {
		if f.Subscription == s.ID && (f.Kind == reconcile.ForecastSuspend || f.Kind == reconcile.ForecastCancel) {
			return because("at "+reconcile.FormatTime(f.At), f.Reason)
		}
	}
	if hold := holding(e.holds, s.ID, 0, keeps...); hold != nil && !entitled(s) {
		return because("its suspension has no date", hold.Reason)
	}
	return "no suspension is ahead, as long as Stripe reports " + s.Status.String()
}

// whichPayment is for the payment that is missing.
func whichPayment(s *reconcile.Subscription) string {
	switch {
	case s.Owed.ID != "":
		return s.Owed.Describe()
	case s.Status != reconcile.StatusPastDue && s.Status != reconcile.StatusUnpaid && s.Status != reconcile.StatusIncomplete:
		return ""
	case !s.UnpaidSince.IsZero():
		return "an invoice that was due " + reconcile.FormatTime(s.UnpaidSince) + " is open; the next run reads its amount"
	case !s.ByID:
		return "which payment is missing is not known: the key for Stripe may not read invoices, or they were not read yet"
	}
	return "Stripe has no open invoice of " + s.ID + ": look there for the one that was written off"
}

// whyPlan is for the plan that a hosting is on.
func (e *explainer) whyPlan(s *reconcile.Subscription, b reconcile.Binding, h *reconcile.Hosting) string {
	item := -1
	for i := range s.Items {
		if _, _, ok := e.cat.PlanFor(s.Items[i]); s.Items[i].ID == b.Item || item < 0 && ok {
			item = i
		}
	}
	if h.Plan == 0 || item < 0 || h.State == reconcile.HostingDeleted || h.State == reconcile.HostingMissing {
		return ""
	}
	is := fmt.Sprintf("hosting %d is on plan %s", h.ID, e.planName(h.Plan))
	ordered, why, ok := e.cat.PlanFor(s.Items[item])
	switch {
	case !ok:
		return is + "; what " + s.Items[item].Price + " buys is not known: " + why
	case ordered.ID == h.Plan:
		return is + ", which " + s.Items[item].Price + " buys"
	}
	text := is + ", and " + s.Items[item].Price + " buys " + e.planName(ordered.ID)
	if a, soon := planned(e.next, reconcile.ChangePlan, s.ID, h.ID); soon {
		return because(text+". "+e.soon("changes it", true), a.Reason)
	}
	for i := range e.holds {
		hold := &e.holds[i]
		if hold.Kind == reconcile.HoldDowngrade && hold.Hosting == h.ID || strings.HasPrefix(hold.ActionID, "change_plan:") && hold.Hosting == h.ID {
			return because(text+". The change is held", hold.Reason)
		}
	}
	if hold := holding(e.holds, s.ID, h.ID, append([]reconcile.HoldKind{reconcile.HoldForeignSuspension, reconcile.HoldConflict}, keeps...)...); hold != nil {
		return because(text+". It is not changed now", hold.Reason)
	}
	return text + ". It is not changed while " + s.ID + reconcile.DescribeSubscription(s)
}

func (e *explainer) planName(id int) string {
	if p, ok := e.cat.Plan(id); ok {
		return fmt.Sprintf("%q (%d)", p.Name, id)
	}
	return reconcile.FormatID(int64(id))
}

// ifPaid is for what follows if the customer pays now.
func (e *explainer) ifPaid(s *reconcile.Subscription, bound []reconcile.Binding) string {
	switch {
	case s.Status.Ended():
		return e.ifOrderedAgain(s, bound)
	case s.Gone || s.Status == reconcile.StatusUnknown:
		return "what a payment changes is not known, because " + s.ID + reconcile.DescribeSubscription(s)
	case !payable(s):
		return "nothing changes here: " + s.ID + reconcile.DescribeSubscription(s)
	}
	text := "when Stripe reports active, which a payment of everything that is due brings about, "
	for _, b := range bound {
		h := e.hosting(b)
		if _, ok := planned(e.paid, reconcile.Resume, s.ID, h.ID); ok {
			return text + e.soon(fmt.Sprintf("resumes hosting %d", h.ID), false)
		}
		if h.State == reconcile.HostingActive {
			return text + fmt.Sprintf("hosting %d stays up, and nothing is suspended for %s", h.ID, s.ID)
		}
		if hold := holding(e.paid.Holds, s.ID, h.ID, reconcile.HoldManual, reconcile.HoldForeignSuspension, reconcile.HoldPerhapsOurs, reconcile.HoldMissing,
			reconcile.HoldDeleted, reconcile.HoldAmbiguous, reconcile.HoldParked, reconcile.HoldRetry); hold != nil {
			return text + fmt.Sprintf("hosting %d is still not up: %s", h.ID, hold.Reason)
		}
	}
	if _, ok := planned(e.paid, reconcile.CreateSubscription, s.ID, 0); ok {
		return text + e.soon("makes its hosting", false)
	}
	return text + "the next run decides about it anew"
}

// ifOrderedAgain is for an ended subscription, for which Stripe takes no payment.
func (e *explainer) ifOrderedAgain(s *reconcile.Subscription, bound []reconcile.Binding) string {
	text := s.ID + reconcile.DescribeSubscription(s) + ", and no payment brings it back: a new order is needed"
	for _, b := range bound {
		if h := e.hosting(b); h.State == reconcile.HostingSuspended || h.State == reconcile.HostingActive {
			return text + fmt.Sprintf(", which gets hosting %d again if the same Stripe customer places it", h.ID)
		}
	}
	return text + ", which gets a new hosting"
}

// atPeriodEnd is for the end of the period that runs.
func (e *explainer) atPeriodEnd(s *reconcile.Subscription) string {
	for _, f := range e.next.Forecast {
		if f.Subscription == s.ID && f.Kind != reconcile.ForecastSuspend {
			return f.Reason
		}
	}
	end := s.CurrentPeriodEnd
	switch {
	case s.Status.Ended() && e.policy.Retention > 0:
		return s.ID + reconcile.DescribeSubscription(s) + ": what was made for it is deleted no earlier than " + reconcile.FormatDuration(e.policy.Retention) + " after its end and its suspension"
	case s.Status.Ended():
		return s.ID + reconcile.DescribeSubscription(s) + ": no period runs, and what was made for it is kept without limit"
	case s.Gone || end.IsZero():
		return ""
	}
	at := "its period ends at " + reconcile.FormatTime(end) + ": Stripe then "
	if s.SendInvoice {
		at += "sends the next invoice"
	} else {
		at += "charges the next period"
	}
	return at + ". Nothing changes here unless the status of " + s.ID + " does; " + afterFailure(e.policy)
}

// afterFailure is for a charge that fails.
func afterFailure(p reconcile.Policy) string {
	if p.Grace <= 0 {
		return "past_due is suspended without a grace period"
	}
	return "past_due stays up for the grace period of " + reconcile.FormatDuration(p.Grace)
}

// whySeveral is for a customer with several hostings.
func (e *explainer) whySeveral(order []int64, live map[int64][]string, unbound []int64) string {
	var parts []string
	for _, id := range order {
		var of []string
		for _, sub := range live[id] {
			text := sub
			if s := e.c.Subscription(sub); s != nil {
				text += ", which" + reconcile.DescribeSubscription(s)
				if n := e.cat.units(s); n > 1 {
					text += fmt.Sprintf(" and orders %d", n)
				}
			}
			of = append(of, text)
		}
		parts = append(parts, fmt.Sprintf("hosting %d serves %s", id, strings.Join(of, ", and ")))
	}
	for _, id := range unbound {
		text := fmt.Sprintf("hosting %d serves no subscription", id)
		for i := range e.holds {
			if h := &e.holds[i]; h.Hosting == id {
				text += " (" + h.Reason + ")"
			}
		}
		parts = append(parts, text)
	}
	return fmt.Sprintf("%d hostings: %s", len(order)+len(unbound), strings.Join(parts, "; "))
}

// ofKin is for a hosting of another customer with the same e-mail.
func ofKin(k *reconcile.Kin, h *reconcile.KinHosting) string {
	return fmt.Sprintf("another Stripe customer with this e-mail, %s, has hosting %d for %s: two orders under two Stripe ids are two customers, because an e-mail proves nothing",
		k.ID, h.Hosting, h.Subscription)
}

func wasInvited(c *reconcile.Customer) string {
	text := "the owner was invited at " + reconcile.FormatTime(c.Invited)
	if c.InvitedEmail != "" {
		text += ", by mail to " + c.InvitedEmail
	}
	return text + ". Enhance sends that mail: if it did not arrive, look in the spam folder, and repeat it in the panel"
}

// invitedByOther is for a guest in the org of another customer.
func invitedByOther(c *reconcile.Customer) string {
	text := "no invitation was sent, because the organisation was there before: another Stripe customer with this e-mail had it first"
	if c.OrgWhy != "" {
		text = "no invitation was sent, because the organisation is another customer's, and this one was put into it by " + c.OrgWhy
	}
	if c.Org != nil && c.Org.OwnerEmail != "" {
		text += ", and its owner is " + c.Org.OwnerEmail
	}
	return text
}

func hasOwner(c *reconcile.Customer) string {
	return "no invitation was sent, because the organisation has an owner already, " + c.Org.OwnerEmail
}

// otherEmail is for an owner whom Stripe knows by another address.
func otherEmail(c *reconcile.Customer, owner string) string {
	text := "the owner at the panel is " + owner + ", and Stripe has " + c.Email + " now"
	for i := range c.Buyers {
		if b := &c.Buyers[i]; reconcile.EmailKey(b.Email) == reconcile.EmailKey(c.Email) && !b.EmailChanged.IsZero() {
			text += " (since " + reconcile.FormatTime(b.EmailChanged) + ")"
		}
	}
	return text + ". Nothing follows by itself, because Stripe verifies no address: staff change the member in the panel"
}

// otherName is for an org that is named otherwise than its customer.
func otherName(c *reconcile.Customer) string {
	return fmt.Sprintf("the organisation is named %q, and Stripe names the customer %q: `%s` renames it",
		c.Org.Name, c.Name, RenameCommand(c.ID, c.Name))
}
