package planner

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// featuresDiffer is for a product with features that are mapped to different plans, or with
// different options.
func (c *Catalog) featuresDiffer(f reconcile.ProductFeatures, mapped []string) string {
	var ways []string
	for _, key := range mapped {
		if way := "`" + MapCommand(f.Product, c.targets[key].name()) + "`"; !c.targets[key].none && !slices.Contains(ways, way) {
			ways = append(ways, way)
		}
	}
	return fmt.Sprintf("product %s has the features %s, whose mappings differ: which plan it is for is not known, and its hostings stay as they are; map its price, or the product itself: %s",
		f.Product, strings.Join(mapped, ", "), strings.Join(ways, ", or "))
}

// name is the plan as a command names it.
func (t target) name() string {
	if t.plan.ID == 0 {
		return "PLAN"
	}
	return reconcile.FormatID(int64(t.plan.ID))
}

// featuresGone is for a product that had a mapped feature, and of which Stripe shows none
// any more.
func featuresGone(f reconcile.ProductFeatures, mapped []string, t target) string {
	return fmt.Sprintf("product %s had the feature %s, and Stripe shows no feature of it any more: nothing new is made for it, and its hostings stay as they are; add the feature again at Stripe, or map the product: `%s`",
		f.Product, strings.Join(mapped, ", "), MapCommand(f.Product, t.name()))
}

// featuresUnread is for a product whose features could not be read again, or never.
func featuresUnread(f reconcile.ProductFeatures, known bool) string {
	if !known {
		return fmt.Sprintf("the features of product %s cannot be read (%s): a mapping of a feature does not count for it; allow the key to read Entitlements and Products at Stripe, or map the product: `%s`",
			f.Product, reconcile.Truncate(f.Unread), MapCommand(f.Product, "PLAN"))
	}
	return fmt.Sprintf("the features of product %s cannot be read again (%s): those of %s stand, and nothing is made smaller because of them",
		f.Product, reconcile.Truncate(f.Unread), reconcile.FormatTime(f.ReadAt))
}

// smallerByOldFeatures is for a change to a smaller plan that rests on features which could
// not be read again.
func (pl *planner) smallerByOldFeatures(cl demand, h *reconcile.Hosting) string {
	return fmt.Sprintf("%s is for the smaller plan %s by the features of its product, which could not be read again: hosting %d keeps plan %s until they are",
		cl.lead.Subscription, pl.planRef(cl.plan.ID), h.ID, pl.planRef(h.Plan))
}

// unreadFeatures goes on about items without a mapping of whose products the features cannot
// be read; "": they can.
func (c *Catalog) unreadFeatures(items []reconcile.Item) string {
	for i := range items {
		if f := c.features[items[i].Product]; f.Unread != "" && c.featuresUnknown(&items[i]) {
			return fmt.Sprintf(". The features of product %s, by which it may be mapped, cannot be read (%s)", f.Product, reconcile.Truncate(f.Unread))
		}
	}
	return ""
}
