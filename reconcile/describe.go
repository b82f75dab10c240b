package reconcile

import "fmt"

// DescribeSubscription describes the status of a subscription, without its id: " is
// active". It claims no payment that is not known.
func DescribeSubscription(s *Subscription) (text string) {
	switch s.Status {
	case StatusTrialing:
		text += " is in trial"
		if !s.CurrentPeriodEnd.IsZero() {
			text += " until " + FormatTime(s.CurrentPeriodEnd)
		}
	case StatusPastDue:
		text += " is past_due"
		if since := s.Lapse.Begun(); !since.IsZero() {
			text += " since " + FormatTime(since)
		}
	case StatusIncomplete:
		text += " is incomplete (its first payment is open)"
	case StatusCanceled, StatusIncompleteExpired:
		text += " is " + s.Status.String()
		if !s.EndedAt.IsZero() {
			text += " since " + FormatTime(s.EndedAt)
		}
	case StatusUnknown:
		text += fmt.Sprintf(" has the status %q", s.StatusText)
	case StatusUnpaid:
		if text += " is unpaid"; s.Lapse.Seen.After(s.StatusSince) && !s.StatusSince.IsZero() { // only a payment begins it anew
			text += ", though an invoice of it was paid since"
		}
	case StatusActive, StatusPaused:
		text += " is " + s.Status.String()
	}
	switch {
	case s.CollectionPaused:
		text += " (its collection is paused)"
	case s.SendInvoice && s.Status == StatusActive:
		text += " (it is sent invoices)"
	}
	return text
}
