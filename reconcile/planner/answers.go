package planner

import (
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Answers answers what support staff ask about a customer, from what is stored. It decides
// as the next run would, and once more as if Stripe reported active. It claims no payment:
// Stripe's status is all that is known of one.
func Answers(r *reconcile.CustomerRecord, cat *Catalog, p reconcile.Policy, now time.Time) []reconcile.Answer {
	e := explainer{c: &r.Customer, cat: cat, policy: p, now: now, history: r.History}
	e.next = Decide(e.c, cat, p, now)
	e.next.Forecast = withSchedules(e.next.Forecast, r, cat, now)
	paid := paidUp(e.c)
	e.paid = Decide(&paid, cat, p, now)
	e.holds = e.next.Holds
	for _, h := range r.Held { // what brakes and gates hold, no planner knows
		if h.Kind == reconcile.HoldBrake || h.Kind == reconcile.HoldEvidence {
			e.holds = append(e.holds, h)
		}
	}
	for i := range e.c.Subscriptions {
		e.subscription(&e.c.Subscriptions[i])
	}
	for i := range e.c.Disputes {
		d := &e.c.Disputes[i]
		e.add(reconcile.QuestionDispute, d.Subscription, 0, e.whichDispute(d))
	}
	e.hostings()
	e.invitation()
	e.owner()
	return e.all
}

// explainer is the answers in the making.
type explainer struct {
	c          *reconcile.Customer
	cat        *Catalog
	policy     reconcile.Policy
	now        time.Time
	history    []reconcile.ActionRecord
	next, paid Decision
	holds      []reconcile.Hold
	all        []reconcile.Answer
}

func (e *explainer) add(q reconcile.Question, sub string, hosting int64, text string) {
	if text != "" {
		e.all = append(e.all, reconcile.Answer{Question: q, Subscription: sub, Hosting: hosting, Text: text})
	}
}

// paidUp is the customer as if Stripe reported active where a payment can bring that about.
func paidUp(c *reconcile.Customer) reconcile.Customer {
	paid := *c
	paid.Subscriptions = slices.Clone(c.Subscriptions)
	for i := range paid.Subscriptions {
		if s := &paid.Subscriptions[i]; payable(s) {
			s.Status, s.StatusText, s.Lapse = reconcile.StatusActive, reconcile.StatusActive.String(), reconcile.Lapse{}
		}
	}
	return paid
}

// payable reports whether a payment makes the subscription active.
func payable(s *reconcile.Subscription) bool {
	switch s.Status {
	case reconcile.StatusPastDue, reconcile.StatusUnpaid, reconcile.StatusIncomplete, reconcile.StatusPaused:
		return !s.Gone
	case reconcile.StatusActive, reconcile.StatusTrialing, reconcile.StatusIncompleteExpired, reconcile.StatusCanceled, reconcile.StatusUnknown:
	}
	return false
}

// entitled reports whether Stripe's status alone asks for hosting.
func entitled(s *reconcile.Subscription) bool {
	return !s.Gone && (s.Status == reconcile.StatusActive || s.Status == reconcile.StatusTrialing)
}

// subscription answers what concerns one subscription and its hostings.
func (e *explainer) subscription(s *reconcile.Subscription) {
	bound := e.c.BindingsOf(s.ID)
	for _, b := range bound {
		h := e.hosting(b)
		switch {
		case h.State == reconcile.HostingActive && e.orgDown(h.Org) == "":
			if !entitled(s) {
				e.add(reconcile.QuestionUp, s.ID, h.ID, e.whyUp(s, h))
			}
		default:
			e.add(reconcile.QuestionDown, s.ID, h.ID, e.whyDown(s, h))
		}
		e.add(reconcile.QuestionPlan, s.ID, h.ID, e.whyPlan(s, b, h))
	}
	if len(bound) == 0 && (entitled(s) || s.Status == reconcile.StatusIncomplete) {
		e.add(reconcile.QuestionDown, s.ID, 0, e.whyNone(s))
	}
	e.add(reconcile.QuestionWhen, s.ID, 0, e.when(s, bound))
	e.add(reconcile.QuestionPayment, s.ID, 0, whichPayment(s))
	e.add(reconcile.QuestionPayNow, s.ID, 0, e.ifPaid(s, bound))
	e.add(reconcile.QuestionPeriodEnd, s.ID, 0, e.atPeriodEnd(s))
}

// hosting is what is stored of a bound hosting.
func (e *explainer) hosting(b reconcile.Binding) *reconcile.Hosting {
	for i := range e.c.Hostings {
		if e.c.Hostings[i].ID == b.Hosting {
			return &e.c.Hostings[i]
		}
	}
	return &reconcile.Hosting{ID: b.Hosting, Org: b.Org}
}

// orgDown describes an org in which nothing is up; "" if that is not so.
func (e *explainer) orgDown(org string) string {
	switch o := e.c.Org; {
	case o == nil || o.ID != org:
	case o.Deleted:
		return "its organisation was deleted in the panel"
	case o.Suspended:
		return "its organisation is suspended in the panel, with everything in it"
	}
	return ""
}

// planned returns the reason of an action that a decision has for a hosting, or for an order
// of the subscription.
func planned(d Decision, kind reconcile.ActionKind, sub string, hosting int64) (a reconcile.Action, ok bool) {
	i := slices.IndexFunc(d.Actions, func(a reconcile.Action) bool {
		return a.Kind == kind && (hosting != 0 && a.Hosting == hosting || hosting == 0 && a.Subscription == sub)
	})
	if i < 0 {
		return a, false
	}
	return d.Actions[i], true
}

// holding returns the hold of one of these kinds that concerns a subscription or its hosting.
func holding(holds []reconcile.Hold, sub string, hosting int64, kinds ...reconcile.HoldKind) *reconcile.Hold {
	for _, kind := range kinds {
		for i := range holds {
			h := &holds[i]
			if h.Kind == kind && (h.Hosting != 0 && h.Hosting == hosting || h.Subscription == sub || h.Subscription == "" && h.Hosting == 0) {
				return h
			}
		}
	}
	return nil
}

// lastDone is the newest row of the journal by which we did something to a hosting.
func (e *explainer) lastDone(kind reconcile.ActionKind, hosting int64) *reconcile.ActionRecord {
	for i := range e.history { // the newest first
		r := &e.history[i]
		if r.Kind == kind && r.Hosting == hosting && (r.State == reconcile.ActionApplied || r.State == reconcile.ActionAdopted) {
			return r
		}
	}
	return nil
}

// hostings answers why there are several.
func (e *explainer) hostings() {
	live := map[int64][]string{}
	var order []int64
	for _, b := range e.c.Bindings {
		if h := e.hosting(b); h.State == reconcile.HostingActive || h.State == reconcile.HostingSuspended {
			if live[h.ID] == nil {
				order = append(order, h.ID)
			}
			live[h.ID] = append(live[h.ID], b.Subscription)
		}
	}
	var unbound []int64
	for i := range e.c.Hostings {
		h := &e.c.Hostings[i]
		if live[h.ID] == nil && !h.Bound && (h.State == reconcile.HostingActive || h.State == reconcile.HostingSuspended) {
			unbound = append(unbound, h.ID)
		}
	}
	if len(order)+len(unbound) > 1 {
		e.add(reconcile.QuestionHostings, "", 0, e.whySeveral(order, live, unbound))
	}
	for _, k := range e.c.Kin {
		for _, h := range k.Hostings {
			if h.State == reconcile.HostingActive || h.State == reconcile.HostingSuspended {
				e.add(reconcile.QuestionHostings, h.Subscription, h.Hosting, ofKin(&k, &h))
			}
		}
	}
}

// invitation answers what became of it.
func (e *explainer) invitation() {
	c := e.c
	invite, soon := planned(e.next, reconcile.InviteOwner, "", 0)
	hold := holding(e.holds, "", 0, reconcile.HoldNoEmail)
	var text string
	switch {
	case !c.Invited.IsZero():
		text = wasInvited(c)
	case c.OrgGuest:
		text = invitedByOther(c)
	case e.policy.Onboarding == reconcile.NoOnboarding:
		text = "no owner is invited, because ONBOARDING is none"
	case c.Org != nil && c.Org.OwnerEmail != "":
		text = hasOwner(c)
	case hold != nil:
		text = "no invitation was sent: " + hold.Reason
	case soon:
		text = "no invitation was sent yet: " + e.soon("invites "+invite.Email, false) + ", because " + invite.Reason
	case c.Org == nil:
		text = "no invitation was sent, because there is no organisation at the panel yet"
	default:
		text = "no invitation was sent: nothing in the organisation serves a subscription that is entitled to hosting"
	}
	if r := e.failedInvitation(); r != nil && c.Invited.IsZero() {
		text += ". The last try failed at " + reconcile.FormatTime(r.At()) + ": " + r.Error
	}
	e.add(reconcile.QuestionInvitation, "", 0, text)
}

// failedInvitation is the newest row of the journal about an invitation, if it failed.
func (e *explainer) failedInvitation() *reconcile.ActionRecord {
	for i := range e.history {
		if r := &e.history[i]; r.Kind == reconcile.InviteOwner {
			if r.State == reconcile.ActionFailed {
				return r
			}
			return nil
		}
	}
	return nil
}

// owner answers whether Stripe has another address or name than the panel.
func (e *explainer) owner() {
	c := e.c
	at := ""
	switch {
	case c.Org != nil && c.Org.OwnerEmail != "":
		at = c.Org.OwnerEmail
	case !c.Invited.IsZero():
		at = c.InvitedEmail
	}
	if now := reconcile.EmailKey(c.Email); at != "" && now != "" && reconcile.EmailKey(at) != now && !c.OrgGuest {
		e.add(reconcile.QuestionOwner, "", 0, otherEmail(c, at))
	}
	if c.Org != nil && c.OrgNamed && !c.OrgGuest && c.Name != "" && reconcile.NameKey(c.Org.Name) != reconcile.NameKey(c.Name) {
		e.add(reconcile.QuestionOwner, "", 0, otherName(c))
	}
}
