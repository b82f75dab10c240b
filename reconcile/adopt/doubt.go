package adopt

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

const (
	paidByNone = "no customer at Stripe has the e-mail of its owner, and no subscription names it: ignore it, or link it to the subscription that pays for it"
	decidedNew = "a person has decided that the order is new"
)

func nothingLeftFor(customer string) string {
	return fmt.Sprintf("its owner is %s at Stripe, who has no subscription that could pay for it and has no hosting", customer)
}

func nothingLike(o *Order, left int) string {
	if left > 1 {
		return fmt.Sprintf("it %s and pays for %d hostings, and nothing at the panel looks like them: new, or link", status(o), left)
	}
	return fmt.Sprintf("it %s, and nothing at the panel looks like its hosting: new, or link", status(o))
}

func status(o *Order) string { return "is " + o.Status.String() }

// agrees is the reason of a pair that is certain.
func agrees(evidence []Evidence) string {
	words := make([]string, len(evidence))
	for i, e := range evidence {
		words[i] = strings.ReplaceAll(string(e), "_", " ")
	}
	return strings.Join(words, ", ") + " agree, and nothing speaks for another"
}

// doubt is why a person has to decide about a pair; "": it is certain. The checks are
// those of the package comment, in the same order.
func (m *matcher) doubt(o *Order, h *Hosting) string {
	org := m.orgs[h.Org]
	for _, why := range []string{
		m.ofOrder(o, h), ofHosting(h, org), m.tooWeak(o, h), m.sharedEmail(o, h), m.otherWays(o, org), otherOwner(o, org),
		m.withoutOwner(o, h, org), m.otherPlanOrCount(o, h), m.whichOne(o, h),
	} {
		if why != "" {
			return why
		}
	}
	return ""
}

func (m *matcher) ofOrder(o *Order, h *Hosting) string {
	switch {
	case o.Status != reconcile.StatusActive && o.Status != reconcile.StatusTrialing:
		return fmt.Sprintf("%s is %s: once it is linked, that is acted on", o.Subscription, o.Status)
	case o.Paused:
		return fmt.Sprintf("the collection of %s is paused", o.Subscription)
	case o.Unclear:
		return fmt.Sprintf("the metadata of %s cannot be read", o.Subscription)
	case o.MetadataHosting != 0 && o.MetadataHosting != h.ID && o.units() == 1:
		return fmt.Sprintf("the metadata of %s names hosting %d", o.Subscription, o.MetadataHosting)
	}
	return ""
}

func ofHosting(h *Hosting, org *Org) string {
	switch {
	case h.Suspended:
		return "the hosting is suspended at the panel, by staff or by another program"
	case org.Suspended:
		return "its org is suspended at the panel"
	}
	return ""
}

// strong reports whether more than a likeness speaks for a pair.
func strong(evidence []Evidence) bool {
	return slices.ContainsFunc(evidence, func(e Evidence) bool { return e == Metadata || e == OwnerEmail || e == Domain })
}

func (m *matcher) tooWeak(o *Order, h *Hosting) string {
	evidence := m.evidence(o, h)
	switch {
	case strong(evidence):
		return ""
	case slices.Contains(evidence, OneOwner):
		return "the customer is one of several owners of the org"
	case slices.Contains(evidence, CustomerOf):
		return "it is in the customer's org, and nothing else shows that the customer pays for it"
	}
	return "only the names are alike"
}

func (m *matcher) sharedEmail(o *Order, h *Hosting) string {
	email := m.email(o.Customer)
	if email == "" || slices.Contains(m.evidence(o, h), Metadata) {
		return ""
	}
	if all := m.emails[email]; len(all) > 1 {
		return "several customers at Stripe have this e-mail: " + strings.Join(all, ", ")
	}
	if all := m.owned[email]; len(all) > 1 {
		return "several orgs have an owner with this e-mail: " + strings.Join(all, ", ")
	}
	return ""
}

// otherWays is why the evidence does not lead from the one to the other alone.
func (m *matcher) otherWays(o *Order, org *Org) string {
	for _, other := range m.byBuyer[o.Customer] {
		if named := m.named(other); named != "" && named != org.ID {
			return fmt.Sprintf("the metadata of %s names org %s", other.Subscription, named)
		}
	}
	if m.named(o) != org.ID { // the operator wrote it, and an e-mail can be another's
		if others := without(m.orgsOf[o.Customer], org.ID); len(others) > 0 {
			return "other evidence leads to org " + strings.Join(others, ", ")
		}
	}
	if others := without(m.buyersOf[org.ID], o.Customer); len(others) > 0 {
		return "other evidence leads from the org to " + strings.Join(others, ", ")
	}
	return ""
}

func without(set map[string]bool, one string) (others []string) {
	for id := range set {
		if id != one {
			others = append(others, id)
		}
	}
	slices.Sort(others)
	return others
}

func otherOwner(o *Order, org *Org) string {
	switch {
	case org.Customer != "" && org.Customer != o.Customer:
		return "the org is that of " + org.Customer
	case o.Org != "" && o.Org != org.ID:
		return "the customer's org is " + o.Org
	}
	return ""
}

func (m *matcher) withoutOwner(o *Order, h *Hosting, org *Org) string {
	if slices.Contains(m.evidence(o, h), Metadata) {
		return ""
	}
	switch {
	case !org.OwnersRead:
		return "the owners of its org were not read"
	case len(org.Owners) == 0:
		return "its org has no owner: the customer would be invited to it"
	}
	return ""
}

func (m *matcher) otherPlanOrCount(o *Order, h *Hosting) string {
	paid, there := m.paidFor(o.Customer, h.Plan), m.there(h.Org, h.Plan)
	switch {
	case o.Free[h.Plan] == 0:
		return fmt.Sprintf("the hosting is on plan %d, which %s does not pay for", h.Plan, o.Subscription)
	case paid != there:
		return fmt.Sprintf("the customer pays for %d more of plan %d, and the org has %d", paid, h.Plan, there)
	}
	return ""
}

func (m *matcher) whichOne(o *Order, h *Hosting) string {
	if n := m.payers(o.Customer, h.Plan); n > 1 && !m.names(o, h) {
		return fmt.Sprintf("%d subscriptions of the customer pay for plan %d, and nothing shows which has which hosting", n, h.Plan)
	}
	for _, p := range m.placesOf(o) {
		if p.Org == h.Org && p.Hosting != h.ID && o.Free[h.Plan] == 1 {
			return fmt.Sprintf("the domain that was ordered is on hosting %d", p.Hosting)
		}
	}
	return ""
}
