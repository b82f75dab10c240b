package reconcile

import "time"

// ForecastKind is what kind of thing comes with a date. Values are part of the JSON contract.
type ForecastKind string

const (
	ForecastWarn       ForecastKind = "warn" // a mail to the customer, before one of the next two
	ForecastSuspend    ForecastKind = "suspend"
	ForecastTerminate  ForecastKind = "terminate"
	ForecastCancel     ForecastKind = "cancel" // a subscription ends, or expires without a first payment
	ForecastTrialEnd   ForecastKind = "trial_end"
	ForecastPlanChange ForecastKind = "plan_change" // by a schedule at Stripe
	ForecastHoldEnd    ForecastKind = "hold_end"    // of a hold that a person put
)

// ForecastEntry is something that comes on a day if nothing changes until then.
type ForecastEntry struct {
	At                            time.Time
	Kind                          ForecastKind
	Customer, Subscription, Email string
	Org                           string
	Hosting                       int64
	// Source tells entries of one kind apart that have the same customer, subscription and
	// hosting: the id of the hold, or the phase of the schedule. "" if there is only one.
	Source string
	Reason string // a sentence
}

// Schedule is a subscription schedule of Stripe that has not ended: it changes the items of
// a subscription on days that are known, or begins a subscription later.
type Schedule struct {
	ID             string // sub_sched_…
	StripeCustomer string // cus_…
	Subscription   string // sub_…; "" if it has not begun
	Phases         []Phase
	Cancels        bool // the subscription ends with the last phase; else it goes on without a schedule
}

// Phase is a time in which a subscription has the same items.
type Phase struct {
	Start, End time.Time
	Items      []Item // without an id
}
