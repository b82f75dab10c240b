package planner

import (
	"fmt"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

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
