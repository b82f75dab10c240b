package reconcile

import "time"

// Report is what one run saw, wanted, withheld and did.
type Report struct {
	Run RunRecord
	// Actions in the order planned; State tells what became of each.
	Actions []ActionRecord
	// Holds of every customer that has any, those of earlier runs included: a
	// hold stands until a later plan drops it.
	Holds []Hold
	// Plans that the brake holds for approval, newest first.
	Plans []HeldPlan
	// Dry tells that nothing was sent to Stripe or Enhance.
	Dry bool
	// Notes are sentences for the operator that concern no single customer: a
	// gate that failed, a recovery, a lease held by somebody else.
	Notes []string
}

// Converged reports whether what is wanted is what there is: nothing planned,
// withheld or failed.
func (r Report) Converged() bool {
	return r.Run.Error == "" && r.Pending() == 0 && len(r.Holds) == 0 && len(r.Plans) == 0
}

// Pending counts the actions that are wanted and not done.
func (r Report) Pending() int {
	n := 0
	for _, a := range r.Actions {
		if a.State != ActionApplied && a.State != ActionAdopted && a.State != ActionSuperseded {
			n++
		}
	}
	return n
}

// Progress is told now and then while a run goes on, for people who wait.
type Progress struct {
	Phase string // "listing", "reading", "planning", "applying", "comparing"
	Done  int
	Total int // 0: not known
}

// LeaseHeld is the error of a run that found another writer at work.
type LeaseHeld struct {
	Owner string
	Until time.Time
}

func (e *LeaseHeld) Error() string {
	return "another writer is at work: " + e.Owner + " holds the lease until " + e.Until.UTC().Format(time.RFC3339)
}
