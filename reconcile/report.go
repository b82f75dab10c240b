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
