package planner

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// The sentences of the planner for people, each as a named function: here those about
// subscriptions and prices, about hostings and orgs, and those that refuse an instruction; in
// reasons_holds.go those about what is held, in reasons_answers.go those about what a side
// answered, in reasons_forecast.go those about what comes. A sentence begins with the fact, in the terms of Stripe and the panel, and
// then names the command or the step that helps. It claims no more than is known: a
// subscription that Stripe calls active is not necessarily paid.

// isNoHosting is for a hosting whose item is mapped to none.
func isNoHosting(s *assessed, l *assignment, it *reconcile.Item, plan string) string {
	return fmt.Sprintf("hosting %d was made for item %s of %s, and its price %s is now mapped to none: the hosting stays as it is. "+
		"If that is right: `%s`, and then do with the hosting in the panel what you want; if it is hosting: `%s`",
		l.Hosting, it.ID, s.ID, it.Price, UnbindCommand(s.ID, l.Hosting), MapCommand(it.Price, plan))
}

// noItemIsHosting is for a hosting whose item is not known, in a subscription in which
// nothing is hosting.
func noItemIsHosting(s *assessed, l *assignment, prices string) string {
	return fmt.Sprintf("hosting %d is bound to %s, and everything in it (%s) is mapped to none: the hosting stays as it is. "+
		"If that is right: `%s`, and then do with the hosting in the panel what you want", l.Hosting, s.ID, prices, UnbindCommand(s.ID, l.Hosting))
}

// becameNoHosting is for a hosting whose item is gone, if another one that is mapped to none
// may need it.
func becameNoHosting(reason string, l *assignment, it *reconcile.Item) string {
	return fmt.Sprintf("%s, and item %s may need its hosting, whose price %s is mapped to none: hosting %d stays as it is. "+
		"If that is right: `%s`, and then do with the hosting in the panel what you want; if that price is hosting: `%s`",
		reason, it.ID, it.Price, l.Hosting, UnbindCommand(l.Subscription, l.Hosting), MapCommand(it.Price, "PLAN"))
}

// standing is a subscription with its status: "sub_1 is active".
func standing(s *assessed) string { return s.ID + is(s) }

// which is the same within a sentence: "sub_1, which is active".
func which(s *assessed) string { return s.ID + ", which" + is(s) }

// is is the status of a subscription, with the known facts about its payment.
func is(s *assessed) string { return reconcile.DescribeSubscription(s.Subscription) }

// planRef is a plan for people: its name and its number, on both sides of a comparison.
func (pl *planner) planRef(id int) string {
	if name := pl.planName(id); name != "" {
		return fmt.Sprintf("%q (%d)", name, id)
	}
	return fmt.Sprintf("%d, which the panel does not list,", id)
}

// firstOrder is the standing of the first subscription for which something is made.
func (pl *planner) firstOrder() string {
	for _, w := range pl.units {
		if w.assignment < 0 && !w.blocked {
			return standing(&pl.subs[w.sub])
		}
	}
	return "there is an order"
}

func isMissing(s *assessed, h *reconcile.Hosting, ways string) string {
	return fmt.Sprintf("hosting %d of org %s serves %s, and the panel no longer has it: it is not made again by itself; restore it in the panel%s", h.ID, h.Org, which(s), ways)
}

func wasDeleted(s *assessed, h *reconcile.Hosting, ways string) string {
	return fmt.Sprintf("hosting %d of org %s serves %s, and was deleted in the panel, not by us: restore it there before its data is purged%s", h.ID, h.Org, which(s), ways)
}

func suspendedByOthers(s *assessed, h *reconcile.Hosting) string {
	return fmt.Sprintf("hosting %d of org %s serves %s, but was suspended by others (staff, abuse): only they lift it, in the panel. "+
		"If it is to stay down, record that: `%s`", h.ID, h.Org, which(s), IgnoreCommand(s.ID, "suspended by staff"))
}

func perhapsOurs(s *assessed, h *reconcile.Hosting) string {
	return fmt.Sprintf("hosting %d of org %s serves %s, and is suspended with our mark in its name, but this database does not know of it: it was put back to an old copy, or staff suspended it after us. "+
		"If it is not to stay down, release the held plan of kind resume, which `stripe-enhance plans` shows", h.ID, h.Org, which(s))
}

// severalPlans is for a hosting whose live subscriptions are for different plans.
func (pl *planner) severalPlans(h *reconcile.Hosting) string {
	var all, ways []string
	for i := range pl.assignments {
		if l := &pl.assignments[i]; l.Hosting == h.ID && l.desired == desiredActive && l.plan.ID != 0 {
			all = append(all, l.Subscription+" for plan "+pl.planRef(l.plan.ID))
			ways = append(ways, "`"+UnbindCommand(l.Subscription, h.ID)+"`")
		}
	}
	return fmt.Sprintf("several live subscriptions are bound to hosting %d (%s): it keeps plan %s until one is left. Unbind the others: %s",
		h.ID, strings.Join(all, "; "), pl.planRef(h.Plan), strings.Join(ways, ", or "))
}

func usesMore(l *assignment, h *reconcile.Hosting, to, from, over string) string {
	return fmt.Sprintf("%s is for plan %s, which is smaller than what hosting %d uses (%s): it keeps plan %s until there is room. "+
		"The customer has to tidy up, or the price to change back at Stripe", l.Subscription, to, h.ID, over, from)
}

// itemUnknown is for a hosting whose item is not known, if none is left for it.
func (pl *planner) itemUnknown(s *assessed, l *assignment) string {
	text := fmt.Sprintf("hosting %d is bound to %s, and it is not known which of its items it serves", l.Hosting, s.ID)
	for i := range s.items {
		it := &s.items[i]
		switch t, ok := pl.cat.match(it); {
		case !ok:
			return text + fmt.Sprintf("; item %s (price %s) has no mapping: it stays as it is until `%s`", it.ID, it.Price, MapCommand(it.Price, pl.planOf(l)))
		case t.problem != "":
			return text + fmt.Sprintf("; which plan item %s is for is not known: it stays as it is; %s", it.ID, t.why)
		case pl.unclear(it):
			return text + fmt.Sprintf("; item %s asks for %d hostings: it stays as it is until that is a number that makes sense", it.ID, it.Quantity)
		}
	}
	return text + fmt.Sprintf("; as many others serve it as it asks for: it stays as it is. If it is not needed: `%s`, and then suspend or delete it in the panel", UnbindCommand(s.ID, l.Hosting))
}

// suspendedThen stands in the sentence about a grace period that ends with a suspension.
const suspendedThen = "is suspended then"

// inGrace describes what follows when the grace period of a subscription ends.
func (pl *planner) inGrace(i int) string {
	s := &pl.subs[i]
	text, ends := standing(s), reconcile.FormatTime(s.graceEnds)
	bound, up, others := false, false, true
	for j := range pl.assignments {
		l := &pl.assignments[j]
		if l.sub != i || l.Hosting == 0 {
			continue
		}
		bound = true
		if l.hosting < 0 || pl.c.Hostings[l.hosting].State == reconcile.HostingActive || !pl.c.Hostings[l.hosting].SuspendedByUs.IsZero() {
			up = true
			others = others && pl.keptByOther(l)
		}
	}
	m := pl.forbids(reconcile.Action{Kind: reconcile.Suspend, Subscription: s.ID})
	switch {
	case !bound:
		return fmt.Sprintf("%s: no hosting is bound to it yet; the grace period ends at %s, and nothing is made for it after that", text, ends)
	case !up:
		return fmt.Sprintf("%s: nothing of it is up that could be suspended when the grace period ends at %s", text, ends)
	case m != nil && (m.Until.IsZero() || m.Until.After(s.graceEnds)):
		return fmt.Sprintf("%s: the grace period ends at %s, and it stays up then too: %s by %s", text, ends, m.Kind, m.Author)
	case pl.policy.Mode != reconcile.Enforce:
		return fmt.Sprintf("%s: the grace period ends at %s, and it stays up then too, because MODE is %s", text, ends, pl.policy.Mode)
	case others:
		return fmt.Sprintf("%s: the grace period ends at %s, and its hosting stays up then too, for another subscription", text, ends)
	}
	return fmt.Sprintf("%s: it stays up until %s and "+suspendedThen+" unless Stripe reports active", text, ends)
}

// keptByOther reports whether another subscription, which is not in its grace period,
// keeps the hosting of an assignment up.
func (pl *planner) keptByOther(l *assignment) bool {
	return slices.ContainsFunc(pl.assignments, func(o assignment) bool {
		return o.Hosting == l.Hosting && o.sub >= 0 && o.sub != l.sub && (o.desired == desiredKeep || o.desired == desiredActive && pl.subs[o.sub].graceEnds.IsZero())
	})
}

func tooMany(s *assessed, it *reconcile.Item) string {
	return fmt.Sprintf("item %s of %s asks for %d hostings, and 0 to %d make sense: is a metered price mapped? Nothing is created or taken away for it. "+
		"If its price %s is no hosting: `%s`", it.ID, s.ID, it.Quantity, reconcile.MaxUnits, it.Price, MapCommand(it.Price, reconcile.NotHosting))
}

// noneMapped is for a subscription without a mapped price.
func noneMapped(s *assessed, unmapped []reconcile.Item) string {
	if len(unmapped) == 0 {
		return fmt.Sprintf("no price of %s is mapped to a plan (%s): see it with `%s`", s.ID, priceList(unmapped), LookCommand(s.ID))
	}
	price := firstPrice(unmapped)
	return fmt.Sprintf("no price of %s is mapped to a plan (%s): `%s` (`stripe-enhance mappings suggest` proposes plans), or `%s` if it is no hosting",
		s.ID, priceList(unmapped), MapCommand(price, "PLAN"), MapCommand(price, reconcile.NotHosting))
}

// firstPrice is the price that a command names where one has to be mapped.
func firstPrice(items []reconcile.Item) string {
	if len(items) == 0 {
		return "PRICE"
	}
	return items[0].Price
}

// isGone is for a subscription that Stripe does not know.
func (pl *planner) isGone(i int) string {
	s, ways := &pl.subs[i], []string{}
	for j := range pl.assignments {
		if pl.assignments[j].sub == i && pl.assignments[j].Hosting != 0 {
			ways = append(ways, "`"+UnbindCommand(s.ID, pl.assignments[j].Hosting)+"`")
		}
	}
	return fmt.Sprintf("%s does not exist at Stripe, though a hosting is bound to it: is this the right account's key? `stripe-enhance check` shows which it is. "+
		"The hosting stays as it is; if the subscription is gone for good: %s", s.ID, strings.Join(ways, " and "))
}

// namesOtherOrg is for metadata that names a hosting and not the customer's org.
func (pl *planner) namesOtherOrg(s *assessed, hosting int64) string {
	if pl.c.Org == nil { // and the metadata names none: with one it would be looked at
		return fmt.Sprintf("the metadata of %s names hosting %d and no org: name its org with `%s`, or take it out with `%s`",
			s.ID, hosting, MetadataCommand(s.ID, "enhance_org_id", "ORG"), MetadataCommand(s.ID, "enhance_subscription_id", ""))
	}
	return fmt.Sprintf("the metadata of %s names hosting %d of org %s, and the customer's org is %s: if it is that hosting in that org, `%s`; "+
		"if the org is wrong, `%s`", s.ID, hosting, s.MetadataOrg, pl.c.Org.ID,
		BindCommand(s.ID, hosting, "--other-org"), MetadataCommand(s.ID, "enhance_org_id", pl.c.Org.ID))
}

// whereIs describes where a hosting is that was expected in an org.
func whereIs(h *reconcile.Hosting, org string) string {
	if servable(h.State) && h.Org != org {
		return "it is in org " + h.Org
	}
	return "it is " + h.State.String()
}

// orderOf is the first subscription with a unit that has no hosting.
func (pl *planner) orderOf() string {
	for _, w := range pl.units {
		if w.assignment < 0 {
			return pl.subs[w.sub].ID
		}
	}
	return "SUBSCRIPTION"
}

func orgIDs(all []reconcile.Org) (ids []string) {
	for i := range all {
		ids = append(ids, all[i].ID)
	}
	slices.Sort(ids)
	return ids
}

func namedIsMissing(s *assessed, h *reconcile.Hosting, org string) string {
	return fmt.Sprintf("the metadata of %s names hosting %d of org %s, and at the panel %s: correct the metadata, or take it out with `%s`",
		s.ID, s.MetadataHosting, org, whereIs(h, org), MetadataCommand(s.ID, "enhance_subscription_id", ""))
}

// planNotAtPanel is for a mapping to a plan that does not exist.
func planNotAtPanel(m reconcile.Mapping) string {
	return fmt.Sprintf("the mapping of %s names the plan %q, which the panel does not have: create it there, or run `stripe-enhance mappings set %s PLAN`",
		m.BillingID, m.Plan, m.BillingID)
}

// planNameTwice is for a mapping to a name that several plans have.
func planNameTwice(m reconcile.Mapping, ids []int) string {
	return fmt.Sprintf("the mapping of %s names the plan %q, and the panel has %d plans of that name (ids %v): map to one of the ids instead, such as `%s`",
		m.BillingID, m.Plan, len(ids), ids, MapCommand(m.BillingID, strconv.Itoa(ids[0])))
}

// why is the reason for a state that takes something away, as a sentence.
func (v entitlement) why(s *reconcile.Subscription) string {
	switch {
	case v.disputed != nil:
		return isDisputed(v, s)
	case v.paused:
		return fmt.Sprintf("collection of %s is paused at Stripe and PAUSED_COLLECTION is suspend", s.ID)
	case s.Status == reconcile.StatusPastDue && v.grace > 0:
		return fmt.Sprintf("%s is past_due since %s and the grace period of %s is over", s.ID, reconcile.FormatTime(s.Lapse.Begun()), reconcile.FormatDuration(v.grace))
	case s.Status == reconcile.StatusPastDue:
		return fmt.Sprintf("%s is past_due and there is no grace period", s.ID)
	case v.desired == desiredEnded && !s.EndedAt.IsZero():
		return fmt.Sprintf("%s is %s since %s", s.ID, v.status, reconcile.FormatTime(s.EndedAt))
	}
	return fmt.Sprintf("%s is %s", s.ID, v.status)
}

// setAside is for a customer that is parked.
func setAside(c *reconcile.Customer) string {
	return fmt.Sprintf("set aside at %s after %d failures in a row, the last: %s; tried again every few hours, or now with `stripe-enhance reconcile --subscription %s`",
		reconcile.FormatTime(c.Parked), c.Failures, c.LastError, newestSubscription(c))
}

// sideFailed is for an outage of Stripe or Enhance.
func sideFailed(c *reconcile.Customer) string {
	return fmt.Sprintf("one of the sides could not be used, which does not count against this customer: %s; tried again at %s", c.LastError, reconcile.FormatTime(c.RetryAfter))
}

// failedInARow is for a customer that is backed off.
func failedInARow(c *reconcile.Customer) string {
	return fmt.Sprintf("failed %d times in a row, the last: %s; tried again at %s", c.Failures, c.LastError, reconcile.FormatTime(c.RetryAfter))
}

func answerUnreadable(s *assessed, why string) string {
	return fmt.Sprintf("Stripe's answer about %s cannot be read (%s): nothing is given and nothing is taken away. See it with `%s`; it is read again in every full run", s.ID, why, LookCommand(s.ID))
}

func statusNotKnown(s *assessed) string {
	return fmt.Sprintf("%s has the status %q, which this version does not know: nothing is given and nothing is taken away. See it with `%s`", s.ID, s.StatusText, LookCommand(s.ID))
}

// newestSubscription is one by which a person can ask for the customer: the newest.
func newestSubscription(c *reconcile.Customer) string {
	if len(c.Subscriptions) == 0 {
		return "sub_…"
	}
	return slices.MaxFunc(c.Subscriptions, func(a, b reconcile.Subscription) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	}).ID
}

func priceList(items []reconcile.Item) string {
	if len(items) == 0 {
		return "it has no items"
	}
	var b strings.Builder
	for i := range items {
		if i == 5 {
			fmt.Fprintf(&b, " and %d more", len(items)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(items[i].Price)
	}
	return b.String()
}

func metadataUnreadable(s *assessed, key, text, want string) string {
	return fmt.Sprintf("the metadata %s of %s is %q, and %s is wanted: correct it, or take it out with `%s`; nothing is made for this subscription until then", key, s.ID, text, want, MetadataCommand(s.ID, key, ""))
}

func domainUnreadable(s *assessed) string {
	return fmt.Sprintf("%s was ordered with the domain %q, which is none that a website can have: put the right one into its metadata with `%s`, or make the website in the panel and remove it there; the hosting itself is not concerned", s.ID, reconcile.Truncate(s.Domain), MetadataCommand(s.ID, "domain", "DOMAIN"))
}

// heldByPerson is for a manual hold: of an action, of a subscription, or of the customer.
func heldByPerson(m *reconcile.ManualHold, a reconcile.Action) string {
	what := "nothing is done for this customer"
	switch {
	case a.ID != "":
		what = a.Kind.String() + " is withheld"
	case a.Subscription != "":
		what = "nothing is done for " + a.Subscription
	}
	until := "until it is removed"
	if !m.Until.IsZero() {
		until = "until " + reconcile.FormatTime(m.Until)
	}
	reason := fmt.Sprintf("%s: %s by %s %s", what, m.Kind, m.Author, until)
	if m.Reason != "" {
		reason += " (" + m.Reason + ")"
	}
	if m.ID != "" {
		reason += "; `stripe-enhance holds remove " + m.ID + "` ends it"
	}
	return reason
}

func heldByMode(a reconcile.Action, mode reconcile.Mode) string {
	return a.Kind.String() + " is withheld because MODE is " + mode.String() + ": " + a.Reason
}

func noMapping(it reconcile.Item) string { return "no mapping for price " + it.Price }

func mappedToNone(it reconcile.Item) string {
	return "price " + it.Price + " is mapped to none: it is no hosting"
}

// lacksHosting is the reason to create a hosting.
func (pl *planner) lacksHosting(s *assessed, u *unit) string {
	return fmt.Sprintf("%s and is for plan %s, and there is no hosting for it", standing(s), pl.planRef(u.plan.ID))
}

// formerly names the hosting of an ended subscription of another Stripe customer with the
// same e-mail. Both may be the same customer, which only a person can know.
func (pl *planner) formerly(sub string) string {
	for i := range pl.c.Kin {
		for _, h := range pl.c.Kin[i].Hostings {
			if h.Ended && servable(h.State) && !pl.served(h.Hosting) {
				return fmt.Sprintf("; %s, with the same e-mail, had hosting %d for %s, which has ended: if this customer is back for it, run `%s`",
					pl.c.Kin[i].ID, h.Hosting, h.Subscription, BindCommand(sub, h.Hosting, pl.bindFlags(sub, pl.c.Kin[i].Org.ID, h.Hosting)...))
			}
		}
	}
	return ""
}

// sameMarker is for two hostings with one marker, neither of them bound.
func (pl *planner) sameMarker(h *reconcile.Hosting, m reconcile.Marker, other int64) string {
	return fmt.Sprintf("hosting %d in org %s carries the marker %s of hosting %d too: delete the one that is not used in the panel, nothing is created or bound until then; or, if hosting %d is the one that is used: `%s`",
		h.ID, h.Org, h.Marker(), other, h.ID, BindCommand(m.StripeID, h.ID, pl.bindFlags(m.StripeID, h.Org, h.ID)...))
}

// secondForUnit is for a hosting whose marker names the slot of another one that is bound.
func (pl *planner) secondForUnit(h *reconcile.Hosting, m reconcile.Marker, other int64, by string) string {
	return fmt.Sprintf("hosting %d in org %s carries the marker %s of hosting %d, to which %s is bound: two were made for one unit. "+
		"Delete the one that is not used in the panel; where hosting %d is the one that is used, run `%s` before that. "+
		"Nothing is created for %s until then",
		h.ID, h.Org, h.Marker(), other, by, h.ID, pl.bindInstead(by, other, h), m.StripeID)
}

func createWithheld(a reconcile.Action, reason string) string {
	return fmt.Sprintf("%s is withheld (%s): %s", a.Kind, a.Reason, reason)
}

func changeWithheld(a reconcile.Action, reason string) string {
	return fmt.Sprintf("%s of hosting %d is withheld (%s): %s", a.Kind, a.Hosting, a.Reason, reason)
}

func stateNotKnown(h *reconcile.Hosting) string {
	return fmt.Sprintf("hosting %d of org %s is in a state that this version does not know: nothing is changed", h.ID, h.Org)
}

// paidStateNotKnown is the same for a hosting that is paid for, and so may need a person.
func paidStateNotKnown(h *reconcile.Hosting) string {
	return stateNotKnown(h) + "; look at it in the panel"
}

// resumesPerhapsOurs is the reason of a resume that a person has to approve.
func resumesPerhapsOurs(s *assessed, h *reconcile.Hosting) string {
	return fmt.Sprintf("%s, and the suspension of hosting %d is perhaps ours", standing(s), h.ID)
}

// lapseNotRead is for a change of plan while the start of the grace period is not known.
func (pl *planner) lapseNotRead(l *assignment, h *reconcile.Hosting) string {
	return fmt.Sprintf("%s is past_due, and since when could not be read: hosting %d keeps plan %s until that can be read or Stripe reports active", l.Subscription, h.ID, pl.planRef(h.Plan))
}

// smallerBesideOther is for a smaller plan while another subscription of the hosting cannot be judged.
func (pl *planner) smallerBesideOther(cl demand, h *reconcile.Hosting) string {
	return fmt.Sprintf("%s is for the smaller plan %s, but another subscription bound to hosting %d cannot be judged: it keeps plan %s", cl.lead.Subscription, pl.planRef(cl.plan.ID), h.ID, pl.planRef(h.Plan))
}

// isForPlan is the reason of a change of plan.
func (pl *planner) isForPlan(cl demand, h *reconcile.Hosting) string {
	return fmt.Sprintf("%s and is for plan %s; hosting %d has plan %s", standing(&pl.subs[cl.lead.sub]), pl.planRef(cl.plan.ID), h.ID, pl.planRef(h.Plan))
}

// usedOf is one resource of which more is used than a plan gives.
func usedOf(u reconcile.Usage, limit int64) string {
	return fmt.Sprintf("%s %d of %d", u.Name, u.Used, limit)
}

// retentionIsOver is the reason of a deletion.
func (pl *planner) retentionIsOver(cl demand, h *reconcile.Hosting) string {
	return fmt.Sprintf("%s; hosting %d is suspended since %s and the retention period of %s is over", cl.lead.reason, h.ID, reconcile.FormatTime(h.SuspendedByUs), reconcile.FormatDuration(pl.policy.Retention))
}

// backupIsMissing is the reason of a backup.
func (pl *planner) backupIsMissing(cl demand, h *reconcile.Hosting) string {
	return fmt.Sprintf("%s, and hosting %d is to be deleted; its website %s has no backup since the suspension at %s", cl.lead.reason, h.ID, h.Backups.Lacking, reconcile.FormatTime(h.SuspendedByUs))
}

func backupUnderWay(h *reconcile.Hosting) string {
	return fmt.Sprintf("hosting %d is deleted once its websites are saved: the backup of %s, which began at %s, is under way", h.ID, h.Backups.Lacking, reconcile.FormatTime(h.Backups.Began))
}

func backupFailed(h *reconcile.Hosting) string {
	return fmt.Sprintf("hosting %d is not deleted, because the backup of its website %s, which began at %s, failed in the panel: correct the cause there; it is made again a day later", h.ID, h.Backups.Lacking, reconcile.FormatTime(h.Backups.Failed))
}

func backupRefused(h *reconcile.Hosting) string {
	return fmt.Sprintf("hosting %d is not deleted, because the panel does not show the backups of its websites (%s): correct that in the panel, or set BACKUP_BEFORE_TERMINATE=false", h.ID, h.Backups.Refused)
}

// neverAnswered is for a write whose outcome is not known.
func neverAnswered(p *reconcile.Pending) string {
	return fmt.Sprintf("%s was sent at %s and never answered: it is looked for, and not sent again before two complete looks after %s found nothing",
		p.Kind, reconcile.FormatTime(p.SentAt), reconcile.FormatTime(p.SettleUntil))
}

func linkReason(l *assignment) string {
	if l.reason != "" {
		return l.reason
	}
	return fmt.Sprintf("hosting %d now serves item %s of %s", l.Hosting, l.Item, l.Subscription)
}

// markedElsewhere is for a marked hosting outside of the customer's org.
func (pl *planner) markedElsewhere(h *reconcile.Hosting, m reconcile.Marker) string {
	return fmt.Sprintf("hosting %d in org %s carries the marker %s, but the customer's org is %s: move or rename it in the panel; or, if it serves it there: `%s`", h.ID, h.Org, m, pl.c.Org.ID, BindCommand(m.StripeID, h.ID, pl.bindFlags(m.StripeID, h.Org, h.ID)...))
}

func carriesMarker(h *reconcile.Hosting, m reconcile.Marker) string {
	return fmt.Sprintf("hosting %d carries our marker %s", h.ID, m)
}

func goneWithMarker(h *reconcile.Hosting, m reconcile.Marker) string {
	if h.State == reconcile.HostingMissing {
		return fmt.Sprintf("hosting %d, which the panel no longer has, carries our marker %s", h.ID, m)
	}
	return fmt.Sprintf("hosting %d, which was deleted in the panel, carries our marker %s", h.ID, m)
}

func metadataNames(s *assessed) string {
	return fmt.Sprintf("the metadata of %s names hosting %d", s.ID, s.MetadataHosting)
}

// customerIsBack is for the hosting of an ended subscription that a new one takes over.
func customerIsBack(old, sub string, hosting int64) string {
	return fmt.Sprintf("%s has ended and the customer is back with %s: hosting %d is taken over", old, sub, hosting)
}

func namedIsBound(sub string, hosting int64) string {
	return fmt.Sprintf("that one is bound to %s, see `%s`", sub, UnbindCommand(sub, hosting))
}

// namedBesideBound is for metadata that names another hosting than the one that is bound.
func (pl *planner) namedBesideBound(s *assessed, bound *assignment, org, why string) string {
	return fmt.Sprintf("the metadata of %s names hosting %d of org %s, and hosting %d is bound, which goes on serving it: %s. If hosting %d is the one: `%s`; if not, correct the metadata enhance_subscription_id",
		s.ID, s.MetadataHosting, org, bound.Hosting, why, s.MetadataHosting, BindCommand(pl.unit(s.ID, bound.Slot), s.MetadataHosting, pl.bindFlags(s.ID, org, s.MetadataHosting)...))
}

// namedReplaces is for the hosting that the metadata names when it takes the place of another one.
func namedReplaces(sub string, named, bound int64, why string) string {
	return fmt.Sprintf("the metadata of %s names hosting %d, and hosting %d, which was bound, %s", sub, named, bound, why)
}

// namedInstead is for the empty hosting in whose place the named one comes.
func namedInstead(e *assignment, sub string, named int64) string {
	return fmt.Sprintf("hosting %d, which has nothing on it, is not needed: the metadata of %s names hosting %d", e.Hosting, sub, named)
}

// namedServesOther is for metadata that names the hosting of another customer.
func (pl *planner) namedServesOther(sub string, o *reconcile.Hosting) string {
	return fmt.Sprintf("the metadata of %s names hosting %d of org %s, which serves %s of another customer: nothing is made for %s. Correct the metadata; or, if that one is wrong, `%s` and then `%s`",
		sub, o.ID, o.Org, o.Serves, sub, UnbindCommand(o.Serves, o.ID), BindCommand(sub, o.ID, pl.bindFlags(sub, o.Org, o.ID)...))
}

// suspensionWasOurs is the reason of a resume.
func suspensionWasOurs(s *assessed, h *reconcile.Hosting) string {
	return standing(s) + ": the suspension of " + reconcile.FormatTime(h.SuspendedByUs) + " was ours and is lifted"
}

func orderedDomain(s *assessed) string { return s.ID + " was ordered with the domain " + s.domain }

// The rest of the sentence of namedBesideBound: why the named hosting does not take over.
const (
	namedWasUnbound = "a person has unbound the named one"
	bothAreThere    = "both are there"
)

func notTheOrg(org string) string { return "that is not the customer's org " + org }

const metadataIsEmpty = "Stripe's metadata does not name the hosting yet"

func orgWasDeleted(o *reconcile.Org) string {
	return fmt.Sprintf("org %s of this customer was deleted in the panel: restore it there; no second one is made", o.ID)
}

func orgIsSuspended(o *reconcile.Org) string {
	return fmt.Sprintf("org %s of this customer is suspended in the panel, not by us: nothing is created in it", o.ID)
}

// secondOrg is for an org with the marker of a customer that has another one.
func (pl *planner) secondOrg(o *reconcile.Org) string {
	return fmt.Sprintf("org %s (%q) carries this customer's marker, and the customer's org is %s: two were made. Delete the one that is not used in the panel, "+
		"or take the marker out of its name", o.ID, o.Name, pl.c.Org.ID)
}

func hostingsInOrgs(orgs []string) string {
	return fmt.Sprintf("hostings with this customer's markers are in %d orgs (%v): move them into one in the panel", len(orgs), orgs)
}

func (pl *planner) orgsWithMarker(marked []string) string {
	return fmt.Sprintf("%d orgs carry the marker [%s] (%v): delete the empty ones in the panel, nothing is created until then", len(marked), pl.c.ID, marked)
}

func metadataNamesOrgs(named []string) string {
	return fmt.Sprintf("the metadata of this customer's subscriptions names %d orgs (%v): leave the right one", len(named), named)
}

func orgOfSameOwner(o *reconcile.Org) string {
	return fmt.Sprintf("org %q belongs to the same e-mail: its owner at the panel has it", o.Name)
}

func (pl *planner) ownsOrgs(owned []reconcile.Org) string {
	return fmt.Sprintf("%d orgs are owned by %s (%v): name the right one with `%s`", len(owned), pl.c.Email, orgIDs(owned), MetadataCommand(pl.orderOf(), "enhance_org_id", "ORG"))
}

func (pl *planner) hasOwners(o *reconcile.Org) string {
	return fmt.Sprintf("org %s (%q) is owned by %s and has %d owners: name the right org with `%s`", o.ID, o.Name, pl.c.Email, len(o.Owners), MetadataCommand(pl.orderOf(), "enhance_org_id", o.ID))
}

func orgWasThere(o *reconcile.Org) string {
	return fmt.Sprintf("org %q was there before and its only owner has the customer's e-mail", o.Name)
}

func othersInOrg(org, sub string) string {
	return fmt.Sprintf("org %s has no owner, and hosting of %s, another Stripe customer's, is in it: invite the right owner in the panel; no invitation is sent until then", org, sub)
}

func unknownInOrg(org string, hosting int64) string {
	return fmt.Sprintf("org %s has no owner, and hosting %d, which is bound to no subscription and has no marker, is in it: it may be another Stripe customer's. Bind it, "+
		"or invite the right owner in the panel; no invitation is sent until then", org, hosting)
}

func hasNoEmail(buyer reconcile.StripeCustomer) string {
	return fmt.Sprintf("customer %s has no e-mail at Stripe, so no invitation can be sent: enter it with `%s`", buyer.ID, EmailCommand(buyer.ID))
}

func emailNotValid(buyer reconcile.StripeCustomer) string {
	return fmt.Sprintf("the e-mail %q of customer %s is no address, so no invitation can be sent: correct it with `%s`", reconcile.Truncate(buyer.Email), buyer.ID, EmailCommand(buyer.ID))
}

// The reasons of actions on orgs.
const (
	hostingsAreHere  = "the customer's hostings are in this org"
	hostingWasHere   = "a hosting of this customer was in this org"
	metadataNamesOrg = "the metadata enhance_org_id names this org"
	nameOfNewOrg     = "when the org is bound its name no longer needs the marker"
	nameOfBoundOrg   = "the org is bound: its name no longer needs the marker"
	ownerOfNewOrg    = "the new org needs its owner"
	ownerNotInvited  = "no owner has been invited to the org yet"
)

func (pl *planner) lacksOrg() string {
	return pl.firstOrder() + ", and its customer has no org at the panel"
}

func (pl *planner) orgWithMarker() string {
	return "the org carries our marker [" + pl.c.ID + "]: an earlier creation was not heard of"
}

// inviteWanted is for an address that a person has chosen.
func inviteWanted(c *reconcile.Customer) string {
	return fmt.Sprintf("invited at %s instead of %s, which has not accepted the invitation, by %s", c.InviteWanted, c.InvitedEmail, c.InviteWhy)
}

// nameWanted is for a name that a person has chosen.
func nameWanted(c *reconcile.Customer) string {
	return fmt.Sprintf("renamed from %q by %s", c.Org.Name, c.NameWhy)
}

func orderedGroupUnreadable(s *assessed) string {
	return fmt.Sprintf("the metadata server_group of %s is %q, which is no UUID of a server group: correct it with `%s`", s.ID, s.ServerGroup, MetadataCommand(s.ID, "server_group", "UUID"))
}

func phpNotAllowed(php string, p reconcile.EnhancePlan) string {
	return fmt.Sprintf("plan %d (%s) does not allow %s; it allows %s", p.ID, p.Name, php, strings.Join(p.Sites.PHP, ", "))
}

func groupNotAllowed(group string, p reconcile.EnhancePlan) string {
	if len(p.Sites.ServerGroups) == 0 {
		return fmt.Sprintf("plan %d (%s) allows no choice of a server group, so a website cannot be in %s: allow it in the panel", p.ID, p.Name, group)
	}
	return fmt.Sprintf("plan %d (%s) does not offer the server group %s; it offers %s", p.ID, p.Name, group, strings.Join(p.Sites.ServerGroups, ", "))
}

// optionOf is for a mapping with an option that its plan does not allow.
func optionOf(m reconcile.Mapping, problem string) string {
	return fmt.Sprintf("the mapping of %s: %s", m.BillingID, problem)
}

// websiteWaits is for a website that cannot be made as it was ordered.
func websiteWaits(s *assessed, problem string) string {
	return fmt.Sprintf("the website %s of %s waits: %s. The hosting itself is up; `stripe-enhance mappings list` shows the options that its mapping asks for", s.domain, s.ID, problem)
}

// domainIsTaken is for a website whose domain the panel does not give it: where the domain
// is, and what a person can do.
func (pl *planner) domainIsTaken(s *assessed, h *reconcile.Hosting) string {
	place, remedy := "it is taken or not valid", "remove it where it is"
	switch u := h.DomainUse; {
	case u.Domain != s.domain:
	case u.Refused != "":
		place, remedy = reconcile.Truncate(u.Refused), "remove the cause in the panel"
	case u.Status == reconcile.DomainOwnOrg:
		place, remedy = "a website of the same customer has it"+placeOf(u), "it may be all that was ordered; else remove that website, or move it in the panel"
	case u.Status == reconcile.DomainOtherOrg:
		place, remedy = "a website of another org has it"+placeOf(u), "ask both whose it is, and remove it there"
	case u.Status == reconcile.DomainDeletedSite:
		place, remedy = "a deleted website has it", "restore that website, or have the panel purge it"
	case u.Status == reconcile.DomainProhibited:
		place, remedy = "the panel prohibits it", "allow it in the panel"
	}
	return fmt.Sprintf("the panel refuses the domain %s of %s: %s. To do: %s, or correct the domain with `%s`; the hosting itself is up", s.domain, s.ID, place, remedy, MetadataCommand(s.ID, "domain", "DOMAIN"))
}

// placeOf is where a website is, as far as it is known.
func placeOf(u reconcile.DomainUse) string {
	switch {
	case u.Hosting != 0:
		return fmt.Sprintf(" (hosting %d in org %s)", u.Hosting, u.Org)
	case u.Org != "":
		return fmt.Sprintf(" (org %s)", u.Org)
	}
	return ""
}

// secondTrial is for a subscription in trial whose customer had one before.
func secondTrial(s *assessed) string {
	return fmt.Sprintf("%s, and its customer had a trial with %s since %s: nothing is made for it before it is active (TRIALS=one). If the customer may have a second one: `%s`",
		standing(s), s.trialBefore.ID, reconcile.FormatTime(s.trialBefore.TrialStart), BindNewCommand(s.ID))
}

// upgradeNotPaid is for a change to a plan with more, while it is not paid.
func (pl *planner) upgradeNotPaid(cl demand, h *reconcile.Hosting) string {
	s := &pl.subs[cl.lead.sub]
	open := ""
	if !s.UnpaidChange.IsZero() {
		open = fmt.Sprintf(", and the invoice of a change, due at %s, is open", reconcile.FormatTime(s.UnpaidChange))
	}
	return fmt.Sprintf("%s%s: hosting %d stays on plan %s, and gets plan %s when that is paid (UNPAID_UPGRADE=hold)",
		standing(s), open, h.ID, pl.planRef(h.Plan), pl.planRef(cl.plan.ID))
}

func mappingGone(s *assessed, it *reconcile.Item) string {
	return fmt.Sprintf("price %s of %s has a hosting but no mapping any more: it stays as it is; map the price again with `stripe-enhance mappings set %s PLAN`",
		it.Price, s.ID, it.Price)
}

func quantityOutOfRange(s *assessed, it *reconcile.Item) string {
	return fmt.Sprintf("item %s of %s asks for %d hostings: those that it has stay as they are", it.ID, s.ID, it.Quantity)
}

func quantityFell(s *assessed, l *assignment) string {
	return fmt.Sprintf("item %s of %s now has quantity %d", l.Item, s.ID, s.item(l.Item).Quantity)
}

// replacedByUnmapped is for an ended subscription that one without a mapping may have replaced.
func (pl *planner) replacedByUnmapped(reason string, n *assessed, l *assignment) string {
	return fmt.Sprintf("%s, but %s (%s) has come without a mapping: hosting %d stays as it is until `%s`",
		reason, n.ID, priceList(pl.unmapped(n)), l.Hosting, MapCommand(firstPrice(pl.unmapped(n)), pl.planOf(l)))
}

// waitsForOther is for the hosting of an ended subscription that the metadata of another one names.
func waitsForOther(reason string, n *assessed, l *assignment) string {
	names := "names"
	if n.unclear() {
		names = "cannot be read and may mean"
	}
	return fmt.Sprintf("%s, but the metadata of %s (%s) %s hosting %d: it stays as it is until that one can be given it, or has ended",
		reason, n.ID, n.status, names, l.Hosting)
}

// foundActive is for the hosting of an ended subscription that was active when it was discovered.
func foundActive(reason string, l *assignment) string {
	return fmt.Sprintf("%s, but hosting %d was found up at %s, when this database knew nothing of it: a customer who came back may be using it; suspend it in the panel if none does, or bind it to the subscription that it serves: `%s`",
		reason, l.Hosting, reconcile.FormatTime(l.At), bindCommand("SUBSCRIPTION", reconcile.FormatID(l.Hosting), "it is its hosting", "--other-marker"))
}

func newItemUnmapped(reason string, it *reconcile.Item, l *assignment) string {
	return fmt.Sprintf("%s, and %s (price %s) has come without a mapping: hosting %d stays as it is until `stripe-enhance mappings set %s PLAN`",
		reason, it.ID, it.Price, l.Hosting, it.Price)
}

func newItemWithoutPlan(reason string, it *reconcile.Item, l *assignment, why string) string {
	return fmt.Sprintf("%s, and which plan %s is for is not known: hosting %d stays as it is; %s", reason, it.ID, l.Hosting, why)
}

func newItemOutOfRange(reason string, it *reconcile.Item, l *assignment) string {
	return fmt.Sprintf("%s, and %s asks for %d hostings: hosting %d stays as it is", reason, it.ID, it.Quantity, l.Hosting)
}

// otherIsGone is for a hosting that may be the only one left.
func (pl *planner) otherIsGone(reason string, o, l *assignment) string {
	return fmt.Sprintf("%s, but hosting %d, which serves %s, is gone: hosting %d stays as it is until that one is restored or unbound (`%s`)",
		reason, o.Hosting, which(&pl.subs[o.sub]), l.Hosting, UnbindCommand(o.Subscription, o.Hosting))
}

// namedIsGone is for a hosting that may be the only one left.
func namedIsGone(reason string, s *assessed, l *assignment) string {
	return fmt.Sprintf("%s, but hosting %d, which the metadata of %s names, is gone: hosting %d stays as it is until that one is restored or the metadata corrected (`%s`)",
		reason, s.missingHosting, s.ID, l.Hosting, MetadataCommand(s.ID, "enhance_subscription_id", reconcile.FormatID(l.Hosting)))
}

func notKnown(l *assignment) string { return "subscription " + l.Subscription + " is not known" }

func itemIsGone(s *assessed, l *assignment) string {
	return fmt.Sprintf("item %s is no longer part of %s", l.Item, s.ID)
}

func hostingWasDeleted(h *reconcile.Hosting) string {
	return fmt.Sprintf("hosting %d of org %s was deleted in the panel: restore it there first", h.ID, h.Org)
}

func hostingNotThere(h *reconcile.Hosting) string {
	return fmt.Sprintf("org %s has no hosting %d at the panel", h.Org, h.ID)
}

func hostingStateNotKnown(h *reconcile.Hosting) string {
	return fmt.Sprintf("hosting %d of org %s is in a state that this version does not know", h.ID, h.Org)
}

func hostingNotRead(h *reconcile.Hosting) string {
	return fmt.Sprintf("hosting %d of org %s was not read", h.ID, h.Org)
}

// boundToOther is for a hosting that serves another subscription.
func boundToOther(h *reconcile.Hosting, cl reconcile.CustomerBinding) string {
	return fmt.Sprintf("hosting %d is bound to %s of %s, which has not ended: run `%s` before this, if that one is wrong",
		h.ID, cl.Subscription, cl.Customer, UnbindCommand(cl.Subscription, h.ID))
}

func markedByOthers(h *reconcile.Hosting, m reconcile.Marker) string {
	return fmt.Sprintf("hosting %d carries the marker %s of another installation, which may be using it: add --other-marker if it is not", h.ID, m)
}

func madeForOther(w *reconcile.Instruction, h *reconcile.Hosting, m reconcile.Marker) string {
	return fmt.Sprintf("hosting %d carries the marker %s: it was made for %s. Add --other-marker if %s is still to have it", h.ID, m, m.StripeID, w.Subscription)
}

func inOtherOrg(w *reconcile.Instruction, h *reconcile.Hosting, c *reconcile.Customer) string {
	return fmt.Sprintf("hosting %d is in org %s, and the org of %s is %s: add --other-org if it is to serve it there; it stays where it is, and no invitation to that org is sent", h.ID, h.Org, w.Subscription, c.Org.ID)
}

// boundByPerson is why a name gets our marker.
func boundByPerson(l *assignment) string {
	return fmt.Sprintf("a person has bound hosting %d to %s: the name shows it, so that a lost database can be rebuilt", l.Hosting, reconcile.SlotID(l.Subscription, l.Slot))
}

// noSuchUnit is for a slot that the subscription does not have.
func (ch *instructed) noSuchUnit(slot int) string {
	return fmt.Sprintf("%s has no unit %s: %s", ch.Instruction.Subscription, reconcile.SlotID(ch.Instruction.Subscription, slot), ch.Before)
}

// allUnitsServed is for a hosting that has no free unit to serve.
func (ch *instructed) allUnitsServed(first int) string {
	return fmt.Sprintf("every unit of %s has a hosting: %s. Name the one that this one replaces: `%s`",
		ch.Instruction.Subscription, ch.Before, BindCommand(reconcile.SlotID(ch.Instruction.Subscription, first), ch.Instruction.Hosting.ID))
}

// servedBy describes the hostings that serve a subscription.
func servedBy(c *reconcile.Customer, sub string) string {
	var parts []string
	for _, b := range c.BindingsOf(sub) {
		parts = append(parts, fmt.Sprintf("%s has hosting %d, bound by %s", reconcile.SlotID(sub, b.Slot), b.Hosting, b.How))
	}
	for _, p := range c.Unbindings {
		if p.Subscription == sub && !p.Resolved {
			parts = append(parts, fmt.Sprintf("%s was unbound from hosting %d at %s", reconcile.SlotID(sub, p.Slot), p.Hosting, reconcile.FormatTime(p.At)))
		}
	}
	if s := c.Subscription(sub); s != nil && s.IsNewOrder {
		parts = append(parts, "it was marked as new")
	}
	if len(parts) == 0 {
		return "no hosting is bound to " + sub
	}
	return strings.Join(parts, "; ")
}

func notItsSubscription(w reconcile.Instruction, c *reconcile.Customer) string {
	return fmt.Sprintf("%s is no subscription of %s", w.Subscription, c.ID)
}

func outcomeNotKnown(p *reconcile.Pending) string {
	return fmt.Sprintf("%s was sent for this customer and its outcome is not known yet: repeat the instruction after the next run has looked for it", p.Kind)
}

func (ch *instructed) notBound() string {
	return fmt.Sprintf("%s is not bound to that: %s", ch.Instruction.Subscription, ch.Before)
}

func (ch *instructed) severalBound(first int64) string {
	return fmt.Sprintf("%s has several hostings, name one of them: %s. `%s`", ch.Instruction.Subscription, ch.Before, UnbindCommand(ch.Instruction.Subscription, first))
}

// movedToEnded is for a hosting that would be moved to a subscription that has ended.
func movedToEnded(s *reconcile.Subscription) string {
	return fmt.Sprintf("%s%s: a hosting that is moved to it would be suspended", s.ID, reconcile.DescribeSubscription(s))
}
