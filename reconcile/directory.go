package reconcile

import (
	"strings"
	"time"
)

// CustomerSearch asks for a part of the list of customers, by id.
type CustomerSearch struct {
	// Text is an e-mail, a name, a domain, or a part of one, or the id of a customer,
	// subscription, organisation or hosting; "": all.
	Text string
	// Failing leaves out customers that neither are parked nor wait after a failure.
	Failing bool
	After   string // the last customer of the part before
	Limit   int
}

// CustomerRow is a customer in a list.
type CustomerRow struct {
	ID, Email, Name, Org string
	Active               int // subscriptions that have not ended
	Subscriptions        int
	Domain               string     // of the newest order that has one
	Kinds                []HoldKind // of what its last decision withholds
	Failures             int
	LastError            string
	RetryAfter, Parked   time.Time
	PlannedAt            time.Time
}

// HoldSearch asks for a part of what the last decisions withhold, by customer.
type HoldSearch struct {
	Kind  HoldKind // "": every kind
	Text  string   // a part of the e-mail, an id, or the sentence; "": all
	After string   // the last customer of the part before
	Limit int      // customers
}

// PlanSearch asks for a part of a held plan, by customer.
type PlanSearch struct {
	Plan  string
	Text  string // a part of the e-mail, an id, or the sentence; "": all
	After string // where the part before has ended
	Limit int
}

// SameFailure is the text of an error without what differs from customer to customer (ids,
// numbers and addresses), so that errors with one cause are one kind.
func SameFailure(text string) string {
	words := strings.Fields(text)
	for i, word := range words {
		if strings.ContainsAny(word, "0123456789@") || strings.Contains(word, "_") {
			words[i] = "…"
		}
	}
	return strings.Join(words, " ")
}

// RejectionHold is the kind of hold that keeps a run from making a change that a person has
// rejected.
func (k ActionKind) RejectionHold() ManualKind {
	switch {
	case k == Resume:
		return KeepSuspended
	case k.Takes() == TakesAlways:
		return NoSuspend
	default:
		return Ignore
	}
}
