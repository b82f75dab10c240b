package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

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
	outages  outages   // failures that concern every customer, and back-off
	findings *findings // all that is reported besides actions
	progress *progress
	followed []reconcile.Event // by an incremental run
	foreseen foreseen          // orgs that a dry run makes in thought
	post     *post             // the mail that is being sent

	// Of a flow run; see flow.go.
	flows    bool // it serves who has just paid, beside other runs
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
		foreseen: foreseen{},
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
