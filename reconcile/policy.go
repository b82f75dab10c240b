package reconcile

import (
	"fmt"
	"time"
)

// Mode is how much the program may do. The zero value is invalid, so that a
// forgotten mode never enforces.
type Mode uint8

const (
	// Observe plans and reports; nothing is changed anywhere.
	Observe Mode = iota + 1
	// Provision gives: it creates, resumes and upgrades, and takes nothing away.
	Provision
	// Enforce also suspends and downgrades; it terminates only where a retention
	// period is set as well.
	Enforce
)

var modeNames = [...]string{Observe: "observe", Provision: "provision", Enforce: "enforce"}

// String is the word of the configuration.
func (m Mode) String() string {
	if int(m) < len(modeNames) && modeNames[m] != "" {
		return modeNames[m]
	}
	return "invalid"
}

// ParseMode is the inverse of String; 0 for anything else.
func ParseMode(word string) Mode {
	for m, name := range modeNames {
		if name == word && name != "" {
			return Mode(m)
		}
	}
	return 0
}

// Onboarding is how an owner gets into a new org. The zero value is invalid.
type Onboarding uint8

const (
	// Invite: Enhance mails an invitation; no password is ever known to us.
	Invite Onboarding = iota + 1
	// Password: a login with an unknown random password, made the owner, and
	// Enhance's own password-recovery mail.
	Password
	// NoOnboarding: somebody else lets the customer in.
	NoOnboarding
)

var onboardingNames = [...]string{Invite: "invite", Password: "password", NoOnboarding: "none"}

// String is the word of the configuration.
func (o Onboarding) String() string {
	if int(o) < len(onboardingNames) && onboardingNames[o] != "" {
		return onboardingNames[o]
	}
	return "invalid"
}

// ParseOnboarding is the inverse of String; 0 for anything else.
func ParseOnboarding(word string) Onboarding {
	for o, name := range onboardingNames {
		if name == word && name != "" {
			return Onboarding(o)
		}
	}
	return 0
}

// Policy is what the operator decided. It is the same for every customer of a run.
type Policy struct {
	Mode Mode
	// Grace is how long a past_due subscription stays up, from where its Lapse
	// counts. 0: suspended on Stripe's word at once.
	Grace time.Duration
	// Retention is how long a suspended hosting of an ended subscription is kept
	// before its soft deletion. 0: for ever.
	Retention time.Duration
	// SuspendPaused: pause_collection suspends. False: it changes nothing.
	SuspendPaused bool
	Onboarding    Onboarding
	// CreateWebsites: a website is made where a domain is known.
	CreateWebsites bool
	// WriteMetadata: Stripe's objects are told which org and hosting they have.
	WriteMetadata bool
	// NewAfter: what was ordered at or after it is new where no unbound hosting looks
	// like it; what was ordered before waits for a person as long as the panel has
	// unbound hostings. Zero: nobody has decided.
	NewAfter time.Time
	// Instance is the word of this installation in its markers; "": none.
	Instance string
	// FreshFor is how old an observation of a hosting may be for a change of it
	// to be planned; the change itself always reads again. 0 means 10 minutes.
	FreshFor time.Duration
}

func (p Policy) freshFor() time.Duration {
	if p.FreshFor <= 0 {
		return 10 * time.Minute
	}
	return p.FreshFor
}

// maxUnits is the most hostings one item may ask for. More is almost always a
// metered quantity (gigabytes, seats) mapped by mistake.
const maxUnits = 100

// Limit is the most changes of one kind in one run: the larger of Count and
// Percent of the bound hostings.
type Limit struct {
	Count   int
	Percent float64
}

// Allow is the limit for a fleet of bound hostings.
func (l Limit) Allow(bound int) int {
	return max(l.Count, int(float64(bound)*l.Percent/100))
}

// Brakes are the limits per kind of change. Resumes have none: they are the way
// back, and a paying customer never waits for an approval to be switched on again.
type Brakes struct {
	Suspend    Limit
	ChangePlan Limit
	Create     Limit
	Terminate  Limit
}

// DefaultBrakes are the limits of the contract.
func DefaultBrakes() Brakes {
	return Brakes{
		Suspend:    Limit{Count: 5, Percent: 2},
		ChangePlan: Limit{Count: 5, Percent: 5},
		Create:     Limit{Count: 25, Percent: 10},
		Terminate:  Limit{Count: 1, Percent: 1},
	}
}

// dayFactor is how many times the limit of a run may be used up in 24 hours.
const dayFactor = 2.5

// BrakeWindow is the longer of the two windows.
const BrakeWindow = 24 * time.Hour

// BrakeKind names the brake that an action falls under by the kind it is counted
// as; 0 for actions that no brake ever holds. The whole chain of a new hosting
// (org, name, invitation, website) is held with the creation it belongs to.
func BrakeKind(k Kind) Kind {
	switch k {
	case CreateOrg, RenameOrg, InviteOwner, CreateSubscription, CreateWebsite:
		return CreateSubscription
	case ChangePlan, Suspend, Terminate:
		return k
	case Link, Resume, WriteMetadata:
		return 0
	}
	return 0
}

// Limit returns the limit of a brake kind as BrakeKind names it.
func (b Brakes) Limit(k Kind) Limit {
	switch BrakeKind(k) {
	case CreateSubscription:
		return b.Create
	case ChangePlan:
		return b.ChangePlan
	case Suspend:
		return b.Suspend
	case Terminate:
		return b.Terminate
	}
	return Limit{}
}

// Load is what the brake looks at, for one kind.
type Load struct {
	Kind      Kind // as BrakeKind names it
	Planned   int  // in this run, without what an approval released
	Performed int  // in the last 24 hours, without what approvals released
	Bound     int  // hostings bound: the base of the percentages
}

// Holds reports whether all of the kind is to be held, and the sentence that
// says why. It holds all or nothing: stopping after the first N would only pick
// N victims by sort order.
func (b Brakes) Holds(l Load) (reason string, held bool) {
	limit := b.Limit(l.Kind).Allow(l.Bound)
	day := int(float64(limit) * dayFactor)
	switch {
	case l.Planned == 0:
		return "", false
	case l.Planned > limit:
		return fmt.Sprintf("%d × %s in one run, more than the limit of %d (%d bound)",
			l.Planned, BrakeKind(l.Kind), limit, l.Bound), true
	case l.Planned+l.Performed > day:
		return fmt.Sprintf("%d × %s planned and %d done in the last 24 hours, more than the limit of %d (%d bound)",
			l.Planned, BrakeKind(l.Kind), l.Performed, day, l.Bound), true
	}
	return "", false
}
