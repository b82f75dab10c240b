package reconcile

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ActionKind is the kind of one change. The order of the constants is the order in
// which a customer's actions are applied: what gives service comes before what
// takes it away, and a hosting is resumed before its plan is changed.
type ActionKind uint8

const (
	// Link records a binding in our own database; nothing is sent to Enhance.
	Link ActionKind = iota + 1
	Resume
	CreateOrg
	// CreateSubscription comes before RenameOrg, because an org without its marker is
	// recognised by the markers of its hostings and by nothing else; the owner is invited
	// once the hosting is there.
	CreateSubscription
	RenameOrg
	InviteOwner
	CreateWebsite
	ChangePlan
	// MarkHosting writes our marker into the name of a hosting that a person has bound.
	MarkHosting
	WriteMetadata
	// InstallApp comes after everything else that gives, because it is slow and nothing else
	// waits for it.
	InstallApp
	Suspend
	// Backup comes before Terminate: a hosting is deleted once each of its websites has one.
	Backup
	Terminate
	// SendMail is the last, because no mail delays anything else.
	SendMail
)

// actionKinds has a row for each kind. A new kind is a constant above, a row here, a row
// in the engine's effects, and a place in the planner that adds such actions.
var actionKinds = [...]actionKind{
	Link:               {name: "link"},
	Resume:             {name: "resume", gives: true},
	CreateOrg:          {name: "create_org", gives: true, brake: CreateSubscription},
	CreateSubscription: {name: "create_subscription", gives: true, brake: CreateSubscription},
	RenameOrg:          {name: "rename_org", brake: CreateSubscription},
	InviteOwner:        {name: "invite_owner", gives: true, brake: CreateSubscription},
	CreateWebsite:      {name: "create_website", gives: true, brake: CreateSubscription},
	ChangePlan:         {name: "change_plan", brake: ChangePlan, takes: TakesIfSmaller, ofHosting: true},
	MarkHosting:        {name: "mark_hosting"},
	WriteMetadata:      {name: "write_metadata"},
	InstallApp:         {name: "install_app", gives: true, brake: CreateSubscription},
	Suspend:            {name: "suspend", brake: Suspend, takes: TakesAlways, ofHosting: true},
	// Backup takes nothing, but all that keeps a hosting from being deleted keeps it from
	// being saved for that too.
	Backup:    {name: "backup", takes: TakesAlways, ofHosting: true},
	Terminate: {name: "terminate", brake: Terminate, takes: TakesAlways, ofHosting: true},
	SendMail:  {name: "mail", brake: SendMail},
}

// actionKind is the row of one kind.
type actionKind struct {
	name  string // the word in JSON, SQL and logs
	gives bool   // the customer has more after it
	takes Taking // the customer has less after it
	// brake is the kind as which the brake counts it; 0: no brake. The whole chain of a
	// new hosting (org, name, invitation, website) is held with the creation of the hosting.
	brake ActionKind
	// ofHosting means that two actions of the kind on one hosting are two versions of one
	// change, whichever subscription each is for.
	ofHosting bool
}

// Taking is whether a kind of action takes something away from a customer.
type Taking uint8

const (
	TakesNever     Taking = iota
	TakesIfSmaller        // it does if the new plan has less of anything
	TakesAlways
)

// row is the row of a kind; the zero row if the kind is not known.
func (k ActionKind) row() actionKind {
	if int(k) < len(actionKinds) {
		return actionKinds[k]
	}
	return actionKind{}
}

// String is the word used in JSON, SQL and logs; "unknown" if the kind is not known.
func (k ActionKind) String() string {
	if name := k.row().name; name != "" {
		return name
	}
	return "unknown"
}

// Gives reports whether the customer has more after an action of the kind.
func (k ActionKind) Gives() bool { return k.row().gives }

// Takes reports whether the customer has less after an action of the kind. A kind that is
// not known takes always.
func (k ActionKind) Takes() Taking {
	if k.row().name == "" {
		return TakesAlways
	}
	return k.row().takes
}

// Brake is the kind as which the brake counts actions of this kind; 0 if no brake holds
// them.
func (k ActionKind) Brake() ActionKind { return k.row().brake }

// ParseActionKind is the inverse of String; 0 for anything else.
func ParseActionKind(word string) ActionKind {
	for _, k := range ActionKinds() {
		if k.row().name == word {
			return k
		}
	}
	return 0
}

// ActionKinds lists every kind in order.
func ActionKinds() []ActionKind {
	all := make([]ActionKind, 0, len(actionKinds)-1)
	for k := range actionKinds[1:] {
		all = append(all, ActionKind(k+1))
	}
	return all
}

// BrakeKinds lists the kinds as which the brake counts, in order. Resume is one of them for
// actions that need a confirmation.
func BrakeKinds() []ActionKind {
	var all []ActionKind
	for _, k := range ActionKinds() {
		if k == Resume || k.Brake() == k {
			all = append(all, k)
		}
	}
	return all
}

// Action is one change, as data.
type Action struct {
	// ID depends on what changes, not on when or why:
	// "suspend:sub_1Nq/1:42", "change_plan:sub_1Nq/1:42:2>3". The same change
	// planned again has the same ID; it is what a held plan lists and what an
	// approval is of.
	ID           string
	Kind         ActionKind
	Customer     string // Customer.ID
	Subscription string // sub_… it is done for; "" for what concerns the org alone
	Item         string
	Slot         int
	Email        string
	Org          string // "" until the org exists
	Hosting      int64  // 0 until the hosting exists
	Plan         int    // the plan it shall have
	PlanName     string
	FromPlan     int    // ChangePlan: the plan it has
	Name         string // CreateOrg, RenameOrg: the name without marker; ChangePlan: the friendly name that goes with the plan, "": it stays; MarkHosting: the friendly name
	Domain       string // CreateWebsite, InstallApp, Backup
	// Site is how CreateWebsite makes it and what InstallApp installs, Onboarding how
	// InviteOwner does. Neither is stored: an action is planned again right before it is done.
	Site       SiteOptions
	Onboarding Onboarding
	// Instead is the address of the invitation that InviteOwner takes back; "": of none. It is
	// not stored either.
	Instead string
	How     BindKind
	Reason  string // a sentence for people
	// Evidence has the facts on which the action rests, if it takes something away and was
	// sent; else nil.
	Evidence *Evidence
	// Mail is the content of SendMail. The journal keeps the keys of its topics and no more,
	// because a mail is decided again right before it is sent; nil there.
	Mail *Mail
	// Instructions is Customer.Instructions of the customer that this was decided from: an
	// action that was decided before a person's last instruction is not sent.
	Instructions int64
}

// Subject names the object of an action, and its kind. If two actions have one subject and
// different ids, they are two versions of one change, and only one of them can be wanted:
// an order whose plan has changed, an invitation to another address.
func (a Action) Subject() string {
	of := a.Kind.String() + ":" + a.Customer + ":"
	if a.Kind == SendMail {
		return of + a.ID // each is a matter of its own
	}
	if a.Kind.row().ofHosting {
		return of + strconv.FormatInt(a.Hosting, 10)
	}
	return of + a.Subscription + "/" + strconv.Itoa(a.Slot)
}

// PerhapsOursSuffix ends the id of a resume that a person has to release.
const PerhapsOursSuffix = ":perhaps_ours"

// NeedsConfirmation reports whether an action undoes a suspension that is perhaps not
// ours: then it waits for a person, even if it is the only one.
func (a Action) NeedsConfirmation() bool {
	return a.Kind == Resume && strings.HasSuffix(a.ID, PerhapsOursSuffix)
}

// Brake is the kind as which the brake counts the action: that of its kind, or Resume if
// the action needs a confirmation. 0: no brake holds it.
func (a Action) Brake() ActionKind {
	if a.NeedsConfirmation() {
		return Resume
	}
	return a.Kind.Brake()
}

// BrakeWindow is the longer of the two windows.
const BrakeWindow = 24 * time.Hour

// DescribeSubscription describes the status of a subscription, without its id: " is
// active". It claims no payment that is not known.
func DescribeSubscription(s *Subscription) (text string) {
	switch s.Status {
	case StatusTrialing:
		text += " is in trial"
		if !s.CurrentPeriodEnd.IsZero() {
			text += " until " + FormatTime(s.CurrentPeriodEnd)
		}
	case StatusPastDue:
		text += " is past_due"
		if since := s.Lapse.Begun(); !since.IsZero() {
			text += " since " + FormatTime(since)
		}
	case StatusIncomplete:
		text += " is incomplete (its first payment is open)"
	case StatusCanceled, StatusIncompleteExpired:
		text += " is " + s.Status.String()
		if !s.EndedAt.IsZero() {
			text += " since " + FormatTime(s.EndedAt)
		}
	case StatusUnknown:
		text += fmt.Sprintf(" has the status %q", s.StatusText)
	case StatusUnpaid:
		if text += " is unpaid"; s.Lapse.Seen.After(s.StatusSince) && !s.StatusSince.IsZero() { // only a payment begins it anew
			text += ", though an invoice of it was paid since"
		}
	case StatusActive, StatusPaused:
		text += " is " + s.Status.String()
	}
	switch {
	case s.CollectionPaused:
		text += " (its collection is paused)"
	case s.SendInvoice && s.Status == StatusActive:
		text += " (it is sent invoices)"
	}
	return text
}

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
	Until        time.Time // by ActionRecord.At, that moment included; zero: to the present
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

// WentLive is a hosting that was made for an order.
type WentLive struct {
	Subscription  string
	Ordered, Live time.Time // the creation of the subscription, and the end of that of the hosting
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
