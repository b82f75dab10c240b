package engine

import (
	"context"
	"fmt"
	"hash/maphash"
	"strings"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// brakeOrder is the order in which kinds are judged and told.
var brakeOrder = []reconcile.Kind{reconcile.Resume, reconcile.CreateSubscription, reconcile.ChangePlan, reconcile.Suspend, reconcile.Terminate}

// batch is what one brake looks at, and what it says.
type batch struct {
	concerned idSet                      // customers with an action of the counted kind that nobody has approved
	kept      idSet                      // of those, the ones with one that stands in a plan
	stood     int                        // of the counted kind, what stands in a plan
	fresh     int                        // of the counted kind, what is new
	takes     int                        // of every kind, what takes something away
	waits     bool                       // something of any kind stands in a plan
	orders    map[uint64]reconcile.Order // of creates, by the hash of the customer

	all       bool // all that is new is held
	onlyTakes bool // of that only what takes something away
	verdict   reconcile.OrdersVerdict
	reason    string // why something that is new is held
	large     []string
	held      pile // what is held in this run
	joins     int  // of that, what does not stand in the plan yet
}

func newBatch() *batch {
	return &batch{concerned: idSet{}, kept: idSet{}, orders: map[uint64]reconcile.Order{}}
}

// pile is actions of which only the number, the digest and as many as a report
// lists are kept.
type pile struct {
	n      int
	digest reconcile.PlanDigest
	first  []reconcile.Action
}

func (p *pile) add(a reconcile.Action) {
	p.n++
	p.digest.Add(a.ID)
	if len(p.first) < reconcile.MostReported {
		p.first = append(p.first, a)
	}
}

// brake holds what stands in a plan that nobody has approved, whatever the count is
// now, and all of a kind that is new when there is too much of the kind, in this run or
// in the last 24 hours by the journal.
func (r *run) brake(ctx context.Context) error {
	if err := r.loadPlans(ctx); err != nil {
		return err
	}
	if len(r.braked) == 0 {
		return nil
	}
	if err := r.eachPlanned(ctx, r.weigh); err != nil {
		return err
	}
	counts, err := r.History.Counts(ctx)
	if err != nil {
		return err
	}
	r.suspectOurselves(counts)
	holds := false
	for _, kind := range brakeOrder {
		held, err := r.judgeKind(ctx, kind, counts.Bound)
		if err != nil {
			return err
		}
		holds = holds || held
	}
	if !holds {
		return nil
	}
	r.free = idSet{}
	if err := r.eachPlanned(ctx, r.gather); err != nil {
		return err
	}
	for _, kind := range brakeOrder {
		r.holdKind(kind)
	}
	if !r.req.Dry {
		if err := r.holdAll(ctx); err != nil {
			return fmt.Errorf("recording what is held: %w", err)
		}
	}
	return r.saveVerdictPlans(ctx)
}

// loadPlans reads what waits for approval and what was approved. It is read after the
// planning, so that what is no longer wanted has left its plan.
func (r *run) loadPlans(ctx context.Context) (err error) {
	if r.last, err = r.Plans.LastPlans(ctx); err != nil {
		return err
	}
	return r.Plans.Standing(ctx, r.now, func(h reconcile.HeldAction) error {
		r.subjects.add(h.Subject())
		if h.Released {
			r.approved[h.ID] = h.Plan
			return nil
		}
		if !r.standing.has(h.ID) {
			r.waiting[h.Brake]++
		}
		if givesHosting(h.Kind) {
			r.orders.add(h.Subscription)
		}
		r.standing.add(h.ID)
		return nil
	})
}

// givesHosting tells that an action is what somebody waits for who is to have hosting.
func givesHosting(kind reconcile.Kind) bool {
	return kind == reconcile.CreateSubscription || kind == reconcile.Resume
}

// eachPlanned hands over what this run has planned: from the journal, and in a dry
// run, which writes none, by deciding again.
func (r *run) eachPlanned(ctx context.Context, use func(reconcile.Action) error) error {
	if !r.req.Dry {
		return r.History.RunActions(ctx, r.rec.ID, func(a reconcile.ActionRecord) error {
			if a.State != reconcile.ActionPlanned {
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

// stands tells that an action waits for approval, or is another version of what does,
// or of what was approved: an approval is of what was shown.
func (r *run) stands(a reconcile.Action) bool {
	return r.standing.has(a.ID) || r.subjects.has(a.Subject())
}

// weigh adds an action to what its brake looks at.
func (r *run) weigh(a reconcile.Action) error {
	kind := reconcile.BrakeOf(a)
	if kind == 0 || r.approved[a.ID] != "" {
		return nil
	}
	b := r.braked[kind]
	if b == nil { // a dry run decides again, and may come to more
		b = newBatch()
		r.braked[kind] = b
	}
	if r.catalog.Takes(a) {
		b.takes++
	}
	stands := r.stands(a)
	b.waits = b.waits || stands
	if a.Kind != kind {
		return nil
	}
	r.judged.add(a.ID)
	b.concerned.add(a.Customer)
	key := maphash.String(seed, a.Customer)
	order := b.orders[key]
	if stands {
		b.stood++
		b.kept.add(a.Customer)
		order.Held++
	} else {
		b.fresh++
		order.New++
	}
	if kind == reconcile.CreateSubscription {
		b.orders[key] = order
	}
	return nil
}

// judgeKind asks the brake of a kind, and reports whether anything is held.
func (r *run) judgeKind(ctx context.Context, kind reconcile.Kind, bound int) (bool, error) {
	b := r.braked[kind]
	if b == nil {
		return false, nil
	}
	if kind == reconcile.Resume { // of what is perhaps not ours, however few: no count says whose it is
		b.all, b.reason = true, "suspended with our mark, and this database does not know of it"
		return true, nil
	}
	since := r.now.Add(-reconcile.BrakeWindow)
	done, err := r.Journal.Performed(ctx, kind, since)
	if err != nil {
		return false, err
	}
	if kind == reconcile.CreateSubscription {
		by, err := r.Journal.PerformedBy(ctx, kind, since)
		if err != nil {
			return false, err
		}
		for customer, n := range by {
			key := maphash.String(seed, customer)
			if order, orders := b.orders[key]; orders {
				order.Done = n
				b.orders[key] = order
			}
		}
		b.verdict = r.Brakes.JudgeOrders(b.orders, done, bound)
		b.all, b.reason = b.verdict.Others != "", b.verdict.Others
		return b.waits || b.all || len(b.verdict.Large) > 0, nil
	}
	// What waits counts: a fleet in which ten are to be suspended is not one in which
	// the eleventh is an ordinary day.
	reason, over := r.Brakes.Holds(reconcile.Load{Kind: kind, Planned: b.stood + b.fresh, Performed: done, Bound: bound})
	b.all, b.reason = over, reason
	if r.evidence.needsApproval != "" && b.takes > 0 { // what gives goes on
		b.onlyTakes = !over
		b.reason = strings.TrimPrefix(reason+"; "+r.evidence.needsApproval, "; ")
	}
	return b.waits || b.all || b.onlyTakes, nil
}

// held reports whether a brake holds an action. A chain that is begun, about an org or
// a hosting that exists, is held only where it stands in a plan itself.
func (r *run) held(a reconcile.Action) bool {
	kind := reconcile.BrakeOf(a)
	if kind == 0 || r.approved[a.ID] != "" {
		return false
	}
	b := r.braked[kind]
	switch {
	case a.Unsure(), r.stands(a):
		return true
	case b == nil || !b.concerned.has(a.Customer):
		return false
	case a.Kind != kind:
		return !begun(a) && (b.kept.has(a.Customer) || b.all || b.isLarge(a.Customer))
	}
	return b.all || b.isLarge(a.Customer) || b.onlyTakes && r.catalog.Takes(a)
}

func begun(a reconcile.Action) bool {
	if a.Kind == reconcile.CreateWebsite {
		return a.Hosting != 0
	}
	return a.Org != ""
}

func (b *batch) isLarge(customer string) bool {
	_, large := b.verdict.Large[maphash.String(seed, customer)]
	return large
}

// mostNamed is how many large orders a reason tells of.
const mostNamed = 3

// gather collects what is held, and who has something that is not.
func (r *run) gather(a reconcile.Action) error {
	if !r.held(a) {
		r.free.add(a.Customer)
		return nil
	}
	b := r.braked[reconcile.BrakeOf(a)]
	b.held.add(a)
	if r.standing.has(a.ID) {
		return nil
	}
	b.joins++
	if order, large := b.verdict.Large[maphash.String(seed, a.Customer)]; large && a.Kind == reconcile.CreateSubscription {
		why := b.verdict.Reason(a.Customer, order)
		if len(b.large) <= mostNamed && (len(b.large) == 0 || b.large[len(b.large)-1] != why) {
			b.large = append(b.large, why)
		}
	}
	return nil
}

// holdKind makes the plan that holds what is held of a kind: the one that waits, or a
// new one.
func (r *run) holdKind(kind reconcile.Kind) {
	b := r.braked[kind]
	if b == nil || b.held.n == 0 {
		return
	}
	p, entry := r.last[kind], r.log.WithField("kind", kind.String()).WithField("actions", b.held.n)
	if p.ID == "" || !p.Approved.IsZero() || !p.Closed.IsZero() {
		p = reconcile.HeldPlan{ID: b.held.digest.After(p.ID), Kind: kind, Created: r.now}
	}
	if b.joins > 0 {
		p.Version++
		p.Reason = r.reason(b, p.Reason)
		r.logHeld(entry.WithField("plan", p.ID), logrus.ErrorLevel, "brake holds")
	} else {
		r.logHeld(entry.WithField("plan", p.ID), logrus.WarnLevel, "brake still holds")
	}
	p.Actions, p.Total = b.held.first, max(b.held.n, r.waiting[kind]+b.joins)
	r.heldKinds[kind] = p.ID
	r.plans = append(r.plans, p)
}

// logHeld logs what waits for a person. A plan that somebody asked for says so itself.
func (r *run) logHeld(entry *logrus.Entry, level logrus.Level, text string) {
	if r.req.Dry {
		level = logrus.DebugLevel
	}
	entry.Log(level, text)
}

// reason says why what joins a plan is held. A run that looked at some customers only
// adds to what was said of the others.
func (r *run) reason(b *batch, before string) string {
	var all []string
	if r.only != nil && before != "" {
		all = append(all, before)
	}
	if b.reason != "" {
		all = append(all, b.reason)
	}
	for i, why := range b.large {
		if i == mostNamed {
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
	return "what was approved has changed since, and what it is now was not approved"
}
