package engine

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// brakeOrder is the order in which kinds are judged and reported.
var brakeOrder = reconcile.BrakeKinds()

// brake decides what waits for approval in one run. It is used in this order:
//
//  1. expect, for each kind that planning comes up with
//  2. addStanding, for what stands in a plan or was approved, by the database
//  3. count, for each action that was planned
//  4. judge, for each kind: is it too much of that kind?
//  5. startCollecting, then collect for each action once more, then plan for each kind:
//     the held actions
//
// From then on holds, unseen and releases are asked while customers are applied. One
// goroutine does all of the list; nothing changes afterwards, so there is no lock.
type brake struct {
	limits planner.Brakes
	takes  func(reconcile.Action) bool // whether an action takes something away

	approved map[string]string                           // action id → plan that released it
	standing idSet                                       // ids of the actions that wait for approval
	subjects idSet                                       // subjects of those, and of the approved ones
	waiting  map[reconcile.ActionKind]int                // by brake kind: how many actions wait
	last     map[reconcile.ActionKind]reconcile.HeldPlan // by brake kind: the plan that waits, or the newest

	tallies map[reconcile.ActionKind]*tally // by brake kind
	judged  idSet                           // ids of the actions that were judged

	free    idSet                           // customers with an action that no brake holds; nil: nothing is held
	plans   []reconcile.HeldPlan            // the plans of this run
	planIDs map[reconcile.ActionKind]string // brake kind → the plan among plans
	orders  idSet                           // subscriptions for which an action that gives hosting waits
}

func newBrake(limits planner.Brakes, takes func(reconcile.Action) bool) *brake {
	return &brake{limits: limits, takes: takes,
		approved: map[string]string{}, standing: idSet{}, subjects: idSet{}, waiting: map[reconcile.ActionKind]int{},
		tallies: map[reconcile.ActionKind]*tally{}, judged: idSet{}, planIDs: map[reconcile.ActionKind]string{}, orders: idSet{}}
}

// tally is what the brake of one kind counts, and its verdict.
type tally struct {
	concerned idSet                    // customers with an action of the counted kind that is not approved
	kept      idSet                    // of those, the ones with an action that stands in a plan
	stood     int                      // of the counted kind, how many stand in a plan
	fresh     int                      // of the counted kind, how many are new
	takes     int                      // of every kind, how many take something away
	waits     bool                     // an action of any kind stands in a plan
	orders    map[uint64]planner.Order // of creates, by the hash of the customer

	all          bool // every new action is held
	removalsOnly bool // of those only the ones that take something away
	verdict      planner.OrdersVerdict
	reason       string // why a new action is held
	large        []string
	held         sample // the held actions of this run
	joins        int    // how many of those do not stand in the plan yet
}

func newTally() *tally {
	return &tally{concerned: idSet{}, kept: idSet{}, orders: map[uint64]planner.Order{}}
}

// sample is actions of which only the number, the digest and as many as a report
// lists are kept.
type sample struct {
	n      int
	digest reconcile.HeldPlanDigest
	first  []reconcile.Action
}

func (s *sample) add(a reconcile.Action) {
	s.n++
	s.digest.Add(a.ID)
	if len(s.first) < reconcile.MostReported {
		s.first = append(s.first, a)
	}
}

// expect notes that an action of a kind was planned.
func (b *brake) expect(kind reconcile.ActionKind) *tally {
	if kind != 0 && b.tallies[kind] == nil {
		b.tallies[kind] = newTally()
	}
	return b.tallies[kind]
}

// expects reports whether an action of a kind was planned.
func (b *brake) expects(kind reconcile.ActionKind) bool { return b.tallies[kind] != nil }

// addStanding notes an action that waits for approval, or that an approval releases.
func (b *brake) addStanding(h reconcile.HeldAction) {
	b.subjects.add(h.Subject())
	if h.Released {
		b.approved[h.ID] = h.Plan
		return
	}
	if !b.standing.has(h.ID) {
		b.waiting[h.Brake]++
	}
	if givesHosting(h.Kind) {
		b.orders.add(h.Subscription)
	}
	b.standing.add(h.ID)
}

// givesHosting reports whether a customer has no hosting to use until the action is done.
func givesHosting(kind reconcile.ActionKind) bool {
	return kind == reconcile.CreateSubscription || kind == reconcile.Resume
}

// stands reports whether an action waits for approval, or is another version of an action
// that waits or was approved: an approval is of the version that was shown.
func (b *brake) stands(a reconcile.Action) bool {
	return b.standing.has(a.ID) || b.subjects.has(a.Subject())
}

// count adds a planned action to what its brake judges.
func (b *brake) count(a reconcile.Action) {
	kind := a.Brake()
	if kind == 0 || b.approved[a.ID] != "" {
		return
	}
	t := b.expect(kind) // a dry run decides again, and may come to more
	if b.takes(a) {
		t.takes++
	}
	stands := b.stands(a)
	t.waits = t.waits || stands
	if a.Kind != kind {
		return
	}
	b.judged.add(a.ID)
	t.concerned.add(a.Customer)
	key := maphash.String(seed, a.Customer)
	order := t.orders[key]
	if stands {
		t.stood++
		t.kept.add(a.Customer)
		order.Held++
	} else {
		t.fresh++
		order.New++
	}
	if kind == reconcile.CreateSubscription {
		t.orders[key] = order
	}
}

// removals is how many counted actions take something away.
func (b *brake) removals() int {
	n := 0
	for _, t := range b.tallies {
		n += t.takes
	}
	return n
}

// done counts the actions of a kind in the window of the brake, by the journal.
type done struct {
	actions  int
	atWork   int            // creates that other runs may still do
	customer map[string]int // creates by customer
}

// judge decides about a kind, and reports whether any action of it is held. bound is
// how many hostings are bound; needsApproval is why removals wait, if they do.
func (b *brake) judge(kind reconcile.ActionKind, d done, bound int, needsApproval string) bool {
	t := b.tallies[kind]
	switch {
	case t == nil:
		return false
	case kind == reconcile.Resume: // the suspension is perhaps not ours, and no number shows whose it is
		t.all, t.reason = true, "suspended with our mark, and this database does not know of it"
		return true
	case kind == reconcile.CreateSubscription:
		return t.judgeOrders(b.limits, d, bound)
	}
	// What waits counts as well: if ten hostings are to be suspended, the eleventh is
	// not a suspension of an ordinary day.
	reason, over := b.limits.Holds(planner.BrakeLoad{Kind: kind, Planned: t.stood + t.fresh, Performed: d.actions, Bound: bound})
	t.all, t.reason = over, reason
	if needsApproval != "" && t.takes > 0 { // what gives goes on
		t.removalsOnly = !over
		t.reason = strings.TrimPrefix(reason+"; "+needsApproval, "; ")
	}
	return t.waits || t.all || t.removalsOnly
}

// judgeOrders decides about creates: an order that is too large for one customer is
// held by itself, and the others only if together they are too many.
func (t *tally) judgeOrders(limits planner.Brakes, d done, bound int) bool {
	for customer, n := range d.customer {
		key := maphash.String(seed, customer)
		if order, orders := t.orders[key]; orders {
			order.Done = n
			t.orders[key] = order
		}
	}
	t.verdict = limits.JudgeOrders(t.orders, d.atWork, d.actions, bound)
	t.all, t.reason = t.verdict.Others != "", t.verdict.Others
	return t.waits || t.all || len(t.verdict.Large) > 0
}

// letPass is how many new actions of a kind are not held.
func (b *brake) letPass(kind reconcile.ActionKind) int {
	t := b.tallies[kind]
	if t == nil || t.all {
		return 0
	}
	n := t.fresh
	for customer := range t.verdict.Large {
		n -= t.orders[customer].New
	}
	return n
}

// holds reports whether an action is held. The rest of a chain that is begun, about an
// org or a hosting that exists, is held only if it stands in a plan itself.
func (b *brake) holds(a reconcile.Action) bool {
	kind := a.Brake()
	if kind == 0 || b.approved[a.ID] != "" {
		return false
	}
	t := b.tallies[kind]
	switch {
	case a.NeedsConfirmation(), b.stands(a):
		return true
	case t == nil || !t.concerned.has(a.Customer):
		return false
	case a.Kind != kind:
		return !begun(a) && (t.kept.has(a.Customer) || t.all || t.isLarge(a.Customer))
	}
	return t.all || t.isLarge(a.Customer) || t.removalsOnly && b.takes(a)
}

func begun(a reconcile.Action) bool {
	if a.Kind == reconcile.CreateWebsite {
		return a.Hosting != 0
	}
	return a.Org != ""
}

func (t *tally) isLarge(customer string) bool {
	_, large := t.verdict.Large[maphash.String(seed, customer)]
	return large
}

// unseen reports whether an action of a kind with a brake was not there when the brake
// judged. It waits for the next run.
func (b *brake) unseen(a reconcile.Action) bool {
	return b.judges(a) && !b.judged.has(a.ID)
}

// judgedOf is how many actions the brake counts, and whether it has not judged one of them.
func (b *brake) judgedOf(actions []reconcile.Action) (n int, unseen bool) {
	for _, a := range actions {
		if b.judges(a) {
			n++
		}
		unseen = unseen || b.unseen(a)
	}
	return n, unseen
}

// judges reports whether the brake counts an action.
func (b *brake) judges(a reconcile.Action) bool {
	kind := a.Brake()
	return kind != 0 && a.Kind == kind && b.approved[a.ID] == ""
}

// releases reports whether a customer has an action that no brake holds. The other
// customers cost nothing more in this run.
func (b *brake) releases(customer string) bool { return b.free == nil || b.free.has(customer) }

// maxNamedOrders is how many large orders a reason names.
const maxNamedOrders = 3

// startCollecting is called before collect: from here on only customers with an
// action that is not held are released.
func (b *brake) startCollecting() { b.free = idSet{} }

// collect adds an action to the held ones, or its customer to those with an action
// that is not.
func (b *brake) collect(a reconcile.Action) {
	if !b.holds(a) {
		b.free.add(a.Customer)
		return
	}
	t := b.tallies[a.Brake()]
	t.held.add(a)
	if b.standing.has(a.ID) {
		return
	}
	t.joins++
	if order, large := t.verdict.Large[maphash.String(seed, a.Customer)]; large && a.Kind == reconcile.CreateSubscription {
		why := t.verdict.Reason(a.Customer, order)
		if len(t.large) <= maxNamedOrders && (len(t.large) == 0 || t.large[len(t.large)-1] != why) {
			t.large = append(t.large, why)
		}
	}
}

// collectHeld adds a held action.
func (b *brake) collectHeld(a reconcile.Action) {
	t := b.tallies[a.Brake()]
	t.held.add(a)
	if !b.standing.has(a.ID) {
		t.joins++
	}
}

// takePlans takes the plans of a kind from those of this run.
func (b *brake) takePlans(kind reconcile.ActionKind) (taken []reconcile.HeldPlan) {
	b.plans = slices.DeleteFunc(b.plans, func(p reconcile.HeldPlan) bool {
		if p.Kind == kind {
			taken = append(taken, p)
		}
		return p.Kind == kind
	})
	return taken
}

// plan is the plan that holds the collected actions of a kind: the one that waits, or a
// new one. joins is how many actions it did not hold before; ok is false if nothing
// is held. A run about some customers only keeps the reason for the others (keep).
func (b *brake) plan(kind reconcile.ActionKind, now time.Time, keep bool) (p reconcile.HeldPlan, joins int, ok bool) {
	t := b.tallies[kind]
	if t == nil || t.held.n == 0 {
		return p, 0, false
	}
	p = b.last[kind]
	if p.ID == "" || !p.Approved.IsZero() || !p.Closed.IsZero() {
		p = reconcile.HeldPlan{ID: t.held.digest.After(p.ID), Kind: kind, Created: now}
	}
	if t.joins > 0 {
		p.Version++
		p.Reason = t.reasonAfter(p.Reason, keep)
	}
	p.Actions, p.Total = t.held.first, max(t.held.n, b.waiting[kind]+t.joins)
	b.planIDs[kind] = p.ID
	b.plans = append(b.plans, p)
	return p, t.joins, true
}

// reasonAfter is why the actions that join a plan are held.
func (t *tally) reasonAfter(before string, keep bool) string {
	var all []string
	if keep && before != "" {
		all = append(all, before)
	}
	if t.reason != "" {
		all = append(all, t.reason)
	}
	for i, why := range t.large {
		if i == maxNamedOrders {
			why = "and more orders of that size"
		}
		all = append(all, why)
	}
	switch {
	case len(all) > 0:
		return strings.Join(all, "; ")
	case before != "":
		return before
	}
	return "the approved version has changed since, and the new one was not approved"
}

// planOf is the plan that holds the actions of a kind: that of this run, or the one
// that waits, if the run had planned nothing of the kind when the brake judged; "":
// there is none.
func (b *brake) planOf(kind reconcile.ActionKind) string {
	if id := b.planIDs[kind]; id != "" || b.waiting[kind] == 0 {
		return id
	}
	return b.last[kind].ID
}

// holdPart is how many held actions are stored in one transaction.
const holdPart = 1000

// applyBrake holds what stands in a plan that is not approved, whatever the count is
// now, and everything new of a kind if there is too much of that kind, in this run or
// in the last 24 hours by the journal.
func (r *run) applyBrake(ctx context.Context) error {
	r.judged = r.together.claims.mark()
	if err := r.loadPlans(ctx); err != nil {
		return err
	}
	if len(r.brake.tallies) == 0 {
		return nil
	}
	each := func(use func(reconcile.Action)) error {
		return r.eachPlanned(ctx, func(a reconcile.Action) error {
			if a.Kind != reconcile.SendMail { // those come up until all is applied: see judgeMails
				use(a)
			}
			return nil
		})
	}
	if err := each(r.brake.count); err != nil {
		return err
	}
	counts, err := r.History.Counts(ctx)
	if err != nil {
		return err
	}
	r.suspectOurselves(counts)
	if holds, err := r.judgeKinds(ctx, counts.Bound); err != nil || !holds {
		return err
	}
	r.brake.startCollecting()
	if err := each(r.brake.collect); err != nil {
		return err
	}
	for _, kind := range brakeOrder {
		r.planKind(kind)
	}
	if !r.req.Dry {
		held := r.brake.plans
		r.brake.plans = nil
		if err := r.storePlans(ctx, held); err != nil {
			return fmt.Errorf("recording the held changes: %w", err)
		}
	}
	return r.saveVerdictPlans(ctx)
}

// loadPlans reads the actions that wait for approval or were approved. It runs after the
// planning, so that actions that are no longer wanted have left their plan.
func (r *run) loadPlans(ctx context.Context) (err error) {
	if r.brake.last, err = r.Plans.LastPlans(ctx); err != nil {
		return err
	}
	add := func(h reconcile.HeldAction) error {
		r.brake.addStanding(h)
		return nil
	}
	if r.flows {
		return r.Plans.StandingOf(ctx, r.only, r.now, add)
	}
	return r.Plans.Standing(ctx, r.now, add)
}

// eachPlanned calls use with each action that this run has planned: by the journal,
// or in a dry run, which writes none, by deciding again.
func (r *run) eachPlanned(ctx context.Context, use func(reconcile.Action) error) error {
	if !r.req.Dry {
		return r.History.RunActions(ctx, r.rec.ID, func(a reconcile.ActionRecord) error {
			if a.State != reconcile.ActionPlanned || r.flows && r.catalog.Takes(a.Action) {
				return nil
			}
			return use(a.Action)
		})
	}
	return r.replay(ctx, func(p reconcile.Planned) error {
		for _, a := range p.Actions {
			if err := use(a); err != nil {
				return err
			}
		}
		return nil
	})
}

// judgeKinds asks the brake about every kind that was planned, and reports whether
// any action is held.
func (r *run) judgeKinds(ctx context.Context, bound int) (holds bool, err error) {
	o := &r.together.orders
	o.judging.Lock()
	defer o.judging.Unlock()
	since := r.now.Add(-reconcile.BrakeWindow)
	for _, kind := range brakeOrder {
		if !r.brake.expects(kind) {
			continue
		}
		var d done
		if kind == reconcile.CreateSubscription {
			// Before those that are done: one that is done meanwhile counts twice, and never not at all.
			d.atWork = o.others(r.rec.ID)
		}
		if kind != reconcile.Resume {
			if d.actions, err = r.Journal.CountDone(ctx, kind, since); err != nil {
				return false, err
			}
		}
		if kind == reconcile.CreateSubscription {
			if d.customer, err = r.Journal.CountDoneByCustomer(ctx, kind, since); err != nil {
				return false, err
			}
		}
		holds = r.brake.judge(kind, d, bound, r.evidence.needsApproval) || holds
	}
	o.let(r.rec.ID, r.brake.letPass(reconcile.CreateSubscription))
	return holds, nil
}

// planKind makes the plan that holds the actions of a kind, and logs it.
func (r *run) planKind(kind reconcile.ActionKind) {
	p, joins, ok := r.brake.plan(kind, r.now, r.only != nil)
	if !ok {
		return
	}
	level, text := logrus.WarnLevel, "brake still holds"
	if joins > 0 {
		level, text = logrus.ErrorLevel, "brake holds"
	}
	if r.req.Dry { // its output shows what waits
		level = logrus.DebugLevel
	}
	r.log.WithFields(logrus.Fields{"kind": kind.String(), "actions": r.brake.tallies[kind].held.n, "plan": p.ID}).Log(level, text)
}

// planParts stores held actions part by part, by brake kind.
type planParts struct {
	*run
	parts map[reconcile.ActionKind]*reconcile.HeldPlan
}

// storePlans stores the actions of these plans, and adds the plans to those of this run.
func (r *run) storePlans(ctx context.Context, held []reconcile.HeldPlan) error {
	parts := planParts{r, map[reconcile.ActionKind]*reconcile.HeldPlan{}}
	for _, part := range held {
		part.Actions = make([]reconcile.Action, 0, min(holdPart, part.Size()))
		parts.parts[part.Kind] = &part
	}
	if err := r.eachPlanned(ctx, func(a reconcile.Action) error { return parts.add(ctx, a) }); err != nil {
		return err
	}
	for _, p := range held {
		stored, err := parts.store(ctx, p.Kind, false)
		if err != nil {
			return err
		}
		if stored.Total == 0 { // all of it was approved while this run was under way; the next one does it
			delete(r.brake.planIDs, p.Kind)
			continue
		}
		p.ID, p.Version, p.Created, p.Total, p.Reason = stored.ID, stored.Version, stored.Created, max(stored.Total, len(p.Actions)), stored.Reason
		r.brake.planIDs[p.Kind] = p.ID
		r.brake.plans = append(r.brake.plans, p)
	}
	return nil
}

// add puts a held action into the part of its kind, which is stored when it is full.
func (p planParts) add(ctx context.Context, a reconcile.Action) error {
	kind := a.Brake()
	part := p.parts[kind]
	if part == nil || !p.brake.holds(a) {
		return nil
	}
	if len(part.Actions) == holdPart {
		if _, err := p.store(ctx, kind, true); err != nil {
			return err
		}
	}
	part.Actions = append(part.Actions, a)
	return nil
}

// store stores the part of a kind; more means that it is not the last one.
func (p planParts) store(ctx context.Context, kind reconcile.ActionKind, more bool) (reconcile.HeldPlan, error) {
	part := p.parts[kind]
	part.More, part.Created = more, p.now
	stored, err := p.Plans.Hold(ctx, p.tok, p.rec.ID, *part)
	part.Actions = part.Actions[:0]
	return stored, err
}

// holdAgain holds the held actions of a customer that was planned once more in this
// run: saving the plan has made their rows planned again.
func (r *run) holdAgain(ctx context.Context, actions []reconcile.Action) error {
	for _, kind := range brakeOrder {
		part := reconcile.HeldPlan{ID: r.brake.planOf(kind), Kind: kind, Created: r.now}
		if part.ID == "" {
			continue
		}
		for _, a := range actions {
			if a.Brake() == kind && r.brake.holds(a) {
				part.Actions = append(part.Actions, a)
			}
		}
		if len(part.Actions) == 0 {
			continue
		}
		if _, err := r.Plans.Hold(ctx, r.tok, r.rec.ID, part); err != nil {
			return err
		}
	}
	return nil
}
