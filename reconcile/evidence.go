package reconcile

import (
	"fmt"
	"strings"
	"time"
)

// Evidence holds the facts on which an action rests that takes something away, as both sides
// showed them right before the action was sent. It is kept in the journal with the action.
// Its JSON is the same in the database and in documents.
type Evidence struct {
	Subscriptions []SubscriptionEvidence `json:"subscriptions"` // those that the hosting served
	Hosting       HostingEvidence        `json:"hosting"`
}

// SubscriptionEvidence is a subscription as Stripe showed it.
type SubscriptionEvidence struct {
	ID      string    `json:"id"`
	Status  string    `json:"status"` // Stripe's own word
	ReadAt  time.Time `json:"read_at"`
	Request string    `json:"request,omitempty"` // Stripe's id of the request that read it
	// EndedAt is when it ended, and UnpaidSince the due date of its oldest open invoice.
	EndedAt     *time.Time `json:"ended_at,omitempty"`
	UnpaidSince *time.Time `json:"unpaid_since,omitempty"`
	// Invoice is the id of that invoice, and Amount the rest to be paid, such as "12.50 EUR";
	// "" if the key may not read invoices.
	Invoice string `json:"invoice,omitempty"`
	Amount  string `json:"amount,omitempty"`
	// Dispute is the dispute of a payment of it that counted, and DisputeReadAt when that was
	// read; "": none.
	Dispute       string     `json:"dispute,omitempty"`
	DisputeReadAt *time.Time `json:"dispute_read_at,omitempty"`
}

// HostingEvidence is the hosting as the panel showed it.
type HostingEvidence struct {
	ID          int64     `json:"id"`
	State       string    `json:"state"`
	Plan        int       `json:"plan"`
	SuspendedBy string    `json:"suspended_by,omitempty"`
	Name        string    `json:"name"`
	ReadAt      time.Time `json:"read_at"`
}

// EvidenceFor is the evidence for an action on a hosting of c. request returns Stripe's id of
// the request that read a subscription last.
func EvidenceFor(c *Customer, hosting int64, request func(subscription string) string) *Evidence {
	e := &Evidence{}
	for i := range c.Hostings {
		if h := &c.Hostings[i]; h.ID == hosting {
			e.Hosting = HostingEvidence{ID: h.ID, State: h.State.String(), Plan: h.Plan, SuspendedBy: h.SuspendedBy, Name: h.FriendlyName, ReadAt: h.ObservedAt}
		}
	}
	for i := range c.Subscriptions {
		s := &c.Subscriptions[i]
		for _, b := range c.Bindings {
			if b.Hosting == hosting && b.Subscription == s.ID {
				e.Subscriptions = append(e.Subscriptions, evidenceOf(s, request(s.ID), c.Disputes))
				break
			}
		}
	}
	return e
}

func evidenceOf(s *Subscription, request string, disputes []Dispute) SubscriptionEvidence {
	e := SubscriptionEvidence{ID: s.ID, Status: s.StatusText, ReadAt: s.ReadAt, Request: request, EndedAt: timeOrNil(s.EndedAt), UnpaidSince: timeOrNil(s.UnpaidSince)}
	if s.Owed.ID != "" {
		e.Invoice, e.Amount = s.Owed.ID, s.Owed.Amount()
	}
	for i := range disputes {
		if d := &disputes[i]; d.Subscription == s.ID && !d.Refund() && !d.Settled() {
			e.Dispute, e.DisputeReadAt = d.ID+" "+string(d.Status), timeOrNil(d.ReadAt)
		}
	}
	return e
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Describe is the evidence in one line for people.
func (e *Evidence) Describe() string {
	var parts []string
	for _, s := range e.Subscriptions {
		text := s.ID + " is " + s.Status
		if s.EndedAt != nil {
			text += " since " + FormatTime(*s.EndedAt)
		}
		if s.UnpaidSince != nil {
			text += ", with " + strings.TrimSpace("invoice "+s.Invoice)
			if s.Amount != "" {
				text += " of " + s.Amount
			}
			text += " due " + FormatTime(*s.UnpaidSince)
		}
		if s.Dispute != "" {
			text += ", with the dispute " + s.Dispute
		}
		text += " (read " + FormatTime(s.ReadAt)
		if s.Request != "" {
			text += ", " + s.Request
		}
		parts = append(parts, text+")")
	}
	h := e.Hosting
	return strings.Join(append(parts, fmt.Sprintf("hosting %d is %s (read %s)", h.ID, h.State, FormatTime(h.ReadAt))), "; ")
}
