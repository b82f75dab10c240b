package reconcile

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Target is what there is of a subscription that somebody asked for: a run about it
// says so also when there is nothing to do.
type Target struct {
	Subscription string
	// Known tells that Stripe knows it; Status is Stripe's word, "" when it does not.
	Known  bool
	Status string
	// Customer and Email are its customer's; "" when nothing is known of it here.
	Customer, Email string
	Hostings        []Hosting // bound to it, as last seen
	// Changes are the actions of the report that concern it and Withheld the holds; those
	// of its customer that name no subscription are among them.
	Changes, Withheld int
	Text              string // all of it, as a sentence
}

// TargetOf tells what there is of a subscription of c, after a run with these actions
// and holds. found reports whether c has the subscription.
func TargetOf(c *Customer, id string, actions []ActionRecord, holds []Hold, p Policy, now time.Time) (t Target, found bool) {
	i := slices.IndexFunc(c.Subscriptions, func(s Subscription) bool { return s.ID == id })
	if i < 0 {
		return UnknownTarget(id), false
	}
	s := &c.Subscriptions[i]
	t = Target{Subscription: id, Known: !s.Gone, Customer: c.ID, Email: c.Email}
	if t.Known {
		t.Status = s.Status.String()
		if s.Status == StatusUnknown {
			t.Status = s.StatusText
		}
	}
	for _, b := range c.Bindings {
		if j := slices.IndexFunc(c.Hostings, func(h Hosting) bool { return h.ID == b.Hosting }); b.Subscription == id && j >= 0 {
			t.Hostings = append(t.Hostings, c.Hostings[j])
		}
	}
	var done, failed, open int
	for _, a := range actions {
		if a.State == ActionSuperseded || a.Subscription != id && (a.Subscription != "" || a.Customer != c.ID) {
			continue
		}
		t.Changes++
		switch a.State {
		case ActionApplied, ActionAdopted:
			done++
		case ActionFailed, ActionSent, ActionAmbiguous:
			failed++
		case ActionPlanned, ActionHeld, ActionSuperseded:
			open++
		}
	}
	why := ""
	for _, h := range holds {
		if h.Subscription == id || h.Subscription == "" && h.Customer == c.ID {
			if t.Withheld++; why == "" {
				why = h.Reason
			}
		}
	}
	t.Text = t.there(s) + ": " + strings.Join(t.follows(c, s, [3]int{done, failed, open}, why, p, now), "; ")
	return t, true
}

// UnknownTarget is one that neither Stripe nor this database knows.
func UnknownTarget(id string) Target {
	return Target{Subscription: id, Text: "Stripe knows no subscription " + id + " in this account and mode"}
}

// there says what there is.
func (t *Target) there(s *Subscription) string {
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
		text += fmt.Sprintf("hosting %d is %s", h.ID, h.standing())
	}
	return text
}

// standing is the state of a hosting, whose doing it is, and when it was seen.
func (h *Hosting) standing() string {
	text := h.State.String()
	if h.State == HostingSuspended {
		text += " by somebody else"
		if !h.SuspendedByUs.IsZero() {
			text = h.State.String() + " by us since " + day(h.SuspendedByUs)
		}
	}
	if h.ObservedAt.IsZero() || h.ObservedAt.Unix() <= 0 { // never, or a look is asked for
		return text
	}
	return text + " (seen " + day(h.ObservedAt) + ")"
}

// follows says what was done, is to be done or is withheld, or why nothing is.
func (t *Target) follows(c *Customer, s *Subscription, counts [3]int, withheld string, p Policy, now time.Time) (parts []string) {
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
	return []string{"nothing is to be done, because " + t.content(c, s, p, now)}
}

func changes(n int) string {
	if n == 1 {
		return "1 change"
	}
	return fmt.Sprintf("%d changes", n)
}

// content is why nothing is to be done.
func (t *Target) content(c *Customer, s *Subscription, p Policy, now time.Time) string {
	for _, m := range c.Manual {
		if m.Kind == Ignore && (m.Subscription == "" || m.Subscription == s.ID) {
			return "a person holds it: ignore"
		}
	}
	switch none := len(t.Hostings) == 0; entitle(s, p, now).stance {
	case stanceUp:
		if none {
			return "none of its prices buys a hosting"
		}
		return "that is what this status asks for"
	case stanceDown, stanceEnded:
		if none {
			return "nothing was made for it, and with this status nothing is"
		}
		return "that is what this status asks for"
	case stanceKeep:
	}
	return "with this status nothing is made, and nothing is taken away"
}
