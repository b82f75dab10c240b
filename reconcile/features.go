package reconcile

import (
	"strings"
	"time"
)

// ProductFeatures is the features of a Stripe product, as Stripe Entitlements has them.
type ProductFeatures struct {
	Product string // prod_…
	// Keys are the lookup keys of the last answer that showed any, sorted.
	Keys []string
	// ReadAt is when Stripe last answered with a list; zero: never.
	ReadAt time.Time
	// AskedAt is when Stripe was last asked, whatever came of it.
	AskedAt time.Time
	// Emptied means that the product had Keys, and that Stripe last answered that it has
	// none.
	Emptied bool
	// Unread is why the last answer cannot be used; "": it can.
	Unread string
}

// MayBeFeature reports whether the billing id of a mapping may be the lookup key of a
// feature. What looks like the id of a price or of a product is never one.
func MayBeFeature(billingID string) bool {
	return billingID != "" && !strings.HasPrefix(billingID, "price_") && !strings.HasPrefix(billingID, "prod_")
}
