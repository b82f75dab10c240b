package engine_test

import (
	"context"
	"fmt"
	"net/http"
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

// busy lets eight customers of a process come to one point of their actions and stand there,
// until block is closed. It counts from armed on.
type busy struct {
	point        string
	armed        atomic.Bool
	at           atomic.Int64
	eight, block chan struct{}
}

func (b *busy) failpoint(step, _ string) {
	if step != b.point || !b.armed.Load() {
		return
	}
	if b.at.Add(1) == 8 {
		close(b.eight)
	}
	<-b.block
}

// TestWhoLosesTheLeaseDoesNothingMore: eight customers of a run, or of flow runs, stand right
// before or right after their call when another process takes the lease. It makes everything
// once, what had been sent included, and nothing that the first one still wants to send leaves.
func TestWhoLosesTheLeaseDoesNothingMore(t *testing.T) {
	const buyers = 10
	for _, flows := range []bool{false, true} {
		for _, point := range []string{"before-intent", "after-intent", "after-call"} {
			t.Run(fmt.Sprintf("%s, flow runs %v", point, flows), func(t *testing.T) {
				databases(t, func(t *testing.T, url string) { loseTheLease(t, fresh(t, url), point, buyers, flows) })
			})
		}
	}
}

func loseTheLease(t *testing.T, url, point string, buyers int, flows bool) {
	b := &busy{point: point, eight: make(chan struct{}), block: make(chan struct{})}
	r := testenv.New(t, testenv.Options{Database: url, Engine: func(o *engine.Options) {
		o.Failpoint, o.KeepLease, o.Brakes.Create = b.failpoint, flows, planner.Limit{Count: 100}
	}})
	if flows {
		must(t, r.Engine.Renew(t.Context()))
	}
	r.Run(engine.Request{Full: true})
	f := flowing{Env: r}
	for i := range buyers {
		f.order(t, fmt.Sprintf("buyer%d@example.com", i))
	}
	b.armed.Store(true)
	var ended sync.WaitGroup
	if flows {
		for range buyers {
			ended.Go(func() { _, _ = r.Engine.Flow(context.WithoutCancel(t.Context())) })
		}
	} else {
		ended.Go(func() { _, _ = r.Try(engine.Request{}) })
	}
	<-b.eight
	r.World.Advance(time.Minute) // the lease of the first one runs out
	if url == "" {
		r.Close() // SQLite's writer is known by a lock that dies with its process
	}
	heir := testenv.SecondProcess(r)
	for range 8 {
		_, _ = heir.Try(engine.Request{})
		r.World.Advance(2 * time.Minute)
	}
	rep := heir.Run(engine.Request{})
	if !rep.Converged() {
		t.Errorf("not converged: %v %v", kinds(rep), rep.Holds)
	}
	count := func() string {
		return fmt.Sprintf("%d orgs, %d hostings, %d invitations", len(r.World.Orgs()), f.up(), effects(r, "invite_owner"))
	}
	want := fmt.Sprintf("%d orgs, %[1]d hostings, %[1]d invitations", buyers)
	diff(t, "made by both", want, count())
	var late atomic.Int64
	r.World.SetFault(func(c simulator.Call) simulator.Fault {
		if c.Write() {
			late.Add(1)
		}
		return simulator.Fault{Honest: true}
	})
	close(b.block) // the first one goes on
	ended.Wait()
	diff(t, "writes of the one without the lease", int64(0), late.Load())
	diff(t, "after them", want, count())
}

// effects counts what has happened at the panel of one kind.
func effects(r *testenv.Env, kind string) (n int) {
	for _, e := range r.World.Effects() {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// TestTwoAtOnceMakeOneOrgForOnePerson: two Stripe customers with one e-mail order at the same
// moment, and are served at the same time: by a run, by two flow runs, by one of each. The
// answer to the first create is held back, so that both are under way.
func TestTwoAtOnceMakeOneOrgForOnePerson(t *testing.T) {
	for _, by := range []string{"a run", "two flow runs", "a run and a flow run"} {
		t.Run(by, func(t *testing.T) {
			f := newFlowing(t, nil)
			arrived, open := f.gate.shut(1, func(req *http.Request) bool { return req.Method == http.MethodPost })
			defer open()
			f.order(t, "ada@example.com")
			f.order(t, "Ada@Example.com ")
			var ended sync.WaitGroup
			run := func() { _, _ = f.Try(engine.Request{}) }
			flow := func() { _, _ = f.Engine.Flow(context.WithoutCancel(t.Context())) }
			first, second := run, func() {}
			switch by {
			case "two flow runs":
				first, second = flow, flow
			case "a run and a flow run":
				second = flow
			}
			ended.Go(first)
			<-arrived
			ended.Go(second)
			open()
			ended.Wait()
			for range 4 {
				f.flow(t)
				f.World.Advance(2 * time.Minute)
				f.Run(engine.Request{})
			}
			diff(t, "orgs, hostings, invitations", "1 2 1", fmt.Sprint(len(f.World.Orgs()), f.up(), effects(f.Env, "invite_owner")))
		})
	}
}

// TestAFlowRunStopsWhereTheWorldHasChanged: after the first or the second create of a flow run
// the panel refuses the token, or has nothing that we know, or Stripe refuses the key. What is
// not possible any more is not done, nothing is taken away, and all is made once when it is
// possible again. With these two put in together, it went red: what cannot be read back counts
// as not done, and a hosting is not looked for before it is made. Each of them alone suffices.
func TestAFlowRunStopsWhereTheWorldHasChanged(t *testing.T) {
	panel := func(c simulator.Call) bool { return c.Side == simulator.Enhance }
	account := func(c simulator.Call) bool { return c.Side == simulator.Stripe }
	for _, after := range []string{"create_org", "create_subscription"} {
		for name, c := range map[string]struct {
			fault simulator.Fault
			of    func(simulator.Call) bool
		}{
			"the panel refuses the token": {simulator.Fault{Status: 401}, panel},
			"the panel knows none of it":  {simulator.Fault{Status: 404}, panel},
			"Stripe refuses the key":      {simulator.Fault{Status: 401}, account},
		} {
			t.Run(name+" after "+after, func(t *testing.T) { changeAfter(t, after, c.fault, c.of) })
		}
	}
}

func changeAfter(t *testing.T, after string, fault simulator.Fault, of func(simulator.Call) bool) {
	f := newFlowing(t, nil)
	f.order(t, "old@example.com")
	leaves := f.order(t, "leaves@example.com")
	f.flow(t)
	must(t, f.World.Cancel(leaves)) // its hosting is to be suspended, by a run
	f.webhook(t, leaves)
	f.order(t, "ada@example.com")
	f.World.SetFault(func(call simulator.Call) simulator.Fault {
		if effects(f.Env, after) > 2 && of(call) {
			return fault
		}
		return simulator.Fault{Honest: true}
	})
	for range 6 {
		if s, err := f.Engine.Flow(t.Context()); err != nil || !s.Taken {
			break
		}
	}
	diff(t, "suspended by a flow run, "+after, "0 3", fmt.Sprint(effects(f.Env, "suspend"), effects(f.Env, after)))
	f.World.SetFault(nil)
	f.goOn(t)
	diff(t, "orgs, hostings that are up, invitations", "3 2 3", fmt.Sprint(len(f.World.Orgs()), f.up(), effects(f.Env, "invite_owner")))
	diff(t, "hostings", 3, len(f.World.Hostings()))
	if rep := f.Run(engine.Request{}); !rep.Converged() {
		t.Errorf("not converged: %v %v", kinds(rep), rep.Holds)
	}
}

// goOn lets a quarter of an hour and a little more pass in the usual work of a service.
func (f flowing) goOn(t *testing.T) {
	t.Helper()
	for range 6 {
		f.World.Advance(3 * time.Minute)
		must(t, f.Engine.Renew(t.Context()))
		f.flow(t)
		_, _ = f.Try(engine.Request{})
	}
}

// TestFlowRunsAndARunShareOneBrakeAndOnePlan: thirty order at once where the brake lets five
// through at a time and twelve in a day, and eight flow runs and a run serve them together. The
// others wait in one plan, which gets no second one beside it, and its approval makes each of
// them once.
func TestFlowRunsAndARunShareOneBrakeAndOnePlan(t *testing.T) {
	const atOnce, inADay, buyers = 5, 12, 30
	f := newFlowing(t, func(o *engine.Options) { o.Brakes.Create = planner.Limit{Count: atOnce} })
	for i := range buyers {
		f.order(t, fmt.Sprintf("buyer%d@example.com", i))
	}
	var ended sync.WaitGroup
	for range 8 {
		ended.Go(func() {
			for {
				if s, err := f.Engine.Flow(t.Context()); err != nil || !s.Taken {
					return
				}
			}
		})
	}
	ended.Go(func() { _, _ = f.Try(engine.Request{}) })
	ended.Wait()
	made := f.up()
	if made > inADay {
		t.Errorf("%d hostings were made, where the brake holds from %d on", made, inADay)
	}
	f.World.Advance(2 * time.Minute)
	rep := f.Run(engine.Request{})
	diff(t, "hostings after another run", made, f.up())
	held := map[reconcile.ActionKind]int{}
	for _, p := range rep.Plans {
		held[p.Kind]++
	}
	diff(t, "plans by kind", map[reconcile.ActionKind]int{reconcile.CreateSubscription: 1}, held)
	f.Approve(rep)
	f.Run(engine.Request{})
	diff(t, "orgs, hostings, invitations", fmt.Sprint(buyers, buyers, buyers),
		fmt.Sprint(len(f.World.Orgs()), f.up(), effects(f.Env, "invite_owner")))
}

// TestAFlowRunStopsWhenARunLosesThePanel: a flow run has sent its first create and waits for the
// answer. A run finds meanwhile that the panel knows nothing of ours, as one that was emptied or
// is another one. The flow run sends nothing more, even if the panel is well by then, and all is
// made once by the next run. It fails if a flow run asks for the panel only at its beginning.
func TestAFlowRunStopsWhenARunLosesThePanel(t *testing.T) {
	f := newFlowing(t, nil)
	f.order(t, "old@example.com")
	f.flow(t)
	arrived, open := f.gate.shut(1, func(req *http.Request) bool { return req.Method == http.MethodPost })
	defer open()
	f.order(t, "ada@example.com")
	var ended sync.WaitGroup
	ended.Go(func() { _, _ = f.Engine.Flow(context.WithoutCancel(t.Context())) })
	<-arrived
	f.World.SetFault(func(c simulator.Call) simulator.Fault {
		if c.Route == "GET /orgs/{org}" {
			return simulator.Fault{Status: http.StatusNotFound}
		}
		return simulator.Fault{}
	})
	if _, err := f.Try(engine.Request{Full: true}); err == nil || !strings.Contains(err.Error(), "has none of the orgs") {
		t.Errorf("a run on a panel that knows nothing of ours: %v", err)
	}
	f.World.SetFault(nil)
	open()
	ended.Wait()
	diff(t, "orgs and hostings after the flow run", "2 1", fmt.Sprint(effects(f.Env, "create_org"), effects(f.Env, "create_subscription")))
	f.goOn(t)
	diff(t, "orgs, hostings, invitations in the end", "2 2 2", fmt.Sprint(len(f.World.Orgs()), f.up(), effects(f.Env, "invite_owner")))
	if rep := f.Run(engine.Request{}); !rep.Converged() {
		t.Errorf("not converged: %v %v", kinds(rep), rep.Holds)
	}
}
