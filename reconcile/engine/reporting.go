package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// report closes the run and reports its work.
func (r *run) report(ctx context.Context, runErr error) (reconcile.Report, error) {
	ctx = context.WithoutCancel(ctx)
	if more := r.findings.drifted - maxDriftNotes; more > 0 {
		r.note("%d more hostings were changed at the panel; -o json lists them", more)
	}
	rep := reconcile.Report{Dry: r.req.Dry, Plans: r.brake.plans, Waits: r.evidence.waitsFor(),
		Observed: r.Policy.Mode == reconcile.Observe && !r.req.Dry, Stored: r.req.Stored}
	r.findings.fill(&rep)
	rep.Omitted.Actions = map[reconcile.ActionClass]int{}
	r.rec.Finished = r.clock()
	r.rec.StripeCalls = r.Account.Requests() - r.rec.StripeCalls
	r.rec.EnhanceCalls = r.Owners.Requests() - r.rec.EnhanceCalls
	if runErr != nil {
		r.rec.Error = reportedError(runErr)
	}
	w := &writing{run: r, rep: &rep, states: map[reconcile.ActionState]int{}, withheld: newWithheld(r.brake.orders)}
	err := errors.Join(runErr, w.everything(ctx))
	if runErr == nil {
		err = errors.Join(err, w.waitingPlans(ctx), w.targets(ctx))
	}
	rep.Run = r.rec
	converged := err == nil && rep.Converged()
	r.rec.Converged = &converged
	if !r.req.Stored {
		err = errors.Join(err, r.History.EndRun(ctx, r.tok, r.rec, r.listedIf(runErr)))
	}
	rep.Run = r.rec
	r.log.WithFields(logrus.Fields{"mode": r.rec.Mode, "planned": r.rec.Planned, "applied": r.rec.Applied, "failed": r.rec.Failed,
		"held": r.rec.Held, "stripe_requests": r.rec.StripeCalls, "enhance_requests": r.rec.EnhanceCalls}).Info("run finished")
	return rep, err
}

// reportedError is the text of an error as it is stored.
func reportedError(err error) string { return strings.ToValidUTF8(err.Error(), "?") }

// waitingPlans adds the plans of earlier runs that wait for approval: as long as one
// does, not all is as it should be, whatever this run looked at.
func (w *writing) waitingPlans(ctx context.Context) error {
	waiting, err := w.Plans.Waiting(ctx)
	for _, p := range waiting {
		if p.Total > 0 && !slices.ContainsFunc(w.rep.Plans, func(known reconcile.HeldPlan) bool { return known.ID == p.ID }) {
			w.rep.Plans = append(w.rep.Plans, p)
		}
	}
	return err
}

// targets adds a line on each subscription that a person asked for.
func (w *writing) targets(ctx context.Context) error {
	if len(w.req.Subscriptions) == 0 {
		return nil
	}
	customers, err := w.Queue.Customers(ctx, w.only)
	if err != nil {
		return err
	}
	for _, id := range distinct(w.req.Subscriptions) {
		t := reconcile.UnknownTarget(id)
		if w.req.Stored {
			t.Text = "the process at work has stored no subscription " + id
		}
		for i := range customers {
			if one, found := planner.TargetOf(&customers[i], w.features.of(w.catalog), id, w.rep.Actions, w.rep.Holds, w.Policy, w.now); found {
				t = one
			}
		}
		w.rep.Targets = append(w.rep.Targets, t)
	}
	return nil
}

func (r *run) listedIf(runErr error) *reconcile.ListedState {
	if runErr != nil {
		return nil
	}
	return r.evidence.measure
}

// writing is a report being written. Everything is counted, and of each state and
// kind the first are kept: a fleet may have a million actions held.
type writing struct {
	*run
	rep    *reconcile.Report
	states map[reconcile.ActionState]int
	*withheld
}

// everything lists actions, then what stands withheld: the stored holds of every
// customer, in a dry run with those planned just now in their place.
func (w *writing) everything(ctx context.Context) error {
	instead := &replaced{}
	var err error
	if !w.req.Dry {
		err = w.History.RunActions(ctx, w.rec.ID, func(a reconcile.ActionRecord) error {
			w.action(a)
			return nil
		})
	} else if w.work.complete {
		instead, err = w.foretold(ctx)
	}
	err = errors.Join(err, w.storedHolds(ctx, instead))
	w.withheld.fill(w.rep)
	w.rec.Held, w.rec.Orders = w.withheld.count(), w.withheld.countOrders()
	return err
}

// foretold lists the actions and the holds of the customers that a dry run has planned, and
// returns these customers.
func (w *writing) foretold(ctx context.Context) (*replaced, error) {
	instead, err := w.replacing(ctx)
	if err != nil {
		return instead, err
	}
	err = w.replayAs(ctx, w.foretell, func(p reconcile.Planned) error {
		for _, a := range p.Actions {
			w.action(reconcile.ActionRecord{Action: a, Run: w.rec.ID, State: w.dryState(a), PlannedAt: w.now})
		}
		for _, h := range p.Holds {
			w.hold(h)
		}
		room := reconcile.MostReported - len(w.rep.Forecast)
		w.rep.Forecast = append(w.rep.Forecast, p.Forecast[:min(room, len(p.Forecast))]...)
		return instead.add(p.Customer)
	})
	slices.SortStableFunc(w.rep.Forecast, func(a, b reconcile.ForecastEntry) int { return a.At.Compare(b.At) })
	return instead, errors.Join(err, instead.look.flush())
}

func (r *run) dryState(a reconcile.Action) reconcile.ActionState {
	if r.brake.holds(a) {
		return reconcile.ActionHeld
	}
	return reconcile.ActionPlanned
}

// action counts an action, and lists it while there is room.
func (w *writing) action(a reconcile.ActionRecord) {
	if w.states[a.State]++; w.states[a.State] <= reconcile.MostReported {
		w.rep.Actions = append(w.rep.Actions, a)
	} else {
		w.rep.Omitted.Actions[reconcile.ActionClass{Kind: a.Kind, State: a.State}]++
	}
	switch a.State {
	case reconcile.ActionHeld:
		w.rec.Planned++
		w.braked(a.Action)
	case reconcile.ActionPlanned:
		w.rec.Planned++
	case reconcile.ActionApplied, reconcile.ActionAdopted:
		w.rec.Applied++
	case reconcile.ActionFailed, reconcile.ActionAmbiguous, reconcile.ActionSent:
		w.rec.Failed++
	case reconcile.ActionSuperseded:
	}
}

// braked is the hold of an action that the brake holds.
func (w *writing) braked(a reconcile.Action) {
	plan := w.brake.planOf(a.Brake())
	if plan == "" || !w.brake.holds(a) {
		return
	}
	reason := " is held by the brake: look with `stripe-enhance plans`, release with `stripe-enhance approve " + plan + "`"
	if w.rep.Dry { // which stores no plan
		reason = " would be held by the brake: `stripe-enhance reconcile` holds it, then `stripe-enhance approve " + plan + "` releases it"
	}
	h := a.Withheld(reconcile.HoldBrake, a.Kind.String()+reason)
	h.Order = givesHosting(a.Kind)
	w.addBraked(h)
}

// findings is what a run has to report besides actions and holds.
type findings struct {
	log *logrus.Entry

	mu            sync.Mutex // guards all below
	notes         []string
	partial       idSet             // the notes of what the run was to read and could not
	drifts        []reconcile.Drift // the first hostings that others have changed at the panel
	drifted       int               // how many hostings that is
	subscriptions int               // how many were read
	requests      map[string]string // Stripe's ids of the requests that read a subscription as a premise
}

// addRequest notes which request read a subscription as a premise.
func (f *findings) addRequest(subscription, id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.requests == nil {
		f.requests = map[string]string{}
	}
	f.requests[subscription] = id
}

// request is the request that read a subscription as a premise last; "" if none did.
func (f *findings) request(subscription string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.requests[subscription]
}

// note adds a sentence for people.
func (f *findings) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	f.mu.Lock()
	f.notes = append(f.notes, text)
	f.mu.Unlock()
	f.log.WithField("note", text).Warn("note")
}

// notePartial notes something that could not be read: the run goes on, and its report
// shows that it has not seen everything. A plan decides more than once about a customer, and
// its notes have the same sentence once.
func (f *findings) notePartial(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	f.mu.Lock()
	if f.partial == nil {
		f.partial = idSet{}
	}
	noted := f.partial.has(text)
	if len(f.partial) < reconcile.MostReported { // a report has room for no more
		f.partial.add(text)
	}
	f.mu.Unlock()
	if !noted {
		f.note("%s", text)
	}
}

// addDrift counts a hosting that others have changed, and lists it if there is room.
// It returns how many there are.
func (f *findings) addDrift(d reconcile.Drift) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.drifted++
	if f.drifted <= reconcile.MostReported {
		f.drifts = append(f.drifts, d)
	}
	return f.drifted
}

// addRead counts subscriptions that were read, and returns how many there are.
func (f *findings) addRead(n int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.subscriptions += n
	return f.subscriptions
}

// fill puts the findings into a report.
func (f *findings) fill(rep *reconcile.Report) {
	f.mu.Lock()
	defer f.mu.Unlock()
	rep.Notes, rep.Partial = slices.Clone(f.notes), len(f.partial) > 0
	rep.Drifts, rep.Drifted = slices.Clone(f.drifts), f.drifted
}

func (r *run) note(format string, args ...any) { r.findings.note(format, args...) }

func (r *run) notePartial(format string, args ...any) { r.findings.notePartial(format, args...) }

// withheld is the holds of a report. Everything is counted, and of each kind the first are
// listed. The database lists and counts the stored holds: a fleet may have a million of
// them, and a run that finds nothing to do must not read each.
type withheld struct {
	kinds  map[reconcile.HoldKind]*heldKind
	list   []reconcile.Hold
	brakes []reconcile.Hold // of the brake; they are listed last
	braked int
	orders idSet // orders that wait, by subscription or customer
	more   int   // orders that wait beyond those, by the database's count
}

// heldKind counts the holds of one kind.
type heldKind struct{ all, listed reconcile.HoldCount }

func newWithheld(orders idSet) *withheld {
	return &withheld{kinds: map[reconcile.HoldKind]*heldKind{}, orders: orders}
}

func (w *withheld) of(kind reconcile.HoldKind) *heldKind {
	k := w.kinds[kind]
	if k == nil {
		k = &heldKind{}
		w.kinds[kind] = k
	}
	return k
}

// hold counts a hold with its order, and lists it while there is room.
func (w *withheld) hold(h reconcile.Hold) {
	if h.Order {
		w.orders.add(h.OrderKey())
	}
	w.holdOnly(h)
}

func (w *withheld) holdOnly(h reconcile.Hold) {
	k := w.of(h.Kind)
	k.all.Add(h)
	if k.listed.All < reconcile.MostReported {
		k.listed.Add(h)
		w.list = append(w.list, h)
	}
}

// addBraked is hold for a hold of the brake.
func (w *withheld) addBraked(h reconcile.Hold) {
	w.braked++
	if h.Order {
		w.orders.add(h.Subscription)
	}
	if len(w.brakes) < reconcile.MostReported {
		w.brakes = append(w.brakes, h)
	}
}

// fill puts the holds into a report.
func (w *withheld) fill(rep *reconcile.Report) {
	rep.Holds = append(w.list, w.brakes...)
	rep.Omitted.Brakes = w.braked - len(w.brakes)
	for _, k := range w.kinds {
		decided := k.all.Decided - k.listed.Decided
		rep.Omitted.DecidedByPerson += decided
		rep.Omitted.Holds += k.all.All - k.listed.All - decided
	}
}

func (w *withheld) count() int {
	n := w.braked
	for _, k := range w.kinds {
		n += k.all.All
	}
	return n
}

func (w *withheld) countOrders() int { return len(w.orders) + w.more }

// storedHolds adds the holds of the database, but for those of customers that a dry run has
// just planned.
func (w *writing) storedHolds(ctx context.Context, instead *replaced) error {
	var without func(string) bool
	if instead.customers != nil {
		without = instead.has
	}
	holds, counts, err := w.Withheld.FirstHolds(ctx, reconcile.MostReported, without)
	if err != nil {
		return err
	}
	listed := reconcile.HoldCounts{}
	listed.Add(holds)
	for kind, n := range listed.Kinds {
		if n.All == reconcile.MostReported && counts.Kinds[kind].All-instead.counts.Kinds[kind].All > n.All {
			for _, h := range holds {
				w.holdOnly(h)
			}
			return w.countUnlisted(ctx, listed.Kinds, counts, instead)
		}
	}
	for _, h := range holds {
		w.hold(h)
	}
	return nil
}

// countUnlisted counts what the list of the database has no room for.
func (w *writing) countUnlisted(ctx context.Context, listed map[reconcile.HoldKind]reconcile.HoldCount, counts reconcile.HoldCounts, instead *replaced) error {
	for kind, n := range counts.Kinds {
		if listed[kind].All < reconcile.MostReported {
			continue // the list has all of them
		}
		gone, k := instead.counts.Kinds[kind], w.of(kind)
		k.all.All += max(n.All-gone.All-listed[kind].All, 0)
		k.all.Decided += max(n.Decided-gone.Decided-listed[kind].Decided, 0)
	}
	twice := idSet{} // orders that wait for the brake, and for something else too
	look := batch{most: holdsBatch, do: func(customers []string) error {
		holds, err := w.Withheld.HoldsOf(ctx, customers)
		for i := range holds {
			if key := holds[i].OrderKey(); holds[i].Order && w.orders.has(key) {
				twice.add(key)
			}
		}
		return err
	}}
	if len(w.orders) > 0 {
		err := w.Plans.Standing(ctx, w.now, func(h reconcile.HeldAction) error {
			if !givesHosting(h.Kind) || instead.has(h.Customer) {
				return nil
			}
			return look.add(h.Customer)
		})
		if err := errors.Join(err, look.flush()); err != nil {
			return err
		}
	}
	w.more = max(counts.Orders-instead.counts.Orders-len(twice), 0)
	return nil
}

// replaced is the customers that a dry run has planned, and the holds that are stored of
// them, which the report does not count.
type replaced struct {
	customers idSet // nil: there are none, and no dry run
	counts    reconcile.HoldCounts
	look      batch
}

// replacing begins a replaced. It counts only if the database has more holds of a kind than
// are listed: else the report counts those that it lists.
func (w *writing) replacing(ctx context.Context) (*replaced, error) {
	r := &replaced{customers: idSet{}}
	counts, err := w.Withheld.HoldCounts(ctx)
	r.look = batch{most: holdsBatch, do: func(customers []string) error {
		if !counts.Exceed(reconcile.MostReported) {
			return nil
		}
		holds, err := w.Withheld.HoldsOf(ctx, customers)
		r.counts.Add(holds)
		return err
	}}
	return r, err
}

func (r *replaced) has(customer string) bool { return r.customers.has(customer) }

func (r *replaced) add(customer string) error {
	r.customers.add(customer)
	return r.look.add(customer)
}

// holdsBatch is of how many customers the holds are read together.
const holdsBatch = 500

// batch collects ids and does something with so many of them together.
type batch struct {
	most int
	do   func(ids []string) error
	ids  []string
}

func (b *batch) add(id string) error {
	if b.ids = append(b.ids, id); len(b.ids) < b.most {
		return nil
	}
	return b.flush()
}

// flush does it with those that are left.
func (b *batch) flush() error {
	if len(b.ids) == 0 {
		return nil
	}
	err := b.do(b.ids)
	b.ids = b.ids[:0]
	return err
}
