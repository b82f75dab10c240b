package planner

import "github.com/stripe-enhance/stripe-enhance/reconcile"

// perhapsOurs tells that a suspension which the journal does not know may be ours all the
// same: the name says so, and the panel does not name anybody else.
func (pl *planner) perhapsOurs(h *reconcile.Hosting) bool {
	return h.State == reconcile.HostingSuspended && h.SuspendedByUs.IsZero() && h.NamesUs && reconcile.SuspensionMarked(h.FriendlyName, pl.policy.Instance)
}
