package planner

import (
	"fmt"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

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
