package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
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
	err = r.batches(ctx, func(b dueBatch) error {
		if err := r.planBatch(ctx, b.customers, b.claims); err != nil {
			return err
		}
		done += len(b.customers)
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
	return r.batches(ctx, func(b dueBatch) error { return use(b.customers) })
}

// dueBatch is some of the customers that this run is about.
type dueBatch struct {
	customers []reconcile.Customer
	next      string // where the next batch begins; "": this is the last
	// From before they were loaded:
	changes int64 // how many changes there had been
	claims  int64 // the mark of the claims
}

// batches calls use with each batch. The next one is loaded meanwhile. If this process has
// changed any customer since it began to load them, they are loaded once more: the hosting
// that was looked at for the customer before may be theirs too. What other processes and
// people change raises the version, as with any customer that waits for its turn in a batch.
func (r *run) batches(ctx context.Context, use func(dueBatch) error) error {
	if r.only != nil {
		return r.onlyBatch(ctx, use)
	}
	b, err := r.loadDue(ctx, "")
	for again := false; err == nil; {
		for i := range b.customers {
			r.known.put(&b.customers[i], b.changes)
		}
		b.customers = r.supposed(b.customers)
		var next dueBatch
		ahead := b.next != "" && !again // where one batch changes, so does the next, and the load would be lost
		if ahead {
			next, err = r.besideLoading(ctx, b.next, func() error { return use(b) })
		} else {
			err = use(b)
		}
		if err != nil || b.next == "" || r.halted(ctx) {
			return err
		}
		if again = ahead && r.isOld(next); again || !ahead {
			next, err = r.loadDue(ctx, b.next)
		}
		b = next
	}
	return err
}

// onlyBatch calls use with the customers of a run about some.
func (r *run) onlyBatch(ctx context.Context, use func(dueBatch) error) error {
	b := dueBatch{claims: r.together.claims.mark()}
	customers, err := r.Queue.Customers(ctx, r.only)
	if err != nil {
		return err
	}
	b.customers = r.supposed(customers)
	return use(b)
}

func (r *run) loadDue(ctx context.Context, after string) (b dueBatch, err error) {
	b.changes, b.claims = r.changes.now(), r.together.claims.mark()
	if b.customers, b.next, err = r.Queue.Due(ctx, r.now, after, planBatch); err != nil {
		err = fmt.Errorf("reading the queue: %w", err)
	}
	return b, err
}

// besideLoading calls use while it loads the batch after a place in the queue. Once use has
// failed, or the run was stopped, it does not wait for that batch.
func (r *run) besideLoading(ctx context.Context, after string, use func() error) (next dueBatch, err error) {
	loading, stop := context.WithCancel(ctx)
	defer stop()
	g := errgroup.Group{}
	g.Go(guarded(func() (err error) { next, err = r.loadDue(loading, after); return err }))
	if err := use(); err != nil || r.halted(ctx) {
		stop()
		_ = g.Wait()
		return dueBatch{}, err
	}
	err = g.Wait()
	return next, err
}

// isOld reports whether customers may not be any more as they were loaded, or whether the
// claims no longer know which of them another run has had at work since.
func (r *run) isOld(b dueBatch) bool {
	const anybody = ""
	return b.changes != r.changes.now() || r.together.claims.changedSince(anybody, b.claims)
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
	ctx, end := r.Trace.Begin(ctx, "plan customer", c.ID)
	defer end()
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

// loadCatalog makes the catalog of this run. Plans are listed again when they
// are old and there is work, in every full run, and, whether there is work or not, as
// long as a mapping leads nowhere or a plan that matters is lost: who is held for it
// waits for no event of his own. A mapping, plan or
// setting that changed makes every customer due, because operators write to the
// table with psql as well as with our commands, and start us with another setting
// without a word to the database.
func (r *run) loadCatalog(ctx context.Context) error {
	mappings, plans, readAt, err := r.storedCatalog(ctx)
	if err != nil {
		return err
	}
	lost, err := r.lostPlans(ctx)
	if err != nil {
		return err
	}
	again := r.mode == reconcile.RunFull || readAt.IsZero() || len(lost) > 0 || len(r.catalog.Problems()) > 0
	if !again && (r.now.Sub(readAt) > planAge || r.now.Before(readAt)) {
		if again, err = r.anythingDue(ctx); err != nil {
			return err
		}
	}
	if again {
		if plans, err = r.listPlans(ctx, mappings, plans, lost); err != nil {
			return err
		}
	}
	for _, problem := range r.catalog.Problems() {
		r.note("%s", problem)
	}
	return r.noticeCatalog(ctx, mappings, plans)
}

// storedCatalog makes the catalog from the database, and returns its parts and
// when the plans were listed.
func (r *run) storedCatalog(ctx context.Context) (mappings []reconcile.Mapping, plans []reconcile.EnhancePlan, readAt time.Time, err error) {
	if mappings, err = r.PlanStore.Mappings(ctx); err != nil {
		return nil, nil, readAt, err
	}
	if plans, readAt, err = r.PlanStore.Plans(ctx); err != nil {
		return nil, nil, readAt, err
	}
	r.catalog = planner.NewCatalog(mappings, plans)
	return mappings, plans, readAt, r.loadFeatures(ctx)
}

// planAge is how old the list of plans may be while there is work to do.
const planAge = 10 * time.Minute

// premises is a digest of all that a decision depends on and that is the same for
// every customer.
func (r *run) premises(mappings []reconcile.Mapping, plans []reconcile.EnhancePlan) string {
	slices.SortFunc(mappings, func(a, b reconcile.Mapping) int { return cmpText(a.BillingID, b.BillingID) })
	slices.SortFunc(plans, func(a, b reconcile.EnhancePlan) int { return a.ID - b.ID })
	sum := sha256.Sum256(fmt.Append(nil, mappings, plans, r.Policy))
	return hex.EncodeToString(sum[:8])
}

func (r *run) noticeCatalog(ctx context.Context, mappings []reconcile.Mapping, plans []reconcile.EnhancePlan) error {
	digest := r.premises(mappings, plans)
	last, err := r.Cursors.Cursor(ctx, cursorCatalog)
	if err != nil || last == digest {
		return err
	}
	r.features.forgetUnmapped(r.catalog)
	if err := r.Timetable.MakeDue(ctx, r.tok, nil, r.now); err != nil {
		return err
	}
	return r.Cursors.SetCursor(ctx, r.tok, cursorCatalog, digest)
}

// anythingDue reports whether there is work. The customers of a run about some are due,
// because it has just read their subscriptions.
func (r *run) anythingDue(ctx context.Context) (bool, error) {
	n, err := r.Timetable.DueCount(ctx, r.now)
	return n > 0, err
}

// lostPlan is a plan that the panel had, that a mapping names or hostings of ours are
// on, and that its last list lacks. A list that lost one is doubted: it is read again in
// every run until the plan is back, or until nothing of ours needs it.
type lostPlan struct {
	Name  string    `json:"name"`
	Since time.Time `json:"since"`
}

func (r *run) lostPlans(ctx context.Context) (map[int]lostPlan, error) {
	text, err := r.Cursors.Cursor(ctx, cursorLost)
	if err != nil || text == "" {
		return nil, err
	}
	lost := map[int]lostPlan{}
	if json.Unmarshal([]byte(text), &lost) != nil {
		lost = map[int]lostPlan{0: {}} // some plan is lost: only a new list shows which
	}
	return lost, nil
}

// listPlans lists the plans, stores them, and notes which of those before are lost.
func (r *run) listPlans(ctx context.Context, mappings []reconcile.Mapping, before []reconcile.EnhancePlan, lost map[int]lostPlan) ([]reconcile.EnhancePlan, error) {
	plans, err := r.Panel.Plans(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing plans: %w", err)
	}
	gone := map[int]lostPlan{}
	for _, p := range before {
		gone[p.ID] = lostPlan{Name: p.Name, Since: r.now}
	}
	maps.Copy(gone, lost)
	for _, p := range plans {
		delete(gone, p.ID)
	}
	delete(gone, 0)
	if len(gone) > 0 {
		bound, err := r.PlanStore.BoundPlans(ctx)
		if err != nil {
			return nil, err
		}
		maps.DeleteFunc(gone, func(id int, p lostPlan) bool { return !slices.Contains(bound, id) && !named(mappings, id, p.Name) })
	}
	for _, id := range slices.Sorted(maps.Keys(gone)) {
		r.note("the panel's list of plans lacks plan %d (%q) since %s, which a mapping names or hostings are on. It is read again in every run until it is back; "+
			"if the plan was deleted, map its prices to another with `stripe-enhance mappings set`", id, gone[id].Name, gone[id].Since.Format(time.RFC3339))
	}
	// Before the list without them: a process that dies in between must not forget them.
	if err := r.rememberLost(ctx, gone); err != nil {
		return nil, err
	}
	if err := r.PlanStore.SavePlans(ctx, r.tok, plans, r.now); err != nil {
		return nil, err
	}
	r.catalog = planner.NewCatalog(mappings, plans)
	return plans, nil
}

// named reports whether a mapping leads to a plan, by id or by name.
func named(mappings []reconcile.Mapping, id int, name string) bool {
	return slices.ContainsFunc(mappings, func(m reconcile.Mapping) bool {
		return m.Plan == strconv.Itoa(id) || m.Plan == name && name != reconcile.NotHosting
	})
}

func (r *run) rememberLost(ctx context.Context, lost map[int]lostPlan) error {
	text := ""
	if len(lost) > 0 {
		packed, err := json.Marshal(lost)
		if err != nil {
			return err
		}
		text = string(packed)
	}
	last, err := r.Cursors.Cursor(ctx, cursorLost)
	if err != nil || last == text {
		return err
	}
	return r.Cursors.SetCursor(ctx, r.tok, cursorLost, text)
}

// planStored is a dry run over the database. It reads nothing outside.
func (r *run) planStored(ctx context.Context) error {
	r.setMode(reconcile.RunIncremental)
	err := r.inTurn(ctx, []func(context.Context) error{r.loadVerdict, r.loadStoredCatalog, r.chooseStored, r.lookAround, r.planAllStored})
	if err != nil {
		return err
	}
	r.work.complete = true
	return r.applyBrake(ctx)
}

// loadStoredCatalog makes the catalog from the database, and notes that it differs
// from the one that the running process planned with.
func (r *run) loadStoredCatalog(ctx context.Context) error {
	mappings, plans, _, err := r.storedCatalog(ctx)
	if err != nil {
		return err
	}
	last, err := r.Cursors.Cursor(ctx, cursorCatalog)
	if err == nil && last != "" && last != r.premises(mappings, plans) {
		r.notePartial("settings, mappings or plans have changed since the running process last planned. This shows only customers that it has not planned yet; its next run shows the rest")
	}
	return err
}

// chooseStored finds the customers of the subscriptions that a person asked for.
func (r *run) chooseStored(ctx context.Context) (err error) {
	if len(r.req.Subscriptions) == 0 {
		return nil
	}
	r.only, err = r.Queue.CustomersOf(ctx, r.req.Subscriptions)
	if err == nil && len(r.only) == 0 {
		return fault.Errorf(fault.NotFound, "the process at work has stored no subscription %v: ask again when it is idle", r.req.Subscriptions)
	}
	return err
}

// planAllStored plans every customer that is due, without recording it.
func (r *run) planAllStored(ctx context.Context) error {
	return r.due(ctx, func(customers []reconcile.Customer) error {
		for i := range customers {
			d, err := r.decision(&customers[i])
			if err != nil {
				r.undecided(&customers[i], err)
				continue
			}
			r.enqueue(r.planned(&customers[i], d), false)
		}
		return nil
	})
}

// foreseen is the founders of orgs and the domains that a dry run has in thought after some
// customers, and that later ones meet. The rehearsal goes through the customers in the order
// of a run, and the report in that of the queue: it uses the same meetings again.
type foreseen struct {
	founders map[string][]reconcile.Kin // by the key of the e-mail
	domains  map[string]takenDomain
	linked   map[string]string   // org that was there → its first customer
	met      map[string]foreseen // customer → the part that concerns it, as of its turn
	over     bool                // the rehearsal has ended
}

// takenDomain is where the panel will have a domain, and for which customer; "": it has it
// already.
type takenDomain struct {
	by  string
	use reconcile.DomainUse
}

func newForeseen() *foreseen {
	return &foreseen{founders: map[string][]reconcile.Kin{}, domains: map[string]takenDomain{}, linked: map[string]string{}, met: map[string]foreseen{}}
}

// thought is the actions that were done for a customer in thought.
type thought struct {
	actions []reconcile.Action
}

// add does an action in thought.
func (t *thought) add(r *run, c *reconcile.Customer, a reconcile.Action) {
	t.actions = append(t.actions, a)
	if a.Kind == reconcile.CreateOrg {
		r.index.addMade(planner.ForeseenOrg)
	}
	r.foreseen.add(c, a, r.now)
}

// on is a customer as loaded, with the actions that were done in thought.
func (t *thought) on(r *run, c *reconcile.Customer) *reconcile.Customer {
	if t == nil {
		return c
	}
	met, next := r.foreseen.before(c), *c
	c = &next
	if c.Org == nil {
		c.Kin, c.NamedOrgs = met.kinOf(c), slices.Clone(c.NamedOrgs)
		for i := range c.NamedOrgs {
			if n := &c.NamedOrgs[i]; n.Founder == "" && met.linked[n.ID] != c.ID {
				n.Founder = met.linked[n.ID]
			}
		}
	}
	for _, a := range t.actions {
		c = planner.After(c, a, r.now)
	}
	for _, d := range met.domains {
		if d.use.Status == reconcile.DomainOtherOrg && c.Org != nil && d.use.Org == c.Org.ID {
			d.use.Status = reconcile.DomainOwnOrg
		}
		c = planner.DomainTaken(c, 0, d.use)
	}
	return c
}

// there leaves out an org that is made in thought only.
func there(orgs []string) []string {
	return slices.DeleteFunc(slices.Clone(orgs), func(id string) bool { return id == planner.ForeseenOrg })
}
