package engine

import (
	"context"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Features reads which features Stripe Entitlements gives to a product. Split from Billing
// because it is asked only where a mapping may be of a feature.
type Features interface {
	// ProductFeatures lists the lookup keys of the active features of a product, sorted:
	// complete, or an error. fault.Denied, fault.NotFound and fault.Permanent when this key
	// or account does not allow it. Safe for concurrent use.
	ProductFeatures(ctx context.Context, product string) ([]string, error)
}

// FeatureStore keeps the features of products as they were read.
type FeatureStore interface {
	Features(ctx context.Context) ([]reconcile.ProductFeatures, error)
	SaveFeatures(ctx context.Context, tok reconcile.Token, f reconcile.ProductFeatures) error
}

// Disputes reads the charges that customers dispute, and those that were refunded in full.
// Split from Billing because their place is not among the facts of a subscription.
type Disputes interface {
	// Disputes lists those since an instant that count: complete, or an error. fault.Denied
	// when the key may not read them. Safe for concurrent use.
	Disputes(ctx context.Context, since time.Time) ([]reconcile.Dispute, error)
	// Dispute reads one; counts is false when it was won.
	Dispute(ctx context.Context, id string) (d reconcile.Dispute, counts bool, err error)
}

// DisputeStore keeps disputes as they were read.
type DisputeStore interface {
	Disputes(ctx context.Context) ([]reconcile.Dispute, error)
	// SaveDisputes replaces all by a complete list, and SaveDispute one as it was read by id.
	// The customers of those that differ are made due.
	SaveDisputes(ctx context.Context, tok reconcile.Token, all []reconcile.Dispute, now time.Time) error
	SaveDispute(ctx context.Context, tok reconcile.Token, d reconcile.Dispute, counts bool, now time.Time) error
}
