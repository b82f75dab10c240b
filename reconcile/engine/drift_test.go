package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// staffAtWork is three customers, and staff who have suspended the hosting of the first
// and put that of the second on another plan, a few minutes ago.
func staffAtWork(t *testing.T) (*testenv.Env, []simulator.SignedUp) {
	t.Helper()
	r := testenv.New(t, testenv.Options{World: simulator.Options{Calm: true}})
	ids := plans(r)
	price := priceFor(t, r, ids[0])
	var all []simulator.SignedUp
	for i := range 3 {
		all = append(all, signUp(t, r, simulator.SignUp{Email: fmt.Sprintf("c%d@example.com", i), Price: price}))
	}
	r.Run(engine.Request{Full: true})
	r.World.Advance(time.Hour)
	r.Run(engine.Request{}) // follows the events of the orders, and looks at their hostings again
	r.World.Advance(5 * time.Minute)
	diff(t, "converged", true, r.Run(engine.Request{Full: true}).Converged())
	must(t, r.World.StaffSuspend(hostingOf(t, r, all[0])))
	must(t, r.World.StaffChangePlan(hostingOf(t, r, all[1]), ids[1]))
	r.World.Advance(5 * time.Minute)
	return r, all
}

func hostingOf(t *testing.T, r *testenv.Env, s simulator.SignedUp) int {
	t.Helper()
	bound := bindings(t, r, s.Customer)
	if len(bound) != 1 {
		t.Fatalf("%s has the bindings %v, want one", s.Customer, bound)
	}
	return int(bound[0].Hosting)
}

func said(rep reconcile.Report, parts ...string) bool {
	for _, n := range rep.Notes {
		if all := func() bool {
			for _, p := range parts {
				if !strings.Contains(n, p) {
					return false
				}
			}
			return true
		}(); all {
			return true
		}
	}
	return false
}

// A full run looks at every hosting, however lately each was compared; changes by
// others are reported once, and the policy decides about them.
func TestAFullRunSeesWhatStaffDidAMomentAgo(t *testing.T) {
	for _, dry := range []bool{false, true} {
		t.Run(fmt.Sprintf("dry %v", dry), func(t *testing.T) {
			r, all := staffAtWork(t)
			rep := r.Run(engine.Request{Dry: dry})
			diff(t, "drift in an ordinary run", 0, rep.Drifted) // its share is not due
			rep = r.Run(engine.Request{Full: true, Dry: dry})
			diff(t, "drift", 2, len(rep.Drifts))
			diff(t, "converged", false, rep.Converged())
			if id := hostingOf(t, r, all[0]); !said(rep, fmt.Sprintf("hosting %d is suspended by others (seen", id), "now and was active") {
				t.Errorf("the suspension is not told: %q", rep.Notes)
			}
			if id := hostingOf(t, r, all[1]); !said(rep, fmt.Sprintf("hosting %d is on plan", id)) {
				t.Errorf("the change of plan is not told: %q", rep.Notes)
			}
			rep = r.Run(engine.Request{Full: true, Dry: dry})
			diff(t, "drift told again", 0, rep.Drifted)
		})
	}
}

// A full run by the clock compares the hostings that are due, because customers wait for it.
func TestAScheduledFullRunComparesWhatIsDue(t *testing.T) {
	r, _ := staffAtWork(t)
	rep := r.Run(engine.Request{Full: true, Scheduled: true})
	diff(t, "drift", 0, rep.Drifted)
	r.World.Advance(25 * time.Hour)
	diff(t, "drift after a day", 2, r.Run(engine.Request{}).Drifted)
}

// Word that was left with the process at work is a person's.
func TestAFullRunThatWasAskedForByNudgeComparesEverything(t *testing.T) {
	r, _ := staffAtWork(t)
	must(t, r.Store.Nudge(t.Context(), []string{reconcile.NudgeAll}, "asked for by operator", r.World.Now()))
	diff(t, "drift", 2, r.Run(engine.Request{Scheduled: true}).Drifted)
}

// A run about one subscription reads its hosting and its org now.
func TestATargetedRunLooksAtItsHostingAndOrg(t *testing.T) {
	r, all := staffAtWork(t)
	org := bindings(t, r, all[0].Customer)[0].Org
	before := r.World.Counts(simulator.Enhance)["GET /orgs/{org}"]
	rep := r.Run(engine.Request{Subscriptions: []string{all[0].Subscription}, Dry: true})
	diff(t, "drift", 1, len(rep.Drifts))
	diff(t, "org", org, rep.Drifts[0].Org)
	if len(rep.Targets) != 1 || !strings.Contains(rep.Targets[0].Text, "is suspended by others") {
		t.Errorf("targets: %+v", rep.Targets)
	}
	if r.World.Counts(simulator.Enhance)["GET /orgs/{org}"] == before {
		t.Error("the org was not looked at")
	}
	r.Fail(simulator.NotDone(500), func(c simulator.Call) bool { return c.Side == simulator.Enhance })
	rep, err := r.Try(engine.Request{Subscriptions: []string{all[2].Subscription}, Dry: true})
	if err == nil && rep.Converged() {
		t.Error("the panel does not answer, and all is well")
	}
}

// A change of our own whose answer was lost is no change by others.
func TestOurOwnSuspensionIsNoDrift(t *testing.T) {
	was := reconcile.Hosting{ID: 1, State: reconcile.HostingActive, Plan: 1}
	for name, is := range map[string]reconcile.Hosting{
		"nothing":    was,
		"never read": {ID: 1, State: reconcile.HostingSuspended},
	} {
		old := was
		if name == "never read" {
			old = reconcile.Hosting{ID: 1}
		}
		diff(t, name, "", planner.Drifted(old, is))
	}
	r, all := staffAtWork(t)
	r.Run(engine.Request{Full: true})
	must(t, r.World.Cancel(all[2].Subscription))
	r.World.Advance(2 * time.Minute)
	r.Fail(simulator.Lost(true), func(c simulator.Call) bool { return c.Side == simulator.Enhance && c.Method == "PATCH" })
	_, _ = r.Try(engine.Request{})
	r.World.SetFault(nil)
	r.World.Advance(5 * time.Minute)
	diff(t, "drift", 0, r.Run(engine.Request{Full: true}).Drifted)
}
