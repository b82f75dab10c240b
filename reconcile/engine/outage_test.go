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

// the drift comparison meets one hosting whose org is refused. Another
// customer, who was suspended, has paid; a third one has just signed up.
func TestOneHostingThatCannotBeReadInTheDriftStopsNobody(t *testing.T) {
	for name, fault := range map[string]simulator.Fault{
		"403":    {Apply: simulator.Skip, Status: 403},
		"500":    simulator.NotDone(500),
		"200 {}": simulator.EmptyObject(),
	} {
		t.Run(name, func(t *testing.T) {
			r := testenv.New(t, testenv.Options{})
			price := priceFor(t, r, plans(r)[0])
			signUp(t, r, simulator.SignUp{Email: "broken@example.com", Price: price})
			r.Run(engine.Request{})
			broken := fmt.Sprintf("/subscriptions/%d", r.World.Hostings()[0].ID)
			payer := owing(t, r, 1)[0]
			r.World.Advance(25 * time.Hour)
			r.Fail(fault, func(c simulator.Call) bool {
				return c.Side == simulator.Enhance && !c.Write() && strings.HasSuffix(c.Path, broken)
			})
			must(t, r.World.Pay(payer))
			signUp(t, r, simulator.SignUp{Email: "new@example.com", Price: price})
			var last error
			for range 120 {
				_, last = r.Try(engine.Request{})
				r.World.Advance(time.Minute)
			}
			name := r.World.Plans()[0].Name
			diff(t, "panel two hours later", []string{name + " active", name + " active", name + " active"}, panel(r))
			if t.Failed() {
				t.Logf("the last run: %v", last)
			}
		})
	}
}

// out lets a customer pay for a suspended site while some calls to the panel fail, for
// so many runs of every minute, and returns how many customers are parked by then and
// how long after its return the site is up.
func out(t *testing.T, f simulator.Fault, of func(simulator.Call) bool, runs int) (parked int, back time.Duration) {
	t.Helper()
	r := testenv.New(t, testenv.Options{})
	sub := owing(t, r, 1)[0]
	r.World.Advance(20 * time.Minute)
	must(t, r.World.Pay(sub))
	r.World.Advance(2 * time.Minute)
	r.Fail(f, of)
	for range runs {
		_, _ = r.Try(engine.Request{})
		r.World.Advance(time.Minute)
	}
	counts, err := r.Store.Counts(t.Context())
	must(t, err)
	r.World.SetFault(nil)
	began := r.World.Now()
	for range 60 * 7 {
		if _, _ = r.Try(engine.Request{}); down(r) == 0 {
			break
		}
		r.World.Advance(time.Minute)
	}
	return counts.Parked, r.World.Now().Sub(began)
}

var (
	htmlPage = simulator.Fault{Apply: simulator.Skip, Status: 200, Body: []byte("<html>We are back soon</html>")}
	moved    = simulator.Fault{Apply: simulator.Skip, Status: 302, Body: []byte("moved")}
)

// only the reading of single hostings is broken at the panel.
func TestAPartOfThePanelThatIsOutParksNobody(t *testing.T) {
	for name, f := range map[string]simulator.Fault{"200 html": htmlPage, "302": moved, "503": simulator.NotDone(503)} {
		t.Run(name, func(t *testing.T) {
			one := func(c simulator.Call) bool { return c.Route == "GET"+hostingPath }
			if parked, back := out(t, f, one, 90); parked > 0 {
				t.Errorf("parked %d; the panel is back, the customer has paid, and the site is up %s later", parked, back)
			}
		})
	}
}

// a panel that answers every call with a maintenance page, 200 text/html, for
// an hour, while one customer has paid and waits for his site.
func TestAMaintenancePageParksNobody(t *testing.T) {
	for name, f := range map[string]simulator.Fault{"200 html": htmlPage, "302": moved, "503": simulator.NotDone(503),
		"200 {}":   {Apply: simulator.Skip, Status: 200, Body: []byte("{}")},
		"404 html": {Apply: simulator.Skip, Status: 404, Body: []byte("<html>404</html>")},
	} {
		t.Run(name, func(t *testing.T) {
			everything := func(c simulator.Call) bool { return c.Side == simulator.Enhance }
			if parked, back := out(t, f, everything, 60); parked > 0 || back > 70*time.Minute {
				t.Errorf("parked %d; the panel is back, the customer has paid, and the site is up %s later", parked, back)
			}
		})
	}
}

// one server of the panel is down: the hostings on it answer 500. Somebody on
// another server pays, another customer signs up.
func TestFiveHostingsThatAnswer500StopNobodyElse(t *testing.T) {
	for _, broken := range []int{1, 4, 6, 12} {
		t.Run(fmt.Sprint(broken), func(t *testing.T) {
			r := testenv.New(t, testenv.Options{Engine: func(o *engine.Options) { o.Brakes.Suspend = planner.Limit{Count: 100} }})
			price := priceFor(t, r, plans(r)[0])
			subs := owing(t, r, broken+1)
			bad := map[string]bool{}
			for _, h := range r.World.Hostings()[:broken] {
				bad[fmt.Sprint(h.ID)] = true
			}
			r.World.Advance(20 * time.Minute)
			r.World.SetFault(func(c simulator.Call) simulator.Fault {
				if p := strings.Split(c.Path, "/"); c.Side == simulator.Enhance && bad[p[len(p)-1]] {
					return simulator.NotDone(500)
				}
				return simulator.Fault{Honest: true}
			})
			for _, s := range subs {
				must(t, r.World.Pay(s))
			}
			signUp(t, r, simulator.SignUp{Email: "new@example.com", Price: price})
			began := r.World.Now()
			var err error
			up := false
			for range 180 {
				_, err = r.Try(engine.Request{})
				all := r.World.Hostings()
				if up = all[broken].SuspendedBy == "" && len(all) == broken+2; up {
					break
				}
				r.World.Advance(time.Minute)
			}
			took := r.World.Now().Sub(began)
			if !up {
				t.Errorf("with %d hostings out, nobody else is served after %s: %v", broken, took, err)
			}
		})
	}
}

// the process dies between intent and call for one hosting of a customer; he
// pays for the other one.
func TestACrashIsNoFailureOfTheCustomer(t *testing.T) {
	seen, dead, block := false, make(chan struct{}), make(chan struct{})
	r := testenv.New(t, testenv.Options{Engine: func(o *engine.Options) {
		o.Concurrency = 1
		o.Failpoint = func(step, kind string) {
			if step == "after-intent" && kind == "change_plan" && !seen {
				seen = true
				close(dead)
				<-block
			}
		}
	}})
	a := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0])})
	b := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0])})
	r.Run(engine.Request{})
	must(t, r.World.MarkUnpaid(b.Subscription))
	r.World.Advance(2 * time.Minute)
	r.Run(engine.Request{})
	must(t, r.World.ChangePrice(a.Subscription, a.Items[0], priceFor(t, r, plans(r)[1])))
	r.World.Advance(2 * time.Minute)
	ended := make(chan struct{})
	go func() { defer close(ended); _, _ = r.Try(engine.Request{}) }()
	select {
	case <-dead:
	case <-ended:
		t.Fatal("no plan was changed")
	}
	must(t, r.World.Pay(b.Subscription))
	r.World.Advance(31 * time.Second)
	r.Close()
	heir := testenv.SecondProcess(r)
	for range 4 {
		rep, err := heir.Try(engine.Request{})
		t.Logf("%v %v %v %v", kinds(rep), holdKinds(rep), err, rep.Run.Error)
		for _, h := range rep.Holds {
			if h.Kind == reconcile.HoldRetry {
				t.Errorf("%s", h.Reason)
			}
		}
		r.World.Advance(20 * time.Second)
	}
	close(block)
	<-ended
}
