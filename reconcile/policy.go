package reconcile

import "time"

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
	// Invite: Enhance mails an invitation; we never know a password.
	Invite Onboarding = iota + 1
	// Password: a login with an unknown random password, made the owner, and
	// Enhance's own password-recovery mail.
	Password
	// NoOnboarding: the customer gets access in another way.
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

// Policy is the operator's settings for decisions. It is the same for every customer of a
// run.
type Policy struct {
	Mode Mode
	// Grace is how long a past_due subscription stays up, from where its Lapse counts. 0:
	// suspended as soon as Stripe reports past_due.
	Grace time.Duration
	// Retention is how long a suspended hosting of an ended subscription is kept before its
	// soft deletion. 0: without limit.
	Retention time.Duration
	// Backup: a hosting is deleted only after a backup of each of its websites.
	Backup bool
	// SuspendPaused: pause_collection suspends. False: it changes nothing.
	SuspendPaused bool
	Onboarding    Onboarding
	// CreateWebsites: a website is made where a domain is known.
	CreateWebsites bool
	// WriteMetadata: the ids of org and hosting are written into Stripe's metadata.
	WriteMetadata bool
	// HoldUnpaidUpgrade: a change to a plan with more waits until it is paid.
	HoldUnpaidUpgrade bool
	// OneTrial: a customer that had a trial gets nothing new for another one.
	OneTrial bool
	// Dispute is the effect of a payment that is disputed or was refunded.
	Dispute DisputePolicy
	// NewAfter: an order from then on is new if no unbound hosting looks like it; an
	// earlier order waits for a person as long as the panel has unbound hostings. Zero:
	// this is not decided.
	NewAfter time.Time
	// Instance stands in the markers of this installation; "": none.
	Instance string
	// Mail is which mails customers get.
	Mail MailPolicy
	// FreshFor is how old an observation of a hosting may be for a change of it
	// to be planned; the change itself always reads again. 0 means 10 minutes.
	FreshFor time.Duration
}

// Freshness is FreshFor, or its default.
func (p Policy) Freshness() time.Duration {
	if p.FreshFor <= 0 {
		return 10 * time.Minute
	}
	return p.FreshFor
}
