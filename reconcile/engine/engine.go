package engine

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/priority"
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
	// Concurrency is how many requests each side takes at once. A run reads as many things at
	// once, and serves as many customers; without KeepLease twice as many, unless it is 1. 0: 8.
	Concurrency int
	// Keep is how long the history is kept: journal, runs, webhooks. 0: for ever.
	Keep time.Duration
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
	// Trace follows runs and customers, and decides nothing. nil: nothing does.
	Trace Tracer
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

// Tracer makes the spans of a trace. It never waits for anything.
type Tracer interface {
	// Begin begins the span of a run or a customer; end is called once.
	Begin(ctx context.Context, name, id string) (_ context.Context, end func())
	// Failed marks the span of ctx as failed.
	Failed(ctx context.Context, err error)
}

// noTrace is traces that are off.
type noTrace struct{}

func (noTrace) Begin(ctx context.Context, _, _ string) (context.Context, func()) {
	return ctx, func() {}
}

func (noTrace) Failed(context.Context, error) {}

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
	Archive      Archive
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
	if o.Trace == nil {
		o.Trace = noTrace{}
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

// run is one run at work: what it was asked, what it looks at, and the owners of the
// facts that it learns. Each owner is in a file of its name.
type run struct {
	*Engine
	scope
	Cursors Cursors // those of the engine, read once
	req     Request
	tok     reconcile.Token
	rec     reconcile.RunRecord
	now     time.Time // when the run began, by its clock; customers that are due by then are planned
	log     *logrus.Entry
	catalog *planner.Catalog

	evidence *evidence // what the run may rely on
	index    *orgIndex // the orgs at the panel
	known    *known    // customers as they were loaded
	features *features // of products
	work     *work     // the customers to apply
	brake    *brake    // what waits for approval
	judged   int64     // the mark of the claims when the brake began to judge
	outages  outages   // failures that concern every customer, and back-off
	findings *findings // all that is reported besides actions
	progress *progress
	followed []reconcile.Event // by an incremental run
	foreseen *foreseen         // by a dry run, for later customers
	post     *post             // the mail that is being sent

	// Of a flow run; see flow.go.
	flows    bool // it serves who has just paid, beside other runs
	losses   int  // how often the account or the panel was lost when it began; see stillTrusted
	recorded bool // it has something to do, so it is recorded
	leaves   bool // it leaves something to the next run
}

// scope is how much a run looks at.
type scope struct {
	mode         reconcile.RunMode
	everyHosting bool      // a full run that compares every hosting, and not only those due
	since        time.Time // the event cursor of an incremental run
	only         []string  // the customers of a targeted run; nil: every customer that is due
}

// Run does one run. The report is valid even if the error is not nil: it shows the work
// that was done until then.
func (e *Engine) Run(ctx context.Context, req Request) (reconcile.Report, error) {
	if !e.busy.TryLock() {
		return reconcile.Report{}, &reconcile.LeaseTaken{Owner: e.Owner, Until: e.Now()}
	}
	defer e.busy.Unlock()
	r := e.newRun(req)
	ctx, end := e.Trace.Begin(ctx, "run", r.rec.ID)
	defer end()
	if req.Stored {
		r.req.Dry = true
		return r.reportGuarded(ctx, fault.Guard(func() error { return r.planStored(ctx) }))
	}
	e.atWork.RLock()
	defer e.atWork.RUnlock()
	ctx, done, err := r.acquireLease(ctx)
	if err != nil {
		return reconcile.Report{Run: r.rec}, err
	}
	defer done()
	if err := r.chooseMode(ctx); err != nil {
		return reconcile.Report{Run: r.rec}, err
	}
	if err := r.History.BeginRun(ctx, r.tok, r.rec); err != nil {
		return reconcile.Report{Run: r.rec}, fmt.Errorf("recording the run: %w", err)
	}
	r.log.WithFields(logrus.Fields{"trigger": req.Trigger, "dry": req.Dry}).Debug("run started")
	err = fault.Guard(func() error { return r.do(ctx) })
	if err == nil && req.Dry {
		r, err = r.withNews(ctx)
	}
	if cause := context.Cause(ctx); err != nil && cause != nil && errors.Is(cause, fault.Fenced) {
		err = cause
	}
	e.Trace.Failed(ctx, err)
	return r.reportGuarded(ctx, err)
}

// reportGuarded is the report of a run that may have ended by a panic outside of any
// customer. Such a run has failed; the next one is a new try.
func (r *run) reportGuarded(ctx context.Context, runErr error) (rep reconcile.Report, err error) {
	r.logPanic("", runErr)
	r.rec.Gates, r.rec.Subscriptions = r.evidence.closed(), r.findings.addRead(0)
	err = fault.Guard(func() (err error) {
		rep, err = r.report(ctx, runErr)
		return err
	})
	if fault.StackOf(err) != "" && fault.StackOf(runErr) == "" {
		r.logPanic("", err)
		rep.Run, err = r.rec, errors.Join(runErr, err)
	}
	return rep, err
}

func (e *Engine) newRun(req Request) *run {
	now := e.Now().UTC()
	id := fmt.Sprintf("%s-%s%d", now.Format("20060102T150405Z"), e.randomID()[:4], e.runs.Add(1))
	r := &run{Engine: e, req: req, now: now, index: newOrgIndex(), evidence: newEvidence(), outages: outages{retryMin: e.RetryMin, retryMax: e.RetryMax, rand: e.Rand},
		Cursors: &loadedCursors{Cursors: e.Cursors}, known: newKnown(e.changes), work: newWork(), features: newFeatures(), findings: &findings{log: e.Log.WithField("run", id)}, progress: &progress{call: e.Progress},
		foreseen: newForeseen(),
		log:      e.Log.WithField("run", id)}
	r.brake = newBrake(e.Brakes, func(a reconcile.Action) bool { return r.catalog.Takes(a) })
	r.rec = reconcile.RunRecord{ID: id, Trigger: req.Trigger, Started: now,
		StripeCalls: e.Account.Requests(), EnhanceCalls: e.Owners.Requests()}
	return r
}

// do is the run as a list: observe, plan, brake, apply. Each step is in a file of
// its own name.
func (r *run) do(ctx context.Context) error {
	steps := []func(context.Context) error{
		r.loadVerdict,   // was an earlier listing rejected?
		r.checkIdentity, // is this the account and the panel that we know?
		r.observe,       // Stripe → mirror
		r.readDisputes,  // which payments are disputed
		r.loadCatalog,   // what prices buy
		r.indexPanel,    // orgs; everything, when we know nothing yet
		r.drift,         // Enhance → haves, the share that is due
		r.plan,          // every customer that is due
		r.gates,         // is the evidence good enough to take anything away?
		r.applyBrake,    // too many of one kind?
		r.apply,
		r.sendMails, // to customers
		r.prune,     // history that is old
	}
	if r.req.Look && r.req.Dry {
		steps = steps[:looking]
	}
	return r.inTurn(ctx, steps)
}

// looking is how many steps of a run only read.
const looking = 6

func (r *run) inTurn(ctx context.Context, steps []func(context.Context) error) error {
	for _, step := range steps {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := step(ctx); err != nil {
			return err
		}
	}
	if err := r.outages.stopped(); err != nil {
		return err
	}
	return context.Cause(ctx)
}

// work is the customers that a run has planned and is to apply, and the actions that
// failed for them.
type work struct {
	// These are written by one goroutine, before customers are applied.

	list     []customerWork
	unread   idSet // customers that a dry run could not look at
	complete bool  // every customer that is due was planned

	applying atomic.Bool // planning is over

	mu     sync.Mutex      // guards all below
	failed map[string]bool // ids of the actions that failed in this run
	read   map[string]bool // subscriptions that were read because the planner asked
}

// customerWork is one customer with something to apply.
type customerWork struct {
	id      string
	founds  uint64 // hash of the e-mail if an org is to be made; 0: none is
	takes   uint32 // how many of its actions take something away
	failing bool
	linked  bool // it is to be bound to an org that is there
	// onlyMails means that there is nothing to apply but mails, which are sent later.
	onlyMails bool
}

// urgency is ctx with the class of the requests that are made for the customer.
func (w customerWork) urgency(ctx context.Context) context.Context {
	if w.takes > 0 || w.failing {
		return ctx
	}
	return priority.With(ctx, priority.Urgent)
}

func newWork() *work {
	return &work{unread: idSet{}, failed: map[string]bool{}, read: map[string]bool{}}
}

// again is the work of a plan that is made again in the same run.
func (w *work) again() *work {
	w.mu.Lock()
	defer w.mu.Unlock()
	next := newWork()
	next.read = w.read
	return next
}

// add queues a planned customer, if there is something to apply.
func (w *work) add(p reconcile.Planned, failing bool, takes func(reconcile.Action) bool) {
	if len(p.Actions) == 0 {
		return
	}
	c := customerWork{id: p.Customer, failing: failing, onlyMails: true}
	for _, a := range p.Actions {
		c.onlyMails = c.onlyMails && a.Kind == reconcile.SendMail
		if a.Kind == reconcile.CreateOrg {
			c.founds = maphash.String(seed, reconcile.EmailKey(a.Email))
		}
		c.linked = c.linked || a.Kind == reconcile.Link && a.Hosting == 0
		if takes(a) {
			c.takes++
		}
	}
	w.list = append(w.list, c)
}

// dropTakers removes the customers that lose something, and returns their ids.
func (w *work) dropTakers() (ids []string) {
	w.list = slices.DeleteFunc(w.list, func(c customerWork) bool {
		if c.takes > 0 {
			ids = append(ids, c.id)
		}
		return c.takes > 0
	})
	return ids
}

// hasTakers reports whether a customer is to lose something.
func (w *work) hasTakers() bool {
	return slices.ContainsFunc(w.list, func(c customerWork) bool { return c.takes > 0 })
}

// addFailed notes an action that is known not to be done, after that was recorded.
func (w *work) addFailed(action string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed[action] = true
}

func (w *work) hasFailed(action string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed[action]
}

// addRead notes a subscription that was read because the planner asked.
func (w *work) addRead(subscription string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.read[subscription] = true
}

// unanswered leaves out the subscriptions that were read in this run: if that did not
// show what the planner asks, the key may not read it.
func (w *work) unanswered(needs []planner.Need) []planner.Need {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(needs, func(n planner.Need) bool {
		return n.Kind == planner.NeedSubscription && w.read[n.Subscription] || n.Kind == planner.NeedDispute && w.read[n.Dispute]
	})
}

// progress calls the option Progress, one call at a time.
type progress struct {
	call func(reconcile.Progress)
	mu   sync.Mutex // held during a call
}

func (p *progress) show(phase string, done, total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.call(reconcile.Progress{Phase: phase, Done: done, Total: total})
}

// loadedCursors are the cursors of one run: all are read with the first one. That is
// enough, because only the process with the lease moves them.
type loadedCursors struct {
	Cursors

	mu     sync.Mutex        // guards values
	values map[string]string // nil: not read yet
}

// Cursor returns a cursor as it was read or set in this run; "": there is none.
func (c *loadedCursors) Cursor(ctx context.Context, name string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.values == nil {
		all, err := c.AllCursors(ctx)
		if err != nil {
			return "", err
		}
		c.values = all
	}
	return c.values[name], nil
}

// SetCursor stores a cursor.
func (c *loadedCursors) SetCursor(ctx context.Context, tok reconcile.Token, name, value string) error {
	err := c.Cursors.SetCursor(ctx, tok, name, value)
	c.set(name, value, err)
	return err
}

// SawEvents stores the events that were followed, and moves their cursor.
func (c *loadedCursors) SawEvents(ctx context.Context, tok reconcile.Token, events []reconcile.Event, cursor string, forget time.Time) error {
	err := c.Cursors.SawEvents(ctx, tok, events, cursor, forget)
	c.set(cursorEvents, cursor, err)
	return err
}

// set keeps a value that was stored. After an error it is not known what is stored: all
// are read again.
func (c *loadedCursors) set(name, value string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err != nil:
		c.values = nil
	case c.values != nil:
		c.values[name] = value
	}
}

// A panic about one customer is that customer's: it is backed off and set aside like
// any other failure of its own, and the run goes on with the others. So the planner
// is asked in this file alone, and whatever works on one customer, one subscription
// or one hosting in a goroutine of its own is guarded.

// guarded is f for a goroutine.
func guarded(f func() error) func() error {
	return func() error { return fault.Guard(f) }
}

// recoverPanic keeps a panic about one customer from stopping the others. What failed
// there once may fail there again while it is being recorded: then the customer is
// left as it is, which is due.
func (r *run) recoverPanic(ctx context.Context, customer string) {
	v := recover()
	if v == nil {
		return
	}
	err := fault.Caught(v)
	r.logPanic(customer, err)
	if again := fault.Guard(func() error { r.failed(ctx, customer, err); return nil }); again != nil {
		r.logPanic(customer, again)
		r.notePartial("%s is left as it is: %v", customer, again)
	}
}

// noteLost notes of a panic that was not even about one customer.
func (r *run) noteLost(err error) {
	if err != nil {
		r.logPanic("", err)
		r.notePartial("not everything was looked at: %v", err)
	}
}

func (r *run) logPanic(customer string, err error) {
	if stack := fault.StackOf(err); stack != "" {
		r.log.WithField("customer", customer).WithField("stack", stack).Error("panic")
	}
}

// bareDecision asks the planner about a customer. A panic in it is an error.
func (r *run) bareDecision(c *reconcile.Customer) (d planner.Decision, err error) {
	r.namesUs(c)
	err = fault.Guard(func() error {
		d = r.Decide(c, r.features.of(r.catalog), r.Policy, r.now)
		return nil
	})
	r.logPanic(c.ID, err)
	return d, err
}

// decision is the planner's decision, without the actions that this run must not do.
func (r *run) decision(c *reconcile.Customer) (planner.Decision, error) {
	d, err := r.bareDecision(c)
	if err == nil {
		d = r.withhold(d)
	}
	return d, err
}

// undecided stands for the decision about a customer of whom there is none, in a
// plan that changes nothing, and notes the error.
func (r *run) undecided(c *reconcile.Customer, err error) planner.Decision {
	r.notePartial("%s could not be planned: %v", c.ID, err)
	return planner.Decision{Holds: []reconcile.Hold{{Kind: reconcile.HoldRetry, Customer: c.ID, Reason: fmt.Sprintf("could not be planned: %v", err)}}}
}
