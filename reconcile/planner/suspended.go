package planner

import "github.com/stripe-enhance/stripe-enhance/reconcile"

// perhapsOurs reports whether a suspension which the journal does not know may still be
// ours: because the name carries our mark, and the panel names no other author.
func (pl *planner) perhapsOurs(h *reconcile.Hosting) bool {
	return h.State == reconcile.HostingSuspended && h.SuspendedByUs.IsZero() && h.NamesUs && reconcile.SuspensionMarked(h.FriendlyName, pl.policy.Instance)
}
