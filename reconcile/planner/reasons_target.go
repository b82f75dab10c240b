package planner

import (
	"fmt"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Drifted describes the changes of a hosting since it was last read; "" if nothing that
// matters has changed, or it was never read before.
func Drifted(was, is reconcile.Hosting) string {
	if was.State == 0 {
		return ""
	}
	text := ""
	switch {
	case was.State != is.State:
		text = fmt.Sprintf("is %s now and was %s", describeHosting(&is), was.State)
	case was.SuspendedBy != is.SuspendedBy && is.State != reconcile.HostingMissing:
		text = "is suspended by " + is.SuspendedBy + " now and was by " + was.SuspendedBy
	}
	if was.Plan != is.Plan && is.State != reconcile.HostingMissing {
		if text != "" {
			text += ", and "
		}
		text += fmt.Sprintf("is on plan %d now and was on plan %d", is.Plan, was.Plan)
	}
	if text == "" {
		return ""
	}
	if !was.ObservedAt.IsZero() && was.ObservedAt.Unix() > 0 { // zero where a look was asked for
		text += " (" + reconcile.FormatTime(was.ObservedAt) + ")"
	}
	return fmt.Sprintf("hosting %d %s", is.ID, text)
}

// whatIsThere describes a subscription and its hostings.
func whatIsThere(t *reconcile.Target, s *reconcile.Subscription) string {
	text := s.ID
	if t.Email != "" {
		text += " of " + t.Email
	}
	if t.Known {
		text += " is " + t.Status + " at Stripe"
	} else {
		text += " is not known at Stripe any more (in this account and mode)"
	}
	if len(t.Hostings) == 0 {
		return text + " and no hosting serves it"
	}
	for i, h := range t.Hostings {
		switch {
		case i == 0:
			text += "; "
		case i == len(t.Hostings)-1:
			text += " and "
		default:
			text += ", "
		}
		text += fmt.Sprintf("hosting %d is %s", h.ID, describeHosting(&h))
	}
	return text
}

// describeHosting is the state of a hosting, who caused it, and when it was seen.
func describeHosting(h *reconcile.Hosting) string {
	text := h.State.String()
	if h.State == reconcile.HostingSuspended {
		text += " by others"
		if !h.SuspendedByUs.IsZero() {
			text = h.State.String() + " by us since " + reconcile.FormatTime(h.SuspendedByUs)
		}
	}
	if h.ObservedAt.IsZero() || h.ObservedAt.Unix() <= 0 { // never, or a look is asked for
		return text
	}
	return text + " (seen " + reconcile.FormatTime(h.ObservedAt) + ")"
}

// whatFollows describes the changes that were made, are still to be made or are withheld,
// or why there are none.
func whatFollows(t *reconcile.Target, c *reconcile.Customer, s *reconcile.Subscription, counts [3]int, withheld string, p reconcile.Policy, now time.Time) (parts []string) {
	for i, word := range [...]string{"done", "failed", "still to do"} {
		if n := counts[i]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", changes(n), word))
		}
	}
	switch {
	case t.Withheld == 1:
		parts = append(parts, "withheld: "+withheld)
	case t.Withheld > 1:
		parts = append(parts, fmt.Sprintf("%d things withheld, the first: %s", t.Withheld, withheld))
	}
	if len(parts) > 0 {
		return parts
	}
	return []string{"nothing is to be done, because " + whyNothing(t, c, s, p, now)}
}

func changes(n int) string {
	if n == 1 {
		return "1 change"
	}
	return fmt.Sprintf("%d changes", n)
}

// whyNothing is why nothing is to be done.
func whyNothing(t *reconcile.Target, c *reconcile.Customer, s *reconcile.Subscription, p reconcile.Policy, now time.Time) string {
	for _, m := range c.Manual {
		if m.Kind == reconcile.Ignore && m.InForce(now) && (m.Subscription == "" || m.Subscription == s.ID) {
			return "a person holds it: ignore"
		}
	}
	switch none := len(t.Hostings) == 0; entitlementOf(s, p, now).desired {
	case desiredActive:
		if none {
			return "none of its prices buys a hosting"
		}
		return "that is the state that this status asks for"
	case desiredSuspended, desiredEnded:
		if none {
			return "nothing was made for it, and with this status nothing is"
		}
		return "that is the state that this status asks for"
	case desiredKeep:
	}
	return "with this status nothing is made, and nothing is taken away"
}
