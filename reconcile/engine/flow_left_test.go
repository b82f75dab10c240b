package engine_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// The org of another customer hangs whenever its hostings are listed. Who has just paid
// waits for it only briefly, and is served.
//
// With this mistake put in once, it went red: a flow run that waits as long as the client
// does.
func TestAFlowRunWaitsOnlyBrieflyForAnotherOrg(t *testing.T) {
	f := newFlowing(t, nil)
	hangs := f.World.StaffCreateOrg("Elsewhere", "staff@example.com")
	_, open := f.gate.shut(100, func(req *http.Request) bool { return strings.Contains(req.URL.Path, "/"+hangs+"/") })
	defer open()
	sub := f.order(t, "ada@example.com")
	brief, cancel := context.WithTimeout(t.Context(), 20*time.Second) // for a flow run that waits
	defer cancel()
	s, err := f.Engine.Flow(brief)
	must(t, err)
	diff(t, "served", sub, s.Subscription)
	diff(t, "hostings that are up", 1, f.up())
	for _, a := range s.Report.Actions {
		diff(t, a.Kind.String(), reconcile.ActionApplied, a.State)
	}
}

// A flow run leaves to the next run, nudge and all, whatever it cannot do by itself.
func TestAFlowRunLeavesWhatIsNotItsOwn(t *testing.T) {
	for _, tt := range []struct {
		name string
		make func(t *testing.T, f flowing)
	}{
		{"the subscription cannot be read", func(_ *testing.T, f flowing) {
			f.Fail(simulator.Fault{Status: 500}, func(c simulator.Call) bool { return strings.HasPrefix(c.Path, "/v1/subscriptions/") })
		}},
		{"the panel is another", func(t *testing.T, f flowing) { f.setCursor(t, "panel", "https://other.example/api org") }},
		{"the orgs are not known", func(t *testing.T, f flowing) { f.setCursor(t, "orgs", "") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFlowing(t, nil)
			sub := f.order(t, "ada@example.com")
			tt.make(t, f)
			_, left := f.flow(t)
			diff(t, "left to a run", true, left)
			diff(t, "hostings that are up", 0, f.up())
			nudged, err := f.Store.TakeNudges(t.Context(), 1, time.Time{})
			must(t, err)
			diff(t, "nudges of the next run", []string{sub}, nudged)
		})
	}
}

// A customer that failed before comes last, in a run: its org may hang.
func TestAFlowRunLeavesACustomerThatFailedBefore(t *testing.T) {
	f := newFlowing(t, nil)
	sub := f.order(t, "ada@example.com")
	f.flow(t)
	of, err := f.Store.CustomersOf(t.Context(), []string{sub})
	must(t, err)
	c, err := f.Store.Customers(t.Context(), of)
	must(t, err)
	must(t, f.Store.Postpone(t.Context(), 1, reconcile.Backoff{Customer: of[0], Version: c[0].Version, Error: "the org hangs", Due: f.World.Now().Add(time.Minute)}, f.World.Now()))
	must(t, f.World.ChangePrice(sub, "", "price_pro_monthly"))
	f.webhook(t, sub)
	done, left := f.flow(t)
	diff(t, "done", []string(nil), done)
	diff(t, "left to a run", true, left)
	diff(t, "plan", f.Plans["price_basic_monthly"], f.World.Hostings()[0].Plan)
	f.Run(engine.Request{Trigger: "webhook"})
	diff(t, "plan after a run", f.Plans["price_pro_monthly"], f.World.Hostings()[0].Plan)
}

// A price is unmapped for a moment, and only a flow run sees that. The next run has the
// mappings of the run before it, so nothing shows it that they were others in between: the
// customer must be due by itself.
func TestAFlowRunThatSawOtherMappingsLeavesTheCustomerDue(t *testing.T) {
	f := newFlowing(t, nil)
	sub := f.order(t, "ada@example.com")
	_, err := f.Store.DeleteMapping(t.Context(), "price_basic_monthly")
	must(t, err)
	_, left := f.flow(t)
	diff(t, "left to a run", true, left)
	diff(t, "hostings that are up", 0, f.up())
	f.Map("price_basic_monthly", f.Plans["price_basic_monthly"])
	f.World.Advance(time.Minute)
	rep := f.Run(engine.Request{})
	diff(t, "holds", 0, len(rep.Holds))
	diff(t, "hostings that are up for "+sub, 1, f.up())
}

// Very many known subscriptions that change at once are read by the sweep of a run, in fewer
// requests. Newcomers are served all the same, and so is who is nudged after that.
func TestFlowRunsLeaveACrowdToARunAndServeNewcomers(t *testing.T) {
	f := newFlowing(t, nil)
	f.World.Populate(crowd, simulator.Mix{Plain: true, Statuses: map[string]int{"canceled": 1}})
	f.Run(engine.Request{Full: true})
	events := f.World.Now()
	for _, sub := range f.World.Subscriptions() {
		_, err := f.Store.LogWebhook(t.Context(), "evt_"+sub.ID, "customer.subscription.updated", sub.ID, true, events)
		must(t, err)
	}
	newcomer := f.order(t, "ada@example.com")
	one := func() int { return f.World.Counts(simulator.Stripe)["GET /v1/subscriptions/{id}"] }
	before := one()
	f.flow(t)
	diff(t, "hostings that are up", 1, f.up())
	diff(t, "subscriptions that flow runs have read", 1, one()-before)
	left, err := f.Store.NamedWaiting(t.Context())
	must(t, err)
	diff(t, "left to a run", crowd, left)
	overdue, err := f.Store.NudgesOverdue(t.Context(), events)
	must(t, err)
	diff(t, "the run need not wait until they are old", true, overdue)

	f.webhook(t, newcomer)
	f.flow(t)
	diff(t, "subscriptions that flow runs have read after that", 2, one()-before)
	f.Run(engine.Request{})
	if n := one() - before; n > 5 {
		t.Errorf("the run reads %d subscriptions one by one", n-2)
	}
	waiting, err := f.Store.NudgesWaiting(t.Context())
	must(t, err)
	diff(t, "anything waits", false, waiting)
}

// crowd is more than are read one by one in any case, without the one that is at work.
const crowd = 202

// A sweep takes long. If it took the webhooks that came a moment before it began, these
// customers would wait for its end.
func TestARunLeavesAWebhookThatJustCame(t *testing.T) {
	f := newFlowing(t, nil)
	sub := f.order(t, "ada@example.com") // a second ago
	f.Run(engine.Request{Full: true})
	s, err := f.Engine.Flow(t.Context())
	must(t, err)
	diff(t, "served by a flow run", sub, s.Subscription)
	f.webhook(t, sub)
	f.World.Advance(reconcile.FlowPatience)
	f.Run(engine.Request{})
	s, err = f.Engine.Flow(t.Context())
	must(t, err)
	diff(t, "left to a flow run after a while", false, s.Taken)
}

// A staff's org hangs. Only the first flow run that looks for orgs of ours asks for its
// hostings; the others go on with what is known of it.
func TestAnOrgThatCannotBeListedIsAskedForOnce(t *testing.T) {
	f := newFlowing(t, nil)
	f.order(t, "ada@example.com")
	f.flow(t)
	hangs := f.World.StaffCreateOrg("Elsewhere", "staff@example.com")
	asked := 0
	var mu sync.Mutex // guards asked
	f.Fail(simulator.Fault{Status: 500}, func(c simulator.Call) bool {
		mu.Lock()
		defer mu.Unlock()
		is := strings.Contains(c.Path, "/"+hangs+"/")
		if is {
			asked++
		}
		return is
	})
	once := 0
	for i := range 4 {
		f.order(t, fmt.Sprintf("buyer%d@example.com", i))
		f.flow(t)
		if i == 0 {
			once = asked
		}
	}
	if once == 0 || asked != once {
		t.Errorf("%d requests by the first flow run, %d by all", once, asked)
	}
	diff(t, "hostings that are up", 5, f.up())
}

// Staff have made a hosting before anything was bound, and no person has decided which
// orders are new. A flow run asks like any run, and makes nothing beside it.
//
// With this mistake put in once, it went red: a flow run that does not ask.
func TestAFlowRunMakesNothingBesideHostingsOfOthers(t *testing.T) {
	f := newFlowing(t, nil)
	org := f.World.StaffCreateOrg("Elsewhere", "staff@example.com")
	_, err := f.World.StaffCreateHosting(org, f.Plans["price_basic_monthly"], "by hand")
	must(t, err)
	f.order(t, "ada@example.com")
	f.flow(t)
	diff(t, "hostings that are up", 1, f.up())
}

// A flow run needs the lease like any other.
func TestAFlowRunWithoutTheLeaseDoesNothing(t *testing.T) {
	f := newFlowing(t, nil)
	f.order(t, "ada@example.com")
	heir := testenv.SecondProcess(f.Env)
	f.World.Advance(10 * time.Minute) // the lease is over
	must(t, heir.Engine.Renew(t.Context()))
	s, err := f.Engine.Flow(t.Context())
	var taken *reconcile.LeaseTaken
	if err != nil && !errors.As(err, &taken) && fault.Of(err) != fault.Fenced {
		t.Error(err)
	}
	diff(t, "hostings that are up", 0, f.up())
	diff(t, "followed", "", s.Subscription)
}
