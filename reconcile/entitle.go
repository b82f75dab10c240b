package reconcile

import (
	"fmt"
	"time"
)

// stance is what the billing facts say about the hosting of one subscription.
type stance uint8

const (
	// stanceKeep gives nothing new and takes nothing away.
	stanceKeep stance = iota + 1
	// stanceUp wants it active.
	stanceUp
	// stanceDown wants it suspended.
	stanceDown
	// stanceEnded wants it suspended and, after the retention period, gone.
	stanceEnded
)

// verdict is one subscription judged.
type verdict struct {
	stance stance
	// status is Stripe's word, for sentences.
	status string
	// graceEnds is set while only the grace period keeps the hosting up.
	graceEnds time.Time
	// holdKind is set when the judgement itself is a hold.
	holdKind HoldKind
	// paused tells that the stance comes from pause_collection.
	paused bool
}

// entitle applies the policy table. The order matters and is the order of the
// list in the package comment.
func entitle(s *Subscription, p Policy, now time.Time) verdict {
	v := verdict{status: s.Status.String()}
	switch {
	case s.Gone:
		v.stance, v.holdKind = stanceKeep, HoldGone
		return v
	case s.Status.Ended():
		v.stance = stanceEnded
		return v
	}
	switch s.Status {
	case StatusActive, StatusTrialing:
		v.stance = stanceUp
	case StatusPastDue:
		v.stance, v.graceEnds = pastDue(s, p, now)
	case StatusUnpaid, StatusPaused:
		v.stance = stanceDown
	case StatusIncomplete:
		v.stance = stanceKeep
	case StatusCanceled, StatusIncompleteExpired:
		v.stance = stanceEnded
	case StatusUnknown:
		v.stance, v.holdKind = stanceKeep, HoldUnknownStatus
	default:
		v.stance, v.holdKind = stanceKeep, HoldUnknownStatus
	}
	if v.stance == stanceUp && s.CollectionPaused && p.SuspendPaused {
		v.stance, v.graceEnds, v.paused = stanceDown, time.Time{}, true
	}
	return v
}

// pastDue is up until the grace period ends. It counts from where the [Lapse] of the
// subscription does.
func pastDue(s *Subscription, p Policy, now time.Time) (stance, time.Time) {
	since := s.Lapse.begun()
	if since.IsZero() {
		since = now
	}
	ends := since.Add(p.Grace)
	if now.Before(ends) {
		return stanceUp, ends
	}
	return stanceDown, time.Time{}
}

// why is the sentence behind a stance that takes away.
func (v verdict) why(s *Subscription, p Policy) string {
	switch {
	case v.paused:
		return fmt.Sprintf("collection of %s is paused at Stripe and PAUSED_COLLECTION is suspend", s.ID)
	case s.Status == StatusPastDue && p.Grace > 0:
		return fmt.Sprintf("%s is past_due since %s and the grace period of %s is over", s.ID, day(s.Lapse.begun()), span(p.Grace))
	case s.Status == StatusPastDue:
		return fmt.Sprintf("%s is past_due and there is no grace period", s.ID)
	case v.stance == stanceEnded && !s.EndedAt.IsZero():
		return fmt.Sprintf("%s is %s since %s", s.ID, v.status, day(s.EndedAt))
	}
	return fmt.Sprintf("%s is %s", s.ID, v.status)
}

// day is an instant for sentences: to the minute, UTC.
func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// span is a duration as the operator wrote it: in hours, without zero minutes.
func span(d time.Duration) string {
	if d%time.Hour == 0 {
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return d.String()
}
