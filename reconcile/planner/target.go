package planner

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// TargetOf describes a subscription of c after a run with these actions and holds. found
// reports whether c has the subscription.
func TargetOf(c *reconcile.Customer, id string, actions []reconcile.ActionRecord, holds []reconcile.Hold, p reconcile.Policy, now time.Time) (t reconcile.Target, found bool) {
	i := slices.IndexFunc(c.Subscriptions, func(s reconcile.Subscription) bool { return s.ID == id })
	if i < 0 {
		return reconcile.UnknownTarget(id), false
	}
	s := &c.Subscriptions[i]
	t = reconcile.Target{Subscription: id, Known: !s.Gone, Customer: c.ID, Email: c.Email}
	if t.Known {
		t.Status = s.Status.String()
		if s.Status == reconcile.StatusUnknown {
			t.Status = s.StatusText
		}
	}
	for _, b := range c.Bindings {
		if j := slices.IndexFunc(c.Hostings, func(h reconcile.Hosting) bool { return h.ID == b.Hosting }); b.Subscription == id && j >= 0 {
			t.Hostings = append(t.Hostings, c.Hostings[j])
		}
	}
	counts := countActions(&t, c, actions)
	why := ""
	for _, h := range holds {
		if h.Subscription == id || h.Subscription == "" && h.Customer == c.ID {
			if t.Withheld++; why == "" {
				why = h.Reason
			}
		}
	}
	t.Text = whatIsThere(&t, s) + ": " + strings.Join(whatFollows(&t, c, s, counts, why, p, now), "; ")
	return t, true
}

// countActions counts the actions for a target, or for its customer alone, and returns how
// many are done, how many failed or have no known outcome, and how many are left to do.
func countActions(t *reconcile.Target, c *reconcile.Customer, actions []reconcile.ActionRecord) (counts [3]int) {
	for _, a := range actions {
		if a.State == reconcile.ActionSuperseded || a.Subscription != t.Subscription && (a.Subscription != "" || a.Customer != c.ID) {
			continue
		}
		t.Changes++
		switch a.State {
		case reconcile.ActionApplied, reconcile.ActionAdopted:
			counts[0]++
		case reconcile.ActionFailed, reconcile.ActionSent, reconcile.ActionAmbiguous:
			counts[1]++
		case reconcile.ActionPlanned, reconcile.ActionHeld, reconcile.ActionSuperseded:
			counts[2]++
		}
	}
	return counts
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
		text += " is not known at Stripe any more, in this account and mode"
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
		text += " by somebody else"
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
		if m.Kind == reconcile.Ignore && (m.Subscription == "" || m.Subscription == s.ID) {
			return "a person holds it: ignore"
		}
	}
	switch none := len(t.Hostings) == 0; entitlementOf(s, p, now).desired {
	case desiredActive:
		if none {
			return "none of its prices buys a hosting"
		}
		return "that is what this status asks for"
	case desiredSuspended, desiredEnded:
		if none {
			return "nothing was made for it, and with this status nothing is"
		}
		return "that is what this status asks for"
	case desiredKeep:
	}
	return "with this status nothing is made, and nothing is taken away"
}
