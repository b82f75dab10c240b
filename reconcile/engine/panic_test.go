package engine_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// faulty is a planner that panics about the customer with an e-mail, from its nth
// call about them on, until it is mended.
type faulty struct {
	email  string
	from   int32
	calls  atomic.Int32
	mended atomic.Bool
}

func (f *faulty) decide(c *reconcile.Customer, cat *planner.Catalog, p reconcile.Policy, now time.Time) planner.Decision {
	if c.Email == f.email && f.calls.Add(1) >= f.from && !f.mended.Load() {
		var nothing *reconcile.Customer
		_ = nothing.Email
	}
	return planner.Decide(c, cat, p, now)
}

func holdsOf(rep reconcile.Report, customer string) (all []string) {
	for _, h := range rep.Holds {
		if h.Customer == customer {
			all = append(all, string(h.Kind)+": "+h.Reason)
		}
	}
	return all
}

// TestAPanicAboutOneCustomerIsThatCustomersAlone: the planner panics about Bob, in
// every run, also when his failure is recorded. The others get their hostings; he
// is backed off, parked and reported like any customer that fails, and served when the
// program is mended.
//
// With the planner asked without a guard where the failure is recorded, this did not
// go red: it ended the test's process.
func TestAPanicAboutOneCustomerIsThatCustomersAlone(t *testing.T) {
	f := &faulty{email: "bob@example.com"}
	r := testenv.New(t, testenv.Options{Engine: func(o *engine.Options) { o.Decide = f.decide }})
	r.Run(engine.Request{})
	price := priceFor(t, r, plans(r)[0])
	var bob simulator.SignedUp
	for _, who := range []string{"ada", "bob", "eve"} {
		s := signUp(t, r, simulator.SignUp{Email: who + "@example.com", Price: price})
		if who == "bob" {
			bob = s
		}
	}
	for _, dry := range []engine.Request{{Dry: true}, {Dry: true, Stored: true}} {
		rep := r.Run(dry)
		if !rep.Partial || len(rep.Actions) == 0 || rep.Converged() {
			t.Errorf("%+v: partial %v, actions %v: the plan shows the others, and that it is not whole", dry, rep.Partial, kinds(rep))
		}
		if n := notes(rep, bob.Customer+" could not be planned"); n != 1 {
			t.Errorf("%+v: %d notes show who could not be planned, want 1:\n%q", dry, n, rep.Notes)
		}
	}
	rep := r.Run(engine.Request{})
	diff(t, "hostings of the others", 2, len(r.World.Hostings()))
	want := "retry: failed 1 times in a row, the last: looking: internal error, please report: runtime error: invalid memory address or nil pointer dereference"
	if got := holdsOf(rep, bob.Customer); len(got) != 1 || !strings.HasPrefix(got[0], want) {
		t.Errorf("held of him: %q, want %q", got, want)
	}
	for range 8 {
		r.World.Advance(2 * time.Hour)
		rep = r.Run(engine.Request{})
	}
	if got := holdsOf(rep, bob.Customer); len(got) != 1 || !strings.HasPrefix(got[0], "parked: set aside at ") || !strings.Contains(got[0], bob.Subscription) {
		t.Errorf("held of him after many failures: %q", got)
	}
	f.mended.Store(true)
	rep = r.Run(engine.Request{Subscriptions: []string{bob.Subscription}})
	diff(t, "held of him in the end", []string(nil), holdsOf(rep, bob.Customer))
	diff(t, "hostings in the end", 3, len(r.World.Hostings()))
}

// TestAPanicAtAnyMomentOfACustomerMakesNothingTwice: whichever of the decisions about
// Bob panics, also one in the middle of applying, and right after an
// answer was lost.
func TestAPanicAtAnyMomentOfACustomerMakesNothingTwice(t *testing.T) {
	for _, route := range []string{"", createOrg, createHosting} {
		for from := int32(1); ; from++ {
			f := &faulty{email: "bob@example.com", from: from}
			r := testenv.New(t, testenv.Options{Engine: func(o *engine.Options) { o.Decide = f.decide }})
			r.Run(engine.Request{})
			price := priceFor(t, r, plans(r)[0])
			signUp(t, r, simulator.SignUp{Email: "bob@example.com", Price: price})
			signUp(t, r, simulator.SignUp{Email: "eve@example.com", Price: price})
			r.World.SetFault(func(c simulator.Call) simulator.Fault { return simulator.Fault{Honest: true} })
			if route != "" {
				r.World.SetFault(onlyFirst(route, simulator.Lost(true)))
			}
			r.Run(engine.Request{})
			reached := f.calls.Load() >= from
			r.World.Advance(time.Hour)
			f.mended.Store(true)
			r.Converge(10)
			if got := fmt.Sprintf("%d %d", len(r.World.Orgs()), len(r.World.Hostings())); got != "2 2" {
				t.Errorf("a panic in decision %d, the answer of %q lost: orgs and hostings %s, want 2 2", from, route, got)
			}
			r.Close()
			if !reached {
				if from < 5 {
					t.Errorf("only %d decisions were ever made about him", from-1)
				}
				break
			}
		}
	}
}

// tripping panics once in the call that of chooses.
type tripping struct {
	next http.RoundTripper
	of   atomic.Pointer[string]
}

func (p *tripping) RoundTrip(r *http.Request) (*http.Response, error) {
	if of := p.of.Load(); of != nil && strings.Contains(r.URL.Path, *of) && p.of.CompareAndSwap(of, nil) {
		panic("CANARY")
	}
	return p.next.RoundTrip(r)
}

// TestAPanicWhileReadingEndsNoProcess: in goroutines of a sweep, of reads by id, of
// comparing, and of looking around before something is taken away. The next run goes
// on, and nothing was done wrong meanwhile.
func TestAPanicWhileReadingEndsNoProcess(t *testing.T) {
	for _, path := range []string{"/v1/subscriptions", "/v1/events", "/v1/subscriptions/", "/customers", "/subscriptions/", "/plans"} {
		trip := &tripping{}
		r := testenv.New(t, testenv.Options{Transport: func(next http.RoundTripper) http.RoundTripper { trip.next = next; return trip }})
		price := priceFor(t, r, plans(r)[0])
		ada := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price})
		signUp(t, r, simulator.SignUp{Email: "eve@example.com", Price: price})
		met := 0
		for i, do := range []func(){
			func() {},
			func() { must(t, r.World.MarkUnpaid(ada.Subscription)) },
			func() { r.World.Advance(25 * time.Hour) }, // everything is compared
			func() { must(t, r.World.Pay(ada.Subscription)) },
		} {
			do()
			for _, full := range []bool{i%2 == 0, false, false} {
				trip.of.Store(&path)
				rep, err := r.Try(engine.Request{Full: full})
				if trip.of.Swap(nil) == nil {
					met++
				}
				if err != nil && strings.Contains(err.Error()+strings.Join(rep.Notes, ""), "CANARY") {
					t.Errorf("%s: the value of the panic is told: %v %v", path, err, rep.Notes)
				}
				r.World.Advance(7 * time.Hour)
			}
			r.Converge(20)
		}
		if met == 0 {
			t.Errorf("nothing was ever asked of %s", path)
		}
		up := slices.DeleteFunc(r.World.Hostings(), func(h simulator.Hosting) bool { return h.SuspendedBy != "" })
		diff(t, path+": hostings that are up", 2, len(up))
		diff(t, path+": what must never be sent", 0, len(r.World.Violations()))
		r.Close()
	}
}
