package reconcile

import (
	"slices"
	"time"
)

// Report is the result of one run: its evidence, its actions, its holds and their
// outcomes.
type Report struct {
	Run RunRecord
	// Actions in the order planned; State is the outcome of each. Of each state these are
	// the first MostReported.
	Actions []ActionRecord
	// Holds of every customer that has any, those of earlier runs included: a hold stands
	// until a later decision drops it. Of each kind these are the first MostReported.
	Holds []Hold
	// Omitted counts what there is beyond that.
	Omitted Omitted
	// Plans that the brake holds for approval: those that hold something of this run, then
	// those that wait from earlier runs, without their actions.
	Plans []HeldPlan
	// Dry means that nothing was sent to Stripe or Enhance.
	Dry bool
	// Notes are sentences for the operator that concern no single customer: a gate that
	// failed, a recovery, a lease that another process has.
	Notes []string
	// Drifts are the hostings that others have changed at the panel since they were last
	// seen, the first MostReported of Drifted.
	Drifts  []Drift
	Drifted int
	// Partial means that something which this run was to look at could not be read. Notes
	// name it.
	Partial bool
	// Observed means that MODE=observe kept everything from being done, and Stored that
	// neither Stripe nor Enhance was asked: it is a plan from what the database has.
	Observed, Stored bool
	// Forecast lists the changes that come with a date for the customers of a dry run, by
	// time: the first MostReported.
	Forecast []ForecastEntry
	// Targets are the subscriptions that were asked for, in a targeted run.
	Targets []Target
	// Waits is why nothing at all is created before a person has acted, as a sentence; "":
	// paid orders are created. It stands among the gates of the run.
	Waits string
}

// MostReported is how many actions of one state, and holds of one kind, a report
// lists: more than a person reads, and little enough to be kept in memory several
// times over. The journal has all of them.
const MostReported = 5_000

// Omitted is what a report counts and does not list.
type Omitted struct {
	Actions         map[ActionClass]int
	Holds           int // without those of the brake, and without those settled
	DecidedByPerson int // holds with which a person has decided the matter
	Brakes          int // holds of the brake
}

// ActionClass is what actions are counted by.
type ActionClass struct {
	Kind  ActionKind
	State ActionState
}

// In counts the actions in one of these states.
func (o Omitted) In(states ...ActionState) int {
	n := 0
	for class, count := range o.Actions {
		if slices.Contains(states, class.State) {
			n += count
		}
	}
	return n
}

// Total is everything that is not listed.
func (o Omitted) Total() int {
	n := o.Holds + o.DecidedByPerson + o.Brakes
	for _, count := range o.Actions {
		n += count
	}
	return n
}

// Converged reports whether the desired state is reached: nothing is planned, withheld or
// failed, no held plan waits for approval, everything that was to be read was read, and no
// gate is closed. With a closed gate the desired state is not known. What a person wants
// left alone counts as reached.
func (r Report) Converged() bool {
	return r.Run.Error == "" && len(r.Run.Gates) == 0 && !r.Partial && r.Waits == "" && r.Pending() == 0 && r.Withheld() == 0 && len(r.Plans) == 0
}

// Withheld counts the holds that wait for a person or an event.
func (r Report) Withheld() int {
	n := r.Omitted.Holds + r.Omitted.Brakes
	for i := range r.Holds {
		if !r.Holds[i].DecidedByPerson() {
			n++
		}
	}
	return n
}

// Pending counts the actions that are wanted and not done.
func (r Report) Pending() int {
	n := 0
	for class, count := range r.Omitted.Actions {
		if class.State.undone() {
			n += count
		}
	}
	for _, a := range r.Actions {
		if a.State.undone() {
			n++
		}
	}
	return n
}

// undone reports whether a wanted action is not done, or not known to be done.
func (s ActionState) undone() bool {
	return s != ActionApplied && s != ActionAdopted && s != ActionSuperseded
}

// Progress is reported now and then during a run, for people who wait.
type Progress struct {
	Phase string // "listing", "reading", "planning", "applying", "rehearsing", "comparing"
	Done  int
	Total int // 0: not known
}

// LeaseTaken is the error of a run that found another writer at work.
type LeaseTaken struct {
	Owner string
	Until time.Time
}

func (e *LeaseTaken) Error() string {
	return "another writer is at work: " + e.Owner + " holds the lease until " + e.Until.UTC().Format(time.RFC3339)
}

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
