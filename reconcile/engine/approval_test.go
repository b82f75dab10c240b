package engine_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// forty are customers who are up; the brake on suspensions is the usual one, five.
func forty(t *testing.T, set ...func(*engine.Options)) (*testenv.Env, []string) {
	t.Helper()
	r := testenv.New(t, testenv.Options{Engine: func(o *engine.Options) {
		o.Brakes.Create = planner.Limit{Count: 1000}
		for _, change := range set {
			change(o)
		}
	}})
	var subs []string
	for i := range 40 {
		subs = append(subs, signUp(t, r, simulator.SignUp{Email: fmt.Sprintf("c%02d@example.com", i), Price: priceFor(t, r, plans(r)[0])}).Subscription)
	}
	r.Converge(5)
	return r, subs
}

// each does something to every subscription, and lets a run see it.
func each(t *testing.T, r *testenv.Env, subs []string, do func(string) error) reconcile.Report {
	t.Helper()
	for _, s := range subs {
		must(t, do(s))
	}
	r.World.Advance(2 * time.Minute)
	return r.Run(engine.Request{})
}

// owing are n customers whom we have suspended because they do not pay, in the order
// of their hostings.
func owing(t *testing.T, r *testenv.Env, n int) (subs []string) {
	t.Helper()
	for i := range n {
		subs = append(subs, signUp(t, r, simulator.SignUp{Email: fmt.Sprintf("c%02d@example.com", i), Price: priceFor(t, r, plans(r)[0])}).Subscription)
		r.Run(engine.Request{})
	}
	for i := range subs { // one by one: no brake and no suspicion is in the way
		each(t, r, subs[i:i+1], r.World.MarkUnpaid)
	}
	diff(t, "suspended for not paying", n, down(r))
	return subs
}

func down(r *testenv.Env) (n int) {
	for _, h := range r.World.Hostings() {
		if h.SuspendedBy != "" {
			n++
		}
	}
	return n
}

// An approval covers the actions that were wanted when it was given. With those that were
// dropped since left in it put in once, this went red.
func TestAnApprovalDoesNotReleaseWhatWasDroppedAndIsWantedAnew(t *testing.T) {
	for name, order := range map[string]func(r *testenv.Env, held reconcile.Report, pay func()){
		"paid, then approved": func(r *testenv.Env, held reconcile.Report, pay func()) { pay(); r.Approve(held) },
		"paid and seen, then approved": func(r *testenv.Env, held reconcile.Report, pay func()) {
			pay()
			r.World.Advance(2 * time.Minute)
			r.Run(engine.Request{})
			r.World.Advance(2 * time.Minute)
			_, err := r.Store.Approve(t.Context(), held.Plans[0].ID, 0, "operator", r.World.Now())
			if err == nil || !strings.Contains(err.Error(), "none of its changes is wanted") {
				t.Errorf("approving it: %v", err)
			}
		},
		"approved, then paid": func(r *testenv.Env, held reconcile.Report, pay func()) { r.Approve(held); pay() },
	} {
		t.Run(name, func(t *testing.T) {
			r, subs := forty(t)
			held := each(t, r, subs[:10], r.World.MarkUnpaid)
			diff(t, "plans held", 1, len(held.Plans))
			order(r, held, func() {
				for _, s := range subs[:10] {
					must(t, r.World.Pay(s))
				}
			})
			r.World.Advance(2 * time.Minute)
			r.Run(engine.Request{})
			r.World.Advance(20 * time.Hour)
			r.Run(engine.Request{})
			again := each(t, r, subs[:10], r.World.MarkUnpaid)
			diff(t, "suspended without a word", 0, down(r))
			diff(t, "plans held again", 1, len(again.Plans))
			r.Approve(again)
			r.World.Advance(2 * time.Minute)
			r.Run(engine.Request{})
			diff(t, "suspended once that was approved", 10, down(r))
		})
	}
}

// What joins a plan is approved with it, and an approval is good for one suspension.
func TestAnApprovalReleasesASuspensionOnce(t *testing.T) {
	r, subs := forty(t)
	first := each(t, r, subs[:10], r.World.MarkUnpaid)
	second := each(t, r, subs[10:11], r.World.MarkUnpaid)
	diff(t, "suspended of the next one", 0, down(r))
	diff(t, "one plan", first.Plans[0].ID, second.Plans[0].ID)
	r.Approve(second)
	r.World.Advance(2 * time.Minute)
	r.Run(engine.Request{})
	diff(t, "suspended as approved", 11, down(r))
	each(t, r, subs[:11], r.World.Pay)
	diff(t, "all have paid", 0, down(r))
	r.World.Advance(10 * time.Hour)
	each(t, r, subs[:10], r.World.MarkUnpaid)
	diff(t, "suspended again without a word", 0, down(r))
}

// A gate outranks an approval, and does not use it up. With what a gate withholds
// counted as dropped put in once, this went red.
func TestAnApprovalWaitsForTheGate(t *testing.T) {
	r, subs := forty(t)
	r.Approve(each(t, r, subs[20:30], r.World.MarkUnpaid))
	oldest, err := r.Store.KnownSubscriptions(t.Context(), 3)
	must(t, err)
	r.World.SetFault(func(c simulator.Call) simulator.Fault {
		if strings.HasSuffix(c.Path, oldest[1]) {
			return simulator.NotDone(http.StatusInternalServerError)
		}
		return simulator.Fault{}
	})
	r.World.Advance(2 * time.Minute)
	diff(t, "gates", 1, len(r.Run(engine.Request{}).Run.Gates))
	diff(t, "suspended through a gate", 0, down(r))
	r.World.SetFault(nil)
	r.World.Advance(2 * time.Minute)
	r.Run(engine.Request{})
	diff(t, "suspended when it was open again", 10, down(r))
}
