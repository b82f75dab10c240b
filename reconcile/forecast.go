package reconcile

import "time"

// ForecastKind is what kind of thing comes with a date. Values are part of the JSON contract.
type ForecastKind string

const (
	ForecastSuspend   ForecastKind = "suspend"
	ForecastTerminate ForecastKind = "terminate"
	ForecastCancel    ForecastKind = "cancel"
	ForecastTrialEnd  ForecastKind = "trial_end"
	ForecastExpire    ForecastKind = "expire" // of a first payment that is not made
)

// ForecastEntry is something that comes on a day if nothing changes until then.
type ForecastEntry struct {
	At                            time.Time
	Kind                          ForecastKind
	Customer, Subscription, Email string
	Org                           string
	Hosting                       int64
	Reason                        string // a sentence
}
