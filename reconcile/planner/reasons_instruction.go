package planner

import (
	"fmt"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

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
