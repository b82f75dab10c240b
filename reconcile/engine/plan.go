package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

const (
	// planBatch is how many customers are loaded, planned and recorded together.
	planBatch = 200
	// maxRounds bounds how often a customer is planned again after a read that the
	// planner asked for. Each round answers every need of the one before.
	maxRounds = 8
)

// plan decides about every customer that is due and records it. Recording and
// being due are one transaction in the store, and a customer with something to
// apply stays due until it is applied: a crash from here on loses nothing.
func (r *run) plan(ctx context.Context) error {
	done := 0
	total, err := r.Timetable.DueCount(ctx, r.now)
	if err != nil {
		return err
	}
	loaded := r.together.claims.mark()
	err = r.due(ctx, func(customers []reconcile.Customer) error {
		if err := r.planBatch(ctx, customers, loaded); err != nil {
			return err
		}
		done, loaded = done+len(customers), r.together.claims.mark()
		r.progress.show("planning", done, max(total, done))
		return nil
	})
	if err == nil && !r.halted(ctx) {
		r.work.complete = true
	}
	return err
}

// due calls use with the customers that this run is about, batch by batch.
func (r *run) due(ctx context.Context, use func([]reconcile.Customer) error) error {
	if r.only != nil {
		customers, err := r.Queue.Customers(ctx, r.only)
		if err != nil {
			return err
		}
		return use(r.supposed(customers))
	}
	after := ""
	for {
		at := r.changes.now()
		customers, next, err := r.Queue.Due(ctx, r.now, after, planBatch)
		if err != nil {
			return fmt.Errorf("reading the queue: %w", err)
		}
		for i := range customers {
			r.known.put(&customers[i], at)
		}
		if err := use(r.supposed(customers)); err != nil {
			return err
		}
		if next == "" || r.halted(ctx) {
			return nil
		}
		after = next
	}
}

// supposed are customers as they would be.
func (r *run) supposed(customers []reconcile.Customer) []reconcile.Customer {
	if r.req.Suppose != nil && r.req.Dry {
		for i := range customers {
			r.req.Suppose(&customers[i])
		}
	}
	return customers
}

// replay decides once more about every customer that a dry run planned, from the
// database as it is now. A dry run moves no customer in the queue and keeps no decision: to
// decide again is cheap, and to remember everything for a large fleet is not.
func (r *run) replay(ctx context.Context, use func(reconcile.Planned) error) error {
	return r.replayAs(ctx, r.decision, use)
}

// replayAs is replay with another way to decide.
func (r *run) replayAs(ctx context.Context, decide func(*reconcile.Customer) (planner.Decision, error), use func(reconcile.Planned) error) error {
	return r.due(ctx, func(customers []reconcile.Customer) error {
		for i := range customers {
			c := &customers[i]
			if r.work.unread.has(c.ID) {
				continue
			}
			d, err := decide(c)
			if err != nil {
				d = r.undecided(c, err)
			}
			if err := use(r.planned(c, d)); err != nil {
				return err
			}
		}
		return nil
	})
}

// planClaimed plans some customers and records it. Those who failed before come after
// the others and one by one, and not all of them where they fail again: see repeatLimit.
func (r *run) planClaimed(ctx context.Context, customers []reconcile.Customer) error {
	planned := make([]*reconcile.Planned, len(customers))
	g := errgroup.Group{}
	g.SetLimit(r.Concurrency)
	for i := range customers {
		if failing(&customers[i]) {
			continue
		}
		g.Go(guarded(func() error {
			planned[i] = r.planOne(ctx, &customers[i])
			return nil
		}))
	}
	r.noteLost(g.Wait())
	for i := range customers {
		if failing(&customers[i]) && r.outages.triesRepeats() {
			planned[i] = r.planOne(ctx, &customers[i])
		}
	}
	keep := make([]reconcile.Planned, 0, len(planned))
	for i, p := range planned {
		if p == nil {
			r.work.unread.add(customers[i].ID)
			continue
		}
		keep = append(keep, *p)
		if len(p.Actions) == 0 {
			r.known.forget(p.Customer)
		}
		r.enqueue(*p, failing(&customers[i]))
	}
	if r.req.Dry || len(keep) == 0 {
		return ctx.Err()
	}
	if err := r.recordFlow(ctx, keep); err != nil {
		return err
	}
	if err := r.Queue.SavePlanned(ctx, r.tok, r.rec.ID, keep, r.now); err != nil {
		return fmt.Errorf("recording the plan: %w", err)
	}
	return ctx.Err()
}

// planOne plans one customer. A failure is that customer's alone: it is postponed
// and nil is returned.
func (r *run) planOne(ctx context.Context, c *reconcile.Customer) (p *reconcile.Planned) {
	defer r.recoverPanic(ctx, c.ID)
	if r.halted(ctx) {
		return nil
	}
	cur, err := r.findLostWrites(ctx, c)
	var d planner.Decision
	if err == nil {
		cur, d, err = r.decide(ctx, cur, nil)
	}
	if err == nil && len(d.Actions) == 0 {
		cur, d, err = r.clearBackoff(ctx, cur, d)
	}
	if err != nil {
		r.failed(ctx, c.ID, fmt.Errorf("looking: %w", err))
		return nil
	}
	out := r.planned(cur, d)
	out.Noted = r.noticeMoves(cur)
	return &out
}

// noticeMoves notes the Stripe customers whose e-mail or name has changed, and returns them.
// The decision is stored with them, so that each change is noted once. The note shows that
// nothing follows from it.
func (r *run) noticeMoves(c *reconcile.Customer) (noted []string) {
	for _, b := range c.Buyers {
		var what, then string
		switch {
		case b.EmailUnnoted && b.NameUnnoted:
			what, then = "another e-mail and another name", "change the owner in the panel and the name with `stripe-enhance customers rename`"
		case b.EmailUnnoted:
			what, then = "another e-mail", "change the owner in the panel"
		case b.NameUnnoted:
			what, then = "another name", "change the name with `stripe-enhance customers rename`"
		default:
			continue
		}
		r.note("%s has %s at Stripe than before: the org, its owner and the hostings stay as they are; see `stripe-enhance customers show --customer %s`, and %s if that is wanted", b.ID, what, b.ID, then)
		noted = append(noted, b.ID)
	}
	return noted
}

// decide plans a customer and reads what the planner asks for until it asks for nothing
// more. done is what a dry run has done for the customer in thought; nil: nothing.
func (r *run) decide(ctx context.Context, c *reconcile.Customer, done *thought) (*reconcile.Customer, planner.Decision, error) {
	for range maxRounds {
		as, answers := done.on(r, c), r.features.answers()
		d, err := r.bareDecision(as)
		if err != nil {
			return as, d, err
		}
		d.Needs = r.readable(as, d.Needs, answers)
		if len(d.Needs) == 0 {
			if done == nil {
				r.noticeLoss(c, d)
				r.noticePerhapsOurs(d)
			}
			return as, r.withhold(r.withoutMetadata(d)), nil
		}
		for _, n := range d.Needs {
			if err := r.answer(ctx, c, n); err != nil {
				return as, d, err
			}
		}
		if c, err = r.load(ctx, c.ID); err != nil {
			return as, d, err
		}
	}
	return c, planner.Decision{}, fault.Errorf(fault.Malformed, "still asking for reads after %d rounds: the facts change while they are read", maxRounds)
}

// readable leaves out the needs that are not to be read: reads that this run has done
// without an answer, what exists in thought only, and during planning the domain of a
// subscription without a hosting. A domain costs a request to Stripe for each new
// subscription: it is read for those that are created, not for all that are planned.
func (r *run) readable(c *reconcile.Customer, needs []planner.Need, answers int) []planner.Need {
	early := !r.work.applying.Load() && !c.Unbound
	needs = slices.DeleteFunc(needs, func(n planner.Need) bool {
		return n.Hosting < 0 || n.Org == planner.ForeseenOrg ||
			early && n.Kind == planner.NeedDomain && !slices.ContainsFunc(c.Bindings, func(b reconcile.Binding) bool { return b.Subscription == n.Subscription })
	})
	return r.work.unanswered(r.features.unanswered(needs, answers))
}

func (r *run) withhold(d planner.Decision) planner.Decision {
	return r.evidence.withhold(d, r.catalog)
}

// answer reads what the planner needs to know.
func (r *run) answer(ctx context.Context, c *reconcile.Customer, n planner.Need) error {
	switch n.Kind {
	case planner.NeedHosting:
		return r.lookAt(ctx, n.Org, n.Hosting)
	case planner.NeedOrgHostings:
		return r.readOrg(ctx, n.Org)
	case planner.NeedOrg:
		return r.readOrgByID(ctx, n.Org)
	case planner.NeedWebsiteLocation:
		return r.findSite(ctx, n)
	case planner.NeedOwners:
		emails, err := r.Owners.OwnerEmails(ctx, n.Org)
		if err != nil {
			return err
		}
		return r.Inventory.SaveOwners(ctx, r.tok, n.Org, emails, r.clock())
	case planner.NeedDomain:
		domain, err := r.Billing.CheckoutDomain(ctx, n.Subscription)
		if errors.Is(err, fault.Denied) {
			r.note("the Stripe key may not read Checkout Sessions: domains asked for there are not known, and no websites are made for them")
			domain, err = "", nil
		}
		if err != nil {
			return err
		}
		return r.PlanStore.DomainChecked(ctx, r.tok, n.Subscription, domain)
	case planner.NeedSubscription:
		if err := r.readOne(ctx, n.Subscription, false); err != nil {
			return err
		}
		r.work.addRead(n.Subscription)
		return nil
	case planner.NeedContent:
		return r.readContent(ctx, n.Org)
	case planner.NeedBackups:
		return r.readBackups(ctx, n.Org, n.Hosting, n.Since)
	case planner.NeedDomainUse:
		return r.readDomainUse(ctx, n.Org, n.Hosting, n.Domain, nil)
	case planner.NeedSiteApps:
		return r.readSiteApps(ctx, c, n.Hosting)
	case planner.NeedFeatures:
		return r.readFeatures(ctx, n.Product)
	case planner.NeedDispute:
		return r.answerDispute(ctx, n.Dispute)
	}
	return fault.Errorf(fault.Permanent, "a need of unknown kind %d", n.Kind)
}

func (r *run) load(ctx context.Context, id string) (*reconcile.Customer, error) {
	at := r.changes.now()
	found, err := r.Queue.Customers(ctx, []string{id})
	if err != nil {
		return nil, err
	}
	found = r.supposed(found)
	if len(found) != 1 {
		return nil, fault.Errorf(fault.Permanent, "customer %s is no longer in the database", id)
	}
	r.known.put(&found[0], at)
	return &found[0], nil
}

// nextRun is due in the next run, not again in this one.
func (r *run) nextRun() time.Time { return r.now.Add(time.Microsecond) }

// planned turns a decision into the form that is recorded.
func (r *run) planned(c *reconcile.Customer, d planner.Decision) reconcile.Planned {
	p := reconcile.Planned{Customer: c.ID, Version: c.Version, Actions: d.Actions, Holds: d.Holds, Forecast: d.Forecast, Due: d.Next}
	if len(d.Actions) > 0 {
		p.Due = r.nextRun()
	}
	for _, at := range []time.Time{c.RetryAfter, r.lookAgain(c)} {
		if at.After(r.now) && (p.Due.IsZero() || at.Before(p.Due)) {
			p.Due = at
		}
	}
	// What the evidence withheld is decided again in the next run, and so is all that a flow
	// run leaves: it may have planned with mappings that no other run will ever see.
	if r.leaves || r.evidence.removalsAreBlocked() && len(d.Holds) > 0 || slices.ContainsFunc(d.Holds, createHeld) {
		p.Due = r.nextRun()
	}
	// An action that failed in this run is wanted again in a later one, not in this.
	p.Actions = slices.DeleteFunc(slices.Clone(p.Actions), func(a reconcile.Action) bool {
		failed := r.work.hasFailed(a.ID)
		if failed {
			p.Later = append(p.Later, a.ID)
		}
		return failed
	})
	return p
}

// enqueue counts a planned customer for the brake and for applying.
func (r *run) enqueue(p reconcile.Planned, failing bool) {
	for _, a := range p.Actions {
		if a.Kind != reconcile.SendMail && (!r.flows || !r.catalog.Takes(a)) {
			r.brake.expect(a.Brake())
		}
	}
	r.work.add(p, failing, r.catalog.Takes)
}
