package reconcile

import "time"

// Lapse is the present spell in which a subscription is not paid: what its grace
// period counts from. The zero value: none is known. The store keeps it with the
// Subscription, and moves it with [Lapse.Seeing] whenever Stripe has been read.
//
// past_due concerns the latest invoice alone: older ones may stay open while the
// subscription is active, newer ones open while it is past_due, and any of them may be
// written off without a payment. None of that begins or ends a spell, so Since is set once
// and stands until the spell is over.
type Lapse struct {
	// Entitled is the last instant at which the subscription is known to have been
	// active or trialing, or to have been paid. The spell began after it.
	Entitled time.Time
	// Seen is when we first saw it past_due or unpaid in this spell. Zero: there is none.
	Seen time.Time
	// Since is what grace counts from. Zero: not known, because the invoices have not
	// been read yet. Until then it is Seen, which is never earlier.
	Since time.Time
}

// clocksDiffer is how far our clock, by which reads are dated, and Stripe's, by which
// invoices are, may differ without a run noticing.
const clocksDiffer = 61 * time.Second

// Seeing is the lapse after f was read at Stripe.
//
// A spell ends with an entitled status or with a payment, and with nothing else. It
// is measured from the due date of the invoice that was the latest to be due when the
// spell was first seen. If that was due while the subscription was still in good standing (a
// direct debit that took days to fail, an invoice left open), it is measured from when
// the spell was first seen, which is later and therefore kinder.
func (l Lapse) Seeing(f *SubscriptionFacts, now time.Time) Lapse {
	switch f.Status {
	case StatusActive, StatusTrialing:
		return Lapse{Entitled: f.ReadAt}
	case StatusPastDue, StatusUnpaid:
	case StatusPaused, StatusIncomplete, StatusIncompleteExpired, StatusCanceled, StatusUnknown:
		return l // neither paid nor entitled
	default:
		return l
	}
	if f.PaidAt.After(l.Begun()) {
		l.Seen, l.Since = time.Time{}, time.Time{}
	}
	if l.Seen.IsZero() {
		l.Seen = now
	}
	if l.Since.IsZero() && f.ByID && !f.InvoicesUnread {
		l.Since = l.Seen
		if l.beganWith(f, now) {
			l.Since = f.LatestDue
		}
	}
	return l
}

// beganWith reports whether the spell can have begun with the invoice that f names: it was
// due neither while the subscription was in good standing nor since the spell was seen.
// One that is not due yet is waited for.
func (l Lapse) beganWith(f *SubscriptionFacts, now time.Time) bool {
	due := f.LatestDue
	return !due.IsZero() && !due.Before(f.PaidAt) && due.Add(clocksDiffer).After(l.Entitled) && (due.Before(l.Seen) || due.After(now))
}

// Begun is when the spell began, at the latest; zero: there is none.
func (l Lapse) Begun() time.Time {
	if l.Since.IsZero() {
		return l.Seen
	}
	return l.Since
}

// LapseUnknown reports whether a subscription is past_due and that its invoices have not
// been read, or may not be: its grace period may be over already.
func (s *Subscription) LapseUnknown() bool {
	return s.Status == StatusPastDue && s.Lapse.Since.IsZero() && !s.ByID
}
