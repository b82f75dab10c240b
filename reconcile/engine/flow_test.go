package engine_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// gate is a transport that holds back the answers to requests which match, until it is
// opened: each was given before that.
type gate struct {
	http.RoundTripper

	mu      sync.Mutex // guards all below
	match   func(*http.Request) bool
	opened  chan struct{}
	arrived chan struct{} // closed when the first answer is held back
	held    int
	most    int // how many are held back
}

func (g *gate) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := g.RoundTripper.RoundTrip(req)
	g.mu.Lock()
	opened := g.opened
	if opened == nil || g.held == g.most || !g.match(req) {
		g.mu.Unlock()
		return resp, err
	}
	if g.held++; g.held == 1 {
		close(g.arrived)
	}
	g.mu.Unlock()
	select {
	case <-opened:
		return resp, err
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
}

// holds is how many answers are held back, or were.
func (g *gate) holds() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.held
}

// shut holds back up to most answers to what matches from now on; the function that it
// returns ends that.
func (g *gate) shut(most int, match func(*http.Request) bool) (arrived <-chan struct{}, open func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.match, g.opened, g.arrived, g.held, g.most = match, make(chan struct{}), make(chan struct{}), 0, most
	opened := g.opened
	return g.arrived, sync.OnceFunc(func() {
		g.mu.Lock()
		g.opened = nil
		g.mu.Unlock()
		close(opened)
	})
}

// flowing is a company with a service at work: it leads, and its first full run is over.
type flowing struct {
	*testenv.Env
	gate  *gate
	ready chan struct{}
}

func newFlowing(t *testing.T, change func(*engine.Options)) flowing {
	t.Helper()
	f := flowing{gate: &gate{}, ready: make(chan struct{}, 100)}
	f.Env = testenv.New(t, testenv.Options{
		Transport: func(next http.RoundTripper) http.RoundTripper { f.gate.RoundTripper = next; return f.gate },
		Engine: func(o *engine.Options) {
			o.KeepLease, o.Ready = true, func() { f.ready <- struct{}{} }
			if change != nil {
				change(o)
			}
		},
	})
	must(t, f.Engine.Renew(t.Context()))
	f.Run(engine.Request{Full: true})
	return f
}

// order signs somebody up, and stores the nudge that the webhook brings.
func (f flowing) order(t *testing.T, email string) string {
	t.Helper()
	made, err := f.World.SignUp(simulator.SignUp{Email: email, Name: email, Price: "price_basic_monthly"})
	must(t, err)
	f.webhook(t, made.Subscription)
	return made.Subscription
}

func (f flowing) webhook(t *testing.T, sub string) {
	t.Helper()
	_, err := f.Store.LogWebhook(t.Context(), fmt.Sprintf("evt_%s_%d", sub, f.World.Now().UnixNano()), "customer.subscription.updated", sub, true, f.World.Now())
	must(t, err)
	f.World.Advance(time.Second)
}

// flow serves what waits, and returns the actions that were done, sorted.
func (f flowing) flow(t *testing.T) (done []string, left bool) {
	t.Helper()
	for {
		s, err := f.Engine.Flow(t.Context())
		must(t, err)
		for _, a := range s.Report.Actions {
			if a.State == reconcile.ActionApplied {
				done = append(done, a.Kind.String())
			}
		}
		left = left || s.Left
		if !s.Taken {
			slices.Sort(done)
			return done, left
		}
	}
}

// hostings counts those that are up.
func (f flowing) up() (n int) {
	for _, h := range f.World.Hostings() {
		if h.Status == "active" && h.SuspendedBy == "" {
			n++
		}
	}
	return n
}

var allOfASignUp = []string{"create_org", "create_subscription", "invite_owner", "rename_org"}

func TestWhoHasPaidIsServedWithoutARun(t *testing.T) {
	f := newFlowing(t, nil)
	f.order(t, "ada@example.com")
	done, left := f.flow(t)
	diff(t, "done", allOfASignUp, done)
	diff(t, "left to a run", false, left)
	rep := f.Run(engine.Request{})
	diff(t, "actions of the run after it", 0, len(rep.Actions))
	diff(t, "hostings that are up", 1, f.up())
}

// With these mistakes put in once, it went red: flow runs that do not claim their
// customer; a run that holds the engine's lock for its whole length.
func TestWhoHasPaidWaitsForNoOtherRun(t *testing.T) {
	f := newFlowing(t, nil)
	for _, shut := range []struct {
		name  string
		match func(*http.Request) bool
	}{
		{"a sweep", func(req *http.Request) bool { return req.URL.Path == "/v1/subscriptions" }},
		{"a listing of the orgs", func(req *http.Request) bool {
			return strings.HasSuffix(req.URL.Path, "/customers") && req.URL.Query().Get("sortOrder") == "asc"
		}},
	} {
		t.Run(shut.name, func(t *testing.T) {
			before := f.up()
			arrived, open := f.gate.shut(1, shut.match)
			ended := make(chan error, 1)
			go func() {
				_, err := f.Engine.Run(context.WithoutCancel(t.Context()), engine.Request{Full: true, Trigger: "test"})
				ended <- err
			}()
			<-arrived
			f.order(t, strings.ReplaceAll(shut.name, " ", "-")+"@example.com")
			done, _ := f.flow(t)
			open()
			diff(t, "done meanwhile", allOfASignUp, done)
			must(t, <-ended)
			diff(t, "hostings made", 1, f.up()-before)
		})
	}
}

// A customer is at work in a run whose call hangs. The nudge of this customer waits for
// it, and everybody else is served.
func TestACustomerAtWorkIsServedAfterThat(t *testing.T) {
	f := newFlowing(t, nil)
	slow, err := f.World.SignUp(simulator.SignUp{Email: "slow@example.com", Name: "Slow", Price: "price_basic_monthly"})
	must(t, err)
	arrived, open := f.gate.shut(1, func(req *http.Request) bool {
		return req.Method == http.MethodPost && strings.HasSuffix(req.URL.Path, "/subscriptions")
	})
	defer open()
	ended := make(chan error, 1)
	go func() {
		_, err := f.Engine.Run(context.WithoutCancel(t.Context()), engine.Request{Trigger: "test"})
		ended <- err
	}()
	<-arrived
	f.webhook(t, slow.Subscription)
	brief, cancel := context.WithTimeout(t.Context(), 10*time.Second) // for a flow run that waits
	defer cancel()
	s, err := f.Engine.Flow(brief)
	must(t, err)
	diff(t, "served", reconcile.Served{Taken: true}, s)
	open()
	must(t, <-ended)
	<-f.ready
	s, err = f.Engine.Flow(t.Context())
	must(t, err)
	diff(t, "served after that", slow.Subscription, s.Subscription)
	diff(t, "hostings that are up", 1, f.up())
}

// With this mistake put in once, it went red: the three conditions that keep removals out
// of a flow run, in enqueue, eachPlanned and next, are gone. Each of them alone suffices.
func TestAFlowRunTakesNothingAway(t *testing.T) {
	f := newFlowing(t, nil)
	sub := f.order(t, "ada@example.com")
	f.flow(t)
	must(t, f.World.Cancel(sub))
	f.webhook(t, sub)
	done, left := f.flow(t)
	diff(t, "done", []string(nil), done)
	diff(t, "left to a run", true, left)
	diff(t, "hostings that are up", 1, f.up())
	f.World.Advance(time.Second)
	f.Run(engine.Request{Trigger: "webhook"})
	diff(t, "hostings that are up after a run", 0, f.up())
}

// Each flow run makes one hosting, and the brake counts all of them together: those that
// are done, and those that other runs may still do.
//
// With this mistake put in once, it went red: creates that other runs may still do are not
// counted.
func TestTheBrakeCountsWhatIsMadeAtTheSameTime(t *testing.T) {
	const limit, buyers = 5, 9
	f := newFlowing(t, func(o *engine.Options) { o.Brakes.Create = planner.Limit{Count: limit} })
	_, open := f.gate.shut(buyers, func(req *http.Request) bool { return req.Method == http.MethodPost })
	defer open()
	for i := range buyers {
		f.order(t, fmt.Sprintf("buyer%d@example.com", i))
	}
	var flows sync.WaitGroup
	var ended atomic.Int64
	for range buyers {
		flows.Go(func() {
			defer ended.Add(1)
			for {
				if s, err := f.Engine.Flow(t.Context()); err != nil || !s.Taken {
					return
				}
			}
		})
	}
	// A run that begins when another one is done counts that one no more. So nothing goes
	// on until the brake has judged all of them: each waits at the gate, or has ended.
	for f.gate.holds()+int(ended.Load()) < buyers {
		time.Sleep(time.Millisecond)
	}
	open()
	flows.Wait()
	if n := f.up(); n > limit {
		t.Errorf("%d hostings were made, where the brake holds from %d on", n, limit)
	}
}

// The larger plan is given without a run.
func TestAFlowRunGivesTheLargerPlan(t *testing.T) {
	f := newFlowing(t, nil)
	sub := f.order(t, "ada@example.com")
	f.flow(t)
	must(t, f.World.ChangePrice(sub, "", "price_pro_monthly"))
	f.webhook(t, sub)
	done, left := f.flow(t)
	diff(t, "done", []string{"change_plan"}, done)
	diff(t, "left to a run", false, left)
	diff(t, "plan", f.Plans["price_pro_monthly"], f.World.Hostings()[0].Plan)
}

// Who was suspended and pays is up again without a run.
func TestAFlowRunResumes(t *testing.T) {
	f := newFlowing(t, nil)
	sub := f.order(t, "ada@example.com")
	f.flow(t)
	must(t, f.World.MarkUnpaid(sub))
	f.World.Advance(time.Second)
	f.Run(engine.Request{})
	f.World.Advance(80 * time.Hour)
	must(t, f.Engine.Renew(t.Context()))
	f.Run(engine.Request{Full: true})
	diff(t, "hostings that are up", 0, f.up())
	must(t, f.World.Pay(sub))
	f.webhook(t, sub)
	done, left := f.flow(t)
	diff(t, "done", []string{"resume"}, done)
	diff(t, "left to a run", false, left)
	diff(t, "hostings that are up", 1, f.up())
}

func (f flowing) setCursor(t *testing.T, name, value string) {
	t.Helper()
	must(t, f.Store.SetCursor(t.Context(), 1, name, value))
}

// another is a service that has taken over from the one before, and has recognised nothing
// yet.
func (f flowing) another(t *testing.T) flowing {
	t.Helper()
	f.World.Advance(10 * time.Minute) // the lease of the one before is over
	env := *f.Env
	env.Engine = f.NewEngine(func(o *engine.Options) { o.KeepLease, o.Owner = true, "heir" })
	must(t, env.Engine.Renew(t.Context()))
	f.Env = &env
	return f
}

func TestAFlowRunKnowsTheAccountBeforeItStores(t *testing.T) {
	f := newFlowing(t, nil)
	known := f.order(t, "ada@example.com")
	f.flow(t)
	f = f.another(t)
	sub := f.order(t, "eve@example.com")
	f.Fail(simulator.Fault{Status: 404}, func(c simulator.Call) bool { return strings.HasPrefix(c.Path, "/v1/subscriptions/"+known) })
	s, err := f.Engine.Flow(t.Context())
	if err == nil || !s.Left {
		t.Errorf("the account knows none of our subscriptions, and the flow run ended with %v, left %v", err, s.Left)
	}
	of, err := f.Store.CustomersOf(t.Context(), []string{sub})
	must(t, err)
	diff(t, "customers of what was read there", []string(nil), of)
}

func TestAFlowRunKnowsThePanelBeforeItCreates(t *testing.T) {
	f := newFlowing(t, nil)
	f.order(t, "ada@example.com")
	f.flow(t)
	f = f.another(t)
	org := f.World.Hostings()[0].Org
	f.order(t, "eve@example.com")
	f.Fail(simulator.Fault{Status: 404}, func(c simulator.Call) bool { return strings.HasSuffix(c.Path, "/orgs/"+org) })
	s, err := f.Engine.Flow(t.Context())
	if err == nil || !s.Left {
		t.Errorf("the panel has none of our orgs, and the flow run ended with %v, left %v", err, s.Left)
	}
	diff(t, "hostings that are up", 1, f.up())
}

// storing is a store that takes long to store a reading of one hosting.
type storing struct {
	engine.Inventory
	hosting       atomic.Int64 // 0: none
	arrived, open chan struct{}
}

func (s *storing) SaveHosting(ctx context.Context, tok reconcile.Token, h reconcile.Hosting, now time.Time) error {
	if s.hosting.CompareAndSwap(h.ID, 0) {
		close(s.arrived)
		<-s.open
	}
	return s.Inventory.SaveHosting(ctx, tok, h, now)
}

// A full run reads a suspended hosting, and it takes long to store that. Meanwhile the
// customer pays and is resumed. What the run stores must not replace that.
func TestASlowReadReplacesNoWrite(t *testing.T) {
	waits := make(chan struct{}, 100)
	var options engine.Options
	f := newFlowing(t, func(o *engine.Options) {
		o.Failpoint = func(step, _ string) {
			if step == "waits" {
				waits <- struct{}{}
			}
		}
		options = *o
	})
	ports := f.Ports()
	slow := &storing{Inventory: ports.Inventory, arrived: make(chan struct{}), open: make(chan struct{})}
	ports.Inventory = slow
	e, err := engine.New(options, ports)
	must(t, err)
	f.Engine = e
	f.World.Advance(time.Hour) // the lease of the other is over
	must(t, f.Engine.Renew(t.Context()))
	f.Run(engine.Request{Full: true})
	sub := f.order(t, "ada@example.com")
	f.flow(t)
	must(t, f.World.Cancel(sub))
	f.World.Advance(time.Second)
	f.Run(engine.Request{})
	diff(t, "hostings that are up", 0, f.up())
	f.World.Advance(time.Second)
	slow.hosting.Store(int64(f.World.Hostings()[0].ID))

	ended := make(chan error, 1)
	go func() {
		_, err := f.Engine.Run(context.WithoutCancel(t.Context()), engine.Request{Full: true, Trigger: "test"})
		ended <- err
	}()
	<-slow.arrived
	diff(t, "who waits before", 0, len(waits))
	again, err := f.World.SignUp(simulator.SignUp{Email: "ada@example.com", Price: "price_basic_monthly"})
	must(t, err)
	f.webhook(t, again.Subscription)
	served := make(chan error, 1)
	go func() { _, err := f.Engine.Flow(context.WithoutCancel(t.Context())); served <- err }()
	select { // it waits for the read; if it does not, it is done before that
	case err := <-served:
		served <- err
	case <-waits:
	}
	stored := func() reconcile.HostingState {
		t.Helper()
		ids, err := f.Store.CustomersOf(t.Context(), []string{again.Subscription})
		must(t, err)
		customers, err := f.Store.Customers(t.Context(), ids)
		must(t, err)
		return customers[0].Hostings[0].State
	}
	close(slow.open)
	must(t, <-ended)
	must(t, <-served)
	diff(t, "hostings that are up", 1, f.up())
	diff(t, "stored state", reconcile.HostingActive, stored())
}
