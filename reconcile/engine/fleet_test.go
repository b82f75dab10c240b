package engine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// live are the hostings that are up at the panel, by the marker of the
// subscription they were made for.
func live(r *testenv.Env) map[string]int {
	up := map[string]int{}
	for _, h := range r.World.Hostings() {
		m, ok := reconcile.MarkerOf(h.FriendlyName)
		if ok && h.Status == "active" && h.SuspendedBy == "" {
			up[m.String()]++
		}
	}
	return up
}

func TestAMixedFleetConvergesAndTheSecondRunDoesNothing(t *testing.T) {
	for _, hostile := range []bool{false, true} {
		t.Run(map[bool]string{false: "calm", true: "hostile"}[hostile], func(t *testing.T) {
			r := testenv.New(t, testenv.Options{Hostile: hostile, World: simulator.Options{Seed: 7}, Engine: func(o *engine.Options) {
				o.Brakes.Create = planner.Limit{Count: 10_000}
			}})
			fleet := r.World.Populate(mixedFleet, simulator.Mix{})
			for price, plan := range fleet.Plans {
				r.Map(price, plan)
			}
			dry := r.Run(engine.Request{Dry: true})
			if dry.Converged() || len(r.World.Effects()) > 0 {
				t.Fatalf("planning: converged %v, %d effects", dry.Converged(), len(r.World.Effects()))
			}
			r.Run(engine.Request{})
			rep := r.Converge(20)
			for _, a := range rep.Actions {
				t.Errorf("still acting: %s %s %s", a.ID, a.State, a.Error)
			}
			for marker, n := range live(r) {
				if n != 1 {
					t.Errorf("%d live hostings for %s", n, marker)
				}
			}
			for _, h := range rep.Holds {
				if h.Reason == "" {
					t.Errorf("a hold without a reason: %+v", h)
				}
			}
			effects := len(r.World.Effects())
			again := r.Run(engine.Request{Full: true})
			if len(again.Actions) > 0 || len(r.World.Effects()) != effects {
				t.Errorf("a further full run still acts: %v", kinds(again))
			}
			checkPaid(t, r, again)
			plan := r.Run(engine.Request{Dry: true})
			if plan.Pending() > 0 || len(plan.Plans) > 0 || plan.Run.Error != "" {
				t.Errorf("a plan of what is done still has %v, %d held plans, error %q", kinds(plan), len(plan.Plans), plan.Run.Error)
			}
			for _, h := range plan.Holds { // work that is left for a person is named
				if h.Reason == "" || h.Customer == "" {
					t.Errorf("a hold that says nothing: %+v", h)
				}
			}
			if n := len(r.World.Effects()); n != effects {
				t.Errorf("planning had %d effects", n-effects)
			}
			if t.Failed() {
				for _, h := range again.Holds {
					t.Logf("hold %s %s %s: %s", h.Kind, h.Customer, h.Subscription, h.Reason)
				}
				t.Logf("notes %v error %q", again.Notes, again.Run.Error)
			}
			if v := r.World.Violations(); len(v) > 0 {
				t.Errorf("violations: %+v", v)
			}
		})
	}
}

// checkPaid holds every paid and mapped subscription against the panel: it is up,
// or a hold has the reason.
func checkPaid(t *testing.T, r *testenv.Env, rep reconcile.Report) {
	t.Helper()
	held, heldCustomers := map[string]bool{}, map[string]bool{}
	for _, h := range rep.Holds {
		held[h.Subscription] = true
		if h.Subscription == "" {
			heldCustomers[h.Customer] = true
		}
	}
	up := map[string]int{}
	for marker, n := range live(r) {
		id, _, _ := strings.Cut(strings.Trim(marker, "[]"), "/")
		up[id] += n
	}
	for _, s := range r.World.Subscriptions() {
		units := 0
		for _, it := range s.Items {
			if r.Plans[it.Price] != 0 {
				units += int(it.Quantity)
			}
		}
		paid := s.Status == "active" || s.Status == "trialing"
		if paid && up[s.ID] < units && !held[s.ID] && !heldCustomers[s.Customer] {
			t.Errorf("%s is %s, pays for %d and has %d up, and nothing says why", s.ID, s.Status, units, up[s.ID])
		}
	}
}

func TestTheFirstLargeRunIsHeldUntilItIsApproved(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	price := priceFor(t, r, plans(r)[0])
	for i := range 30 {
		_, err := r.World.SignUp(simulator.SignUp{Email: string(rune('a'+i%26)) + strings.Repeat("x", i) + "@example.com", Price: price})
		must(t, err)
	}
	rep := r.Run(engine.Request{})
	if len(rep.Plans) != 1 || len(r.World.Hostings()) != 0 || len(r.World.Orgs()) != 0 {
		t.Fatalf("%d plans, %d hostings, %d orgs", len(rep.Plans), len(r.World.Hostings()), len(r.World.Orgs()))
	}
	r.World.Advance(time.Minute)
	again := r.Run(engine.Request{})
	if len(again.Plans) != 1 || again.Plans[0].ID != rep.Plans[0].ID {
		t.Errorf("the same content has another id: %s then %v", rep.Plans[0].ID, again.Plans)
	}
	r.Approve(rep)
	r.World.Advance(time.Minute)
	done := r.Run(engine.Request{Trigger: "approve"})
	if !done.Converged() || len(r.World.Hostings()) != 30 {
		t.Errorf("after approval: converged %v, %d hostings, holds %v", done.Converged(), len(r.World.Hostings()), holdKinds(done))
	}
	diff(t, "next run", []string(nil), kinds(r.Run(engine.Request{})))
}
