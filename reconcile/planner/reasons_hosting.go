package planner

import (
	"fmt"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

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

func deletedWithMarker(h *reconcile.Hosting, m reconcile.Marker) string {
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
