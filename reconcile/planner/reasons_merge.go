package planner

import (
	"fmt"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// SplitCommand gives a guest an org of its own.
func SplitCommand(customer string) string {
	return "stripe-enhance customers split " + customer + " --reason 'it has an organisation of its own'"
}

// MergeCommand makes a customer a guest in the org of another one.
func MergeCommand(customer, into string) string {
	return "stripe-enhance customers merge " + customer + " " + into + " --reason 'they share an organisation'"
}

func customerNotKnown(id string) string {
	return fmt.Sprintf("the database has no customer %s; a full run reads all of them: stripe-enhance reconcile --full", id)
}

func sameCustomer(c *reconcile.Customer) string {
	return fmt.Sprintf("%s is one customer: name the one whose organisation it is to be as well", c.ID)
}

func hasNoOrgYet(into *reconcile.Customer) string {
	return fmt.Sprintf("customer %s has no organisation at Enhance yet: the first run after its order makes one, or binds the one that is there: `stripe-enhance reconcile --full`, and repeat this", into.ID)
}

func orgOfIsDeleted(into *reconcile.Customer) string {
	return fmt.Sprintf("org %s of %s was deleted in the panel: restore it there first", into.Org.ID, into.ID)
}

func orgOfIsSuspended(into *reconcile.Customer) string {
	return fmt.Sprintf("org %s of %s is suspended in the panel, and nothing can be made in it: lift that there first", into.Org.ID, into.ID)
}

// hasGuests is for a customer whose org others use, which has to stay theirs.
func hasGuests(c *reconcile.Customer, guests []string, into *reconcile.Customer) string {
	return fmt.Sprintf("org %s of %s is also that of %s, and would be left without its first customer: give them another one before this, with `%s` or `%s`",
		c.Org.ID, c.ID, strings.Join(guests, ", "), MergeCommand(guests[0], into.ID), SplitCommand(guests[0]))
}

func hasNoOrg(c *reconcile.Customer) string {
	return fmt.Sprintf("customer %s has no organisation at Enhance that it could be split from", c.ID)
}

func isNoGuest(c *reconcile.Customer, guests []string) string {
	text := fmt.Sprintf("org %s is that of %s itself, and not another customer's", c.Org.ID, c.ID)
	if len(guests) == 0 {
		return text + ": it shares it with no other one"
	}
	return fmt.Sprintf("%s: its guests are %s. To split one of them: `%s`", text, strings.Join(guests, ", "), SplitCommand(guests[0]))
}

// namesApart is for metadata that names an org which a person has declared to be another's.
func (pl *planner) namesApart(s *assessed, o *reconcile.ApartOrg) string {
	return fmt.Sprintf("the metadata of %s names org %s, and at %s the customer was split from it by %s. Take it out of the metadata: `%s`; or, if it is the right one: `%s`",
		s.ID, o.Org, reconcile.FormatTime(o.At), o.Why, MetadataCommand(s.ID, "enhance_org_id", ""), "stripe-enhance customers merge "+pl.c.ID+" CUSTOMER")
}

// inApartOrg is for a hosting in an org from which its customer was split.
func inApartOrg(w *reconcile.Instruction, h *reconcile.Hosting, o *reconcile.ApartOrg) string {
	return fmt.Sprintf("hosting %d is in org %s, and the customer of %s was split from it by %s: add --other-org if it is to serve it there; what is new is still made in another org",
		h.ID, h.Org, w.Subscription, o.Why)
}
