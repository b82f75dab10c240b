package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// rehearse is apply of a run that sends nothing: it goes through what apply would do,
// customer by customer, with the same reads before each action, so that the plan is
// what the next run does. Only the database changes by it, as by any look.
func (r *run) rehearse(ctx context.Context) error {
	r.work.applying.Store(true)
	for i, w := range r.work.list {
		if r.halted(ctx) {
			break
		}
		if r.brake.releases(w.id) {
			r.rehearseOne(ctx, w.id)
		}
		r.progress.show("rehearsing", i+1, len(r.work.list))
	}
	r.foreseen = foreseen{} // foretell goes the same way once more
	return nil
}

// maxPlans bounds how often a plan is made again because of news.
const maxPlans = 3

// withNews is r, or the plan that was made after it. A plan may come upon something while
// it rehearses, such as an org that staff have made meanwhile and that it finds when it
// looks for another. The run that follows begins with that, and so the plan is made
// again with it.
func (r *run) withNews(ctx context.Context) (*run, error) {
	for range maxPlans {
		if news, err := r.cameUpon(ctx); err != nil || !news {
			return r, err
		}
		r = r.anew()
		err := fault.Guard(func() error {
			return r.inTurn(ctx, []func(context.Context) error{r.plan, r.gates, r.applyBrake, r.apply, r.sendMails})
		})
		if err != nil {
			return r, err
		}
	}
	return r, nil
}

// cameUpon reports whether more is known, or asked for, of a customer than when this run
// planned.
func (r *run) cameUpon(ctx context.Context) (news bool, err error) {
	if len(r.work.list) == 0 || !r.work.complete {
		return false, nil // nothing was rehearsed
	}
	worked := idSet{}
	for _, w := range r.work.list {
		worked.add(w.id)
	}
	err = r.due(ctx, func(customers []reconcile.Customer) error {
		for i := range customers {
			c := &customers[i]
			if news || r.work.unread.has(c.ID) {
				continue
			}
			d, err := r.decision(c)
			if err != nil {
				continue // the report has it
			}
			asks := slices.ContainsFunc(r.work.unanswered(r.features.unanswered(d.Needs, r.features.answers())), func(n planner.Need) bool { return n.Kind != planner.NeedDomain })
			news = asks || len(r.planned(c, d).Actions) > 0 && !worked.has(c.ID)
		}
		return nil
	})
	return news, err
}

// anew is a run that has seen what r has seen, and planned nothing.
func (r *run) anew() *run {
	next := r.newRun(r.req)
	next.rec, next.log, next.tok, next.scope, next.catalog = r.rec, r.log, r.tok, r.scope, r.catalog
	next.Cursors = r.Cursors
	next.findings, next.work = r.findings, r.work.again()
	next.index, next.evidence = r.index.again(), r.evidence.again()
	next.features = r.features.again()
	return next
}

// rehearseOne brings one customer, in thought, as far as applyOne would.
func (r *run) rehearseOne(ctx context.Context, id string) {
	defer r.recoverPanic(ctx, id)
	if err := r.rehearseSteps(ctx, id); err != nil {
		r.failed(ctx, id, err)
	}
}

// rehearseSteps is applySteps without the calls.
func (r *run) rehearseSteps(ctx context.Context, id string) error {
	before, done := r.newPreparation(), &thought{}
	for range maxSteps {
		c, err := r.load(ctx, id)
		if err != nil {
			return err
		}
		c, d, err := r.decide(ctx, c, done)
		if err != nil {
			return err
		}
		a, ok := r.next(d, &failures{})
		if !ok {
			return nil
		}
		read, err := before.prepare(ctx, c, a, d.Contents)
		if err != nil {
			return err
		}
		if !read {
			done.add(r, c, a)
		}
	}
	return errTooManySteps
}

// foreseen is who founds an org in a dry run, by the key of the e-mail.
type foreseen map[string][]reconcile.Kin

// thought is the actions that were done for a customer in thought.
type thought struct {
	actions []reconcile.Action
}

// add does an action in thought. An org that is made is known to those with the same
// e-mail who come later.
func (t *thought) add(r *run, c *reconcile.Customer, a reconcile.Action) {
	t.actions = append(t.actions, a)
	switch a.Kind {
	case reconcile.CreateOrg:
		r.index.firstLook(planner.ForeseenOrg)
	case reconcile.InviteOwner:
		if c.Org != nil && c.Org.ID == planner.ForeseenOrg {
			key := reconcile.EmailKey(a.Email)
			r.foreseen[key] = append(r.foreseen[key], reconcile.Kin{ID: c.ID, Org: *c.Org, Invited: r.now, InvitedEmail: key})
		}
	default: // other actions are nothing to other customers
	}
}

// on is a customer as loaded, with the actions that were done in thought.
func (t *thought) on(r *run, c *reconcile.Customer) *reconcile.Customer {
	if t == nil {
		return c
	}
	if c.Org == nil {
		for _, k := range r.foreseen[reconcile.EmailKey(c.Email)] {
			if k.ID != c.ID {
				c.Kin = append(slices.Clone(c.Kin), k)
			}
		}
	}
	for _, a := range t.actions {
		c = planner.After(c, a, r.now)
	}
	return c
}

// there leaves out an org that is made in thought only.
func there(orgs []string) []string {
	return slices.DeleteFunc(slices.Clone(orgs), func(id string) bool { return id == planner.ForeseenOrg })
}

// foretell is a decision as a run would leave it: with all that it would do, step by
// step, and with the holds that remain. It reads nothing, because rehearse has. A run
// decides once about a customer without actions, or with held ones only: an org that
// it makes for another customer changes nothing for this one.
func (r *run) foretell(c *reconcile.Customer) (d planner.Decision, err error) {
	if d, err = r.decision(c); err != nil || len(d.Actions) == 0 || !r.brake.releases(c.ID) {
		return d, err
	}
	var done thought
	for range maxSteps {
		loaded := *c
		after := done.on(r, &loaded)
		if d, err = r.bareDecision(after); err != nil {
			return d, err
		}
		d = r.withhold(r.withoutMetadata(d))
		a, ok := r.next(d, &failures{})
		if !ok {
			break
		}
		done.add(r, after, a)
	}
	d.Actions = slices.Concat(done.actions, d.Actions)
	for i := range d.Actions {
		d.Actions[i] = withoutThought(d.Actions[i])
	}
	return d, nil
}

// withoutThought is an action without the ids that only thought has given.
func withoutThought(a reconcile.Action) reconcile.Action {
	if a.Hosting < 0 {
		a.ID = strings.ReplaceAll(a.ID, fmt.Sprint(":", a.Hosting), ":new")
		a.Hosting = 0
	}
	if a.Org == planner.ForeseenOrg {
		a.ID, a.Org = strings.ReplaceAll(a.ID, ":"+planner.ForeseenOrg, ":new"), ""
	}
	return a
}
