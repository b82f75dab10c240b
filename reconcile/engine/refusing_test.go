package engine_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/logtest"
	"github.com/stripe-enhance/stripe-enhance/internal/priority"
	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// refusing is a journal that refuses the intents of one kind, because another action of
// the customer is not settled.
type refusing struct {
	engine.Journal
	kind  reconcile.ActionKind
	asked int
}

func (j *refusing) RecordIntent(ctx context.Context, tok reconcile.Token, run string, a reconcile.Action, plan string, now time.Time) error {
	if a.Kind == j.kind {
		j.asked++
		return fault.Errorf(fault.Conflict, "another action is not settled")
	}
	return j.Journal.RecordIntent(ctx, tok, run, a, plan, now)
}

// The same kind of error is no failure if the panel gives it about the website, and if
// Stripe gives it about the metadata.
func TestAnIntentThatIsNotRecordedIsAFailure(t *testing.T) {
	for _, kind := range []reconcile.ActionKind{reconcile.CreateWebsite, reconcile.WriteMetadata, reconcile.CreateSubscription} {
		t.Run(kind.String(), func(t *testing.T) {
			var options engine.Options
			r := testenv.New(t, testenv.Options{Engine: func(o *engine.Options) { o.Policy.WriteMetadata = true; options = *o }})
			r.Run(engine.Request{})
			signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0]), Domain: "ada.example.com"})
			ports, journal := r.Ports(), &refusing{r.Store, kind, 0}
			ports.Journal = journal
			var err error
			r.Engine, err = engine.New(options, ports)
			must(t, err)
			rep := r.Run(engine.Request{})
			diff(t, "intents", 1, journal.asked)
			diff(t, "held", []string{"retry"}, holdKinds(rep))
			r.Engine = r.NewEngine(func(o *engine.Options) { o.Policy.WriteMetadata = true })
			r.World.Advance(2 * time.Minute)
			diff(t, "converged later", true, r.Converge(5).Converged())
			diff(t, "hostings and websites", []int{1, 1}, []int{len(r.World.Hostings()), len(r.World.Websites())})
		})
	}
}

// full is an inventory that takes no hosting.
type full struct {
	engine.Inventory
	asked int
}

func (i *full) SaveHosting(context.Context, reconcile.Token, reconcile.Hosting, time.Time) error {
	i.asked++
	return errStumble
}

// A refusal concerns one hosting, and a database that takes nothing concerns all.
func TestADatabaseThatTakesNothingEndsTheComparison(t *testing.T) {
	var options engine.Options
	r := testenv.New(t, testenv.Options{Engine: func(o *engine.Options) { o.Concurrency = 1; options = *o }})
	for i := range 4 {
		signUp(t, r, simulator.SignUp{Email: fmt.Sprintf("c%d@example.com", i), Price: priceFor(t, r, plans(r)[0])})
	}
	r.Run(engine.Request{})
	r.World.Advance(time.Hour)
	r.Run(engine.Request{})
	ports, inventory := r.Ports(), &full{Inventory: r.Store}
	ports.Inventory = inventory
	var err error
	r.Engine, err = engine.New(options, ports)
	must(t, err)
	r.World.Advance(25 * time.Hour)
	rep, _ := r.Try(engine.Request{})
	diff(t, "notes", []int{1, 0}, []int{notes(rep, "comparing with Enhance was cut short"), notes(rep, "could not be compared")})
	diff(t, "hostings that were to be stored", 1, inventory.asked)
}

// approving is held plans of which one is approved right before a run stores it again.
type approving struct {
	engine.HeldPlans
	approve func()
}

func (a approving) Hold(ctx context.Context, tok reconcile.Token, run string, p reconcile.HeldPlan) (reconcile.HeldPlan, error) {
	a.approve()
	return a.HeldPlans.Hold(ctx, tok, run, p)
}

// The run has judged by then, so the next one does all of it.
func TestAPlanThatIsApprovedWhileARunStoresItWaitsNoMore(t *testing.T) {
	var options engine.Options
	r := testenv.New(t, testenv.Options{Engine: func(o *engine.Options) { o.Brakes.Create = planner.Limit{}; options = *o }})
	signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0])})
	held := r.Run(engine.Request{})
	diff(t, "plans", 1, len(held.Plans))
	ports := r.Ports()
	ports.Plans = approving{r.Store, sync.OnceFunc(func() { r.Approve(held) })}
	var err error
	r.Engine, err = engine.New(options, ports)
	must(t, err)
	r.World.Advance(2 * time.Minute)
	rep := r.Run(engine.Request{})
	diff(t, "plans and hostings in that run", []int{0, 0}, []int{len(rep.Plans), len(live(r))})
	r.World.Advance(2 * time.Minute)
	rep = r.Run(engine.Request{})
	diff(t, "plans and hostings in the next", []int{0, 1}, []int{len(rep.Plans), len(live(r))})
	diff(t, "converged", true, rep.Converged())
}

// A held plan is news once, and in the output of a dry run there is no need of a log.
func TestTheLogHasAHeldPlanOfARun(t *testing.T) {
	out := &logtest.Buffer{}
	log := logrus.New()
	log.SetOutput(out)
	r := testenv.New(t, testenv.Options{Log: log, Engine: func(o *engine.Options) { o.Brakes.Create = planner.Limit{} }})
	signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0])})
	for _, test := range []struct {
		dry  bool
		want string
	}{{true, ""}, {false, `level=error msg="brake holds"`}, {false, `level=warning msg="brake still holds"`}} {
		before := len(out.String())
		r.Run(engine.Request{Dry: test.dry})
		if text := out.String()[before:]; strings.Contains(text, "brake") != (test.want != "") || !strings.Contains(text, test.want) {
			t.Errorf("dry %v: %s", test.dry, text)
		}
		r.World.Advance(2 * time.Minute)
	}
}

// hurried notes how urgently each subscription is read.
type hurried struct {
	engine.Billing
	read map[string]priority.Class
}

func (h hurried) Subscription(ctx context.Context, id string) (reconcile.SubscriptionFacts, error) {
	h.read[id] = priority.Of(ctx)
	return h.Billing.Subscription(ctx, id)
}

func TestANewCustomerIsReadBeforeOthers(t *testing.T) {
	var options engine.Options
	f := newFlowing(t, func(o *engine.Options) { o.Concurrency = 1; options = *o })
	known := f.order(t, "ada@example.com")
	f.flow(t)
	f.World.Advance(10 * time.Minute) // the lease of the first engine is over
	ports, h := f.Ports(), hurried{f.Stripe, map[string]priority.Class{}}
	ports.Billing = h
	var err error
	f.Engine, err = engine.New(options, ports)
	must(t, err)
	must(t, f.Engine.Renew(t.Context()))
	f.webhook(t, known)
	f.flow(t)
	unknown := f.order(t, "bob@example.com")
	f.flow(t)
	diff(t, "urgent", []bool{false, true}, []bool{h.read[known] == priority.Urgent, h.read[unknown] == priority.Urgent})
}

// planless is held plans that cannot be read.
type planless struct{ engine.HeldPlans }

func (planless) LastPlans(context.Context) (map[reconcile.ActionKind]reconcile.HeldPlan, error) {
	return nil, errStumble
}

// The brake cannot judge, so nothing is made, and the record of the flow run has the reason.
func TestAFlowRunWithoutItsBrakeMakesNothing(t *testing.T) {
	var options engine.Options
	f := newFlowing(t, func(o *engine.Options) { options = *o })
	f.World.Advance(10 * time.Minute) // the lease of the first engine is over
	ports := f.Ports()
	ports.Plans = planless{f.Store}
	var err error
	f.Engine, err = engine.New(options, ports)
	must(t, err)
	must(t, f.Engine.Renew(t.Context()))
	f.order(t, "ada@example.com")
	s, err := f.Engine.Flow(t.Context())
	if err == nil || !s.Left {
		t.Errorf("left %v: %v", s.Left, err)
	}
	diff(t, "orgs", 0, len(f.World.Orgs()))
	runs, err := f.Store.Runs(t.Context(), 1)
	must(t, err)
	diff(t, "error of the run that is recorded", errStumble.Error(), runs[0].Error)
}
