package engine

import (
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// metadataMemory is how long a key that may not write metadata is believed to be
// the same: a permission that an operator grants is noticed within the hour.
const metadataMemory = time.Hour

// metadataDenied notes that the key may read at Stripe and not write there. To
// write the ids there is a convenience, so it ends here: no customer is postponed
// for it, and the run goes on.
func (r *run) metadataDenied() {
	now := r.Now()
	if until := r.denied.Swap(now.Add(metadataMemory).UnixNano()); now.UnixNano() < until {
		return // noted for another customer of this run
	}
	r.note("the Stripe key may not write, so the ids of orgs and hostings are not written to the metadata: give it write on Subscriptions, or set STRIPE_WRITE_METADATA=false")
}

// withoutMetadata drops what would be refused again.
func (r *run) withoutMetadata(d planner.Decision) planner.Decision {
	if r.Now().UnixNano() < r.denied.Load() {
		d.Actions = slices.DeleteFunc(d.Actions, func(a reconcile.Action) bool { return a.Kind == reconcile.WriteMetadata })
	}
	return d
}
