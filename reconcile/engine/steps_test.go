package engine_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/logtest"
	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// writesTo counts the requests to the panel that change something.
func writesTo(r *testenv.Env) (n int) {
	for route, calls := range r.World.Counts(simulator.Enhance) {
		if !strings.HasPrefix(route, http.MethodGet+" ") {
			n += calls
		}
	}
	return n
}

func TestWithObserveNothingIsSent(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	price := priceFor(t, r, plans(r)[0])
	owes := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price})
	r.Run(engine.Request{})
	must(t, r.World.MarkUnpaid(owes.Subscription))
	signUp(t, r, simulator.SignUp{Email: "bob@example.com", Price: price})
	r.Engine = r.NewEngine(func(o *engine.Options) { o.Policy.Mode = reconcile.Observe })
	before := writesTo(r)
	for range 2 {
		rep := r.Run(engine.Request{})
		if !rep.Observed || rep.Pending() < 3 || rep.Run.Applied > 0 {
			t.Errorf("observed %v, actions %v", rep.Observed, kinds(rep))
		}
		r.World.Advance(2 * time.Minute)
	}
	diff(t, "writes", 0, writesTo(r)-before)
}

// Three customers are refused, so the run ends. The fourth has a call under way: it is
// recorded, and nothing more is done for this customer.
func TestARunThatEndsBeginsNoFurtherStepOfACustomer(t *testing.T) {
	g := &gate{}
	var open func()
	r := testenv.New(t, testenv.Options{
		Transport: func(next http.RoundTripper) http.RoundTripper { g.RoundTripper = next; return g },
		Engine: func(o *engine.Options) {
			o.Concurrency = 4
			o.Progress = func(p reconcile.Progress) {
				if p.Phase == "applying" && p.Done == 3 {
					open()
				}
			}
		},
	})
	r.Run(engine.Request{})
	for i := range 4 {
		signUp(t, r, simulator.SignUp{Email: fmt.Sprintf("c%d@example.com", i), Price: priceFor(t, r, plans(r)[0])})
	}
	var first sync.Once
	r.World.SetFault(func(c simulator.Call) simulator.Fault {
		f := simulator.Fault{Honest: true}
		if c.Route == createOrg {
			f = simulator.NotDone(http.StatusForbidden)
			first.Do(func() { f = simulator.Fault{Honest: true} })
		}
		return f
	})
	_, open = g.shut(1, func(req *http.Request) bool {
		return req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, "/customers") && len(r.World.Orgs()) == 1
	})
	rep, err := r.Try(engine.Request{})
	open()
	if err == nil || !strings.Contains(err.Error(), "refused for 3 customers in a row") {
		t.Errorf("the run ended with %v", err)
	}
	diff(t, "orgs and hostings", []int{1, 0}, []int{len(r.World.Orgs()), len(r.World.Hostings())})
	diff(t, "done", 1, rep.Run.Applied)
	r.World.SetFault(nil)
	r.World.Advance(6 * time.Minute)
	r.Converge(5)
	diff(t, "hostings in the end", 4, len(live(r)))
}

// Two of three are refused, again and again: those are never three in a row.
func TestAnAnswerBetweenRefusalsKeepsTheRunGoing(t *testing.T) {
	r := testenv.New(t, testenv.Options{Engine: func(o *engine.Options) { o.Concurrency = 1 }})
	r.Run(engine.Request{})
	for i := range 9 {
		signUp(t, r, simulator.SignUp{Email: fmt.Sprintf("c%d@example.com", i), Price: priceFor(t, r, plans(r)[0])})
	}
	n := 0
	r.World.SetFault(func(c simulator.Call) simulator.Fault {
		if c.Route == createOrg {
			if n++; n%3 != 0 {
				return simulator.NotDone(http.StatusForbidden)
			}
		}
		return simulator.Fault{Honest: true}
	})
	r.Run(engine.Request{})
	diff(t, "orgs that were asked for", 9, n)
	diff(t, "hostings", 3, len(live(r)))
}

func TestTheLogHasEachCallWithItsOutcome(t *testing.T) {
	out := &logtest.Buffer{}
	log := logrus.New()
	log.SetOutput(out)
	r := testenv.New(t, testenv.Options{Log: log, Engine: func(o *engine.Options) { o.Concurrency = 1 }})
	r.Run(engine.Request{})
	signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0])})
	r.World.SetFault(func(c simulator.Call) simulator.Fault {
		switch {
		case c.Route == createHosting:
			return simulator.Lost(true)
		case strings.HasSuffix(c.Route, "/invites"):
			return simulator.NotDone(http.StatusBadRequest)
		}
		return simulator.Fault{Honest: true}
	})
	rep := r.Run(engine.Request{})
	for kind, want := range map[string]string{"create_org": "info msg=applied", "create_subscription": `warning msg="no answer, looking for it"`, "invite_owner": `warning msg="not applied"`} {
		found := false
		for line := range strings.SplitSeq(out.String(), "\n") {
			found = found || strings.Contains(line, "level="+want) && strings.Contains(line, "kind="+kind)
		}
		if !found {
			t.Errorf("no line of level and text %s about %s in\n%s", want, kind, out)
		}
	}
	if len(rep.Holds) != 1 || !strings.Contains(rep.Holds[0].Reason, "invite_owner for cus_") {
		t.Errorf("holds: %+v", rep.Holds)
	}
}

// A person who asks about one subscription has the plans listed again, if they are old.
func TestARunAboutOneSubscriptionListsOldPlansAgain(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	ada := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0])})
	r.Run(engine.Request{})
	listed := func() int { return r.World.Counts(simulator.Enhance)["GET /orgs/{org}/plans"] }
	for _, test := range []struct {
		after  time.Duration
		listed int
	}{{5 * time.Minute, 0}, {6 * time.Minute, 1}} {
		r.World.Advance(test.after)
		before := listed()
		r.Run(engine.Request{Subscriptions: []string{ada.Subscription}})
		diff(t, fmt.Sprintf("plans listed %v later", test.after), test.listed, listed()-before)
	}
}

func TestARunAboutOneSubscriptionComparesNoOther(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	price := priceFor(t, r, plans(r)[0])
	first := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price})
	second := signUp(t, r, simulator.SignUp{Customer: first.Customer, Price: price})
	r.Run(engine.Request{})
	r.World.Advance(time.Minute)
	r.Run(engine.Request{Full: true})
	for _, h := range r.World.Hostings() {
		must(t, r.World.StaffSuspend(h.ID))
	}
	for _, s := range []simulator.SignedUp{second, first} {
		rep := r.Run(engine.Request{Subscriptions: []string{s.Subscription}, Dry: true})
		diff(t, "changes by others of "+s.Subscription, 1, rep.Drifted)
	}
}

// A refused credential is no reason to go on with the org as it was.
func TestARunAboutOneSubscriptionEndsWhereItsOrgIsRefused(t *testing.T) {
	r, all := staffAtWork(t)
	r.Fail(simulator.NotDone(http.StatusUnauthorized), func(c simulator.Call) bool { return c.Route == "GET /orgs/{org}" })
	_, err := r.Try(engine.Request{Subscriptions: []string{all[2].Subscription}})
	if err == nil || !strings.Contains(err.Error(), "looking at org") {
		t.Errorf("the run ended with %v", err)
	}
}

// Some plan is lost, and the note of it cannot be read: only a new list shows which.
func TestAnUnreadableNoteOfLostPlansListsThemAgain(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0])})
	r.Run(engine.Request{})
	tok, _, _, err := r.Store.Acquire(t.Context(), "test", r.World.Now(), time.Minute)
	must(t, err)
	must(t, r.Store.SetCursor(t.Context(), tok, "lost", "{"))
	must(t, r.Store.Release(t.Context(), tok))
	for _, want := range []int{1, 0} {
		before := r.World.Counts(simulator.Enhance)["GET /orgs/{org}/plans"]
		r.World.Advance(time.Minute)
		r.Run(engine.Request{})
		diff(t, "plans listed", want, r.World.Counts(simulator.Enhance)["GET /orgs/{org}/plans"]-before)
	}
}

// Staff move a suspended hosting to a larger plan while a flow run resumes it: to take that
// back is for a run.
func TestAFlowRunLeavesWhatComesUpWhileItIsApplied(t *testing.T) {
	f := newFlowing(t, nil)
	sub := f.order(t, "ada@example.com")
	f.flow(t)
	must(t, f.World.MarkUnpaid(sub))
	f.World.Advance(time.Second)
	f.Run(engine.Request{})
	diff(t, "hostings that are up", 0, f.up())
	must(t, f.World.Pay(sub))
	f.webhook(t, sub)
	id := f.World.Hostings()[0].ID
	reads := 0
	_, open := f.gate.shut(1, func(req *http.Request) bool {
		if req.Method == http.MethodGet && strings.HasSuffix(req.URL.Path, fmt.Sprintf("/subscriptions/%d", id)) {
			if reads++; reads == 1 { // for the plan; the next is right before the call
				must(t, f.World.StaffChangePlan(id, f.Plans["price_pro_monthly"]))
			}
		}
		return false
	})
	defer open()
	done, left := f.flow(t)
	diff(t, "done", []string{"resume"}, done)
	diff(t, "left to a run", true, left)
	if reads < 2 {
		t.Errorf("the hosting was read %d times", reads)
	}
	f.World.Advance(2 * time.Minute)
	f.Run(engine.Request{})
	diff(t, "its plan after a run", f.Plans["price_basic_monthly"], f.World.Hostings()[0].Plan)
}

// All that is optional has a default, and the rest is missed at once.
func TestAnEngineNeedsItsPortsAndItsPolicy(t *testing.T) {
	ports := testenv.New(t, testenv.Options{}).Ports()
	policy := reconcile.Policy{Mode: reconcile.Enforce, Onboarding: reconcile.Invite}
	e, err := engine.New(engine.Options{Policy: policy}, ports)
	must(t, err)
	if e.Now().IsZero() || e.Rand() >= 1 || e.Log == nil || e.Decide == nil || e.Owner == "" {
		t.Errorf("options: %+v", e.Options)
	}
	e.Progress(reconcile.Progress{})
	e.Ready()
	e.Failpoint("", "")
	for name, without := range map[string]func(*engine.Options, *engine.Ports){
		"a port":     func(_ *engine.Options, p *engine.Ports) { p.Withheld = nil },
		"a mode":     func(o *engine.Options, _ *engine.Ports) { o.Policy.Mode = 0 },
		"onboarding": func(o *engine.Options, _ *engine.Ports) { o.Policy.Onboarding = 0 },
	} {
		o, p := engine.Options{Policy: policy}, ports
		without(&o, &p)
		if _, err := engine.New(o, p); err == nil {
			t.Errorf("an engine without %s", name)
		}
	}
}

// An org that the panel does not have any more is like one that was deleted.
func TestAnOrgThatIsGoneIsDeleted(t *testing.T) {
	r, all := staffAtWork(t)
	r.Fail(simulator.NotDone(http.StatusNotFound), func(c simulator.Call) bool { return c.Route == "GET /orgs/{org}" })
	rep, err := r.Try(engine.Request{Subscriptions: []string{all[2].Subscription}})
	must(t, err)
	of, err := r.Store.Customers(t.Context(), []string{all[2].Customer})
	must(t, err)
	if rep.Partial || !of[0].Org.Deleted {
		t.Errorf("partial %v, org %+v, notes %q", rep.Partial, of[0].Org, rep.Notes)
	}
}

// A create that is not answered may be done or not. Five in a row are a panel that is out.
func TestFiveUnansweredCreatesEndTheRun(t *testing.T) {
	r := testenv.New(t, testenv.Options{Engine: func(o *engine.Options) { o.Concurrency = 1 }})
	r.Run(engine.Request{})
	for i := range 7 {
		signUp(t, r, simulator.SignUp{Email: fmt.Sprintf("c%d@example.com", i), Price: priceFor(t, r, plans(r)[0])})
	}
	asked := 0
	r.World.SetFault(func(c simulator.Call) simulator.Fault {
		if c.Route == createOrg {
			asked++
			return simulator.Lost(false)
		}
		return simulator.Fault{Honest: true}
	})
	_, err := r.Try(engine.Request{})
	if err == nil || !strings.Contains(err.Error(), "5 customers in a row") || asked != 5 {
		t.Errorf("%d creates, and the run ended with %v", asked, err)
	}
	r.World.SetFault(nil)
	r.World.Advance(5 * time.Minute)
	r.Converge(8)
	diff(t, "orgs and hostings in the end", []int{7, 7}, []int{len(r.World.Orgs()), len(live(r))})
}

// The panel has purged a hosting by the time it is read back.
func TestADeletedHostingThatIsGoneIsDone(t *testing.T) {
	r := testenv.New(t, testenv.Options{Engine: withRetention})
	ada := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0])})
	r.Run(engine.Request{})
	must(t, r.World.Cancel(ada.Subscription))
	r.World.Advance(2 * time.Minute)
	r.Run(engine.Request{})
	r.World.Advance(31 * 24 * time.Hour)
	deleted := false
	r.World.SetFault(func(c simulator.Call) simulator.Fault {
		deleted = deleted || c.Method == http.MethodDelete
		if deleted && c.Route == "GET"+hostingPath {
			return simulator.NotDone(http.StatusNotFound)
		}
		return simulator.Fault{Honest: true}
	})
	diff(t, "done", []string{"terminate applied"}, kinds(r.Run(engine.Request{})))
}

// The lease runs out between the plan and the first action: nothing is begun, and the
// journal has no attempt.
func TestWithoutTheLeaseNoActionIsBegun(t *testing.T) {
	var options engine.Options
	var late atomic.Int64
	r := testenv.New(t, testenv.Options{Engine: func(o *engine.Options) {
		now := o.Now
		o.KeepLease, o.Now = true, func() time.Time { return now().Add(time.Duration(late.Load())) }
		options = *o
	}})
	loaded := func() {}
	ports := r.Ports()
	ports.Queue = noticing{r.Store, &loaded}
	var err error
	r.Engine, err = engine.New(options, ports)
	must(t, err)
	must(t, r.Engine.Renew(t.Context()))
	r.Run(engine.Request{})
	signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0])})
	must(t, r.Engine.Renew(t.Context()))
	loaded = func() { late.Store(int64(40 * time.Second)) }
	rep, err := r.Try(engine.Request{})
	if !errors.Is(err, fault.Fenced) {
		t.Errorf("the run ended with %v", err)
	}
	diff(t, "orgs", 0, len(r.World.Orgs()))
	for _, a := range rep.Actions {
		diff(t, "state of "+a.ID, reconcile.ActionPlanned, a.State)
	}
}
