package planner

import (
	"fmt"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

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
