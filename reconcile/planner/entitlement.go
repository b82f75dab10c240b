package planner

import (
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// desiredState is the state of its hosting that a subscription entitles to.
type desiredState uint8

const (
	// desiredKeep gives nothing new and takes nothing away.
	desiredKeep desiredState = iota + 1
	// desiredActive: the hosting is to be active.
	desiredActive
	// desiredSuspended: the hosting is to be suspended.
	desiredSuspended
	// desiredEnded: the hosting is to be suspended and, after the retention period,
	// deleted.
	desiredEnded
)

// entitlement is the result of the policy for one subscription.
type entitlement struct {
	desired desiredState
	// status is Stripe's name for the status, for sentences.
	status string
	// graceEnds is set while only the grace period keeps the hosting up.
	graceEnds time.Time
	// holdKind is set if the status itself is a reason to hold.
	holdKind reconcile.HoldKind
	// paused means that the state comes from pause_collection.
	paused bool
	// disputed is the dispute that suspends it, or may; nil: none does.
	disputed *reconcile.Dispute
	// grace is the grace period that counts for it.
	grace time.Duration
}

// entitlementOf applies the policy table. The order matters and is the order of the
// list in the package comment.
func entitlementOf(s *reconcile.Subscription, p reconcile.Policy, now time.Time) entitlement {
	v := entitlement{status: s.Status.String(), grace: p.Grace}
	if s.Gone {
		v.desired, v.holdKind = desiredKeep, reconcile.HoldGone
		return v
	}
	switch s.Status {
	case reconcile.StatusActive, reconcile.StatusTrialing:
		v.desired = desiredActive
	case reconcile.StatusPastDue:
		v.desired, v.graceEnds = pastDue(s, p, now)
	case reconcile.StatusUnpaid, reconcile.StatusPaused:
		v.desired = desiredSuspended
	case reconcile.StatusIncomplete:
		v.desired = desiredKeep
	case reconcile.StatusCanceled, reconcile.StatusIncompleteExpired:
		v.desired = desiredEnded
	case reconcile.StatusUnknown:
		v.desired, v.holdKind = desiredKeep, reconcile.HoldUnknownStatus
	default:
		v.desired, v.holdKind = desiredKeep, reconcile.HoldUnknownStatus
	}
	if v.desired == desiredActive && s.CollectionPaused && p.SuspendPaused {
		v.desired, v.graceEnds, v.paused = desiredSuspended, time.Time{}, true
	}
	return v
}

// pastDue is up until the grace period ends. It counts from where the [Lapse] of the
// Subscription does.
func pastDue(s *reconcile.Subscription, p reconcile.Policy, now time.Time) (desiredState, time.Time) {
	since := s.Lapse.Begun()
	if since.IsZero() {
		since = now
	}
	ends := since.Add(p.Grace)
	if now.Before(ends) {
		return desiredActive, ends
	}
	return desiredSuspended, time.Time{}
}
