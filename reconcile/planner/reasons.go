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
// subscriptions and prices, in reasons_hosting.go those about hostings, in reasons_org.go
// those about orgs and orders, and in reasons_instruction.go those that refuse an
// instruction. A sentence begins with the fact, in the terms of Stripe and the panel, and
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

// becameNoHosting is for a hosting whose item is gone, if one has come that is mapped to
// none.
func becameNoHosting(reason string, l *assignment, it *reconcile.Item) string {
	return fmt.Sprintf("%s, and item %s has come, whose price %s is mapped to none: hosting %d stays as it is. "+
		"If that is right: `%s`, and then do with the hosting in the panel what you want; if the new price is hosting: `%s`",
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
