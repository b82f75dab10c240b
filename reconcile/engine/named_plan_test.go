package engine_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// upgraded is a customer on the first plan, whose hosting staff may have named, and who
// orders the second.
func upgraded(t *testing.T, staff string) (r *testenv.Env, s simulator.SignedUp, first, second string) {
	t.Helper()
	r = testenv.New(t, testenv.Options{World: simulator.Options{Calm: true}})
	ids := plans(r)
	s = signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, ids[0])})
	r.Run(engine.Request{})
	if staff != "" {
		must(t, r.World.StaffRename(r.World.Hostings()[0].ID, staff+" ["+s.Subscription+"/1]"))
	}
	must(t, r.World.ChangePrice(s.Subscription, "", priceFor(t, r, ids[1])))
	r.World.Advance(2 * time.Minute)
	for _, p := range r.World.Plans() {
		switch p.ID {
		case ids[0]:
			first = p.Name
		case ids[1]:
			second = p.Name
		}
	}
	return r, s, first, second
}

// Who orders another plan sees its name in the panel, and the marker outlives that.
func TestAChangedPlanChangesTheNameThatWeGave(t *testing.T) {
	r, s, first, second := upgraded(t, "")
	marker := " [" + s.Subscription + "/1]"
	diff(t, "before", first+marker, r.World.Hostings()[0].FriendlyName)
	planned := r.Run(engine.Request{Dry: true})
	rep := r.Run(engine.Request{})
	diff(t, "after", second+marker, r.World.Hostings()[0].FriendlyName)
	diff(t, "planned as done", kinds(planned)[0], strings.Replace(kinds(rep)[0], "applied", "planned", 1))
	diff(t, "name in the plan", planned.Actions[0].Name, rep.Actions[0].Name)
	r.World.Advance(2 * time.Minute)
	if again := r.Run(engine.Request{Full: true}); len(again.Actions) > 0 || !again.Converged() {
		t.Errorf("done again: %v %v", kinds(again), again.Notes)
	}
}

func TestANameThatStaffGaveOutlivesAChangeOfPlan(t *testing.T) {
	r, s, _, _ := upgraded(t, "Ada's bakery")
	r.Run(engine.Request{})
	diff(t, "name", "Ada's bakery ["+s.Subscription+"/1]", r.World.Hostings()[0].FriendlyName)
}

// A panel that refuses the name gets the plan alone, which was paid for.
func TestAPlanIsChangedWhereItsNameIsRefused(t *testing.T) {
	r, s, first, _ := upgraded(t, "")
	r.Fail(simulator.NotDone(400), func(c simulator.Call) bool {
		return c.Side == simulator.Enhance && c.Method == "PATCH" && bytes.Contains(c.Body, []byte("friendlyName"))
	})
	rep := r.Run(engine.Request{})
	diff(t, "actions", []string{"change_plan applied"}, kinds(rep))
	diff(t, "plan", rep.Actions[0].Plan, r.World.Hostings()[0].Plan)
	diff(t, "name", first+" ["+s.Subscription+"/1]", r.World.Hostings()[0].FriendlyName)
}
