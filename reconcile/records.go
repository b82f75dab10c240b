package reconcile

import (
	"slices"
	"time"
)

// Token is the fencing token of the lease. Every write of a run carries it; a
// store refuses a write whose token is no longer the lease's (fault.Fenced).
type Token int64

// ActionState is where an action stands in the journal. The database holds the
// same words in a CHECK.
type ActionState uint8

const (
	ActionPlanned    ActionState = iota + 1 // wanted by the last plan, nothing sent
	ActionHeld                              // wanted, withheld by the brake
	ActionSent                              // intent durable; the call may be under way
	ActionAmbiguous                         // sent; the outcome is not known
	ActionApplied                           // done, and read back
	ActionAdopted                           // found done: the answer had been lost
	ActionFailed                            // refused; not done
	ActionSuperseded                        // no longer wanted by a later plan
)

var actionStateNames = [...]string{
	ActionPlanned: "planned", ActionHeld: "held", ActionSent: "sent",
	ActionAmbiguous: "ambiguous", ActionApplied: "applied", ActionAdopted: "adopted",
	ActionFailed: "failed", ActionSuperseded: "superseded",
}

// String is the word stored in the database.
func (s ActionState) String() string {
	if int(s) < len(actionStateNames) && actionStateNames[s] != "" {
		return actionStateNames[s]
	}
	return "unknown"
}

// ParseActionState is the inverse of String; 0 for anything else.
func ParseActionState(word string) ActionState {
	for s, name := range actionStateNames {
		if name == word && name != "" {
			return ActionState(s)
		}
	}
	return 0
}

// Open reports whether the action may still change state.
func (s ActionState) Open() bool {
	return s == ActionPlanned || s == ActionHeld || s == ActionSent || s == ActionAmbiguous
}

// ActionRecord is one row of the journal.
type ActionRecord struct {
	Action
	Key        string // unique: Action.ID, "@", the run that planned it first
	Run        string // the run that touched it last
	State      ActionState
	Error      string
	PlannedAt  time.Time
	SentAt     time.Time // zero: never sent
	FinishedAt time.Time // zero: still open
	Settle     time.Time // ActionAmbiguous: not looked for again before
	Looks      int       // ActionAmbiguous: complete looks that found nothing
	LookedAt   time.Time
	Attempts   int
	PlanID     string // held plan that released it; "" when none was needed
}

// At is when the row reached its state: when it was done, refused or given up, else when
// it was sent, else when it was planned.
func (r ActionRecord) At() time.Time {
	for _, at := range []time.Time{r.FinishedAt, r.SentAt} {
		if !at.IsZero() {
			return at
		}
	}
	return r.PlannedAt
}

// Planned is the outcome of planning one customer, as the store keeps it.
type Planned struct {
	Customer string
	// Version is Customer.Version of the customer that this was decided from. A customer
	// that was woken since (a fact, a hold, an approval came in) stays due, whatever Due
	// is, because this decision does not know why. It travels with the decision and is kept
	// nowhere else: a second reader of the same customer must not make an old decision look
	// new.
	Version int64
	// Undecided means that the planner could not decide: the open rows of the journal stay
	// as they are.
	Undecided bool
	Actions   []Action
	Holds     []Hold
	// Later are the ids of actions that are wanted too, but not again in this run.
	Later []string
	// Forecast lists the changes that come with a date; it is not stored.
	Forecast []ForecastEntry
	// Noted are the Stripe customers whose change of e-mail or name this run has noted.
	Noted []string
	// Due is when to look at this customer again; zero: only when something changes.
	Due time.Time
}

// Defers reports whether a decision leaves an action open because something else comes
// first: if it binds a hosting, the rest is decided once that is bound; if a write has no
// known outcome, the rest is decided once it has one. If a hosting is found in the place
// of a creation, that creation is done.
func (p *Planned) Defers(a Action) bool {
	first := slices.ContainsFunc(p.Holds, func(h Hold) bool { return h.Kind == HoldAmbiguous })
	for i := range p.Actions {
		l := &p.Actions[i]
		if l.Kind != Link {
			continue
		}
		first = true
		if a.Kind == CreateOrg && l.Hosting == 0 || a.Kind == CreateSubscription && l.Hosting != 0 && l.Subscription == a.Subscription && l.Slot == a.Slot {
			return false
		}
	}
	return first
}

// NudgeAll stands in a nudge for all subscriptions: a full run is wanted.
const NudgeAll = "*"

// NudgeTargets is what a nudge asks for on behalf of a run that another process is to do.
func NudgeTargets(full bool, subscriptions []string) []string {
	if full {
		return []string{NudgeAll}
	}
	return subscriptions
}

// Outcome is the result of one action, and everything learned with it. The store writes it
// in one transaction.
type Outcome struct {
	Action      Action
	Run         string
	State       ActionState
	Error       string
	At          time.Time
	SettleUntil time.Time // ActionAmbiguous
	Looks       int       // ActionAmbiguous
	LookedAt    time.Time
	// Facts to store with it; nil or zero ones are left as they are.
	Org      *Org      // bind (CreateOrg, Link) or refresh the customer's org
	OrgNamed bool      // RenameOrg applied
	Invited  time.Time // InviteOwner applied
	// InvitedEmail is the address that was invited, as EmailKey has it.
	InvitedEmail string
	Hosting      *Hosting // as read back; SuspendedByUs and TerminatedByUs included
	Binding      *Binding // created or moved: unique per (Subscription, Slot)
	Unsuspend    bool     // clear SuspendedByUs of Hosting
	MetadataOK   bool     // WriteMetadata applied to Subscription
	// Mail is the outcome of SendMail; 0 counts as MailUnsent.
	Mail MailState
}

// Backoff is what a customer's failure leads to.
type Backoff struct {
	Customer string
	// Version is Customer.Version of the customer that this was decided from; see Planned.
	Version int64
	// Counts is false for outages of a side: they delay, and never park.
	Counts bool
	Due    time.Time
	Parked bool
	Error  string
}

// RunMode is how much a run looks at. The zero value is invalid.
type RunMode uint8

const (
	RunFull RunMode = iota + 1
	RunIncremental
	RunTargeted
)

// String is the word in JSON and SQL.
func (m RunMode) String() string {
	switch m {
	case RunFull:
		return "full"
	case RunIncremental:
		return "incremental"
	case RunTargeted:
		return "targeted"
	}
	return "unknown"
}

// RunRecord is one run in the history.
type RunRecord struct {
	ID            string
	Trigger       string // cli, cron, webhook, admin, approve, demo
	Mode          string // RunMode.String
	Started       time.Time
	Finished      time.Time // zero: under way, or the process died
	Error         string
	Subscriptions int // listed or read at Stripe
	Events        int
	StripeCalls   int
	EnhanceCalls  int
	Planned       int
	Applied       int
	Failed        int
	Held          int
	Orders        int      // subscriptions that are to have hosting, and have none before a person acts
	Gates         []string // evidence gates that failed, as sentences
	// Converged is Report.Converged of the run; nil: it has not ended, or was done by a
	// version that did not keep it.
	Converged *bool
}

// Counts of the rows in the store, for health and reports.
type Counts struct {
	Subscriptions int
	Active        int // entitled by their status
	Suspended     int // hostings suspended by us
	Canceled      int
	Bound         int // bindings of hostings not terminated: the base of the brake's percentages
	Customers     int
	Due           int
	Parked        int
	Ambiguous     int
}

// ListedState is what the mirror knew at the last full sweep.
type ListedState struct {
	Count    int       // subscriptions listed
	Entitled int       // of those, entitled
	At       time.Time // zero: never swept
}
