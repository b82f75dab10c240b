package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// rehearse is apply of a run that sends nothing: it goes through what apply would do,
// customer by customer, with the same reads before each action, so that the plan is
// what the next run does. Only the database changes by it, as by any look.
func (r *run) rehearse(ctx context.Context) error {
	r.work.applying.Store(true)
	defer func() { r.foreseen.over = true }() // foretell goes the same way once more
	done := 0
	for _, stage := range stages {
		for _, w := range r.work.list {
			if !stage.has(w) || !r.brake.releases(w.id) {
				continue
			}
			if r.halted(ctx) {
				return nil
			}
			r.rehearseOne(ctx, w.id)
			done++
			r.progress.show("rehearsing", done, len(r.work.list))
		}
	}
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
			return r.inTurn(ctx, []func(context.Context) error{r.existing, r.plan, r.gates, r.applyBrake, r.apply, r.sendMails})
		})
		if err != nil {
			return r, err
		}
	}
	return r, nil
}

// cameUpon reports whether more is known, or asked for, of a customer than when this run
// planned, or whether there is less for the brake to judge: what it holds depends on that.
func (r *run) cameUpon(ctx context.Context) (news bool, err error) {
	if len(r.work.list) == 0 || !r.work.complete {
		return false, nil // nothing was rehearsed
	}
	worked, judged := idSet{}, 0
	for _, w := range r.work.list {
		worked.add(w.id)
	}
	err = r.due(ctx, func(customers []reconcile.Customer) error {
		for i := range customers {
			c := &customers[i]
			if news || r.work.unread.has(c.ID) {
				continue
			}
			d, _ := r.decision(c) // without an answer there are no actions; the report has the error
			p := r.planned(c, d)
			seen, unseen := r.brake.judgedOf(p.Actions)
			judged, news = judged+seen, unseen || r.asksMore(d) || len(p.Actions) > 0 && !worked.has(c.ID)
		}
		return nil
	})
	return news || judged != len(r.brake.judged), err
}

// asksMore reports whether a decision needs a fact that was not asked for in this run.
func (r *run) asksMore(d planner.Decision) bool {
	needs := r.work.unanswered(r.features.unanswered(d.Needs, r.features.answers()))
	return slices.ContainsFunc(needs, func(n planner.Need) bool { return n.Kind != planner.NeedDomain })
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
	before, done, linked := r.newPreparation(), &thought{}, map[string]bool{}
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
			read, err = r.meetsDomain(ctx, a)
		}
		if !read && err == nil {
			read, err = r.meetsOrg(ctx, a, linked)
		}
		if err != nil {
			return err
		}
		if !read {
			done.add(r, c, a)
		}
	}
	return errTooManySteps
}

// meetsOrg reads an org that is there before a link to it or a new name for it, as these
// themselves do: it may have an owner by now.
func (r *run) meetsOrg(ctx context.Context, a reconcile.Action, read map[string]bool) (bool, error) {
	reads := a.Kind == reconcile.Link && a.Hosting == 0 || a.Kind == reconcile.RenameOrg
	if !reads || a.Org == planner.ForeseenOrg || read[a.Org] {
		return false, nil
	}
	read[a.Org] = true
	return true, r.readOrgByID(ctx, a.Org)
}

// meetsDomain reports whether the panel has the domain of a website whose hosting is there
// only in thought. A run asks once the hosting is made.
func (r *run) meetsDomain(ctx context.Context, a reconcile.Action) (bool, error) {
	if a.Kind != reconcile.CreateWebsite || a.Hosting >= 0 {
		return false, nil
	}
	use, err := r.domainForeseen(ctx, a)
	if err != nil || !use.Blocks(a.Hosting) {
		return false, err
	}
	r.foreseen.domains[a.Domain] = takenDomain{use: use}
	return true, nil
}

// before is the part that a customer meets.
func (f *foreseen) before(c *reconcile.Customer) foreseen {
	if f.over {
		return f.met[c.ID]
	}
	met := foreseen{}
	if key := reconcile.EmailKey(c.Email); len(f.founders[key]) > 0 {
		met.founders = map[string][]reconcile.Kin{key: slices.Clone(f.founders[key])}
	}
	for i := range c.Subscriptions {
		domain := reconcile.DomainKey(c.Subscriptions[i].Domain)
		if d, taken := f.domains[domain]; taken && d.by != c.ID {
			if met.domains == nil {
				met.domains = map[string]takenDomain{}
			}
			met.domains[domain] = d
		}
	}
	for i := range c.NamedOrgs {
		if by := f.linked[c.NamedOrgs[i].ID]; by != "" && by != c.ID {
			met.linked = f.linked
		}
	}
	if len(met.founders) > 0 || len(met.domains) > 0 || met.linked != nil {
		f.met[c.ID] = met
	}
	return met
}

// add notes an action that was done for a customer in thought.
func (f *foreseen) add(c *reconcile.Customer, a reconcile.Action, now time.Time) {
	switch {
	case f.over:
	case a.Kind == reconcile.CreateWebsite:
		d := takenDomain{by: c.ID, use: reconcile.DomainUse{Domain: a.Domain, Status: reconcile.DomainOtherOrg, ReadAt: now}}
		if a.Hosting > 0 {
			d.use.Org, d.use.Hosting = a.Org, a.Hosting
		}
		f.domains[a.Domain] = d
	case a.Kind == reconcile.Link && a.Hosting == 0 && f.linked[a.Org] == "":
		f.linked[a.Org] = c.ID
	case a.Kind == reconcile.InviteOwner && c.Org != nil:
		k := reconcile.Kin{ID: c.ID, Org: *c.Org, Invited: now, InvitedEmail: reconcile.EmailKey(a.Email)}
		k.Org.Owners, k.Org.OwnersRead = []string{k.InvitedEmail}, now // as the panel shows who is invited
		for _, b := range c.Buyers {
			k.EmailChanged = b.EmailChanged
			key := reconcile.EmailKey(b.Email)
			f.founders[key] = append(f.founders[key], k)
		}
	}
}

// kinOf is the other customers with the e-mail of c, with those who have founded an org or
// were invited meanwhile.
func (f *foreseen) kinOf(c *reconcile.Customer) []reconcile.Kin {
	all := slices.Clone(c.Kin)
	for _, k := range f.founders[reconcile.EmailKey(c.Email)] {
		i := slices.IndexFunc(all, func(o reconcile.Kin) bool { return o.ID == k.ID })
		switch {
		case k.ID == c.ID:
		case i < 0:
			all = append(all, k)
		default:
			all[i].Invited, all[i].InvitedEmail = k.Invited, k.InvitedEmail
			all[i].Org.Owners, all[i].Org.OwnersRead = k.Org.Owners, k.Org.OwnersRead
		}
	}
	return all
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
	for i := range d.Holds {
		d.Holds[i].Hosting = max(d.Holds[i].Hosting, 0)
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
