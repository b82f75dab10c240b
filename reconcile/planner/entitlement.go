package planner

import (
	"fmt"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// desiredState is what the billing facts say about the hosting of one subscription.
type desiredState uint8

const (
	// desiredKeep gives nothing new and takes nothing away.
	desiredKeep desiredState = iota + 1
	// desiredActive wants it active.
	desiredActive
	// desiredSuspended wants it suspended.
	desiredSuspended
	// desiredEnded wants it suspended and, after the retention period, gone.
	desiredEnded
)

// entitlement is one subscription judged.
type entitlement struct {
	desired desiredState
	// status is Stripe's word, for sentences.
	status string
	// graceEnds is set while only the grace period keeps the hosting up.
	graceEnds time.Time
	// holdKind is set when the judgement itself is a hold.
	holdKind reconcile.HoldKind
	// paused tells that the stance comes from pause_collection.
	paused bool
}

// entitlementOf applies the policy table. The order matters and is the order of the
// list in the package comment.
func entitlementOf(s *reconcile.Subscription, p reconcile.Policy, now time.Time) entitlement {
	v := entitlement{status: s.Status.String()}
	switch {
	case s.Gone:
		v.desired, v.holdKind = desiredKeep, reconcile.HoldGone
		return v
	case s.Status.Ended():
		v.desired = desiredEnded
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

// why is the sentence behind a stance that takes away.
func (v entitlement) why(s *reconcile.Subscription, p reconcile.Policy) string {
	switch {
	case v.paused:
		return fmt.Sprintf("collection of %s is paused at Stripe and PAUSED_COLLECTION is suspend", s.ID)
	case s.Status == reconcile.StatusPastDue && p.Grace > 0:
		return fmt.Sprintf("%s is past_due since %s and the grace period of %s is over", s.ID, reconcile.FormatTime(s.Lapse.Begun()), reconcile.FormatDuration(p.Grace))
	case s.Status == reconcile.StatusPastDue:
		return fmt.Sprintf("%s is past_due and there is no grace period", s.ID)
	case v.desired == desiredEnded && !s.EndedAt.IsZero():
		return fmt.Sprintf("%s is %s since %s", s.ID, v.status, reconcile.FormatTime(s.EndedAt))
	}
	return fmt.Sprintf("%s is %s", s.ID, v.status)
}
