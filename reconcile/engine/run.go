package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// run is one run at work.
type run struct {
	*Engine
	req  Request
	tok  reconcile.Token
	rec  reconcile.RunRecord
	now  time.Time // when the run began, by its clock; what was due then is looked at
	log  *logrus.Entry
	mode reconcile.RunMode
	// everyHosting tells that this full run compares every hosting, and not those due.
	everyHosting bool
	// since is the event cursor of an incremental run.
	since time.Time

	catalog *planner.Catalog
	only    []string // customers of a targeted run; nil: everything due

	// mu guards what the customers' goroutines write.
	mu       sync.Mutex
	work     []customerWork             // what planning left to apply
	missed   idSet                      // customers whom a dry run could not look at
	refused  map[string]bool            // ids of the actions that failed in this run
	readSubs map[string]bool            // subscriptions that were read because the planner asked
	foreseen map[string][]reconcile.Kin // who founds an org in a dry run, by the key of the e-mail
	notes    []string
	drifts   []reconcile.Drift // what others have changed at the panel, the first of it
	drifted  int               // how many hostings that is
	partial  bool              // something that was to be looked at could not be
	index    *orgIndex
	evidence *evidence
	brake    *brake
	founding [64]sync.Mutex // by the hash of an e-mail: who has it makes an org one after the other

	outages  outages
	complete atomic.Bool // every customer that is due was planned
	applying atomic.Bool // planning is over
}

// customerWork is one customer with something to apply.
type customerWork struct {
	id      string
	founds  uint64 // hash of the e-mail, when an org is to be made; 0: none is
	takes   uint32 // how many of its actions take something away
	failing bool
}

// Run does one run. The report is valid also when the error is not nil: it tells
// what had been done until then.
func (e *Engine) Run(ctx context.Context, req Request) (reconcile.Report, error) {
	if !e.busy.TryLock() {
		return reconcile.Report{}, &reconcile.LeaseTaken{Owner: e.Owner, Until: e.Now()}
	}
	defer e.busy.Unlock()
	r := e.newRun(req)
	if req.Stored {
		r.req.Dry = true
		return r.reportGuarded(ctx, fault.Guard(func() error { return r.planStored(ctx) }))
	}
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
	return r.reportGuarded(ctx, err)
}

// reportGuarded is the report of a run that may have ended by a panic outside of any
// customer. Such a run has failed; the next one is a new try.
func (r *run) reportGuarded(ctx context.Context, runErr error) (rep reconcile.Report, err error) {
	r.logPanic("", runErr)
	r.rec.Gates = r.evidence.closed()
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
		missed: idSet{}, refused: map[string]bool{}, readSubs: map[string]bool{},
		foreseen: map[string][]reconcile.Kin{},
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
		r.loadVerdict,   // what was wrong with the listing of an earlier run?
		r.checkIdentity, // is this the account and the panel that we know?
		r.observe,       // Stripe → mirror
		r.loadCatalog,   // what prices buy
		r.indexPanel,    // orgs; everything, when we know nothing yet
		r.drift,         // Enhance → haves, the share that is due
		r.plan,          // every customer that is due
		r.gates,         // is the evidence good enough to take anything away?
		r.applyBrake,    // too many of one kind?
		r.apply,
	}
	return r.inTurn(ctx, steps)
}

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

func (r *run) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	r.mu.Lock()
	r.notes = append(r.notes, text)
	r.mu.Unlock()
	r.log.WithField("note", text).Warn("note")
}

// overlook notes what was to be looked at and could not be: the run goes on, and
// must not be taken for one that has seen everything.
func (r *run) overlook(format string, args ...any) {
	r.mu.Lock()
	r.partial = true
	r.mu.Unlock()
	r.note(format, args...)
}
