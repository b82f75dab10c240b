package simtest

import (
	"fmt"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// Scenario is a history that has not happened yet, as data. The same Scenario
// always plays in the same way.
type Scenario struct {
	Seed    uint64
	Company Company
	Faults  Mix
	Steps   []Step
}

// Company is the operator's settings of the program, and the world that it runs in.
type Company struct {
	Policy reconcile.Policy
	Brakes planner.Brakes
	// KeepLease: a service that stays the writer. False: one run at a time, by cron.
	KeepLease bool
	// Webhooks: Stripe's events arrive, and flow runs serve the subscriptions that they
	// name, in the middle of other runs too. Only with KeepLease.
	Webhooks bool
	// Latency is the longest that an ordinary call takes.
	Latency time.Duration
	// Page is the largest page of the panel.
	Page int
	// AfterRetries is Stripe's reaction when a charge never succeeds.
	AfterRetries string
	// Backups is how the panel makes them.
	Backups simulator.Backups
	// WordPress: it comes with every website that is made; Apps is how the panel installs it.
	WordPress bool
	Apps      simulator.Apps
	// Features: the smallest plan is bought by a feature of Stripe Entitlements, and not by
	// its price.
	Features bool
	// MailFaults is how many of a hundred mails, and of connections, the mail server fails.
	MailFaults int
}

// Step is one thing that happens. Which of the other fields mean something is
// written beside each Kind.
type Step struct {
	// ID names the step for the random numbers of the faults. It stays when other steps are
	// dropped, so that the rest goes on as before.
	ID   int
	Kind Kind
	Who  int           // a customer
	N    int           // which of the customer's subscriptions or hostings, or which process
	Pick int           // a price, a plan, a kind of hold, a mode
	Wait time.Duration // of Wait, Skew and Grow
	Cut  *Cut          // of Run: what happens in the middle of it
}

// Kind is the kind of a Step.
type Kind string

// The steps. The first are those of customers.
const (
	SignUp       Kind = "signs up"             // Pick: price and manner
	OrderMany    Kind = "orders many"          // Pick: price, and how many
	Pay          Kind = "pays"                 // N: subscription
	FailPayment  Kind = "fails to pay"         // N
	GiveUp       Kind = "is marked unpaid"     // N
	BillExtra    Kind = "is billed beside it"  // N: the invoice stays open
	WriteOff     Kind = "is forgiven a bill"   // N, Pick: uncollectible or void
	Dispute      Kind = "disputes a payment"   // N
	EndDispute   Kind = "has a dispute closed" // N, Pick: won or lost
	Refund       Kind = "is refunded"          // N, Pick: all or half
	Cancel       Kind = "cancels"              // N
	CancelLater  Kind = "cancels at the end"   // N
	ChangePrice  Kind = "changes price"        // N, Pick: price
	Quantity     Kind = "changes quantity"     // N, Pick: quantity
	ReplaceItem  Kind = "replaces the item"    // N, Pick: price
	AddItem      Kind = "adds an item"         // N, Pick: price
	RemoveItem   Kind = "removes an item"      // N
	PauseBilling Kind = "has billing paused"   // N
	ResumeBill   Kind = "has billing resumed"  // N
	OddStatus    Kind = "gets an odd status"   // N, Pick
	Accept       Kind = "accepts invitations"  //
	NewEmail     Kind = "changes the e-mail"   // N: which buyer, Pick: spelling
	Elsewhere    Kind = "has hosting by staff" // an org made by hand
	BuildSite    Kind = "builds a site"        // N: hosting of Who that is up
	DropSite     Kind = "takes a site down"    // Pick: of those on such hostings
)

// Staff in the panel, and the operator.
const (
	StaffSuspend Kind = "staff suspends"      // N: hosting of Who
	StaffResume  Kind = "staff resumes"       // N
	StaffDelete  Kind = "staff deletes"       // N
	StaffPurge   Kind = "staff purges"        // N
	StaffPlan    Kind = "staff changes plan"  // N, Pick
	StaffMove    Kind = "staff moves a site"  // Pick: which, N: hosting of Who
	StaffRename  Kind = "staff renames"       // N, Pick: with or without the marker
	MapRemove    Kind = "unmaps a price"      // Pick
	MapBreak     Kind = "maps to no plan"     // Pick
	MapSwap      Kind = "maps to other plan"  // Pick
	MapNone      Kind = "maps to none"        // Pick
	MapRestore   Kind = "restores mappings"   //
	HoldAdd      Kind = "adds a hold"         // Who, N: subscription or customer, Pick: kind
	HoldRemove   Kind = "removes holds"       // Who
	Approve      Kind = "approves what waits" //
	SaidNew      Kind = "is said to be new"   // Who, N: subscription
	Unbind       Kind = "is unbound"          // Who, N: binding of Who
	Rebind       Kind = "is bound again"      // Who, Pick: or the order is called new
	Merge        Kind = "is merged"           // Who, N: customer of Who, Pick: into which
	Split        Kind = "is split"            // Who, N: customer of Who
)

// Time, processes and the database.
const (
	Wait      Kind = "time passes"                  // Wait
	Run       Kind = "run"                          // N: process, Pick: mode, Who: of a targeted run, Cut
	Restart   Kind = "restart"                      // N: process
	WrongKey  Kind = "run with a foreign key"       // N: process
	Skew      Kind = "clock jumps"                  // N: process, Wait: by how much it is off
	CopyDB    Kind = "database is copied"           //
	LoseDB    Kind = "database is lost"             // Pick 0: the mappings are set again right away
	RestoreDB Kind = "database is put back"         // to the last copy, if there is one
	Calm      Kind = "faults stop for a while"      //
	Install   Kind = "a second installation begins" // with a copy of the database
	Storm     Kind = "faults go on"                 //
)

// Modes of a Run, by Step.Pick.
const (
	runIncremental = iota
	runFull
	runTargeted
	runDry
	runModes
)

// Cut is what happens in the middle of a run.
type Cut struct {
	// At is a failpoint of the engine, or "call" (before a request leaves) or
	// "answer" (after it was served, before the program hears).
	At  string
	Nth int
	// Dies: the process ends there. Otherwise Meanwhile happens and it goes on:
	// if that takes longer than the lease, it was frozen.
	Dies      bool
	Meanwhile []Step
}

// Mix is how often each fault happens to a call, per thousand.
type Mix map[Fault]int

// Fault is one kind of misfortune.
type Fault string

// The faults. All of them stay within the limits of the package comment.
const (
	DoneBut   Fault = "done, answered 502"
	Refused   Fault = "not done, answered 502"
	LostAfter Fault = "done, connection lost"
	LostEarly Fault = "not done, connection lost"
	TimeOut   Fault = "no answer for a minute"
	LateDone  Fault = "answered 504, done later"
	Throttled Fault = "429"
	Malformed Fault = "answer malformed"
	Truncated Fault = "answer cut short"
	Denied    Fault = "401 or 403"
	EmptyBody Fault = "answered {}"
	ShortList Fault = "listing short"
	StaleList Fault = "listing a minute old"
	LostEvent Fault = "event never listed"
)

var allFaults = []Fault{DoneBut, Refused, LostAfter, LostEarly, TimeOut, LateDone, Throttled, Malformed,
	Truncated, Denied, EmptyBody, ShortList, StaleList, LostEvent}

var people = []string{"ada", "bob", "cleo", "dan", "eve", "fay", "gus", "hal"}

// String is the scenario as a list for people.
func (s Scenario) String() string {
	var b strings.Builder
	c := s.Company
	fmt.Fprintf(&b, "mode %s, grace %s, retention %s, paused suspends %v, onboarding %s, websites %v, metadata %v, lease kept %v, webhooks %v, latency %s, pages of %d, after retries %s\n",
		c.Policy.Mode, c.Policy.Grace, c.Policy.Retention, c.Policy.SuspendPaused, c.Policy.Onboarding, c.Policy.CreateWebsites, c.Policy.WriteMetadata,
		c.KeepLease, c.Webhooks, c.Latency, c.Page, c.AfterRetries)
	fmt.Fprintf(&b, "brakes: suspend %d, change %d, create %d, terminate %d\n", c.Brakes.Suspend.Count, c.Brakes.ChangePlan.Count, c.Brakes.Create.Count, c.Brakes.Terminate.Count)
	if c.Policy.HoldUnpaidUpgrade || c.Policy.OneTrial || c.Policy.Dispute > 0 {
		fmt.Fprintf(&b, "an unpaid upgrade waits %v, one trial for each customer %v, disputes %d\n", c.Policy.HoldUnpaidUpgrade, c.Policy.OneTrial, c.Policy.Dispute)
	}
	if c.Features {
		b.WriteString("the smallest plan is bought by a feature\n")
	}
	if c.Policy.Backup {
		fmt.Fprintf(&b, "backup before a deletion: each takes %s, they fail %v, denied %v\n", c.Backups.Take, c.Backups.Fail, c.Backups.Denied)
	}
	if c.WordPress {
		fmt.Fprintf(&b, "WordPress on new websites: each takes %s, they fail %v, denied %v\n", c.Apps.Take, c.Apps.Fail, c.Apps.Denied)
	}
	for _, f := range allFaults {
		if s.Faults[f] > 0 {
			fmt.Fprintf(&b, "fault: %s, %d in 1000\n", f, s.Faults[f])
		}
	}
	for _, st := range s.Steps {
		fmt.Fprintf(&b, "%4d  %s\n", st.ID, st)
	}
	return b.String()
}

func (st Step) String() string {
	who := people[st.Who%len(people)]
	switch st.Kind {
	case Wait:
		return fmt.Sprintf("%s pass", st.Wait)
	case Run:
		text := fmt.Sprintf("process %d: %s run", st.N, [...]string{"incremental", "full", "targeted", "dry"}[st.Pick%runModes])
		if st.Pick%runModes == runTargeted {
			text += " for " + who
		}
		return text + st.Cut.String()
	case Skew:
		return fmt.Sprintf("the clock of process %d is off by %s", st.N, st.Wait)
	case Restart, WrongKey:
		return fmt.Sprintf("process %d: %s", st.N, st.Kind)
	case CopyDB, RestoreDB, Calm, Storm, Install, Approve, MapRestore:
		return string(st.Kind)
	case LoseDB, MapRemove, MapBreak, MapSwap, MapNone:
		return fmt.Sprintf("%s (%d)", st.Kind, st.Pick)
	}
	return fmt.Sprintf("%s %s (%d, %d)", who, st.Kind, st.N, st.Pick)
}

func (c *Cut) String() string {
	if c == nil {
		return ""
	}
	if c.Dies {
		return fmt.Sprintf(", which dies at %s %d", c.At, c.Nth)
	}
	var parts []string
	for _, st := range c.Meanwhile {
		parts = append(parts, st.String())
	}
	return fmt.Sprintf(", and at %s %d: %s", c.At, c.Nth, strings.Join(parts, "; "))
}
