package engine_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// skewed is evidence with a database whose clock is off.
type skewed struct {
	engine.Evidence
	by time.Duration
}

func (s skewed) ClockSkew(context.Context) (time.Duration, error) { return s.by, nil }

// A gate that is closed keeps everything from being taken away, and nothing else. The last
// of three customers has not paid, and a new one has.
func TestAClosedGateTakesNothingAway(t *testing.T) {
	nothing := func(*testenv.Env, []string) {}
	for name, c := range map[string]struct {
		skew, database time.Duration
		closes         func(r *testenv.Env, subs []string)
		gate           string // a part of the reason; "": all gates are open
	}{
		"all is well":                       {0, 0, nothing, ""},
		"our clock is a minute ahead":       {time.Minute, 0, nothing, ""},
		"our clock is two minutes ahead":    {2 * time.Minute, 0, nothing, "this machine's clock is 2m0s ahead of Stripe's"},
		"our clock is two minutes behind":   {-2 * time.Minute, 0, nothing, "this machine's clock is 2m0s behind Stripe's"},
		"the database's clock, by a minute": {0, time.Minute, nothing, ""},
		"the database's clock, by two":      {0, 2 * time.Minute, nothing, "the database's clock is 2m0s off"},
		"the database's clock, two behind":  {0, -2 * time.Minute, nothing, "the database's clock is 2m0s off"},
		"the oldest subscription is gone": {0, 0, func(r *testenv.Env, subs []string) {
			if err := r.World.Edit(subs[0], unknown); err != nil {
				panic(err)
			}
		}, "no longer exists at Stripe"},
		"the oldest cannot be read": {0, 0, func(r *testenv.Env, subs []string) {
			r.Fail(simulator.Fault{Malformed: true}, func(c simulator.Call) bool { return c.Path == "/v1/subscriptions/"+subs[0] })
		}, ""},
		"Stripe does not answer for the oldest": {0, 0, func(r *testenv.Env, subs []string) {
			r.Fail(simulator.NotDone(http.StatusInternalServerError), func(c simulator.Call) bool { return c.Path == "/v1/subscriptions/"+subs[0] })
		}, "could not be read again"},
		"no mapped price exists": {0, 0, func(r *testenv.Env, _ []string) {
			r.Fail(simulator.NotDone(http.StatusNotFound), func(c simulator.Call) bool {
				return slices.ContainsFunc([]string{"/v1/prices/", "/v1/products/"}, func(p string) bool { return strings.HasPrefix(c.Path, p) })
			})
		}, "mapped prices exists in this Stripe account"},
		"the prices are not answered": {0, 0, func(r *testenv.Env, _ []string) {
			r.Fail(simulator.NotDone(http.StatusInternalServerError), func(c simulator.Call) bool { return strings.HasPrefix(c.Path, "/v1/prices") })
		}, "the mapped prices could not be checked"},
	} {
		t.Run(name, func(t *testing.T) {
			var options engine.Options
			r := testenv.New(t, testenv.Options{Skew: c.skew, Engine: func(o *engine.Options) { options = *o }})
			var subs []string
			for i := range 3 {
				subs = append(subs, signUp(t, r, simulator.SignUp{Email: fmt.Sprintf("c%d@example.com", i), Price: priceFor(t, r, plans(r)[0])}).Subscription)
				r.Run(engine.Request{})
			}
			must(t, r.World.MarkUnpaid(subs[2]))
			signUp(t, r, simulator.SignUp{Email: "new@example.com", Price: priceFor(t, r, plans(r)[0])})
			ports := r.Ports()
			ports.Evidence = skewed{r.Store, c.database}
			var err error
			r.Engine, err = engine.New(options, ports)
			must(t, err)
			c.closes(r, subs)
			rep := r.Run(engine.Request{})
			gates := strings.Join(rep.Run.Gates, "; ")
			if closed := c.gate != ""; closed == (gates == "") || !strings.Contains(gates, c.gate) {
				t.Errorf("gates: %q, want %q", gates, c.gate)
			}
			up := 3
			if c.gate != "" {
				up = 4
			}
			diff(t, "hostings that are up", up, len(live(r)))
		})
	}
}

// Without mappings there is no price that could show whose account this is.
func TestWithoutMappingsTheGateOfPricesIsOpen(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	ada := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0])})
	r.Run(engine.Request{})
	for price := range r.Plans {
		_, err := r.Store.DeleteMapping(t.Context(), price)
		must(t, err)
	}
	must(t, r.World.Cancel(ada.Subscription))
	r.World.Advance(2 * time.Minute)
	rep := r.Run(engine.Request{})
	diff(t, "gates", 0, len(rep.Run.Gates))
	diff(t, "suspended", 1, down(r))
}

// The limit of the brake is far, and still more than half is more likely a mistake than a
// fact.
func TestWhatTakesMostAwayWaitsForApproval(t *testing.T) {
	for name, c := range map[string]struct{ customers, unpaid, suspended int }{
		"most of few":        {9, 9, 9},
		"half of many":       {20, 10, 10},
		"more than half":     {20, 11, 0},
		"ten, and that most": {10, 10, 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := testenv.New(t, testenv.Options{Engine: func(o *engine.Options) {
				o.Brakes = planner.Brakes{Create: planner.Limit{Count: 1000}, Suspend: planner.Limit{Count: 1000}}
			}})
			var subs []string
			for i := range c.customers {
				made, err := r.World.SignUp(simulator.SignUp{Email: fmt.Sprintf("c%d@example.com", i), Price: priceFor(t, r, plans(r)[0])})
				must(t, err)
				subs = append(subs, made.Subscription)
			}
			r.World.Advance(2 * time.Minute)
			r.Run(engine.Request{})
			rep := each(t, r, subs[:c.unpaid], r.World.MarkUnpaid)
			diff(t, "suspended", c.suspended, down(r))
			if c.suspended == 0 && !strings.Contains(onePlan(t, rep).Reason, "more than half is more likely a mistake than a fact") {
				t.Errorf("reason: %s", rep.Plans[0].Reason)
			}
		})
	}
}

// A panel that was emptied would get every new customer.
func TestNothingIsMadeAtAPanelThatHasNoneOfOurOrgs(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0])})
	r.Run(engine.Request{})
	signUp(t, r, simulator.SignUp{Email: "bob@example.com", Price: priceFor(t, r, plans(r)[0])})
	r.Fail(simulator.NotDone(http.StatusNotFound), func(c simulator.Call) bool { return c.Route == "GET /orgs/{org}" })
	rep, err := r.Try(engine.Request{})
	if err == nil || !strings.Contains(err.Error(), "has none of the orgs") || len(rep.Run.Gates) != 1 {
		t.Errorf("the run ended with %v, gates %q", err, rep.Run.Gates)
	}
	diff(t, "orgs", 1, len(r.World.Orgs()))
	r.World.SetFault(nil)
	r.World.Advance(2 * time.Minute)
	r.Run(engine.Request{})
	diff(t, "hostings in the end", 2, len(live(r)))
}

// A flow run plans with the settings of the last run. If they are not those of now, every
// customer has to be planned again.
func TestAFlowRunLeavesANewCatalogToTheNextRun(t *testing.T) {
	for name, c := range map[string]struct {
		change func(f flowing)
		left   bool
	}{
		"as it was":         {func(flowing) {}, false},
		"a mapping changed": {func(f flowing) { f.Map("price_another", plans(f.Env)[0]) }, true},
		"plans of ten minutes ago": {func(f flowing) {
			f.World.Advance(9 * time.Minute)
		}, false},
		"plans of more than that": {func(f flowing) { f.World.Advance(11 * time.Minute) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFlowing(t, nil)
			c.change(f)
			must(t, f.Engine.Renew(t.Context()))
			f.order(t, "ada@example.com")
			done, left := f.flow(t)
			diff(t, "done", allOfASignUp, done)
			diff(t, "left", c.left, left)
		})
	}
}

// A process that starts and is stopped in each of its first requests does not know from
// them that its clock is wrong. It does before it takes anything away.
func TestTheClockIsJudgedByTheLastAnswers(t *testing.T) {
	r := testenv.New(t, testenv.Options{Skew: 2 * time.Minute, Engine: func(o *engine.Options) { o.LeaseTTL = time.Hour }})
	late := signUp(t, r, simulator.SignUp{Email: "late@example.com", Price: priceFor(t, r, plans(r)[0])})
	r.Run(engine.Request{})
	must(t, r.World.MarkUnpaid(late.Subscription))
	r.Open()
	var gates atomic.Bool
	r.Fail(simulator.Fault{}, func(c simulator.Call) bool {
		if c.Path == "/v1/subscriptions/"+late.Subscription {
			gates.Store(true)
		}
		if c.Side == simulator.Stripe && !gates.Load() {
			r.World.Advance(5 * time.Minute)
		}
		return false
	})
	rep := r.Run(engine.Request{Full: true})
	if gates := strings.Join(rep.Run.Gates, "; "); !strings.Contains(gates, "this machine's clock is 2m0s ahead of Stripe's") {
		t.Errorf("gates: %q", gates)
	}
	for _, h := range r.World.Hostings() {
		if h.SuspendedBy != "" {
			t.Errorf("hosting %d is suspended by a wrong clock", h.ID)
		}
	}
}

// By a wrong clock nothing is stored; a run goes by Stripe's.
func TestAFlowRunLeavesAllWhileOurClockIsWrong(t *testing.T) {
	r := testenv.New(t, testenv.Options{Skew: 2 * time.Minute, Engine: func(o *engine.Options) { o.KeepLease = true }})
	must(t, r.Engine.Renew(t.Context()))
	r.Run(engine.Request{Full: true})
	f := flowing{Env: r}
	f.order(t, "ada@example.com")
	before, err := f.Store.Runs(t.Context(), 10)
	must(t, err)
	s, err := f.Engine.Flow(t.Context())
	must(t, err)
	if !s.Taken || !s.Left {
		t.Errorf("served: %+v", s)
	}
	after, err := f.Store.Runs(t.Context(), 10)
	must(t, err)
	diff(t, "runs that are recorded", len(before), len(after))
	diff(t, "orgs", 0, len(r.World.Orgs()))
	f.World.Advance(time.Minute)
	must(t, r.Engine.Renew(t.Context()))
	r.Run(engine.Request{Trigger: "webhook"})
	diff(t, "hostings after a run", 1, f.up())
}

// Stripe never deletes a subscription, so one that it does not know any more is a fact to
// note, and no reason to take anything away.
func TestAFlowRunNotesASubscriptionThatIsGone(t *testing.T) {
	f := newFlowing(t, nil)
	f.order(t, "bob@example.com")
	sub := f.order(t, "ada@example.com")
	f.flow(t)
	must(t, f.World.Edit(sub, unknown))
	f.webhook(t, sub)
	s, err := f.Engine.Flow(t.Context())
	must(t, err)
	diff(t, "served", sub, s.Subscription)
	diff(t, "hostings that are up", 2, f.up())
	of, err := f.Store.CustomersOf(t.Context(), []string{sub})
	must(t, err)
	stored, err := f.Store.Customers(t.Context(), of)
	must(t, err)
	diff(t, "gone, as stored", true, stored[0].Subscriptions[0].Gone)
}
