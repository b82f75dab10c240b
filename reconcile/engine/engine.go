package engine

import (
	"errors"
	"io"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// Options of an Engine. The default of each field is named beside it.
type Options struct {
	Policy reconcile.Policy
	Brakes planner.Brakes
	// Settle is how long an unanswered write may still take effect; it is not
	// looked for with any conclusion before. Too short makes duplicates. 0: 90 s.
	Settle time.Duration
	// RetryMin and RetryMax bound the back-off of one customer. 0: 10 s and 1 h.
	RetryMin, RetryMax time.Duration
	// LeaseTTL is how long a dead writer keeps the others waiting. 0: 30 s.
	LeaseTTL time.Duration
	// KeepLease leaves the lease to Lead, which holds it between runs, so that of
	// several replicas one stays the writer. Without it each Run takes the lease
	// and gives it back.
	KeepLease bool
	// DriftInterval is how often a bound hosting is compared with Enhance. 0: 24 h.
	DriftInterval time.Duration
	// DriftShare is the most hostings compared in one run. 0: no limit.
	DriftShare int
	// Concurrency is how many customers are worked on at once. 0: 8.
	Concurrency int
	// Owner names this process in the lease. It must be unique. "": made up.
	Owner string
	// Now is the clock. nil: time.Now.
	Now func() time.Time
	// Rand returns a number in [0, 1) for jitter and run ids. nil: math/rand.
	Rand func() float64
	// Log receives one event for each decision. nil: silent.
	Log *logrus.Logger
	// Decide is the planner. nil: planner.Decide. A test puts one here that
	// panics, to see that only its customer is concerned.
	Decide func(*reconcile.Customer, *planner.Catalog, reconcile.Policy, time.Time) planner.Decision
	// Progress is called now and then from the goroutine of Run. nil: not called.
	Progress func(reconcile.Progress)
	// Ready is called when a nudge can be served that waited for its customer: Flow is to be
	// called again. It must not block. nil: not called.
	Ready func()
	// Failpoint is called at each step of an action at which a test may end the
	// process, with the action's kind: before-intent, after-intent, after-call,
	// after-record; and with waits, without a kind, when a run begins to wait for another
	// run of this process. nil: never.
	Failpoint func(step, kind string)
}

// Ports are the outside that the engine works with. All are required but
// Terminator, without which nothing is ever deleted, and Mailer, without which no customer
// gets a mail; Addressees and MailJournal are required with it.
type Ports struct {
	Billing     Billing
	Account     Account
	Panel       Panel
	OrgLister   OrgLister
	Owners      Owners
	Provisioner Provisioner
	Websites    Websites
	Contents    Contents
	Terminator  Terminator
	Backups     Backups
	Features    Features
	Disputes    Disputes
	Mailer      Mailer
	Addressees  Addressees

	Mirror       Mirror
	Cursors      Cursors
	Queue        Queue
	Timetable    Timetable
	Journal      Journal
	Plans        HeldPlans
	Inventory    Inventory
	ContentStore ContentStore
	BackupStore  BackupStore
	PlanStore    PlanStore
	FeatureStore FeatureStore
	DisputeStore DisputeStore
	History      History
	Evidence     Evidence
	Withheld     Withheld
	Existing     Existing
	MailJournal  MailJournal
	Leases       Leases
}

// Request is how much one run reads.
type Request struct {
	// Full forces a full sweep. Otherwise the run is incremental when a usable
	// cursor exists, and full when not.
	Full bool
	// Scheduled marks a full run that no person asked for: it compares the hostings that
	// are due, and not every one, because customers who have paid wait for a run to end.
	Scheduled bool
	// Subscriptions makes the run targeted: only these are read and planned.
	Subscriptions []string
	// Trigger is who asked: cli, cron, webhook, admin, approve, demo.
	Trigger string
	// Accept takes the listing of this full run as it is, however little it lists:
	// a person has confirmed it.
	Accept bool
	// Dry plans and sends nothing; the stored mirror is still brought up to date.
	Dry bool
	// Suppose changes a customer each time it is loaded, so that a person can see the
	// result of an instruction before giving it; only with Dry. nil: nothing.
	Suppose func(*reconcile.Customer)
	// Look reads both sides and plans for no customer; only with Dry.
	Look bool
	// Kinds are the only kinds of actions that are done. All else that the customers need is
	// planned, and left to the next run. nil: every kind.
	Kinds []reconcile.ActionKind
	// Stored plans from the mirror as it is, without reading Stripe or Enhance and without
	// the lease; only with Dry. It is for looking while a service is at work.
	Stored bool
}

// Engine runs reconciliations, one at a time. Run may be called from any
// goroutine; a second call while one is at work fails with *reconcile.LeaseTaken.
type Engine struct {
	Options
	Ports

	busy   sync.Mutex   // held by Run: one at a time
	atWork sync.RWMutex // shared by every run at work
	// denied is until when metadata is not written, in unix nanoseconds, since the
	// key may not; see metadataDenied.
	denied atomic.Int64
	// mailDown is until when the mail server is left alone, in unix nanoseconds.
	mailDown atomic.Int64
	runs     atomic.Uint64 // numbers the runs of this process, for their ids
	lease    *lease
	changes  *changes
	// together is what runs that are under way at the same time share.
	together *together
}

// New checks that everything required is there.
func New(o Options, p Ports) (*Engine, error) {
	for _, port := range []any{p.Billing, p.Account, p.Panel, p.OrgLister, p.Owners, p.Provisioner, p.Websites, p.Contents, p.Backups, p.BackupStore, p.Features, p.FeatureStore, p.Disputes, p.DisputeStore, p.ContentStore, p.Mirror, p.Cursors, p.Queue,
		p.Timetable, p.Journal, p.Plans, p.Inventory, p.PlanStore, p.History, p.Evidence, p.Withheld, p.Existing, p.Leases} {
		if port == nil {
			return nil, errors.New("engine: a port is missing")
		}
	}
	if p.Mailer != nil && (p.Addressees == nil || p.MailJournal == nil) {
		return nil, errors.New("engine: a port for mails is missing")
	}
	if o.Policy.Mode == 0 || o.Policy.Onboarding == 0 {
		return nil, errors.New("engine: the policy has no mode or no onboarding")
	}
	defaultTo(&o.Settle, 90*time.Second)
	defaultTo(&o.RetryMin, 10*time.Second)
	defaultTo(&o.RetryMax, time.Hour)
	defaultTo(&o.LeaseTTL, 30*time.Second)
	defaultTo(&o.DriftInterval, 24*time.Hour)
	defaultTo(&o.Concurrency, 8)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	if o.Log == nil {
		o.Log = logrus.New()
		o.Log.SetOutput(io.Discard)
	}
	if o.Decide == nil {
		o.Decide = planner.Decide
	}
	if o.Progress == nil {
		o.Progress = func(reconcile.Progress) {}
	}
	if o.Ready == nil {
		o.Ready = func() {}
	}
	if o.Failpoint == nil {
		o.Failpoint = func(string, string) {}
	}
	e := &Engine{Options: o, changes: &changes{}, together: newTogether()}
	e.together.turns.waits = func() { o.Failpoint("waits", "") }
	e.Ports = countChanges(p, e.changes)
	if e.Owner == "" {
		e.Owner = "process-" + e.randomID()
	}
	e.lease = &lease{port: e.Leases, owner: e.Owner, ttl: e.LeaseTTL, now: e.Now, log: e.Log}
	return e, nil
}

func defaultTo[T int | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// randomID is short and random, for names that must differ between processes.
func (e *Engine) randomID() string {
	return strconv.FormatUint(uint64(e.Rand()*float64(1<<52)), 36)
}
