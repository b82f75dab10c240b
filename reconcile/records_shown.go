package reconcile

import (
	"cmp"
	"time"
)

// These are the records that people are shown: by the command line, the API and the
// page. The store reads them, and no decision is made from them.

// CustomerRecord is a customer as it is shown to people.
type CustomerRecord struct {
	Customer
	Held    []Hold         // by its last decision
	DueAt   time.Time      // zero: only when something changes
	History []ActionRecord // newest first
	Erased  time.Time      // when its name and e-mail were erased; zero: they were not
	// Schedules change its subscriptions on a day to come; nil if they were not read.
	Schedules []Schedule
}

// Question is what support staff ask about a customer. Values are part of the JSON.
type Question string

const (
	QuestionDown       Question = "down"       // why a site is down, and who suspended it
	QuestionUp         Question = "up"         // why it was not suspended
	QuestionWhen       Question = "when"       // when it will be
	QuestionPayment    Question = "payment"    // which payment is missing
	QuestionDispute    Question = "dispute"    // which payment is disputed or was refunded
	QuestionPlan       Question = "plan"       // why it is on its plan
	QuestionInvitation Question = "invitation" // what became of the invitation
	QuestionOwner      Question = "owner"      // whether Stripe knows the owner by another address or name
	QuestionHostings   Question = "hostings"   // why there are several hostings
	QuestionPayNow     Question = "pay_now"    // what happens if the customer pays now
	QuestionPeriodEnd  Question = "period_end" // what happens at the end of the period
)

// Answer is the answer to one question about a customer, as a sentence.
type Answer struct {
	Question     Question
	Subscription string // "" where it is about the customer
	Hosting      int64  // 0 where it is about no hosting
	Text         string
}

// CustomerLookup chooses customers; exactly one field is set.
type CustomerLookup struct {
	Email          string // without regard to case; several customers may share it
	StripeCustomer string // cus_…, or a Customer.ID
	Subscription   string
	Domain         string // as DomainKey has it
	Org            string // a UUID in lower case
	Hosting        int64
}

// Word is the text that a person typed to choose them.
func (l CustomerLookup) Word() string {
	if l.Hosting != 0 {
		return FormatID(l.Hosting)
	}
	return l.Email + l.StripeCustomer + l.Subscription + l.Domain + l.Org
}

// ActionFilter chooses rows of the journal; empty fields choose all.
type ActionFilter struct {
	Customer     string // Customer.ID, or cus_… of any of its buyers
	Subscription string
	State        ActionState
	Since        time.Time // by ActionRecord.At; zero: from the beginning
	Limit        int       // 0: 100
}

// MappingRecord is a mapping with who set it and when. Both are empty for rows that
// were inserted by hand.
type MappingRecord struct {
	Mapping
	UpdatedAt time.Time
	UpdatedBy string
}

// WebhookRecord is one event that came by webhook.
type WebhookRecord struct {
	EventID      string
	Type         string
	Subscription string // "" when the event names none
	ReceivedAt   time.Time
	State        WebhookState
	Error        string
	FinishedAt   time.Time // zero: no run has followed it yet
}

// WebhookState is how far an event has been followed.
type WebhookState string

const (
	WebhookReceived WebhookState = "received" // stored, no run has looked yet
	WebhookFollowed WebhookState = "followed" // a run looked at the subscription that it names
	WebhookFailed   WebhookState = "failed"   // the run that looked failed
)

// WebhookStates are all states of an event.
func WebhookStates() []WebhookState {
	return []WebhookState{WebhookReceived, WebhookFollowed, WebhookFailed}
}

// Totals are the counts for health and metrics.
type Totals struct {
	Counts
	OldestDue time.Time // zero: no customer is due
}

// OwnerLogin is a member of an org with the role Owner.
type OwnerLogin struct {
	Member   string // its id at the panel
	Email    string
	Accepted bool // false: invited, and has not accepted
}

// LoginRequest is the order to make a login link for an owner.
type LoginRequest struct {
	Owner  string // the e-mail; "": the only owner
	Author string
	Reason string
}

// Login is a one-time link, and whose login it is.
type Login struct {
	Customer, Org, Owner string
	Link                 string // a credential; "": none was made
}

// Compare orders owners by e-mail.
func (o OwnerLogin) Compare(other OwnerLogin) int {
	return cmp.Or(cmp.Compare(o.Email, other.Email), cmp.Compare(o.Member, other.Member))
}
