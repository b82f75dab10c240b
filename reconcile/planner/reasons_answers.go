package planner

import (
	"fmt"
	"slices"
	"strings"
	"time"

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

// describeContent lists the content of a hosting, for people. Its websites have been asked
// for: nothing is decided about content before that.
func describeContent(h *reconcile.Hosting) string {
	var parts []string
	if c := h.Content; c.Count > 0 {
		parts = append(parts, plural(int64(c.Count), "website")+" ("+strings.Join(c.Sites, ", ")+")")
		if c.Count > len(c.Sites) {
			parts[0] = fmt.Sprintf("%s (%s and %d more)", plural(int64(c.Count), "website"), strings.Join(c.Sites, ", "), c.Count-len(c.Sites))
		}
	}
	usage := slices.Clone(h.Usage)
	slices.SortFunc(usage, func(a, b reconcile.Usage) int { return strings.Compare(a.Name, b.Name) })
	for _, u := range usage {
		if u.Used <= 0 || passing[u.Name] || u.Name == "websites" && u.Used <= int64(h.Content.Count) {
			continue
		}
		if word := countsOf[u.Name]; word != "" {
			parts = append(parts, plural(u.Used, word))
		} else {
			parts = append(parts, fmt.Sprintf("%s %d", u.Name, u.Used))
		}
	}
	if h.Content.Unread != "" {
		parts = append(parts, "its websites cannot be listed: "+h.Content.Unread)
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

// plural is a number with its word.
func plural(n int64, word string) string {
	switch {
	case n == 1:
		return "1 " + word
	case strings.HasSuffix(word, "x") || strings.HasSuffix(word, "s"):
		return fmt.Sprintf("%d %ses", n, word)
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// hostingWithContent is one hosting in a list.
func hostingWithContent(l *assignment, h *reconcile.Hosting) string {
	return fmt.Sprintf("hosting %d of %s: %s", h.ID, l.Subscription, describeContent(h))
}

// notDeletedForContent is for a hosting with content at the end of its retention period.
func notDeletedForContent(h *reconcile.Hosting, parts []string) string {
	return fmt.Sprintf("hosting %d was to be deleted at the end of the retention period, but it holds %s, and the same customer keeps one that may hold less (%s): it is not deleted. "+
		"Move its content, or delete hosting %d in the panel if it is not wanted", h.ID, describeContent(h), strings.Join(parts[:min(len(parts), mostListed)], "; "), h.ID)
}

// replacesEmpty is for a hosting with content that takes the place of an empty one.
func (pl *planner) replacesEmpty(l, e *assignment, was string) string {
	return fmt.Sprintf("hosting %d of %s has %s, and hosting %d of %s has nothing on it: %s is served by hosting %d",
		l.Hosting, was, describeContent(&pl.c.Hostings[l.hosting]), e.Hosting, e.Subscription, l.Subscription, l.Hosting)
}

// emptyNotNeeded is for the empty hosting whose place another one has taken.
func emptyNotNeeded(e, l *assignment) string {
	return fmt.Sprintf("hosting %d, which has nothing on it, is not needed: hosting %d serves %s", e.Hosting, l.Hosting, e.Subscription)
}

// allHaveContent is for a quantity that fell while every hosting has content.
func (pl *planner) allHaveContent(c *contest, i int, l *assignment, n int) string {
	return fmt.Sprintf("%s, and every hosting of it has something on it (%s): nothing is taken away until a person has chosen. "+
		"Suspend the one that goes in the panel%s", l.reason, pl.list(c, i, l.sub), pl.chooseOne(l, n))
}

// contentWhileCreating is for a hosting with content while the same customer is about to get another one.
func (pl *planner) contentWhileCreating(l *assignment) string {
	return fmt.Sprintf("%s, but there is %s on hosting %d, and another hosting is about to be made for the same customer: nothing is taken away. "+
		"Suspend hosting %d in the panel if it is not wanted", l.reason, describeContent(&pl.c.Hostings[l.hosting]), l.Hosting, l.Hosting)
}

// othersMayHaveLess is for a hosting with content beside one that stays and may be empty.
func (pl *planner) othersMayHaveLess(c *contest, i int, l, other *assignment) string {
	return fmt.Sprintf("%s, but a hosting of the same customer that stays may have less on it (%s): nothing is taken away until a person has chosen. "+
		"%s keeps hosting %d; suspend it in the panel if it is not wanted",
		l.reason, pl.list(c, i, -1), pl.bindKept(l, other), l.Hosting)
}

// chooseOne is the other way to choose, where only one is left.
func (pl *planner) chooseOne(l *assignment, left int) string {
	if left > 1 {
		return ""
	}
	return fmt.Sprintf(", or name the one that stays in the metadata enhance_org_id and enhance_subscription_id of %s", l.Subscription)
}

// list names the hostings among which a person has to choose, with their content: that of
// assignment i, the others that go, and those that stay; of one subscription, or of all
// (-1).
func (pl *planner) list(c *contest, i, sub int) string {
	var parts []string
	more := 0
	for _, o := range slices.Concat([]int{i}, c.losers, c.keepers) {
		l := &pl.assignments[o]
		if o == i && len(parts) > 0 || sub >= 0 && l.sub != sub {
			continue
		}
		if len(parts) == mostListed {
			more++
			continue
		}
		parts = append(parts, hostingWithContent(l, &pl.c.Hostings[l.hosting]))
	}
	if more > 0 {
		parts = append(parts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, "; ")
}

// moreThanPlaces is for more hostings with content than a returning customer has units.
func (pl *planner) moreThanPlaces(c *contest, s int, full []int, first *assignment) string {
	return fmt.Sprintf("%s can have the hosting of a subscription that has ended, and more of them have something on them than there are places for (%s): all stay as they are until a person has chosen. "+
		"`%s` keeps hosting %d, and the same for another one",
		pl.subs[s].ID, pl.list(c, full[0], -1), BindCommand(pl.subs[s].ID, first.Hosting, pl.bindFlags(pl.subs[s].ID, first.Org, first.Hosting)...), first.Hosting)
}

// Drifted describes the changes of a hosting since it was last read; "" if nothing that
// matters has changed, or it was never read before.
func Drifted(was, is reconcile.Hosting) string {
	if was.State == 0 {
		return ""
	}
	text := ""
	switch {
	case was.State != is.State:
		text = fmt.Sprintf("is %s now and was %s", describeHosting(&is), was.State)
	case was.SuspendedBy != is.SuspendedBy && is.State != reconcile.HostingMissing:
		text = "is suspended by " + is.SuspendedBy + " now and was by " + was.SuspendedBy
	}
	if was.Plan != is.Plan && is.State != reconcile.HostingMissing {
		if text != "" {
			text += ", and "
		}
		text += fmt.Sprintf("is on plan %d now and was on plan %d", is.Plan, was.Plan)
	}
	if text == "" {
		return ""
	}
	if !was.ObservedAt.IsZero() && was.ObservedAt.Unix() > 0 { // zero where a look was asked for
		text += " (" + reconcile.FormatTime(was.ObservedAt) + ")"
	}
	return fmt.Sprintf("hosting %d %s", is.ID, text)
}

// whatIsThere describes a subscription and its hostings.
func whatIsThere(t *reconcile.Target, s *reconcile.Subscription) string {
	text := s.ID
	if t.Email != "" {
		text += " of " + t.Email
	}
	if t.Known {
		text += " is " + t.Status + " at Stripe"
	} else {
		text += " is not known at Stripe any more (in this account and mode)"
	}
	if len(t.Hostings) == 0 {
		return text + " and no hosting serves it"
	}
	for i, h := range t.Hostings {
		switch {
		case i == 0:
			text += "; "
		case i == len(t.Hostings)-1:
			text += " and "
		default:
			text += ", "
		}
		text += fmt.Sprintf("hosting %d is %s", h.ID, describeHosting(&h))
	}
	return text
}

// describeHosting is the state of a hosting, who caused it, and when it was seen.
func describeHosting(h *reconcile.Hosting) string {
	text := h.State.String()
	if h.State == reconcile.HostingSuspended {
		text += " by others"
		if !h.SuspendedByUs.IsZero() {
			text = h.State.String() + " by us since " + reconcile.FormatTime(h.SuspendedByUs)
		}
	}
	if h.ObservedAt.IsZero() || h.ObservedAt.Unix() <= 0 { // never, or a look is asked for
		return text
	}
	return text + " (seen " + reconcile.FormatTime(h.ObservedAt) + ")"
}

// whatFollows describes the changes that were made, are still to be made or are withheld,
// or why there are none.
func whatFollows(t *reconcile.Target, c *reconcile.Customer, s *reconcile.Subscription, counts [3]int, withheld string, p reconcile.Policy, now time.Time) (parts []string) {
	for i, word := range [...]string{"done", "failed", "still to do"} {
		if n := counts[i]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", changes(n), word))
		}
	}
	switch {
	case t.Withheld == 1:
		parts = append(parts, "withheld: "+withheld)
	case t.Withheld > 1:
		parts = append(parts, fmt.Sprintf("%d things withheld, the first: %s", t.Withheld, withheld))
	}
	if len(parts) > 0 {
		return parts
	}
	return []string{"nothing is to be done, because " + whyNothing(t, c, s, p, now)}
}

func changes(n int) string {
	if n == 1 {
		return "1 change"
	}
	return fmt.Sprintf("%d changes", n)
}

// whyNothing is why nothing is to be done.
func whyNothing(t *reconcile.Target, c *reconcile.Customer, s *reconcile.Subscription, p reconcile.Policy, now time.Time) string {
	for _, m := range c.Manual {
		if m.Kind == reconcile.Ignore && m.InForce(now) && (m.Subscription == "" || m.Subscription == s.ID) {
			return "a person holds it: ignore"
		}
	}
	switch none := len(t.Hostings) == 0; entitlementOf(s, p, now).desired {
	case desiredActive:
		if none {
			return "none of its prices buys a hosting"
		}
		return "that is the state that this status asks for"
	case desiredSuspended, desiredEnded:
		if none {
			return "nothing was made for it, and with this status nothing is"
		}
		return "that is the state that this status asks for"
	case desiredKeep:
	}
	return "with this status nothing is made, and nothing is taken away"
}
