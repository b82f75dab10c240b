package engine

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// evidence is how far a run may rely on its readings, and the actions that it must not do
// because of that. A gate is a reason for which it must not.
type evidence struct {
	// These are written by the steps before customers are worked on in parallel.

	accountKnown  bool                   // this is the Stripe account that we know
	panelKnown    bool                   // this is the panel that we know
	clockOffset   time.Duration          // how far ahead our own clock is, if that is too far to use it
	verdict       listingVerdict         // why the last listing was rejected, if it was
	measure       *reconcile.ListedState // the listing that later ones are compared with; nil: the stored one
	suspender     string                 // cursorSuspender as the run began
	needsApproval string                 // why removals wait for approval; "": they do not

	mu              sync.Mutex      // guards all below
	gates           []string        // every reason, in order
	removalsBlocked string          // why nothing may be taken away; "": it may
	createsBlocked  string          // why nothing may be created; "": it may
	createsWait     string          // why nothing is created before a person has acted; "": it is
	recovered       map[string]bool // customers for whom a lost write was found
	lossNoted       bool            // it was noted that this database is new or older than the panel
	lossFound       bool            // this run found that the database is older than the panel
	perhapsOurs     []int64         // hostings whose suspension is perhaps ours
}

func newEvidence() *evidence { return &evidence{recovered: map[string]bool{}} }

// again is the evidence for a plan that is made again in the same run.
func (e *evidence) again() *evidence {
	e.mu.Lock()
	defer e.mu.Unlock()
	next := newEvidence()
	next.accountKnown, next.panelKnown, next.clockOffset = e.accountKnown, e.panelKnown, e.clockOffset
	next.verdict, next.measure, next.suspender = e.verdict, e.measure, e.suspender
	next.gates, next.removalsBlocked, next.createsBlocked, next.createsWait = e.gates, e.removalsBlocked, e.createsBlocked, e.createsWait
	next.lossNoted = e.lossNoted
	return next
}

// add puts a reason behind those before it.
func add(reasons *string, reason string) {
	if *reasons != "" {
		*reasons += "; "
	}
	*reasons += reason
}

// blockRemovals closes a gate: nothing is taken away in this run.
func (e *evidence) blockRemovals(reason string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	add(&e.removalsBlocked, reason)
	e.gates = append(e.gates, reason)
}

// requireApproval makes removals wait for a person.
func (e *evidence) requireApproval(reason string) {
	add(&e.needsApproval, reason)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.gates = append(e.gates, reason)
}

// waitForPerson notes why nothing is created before a person has acted.
func (e *evidence) waitForPerson(reason string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	add(&e.createsWait, reason)
	e.gates = append(e.gates, reason)
}

// blockCreates keeps everything from being created in this run. It reports whether
// the reason is the first one; later ones change nothing.
func (e *evidence) blockCreates(reason string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.createsBlocked != "" {
		return false
	}
	e.createsBlocked = reason
	return true
}

// abort is the error of a run that must not do anything: the account or the panel is not ours.
// The reason stands among the gates, so that it is reported like one.
func (e *evidence) abort(format string, args ...any) error {
	reason := fmt.Sprintf(format, args...)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.gates = append(e.gates, reason)
	return fault.Errorf(fault.Permanent, "nothing was done: %s", reason)
}

// removalsAreBlocked reports whether nothing may be taken away.
func (e *evidence) removalsAreBlocked() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.removalsBlocked != ""
}

// createsAreBlocked reports whether nothing may be created.
func (e *evidence) createsAreBlocked() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.createsBlocked != ""
}

// withhold turns the actions of a decision that this run must not do into holds.
func (e *evidence) withhold(d planner.Decision, c *planner.Catalog) planner.Decision {
	e.mu.Lock()
	creates, removals := e.createsBlocked, e.removalsBlocked
	e.mu.Unlock()
	if creates != "" {
		d = planner.WithholdCreates(d, creates)
	}
	if removals != "" {
		d = planner.Withhold(d, c, reconcile.HoldEvidence, removals)
	}
	return d
}

// closed is every reason for which this run must not do something.
func (e *evidence) closed() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.gates)
}

// waitsFor is why nothing is created before a person has acted.
func (e *evidence) waitsFor() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.createsWait
}

// addRecovered notes a customer for whom a lost write was found: a marker that turns
// up there is no sign of an old database.
func (e *evidence) addRecovered(customer string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.recovered[customer] = true
}

// setLossNoted notes that the report shows already that this database is new or old.
func (e *evidence) setLossNoted() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.lossNoted = true
}

// findLoss notes that a marker of ours was found at a customer which nothing in the
// database accounts for. It reports whether that shows an old database for the first
// time in this run.
func (e *evidence) findLoss(customer string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.lossNoted || e.recovered[customer] {
		return false
	}
	e.lossNoted, e.lossFound = true, true
	return true
}

// addPerhapsOurs notes a hosting whose suspension is perhaps ours.
func (e *evidence) addPerhapsOurs(hosting int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !slices.Contains(e.perhapsOurs, hosting) {
		e.perhapsOurs = append(e.perhapsOurs, hosting)
	}
}

// clock is the time, as far as this run knows: that of our clock, or Stripe's if ours
// is wrong.
func (r *run) clock() time.Time { return r.Now().Add(-r.evidence.clockOffset).UTC() }

// blockRemovals closes a gate, and notes it.
func (r *run) blockRemovals(reason string) {
	r.evidence.blockRemovals(reason)
	r.note("nothing is taken away in this run: %s", reason)
}

// requireApproval makes removals wait for a person, and notes it.
func (r *run) requireApproval(reason string) {
	r.evidence.requireApproval(reason)
	r.note("what takes something away waits for approval: %s", reason)
}

// waitForPerson notes why nothing is created.
func (r *run) waitForPerson(reason string) {
	r.evidence.waitForPerson(reason)
	r.note("%s", reason)
}
