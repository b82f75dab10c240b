package engine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// disputing is a world in which DISPUTE is set, with two customers who have paid.
func disputing(t *testing.T, p reconcile.DisputePolicy) (r *testenv.Env, ada, bob simulator.SignedUp) {
	t.Helper()
	r = testenv.New(t, testenv.Options{Engine: func(o *engine.Options) { o.Policy.Dispute = p }})
	ada = signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, 1)})
	bob = signUp(t, r, simulator.SignUp{Email: "bob@example.com", Price: priceFor(t, r, 1)})
	r.Run(engine.Request{})
	return r, ada, bob
}

// suspendedNames lists the hostings that are suspended, by the subscription in their names.
func suspendedNames(r *testenv.Env) (all []string) {
	for _, h := range r.World.Hostings() {
		if h.SuspendedBy != "" {
			all = append(all, h.FriendlyName)
		}
	}
	return all
}

func dispute(t *testing.T, r *testenv.Env, sub string) string {
	t.Helper()
	r.World.Advance(time.Hour)
	id, err := r.World.Dispute(sub, "")
	must(t, err)
	r.World.Advance(2 * time.Minute)
	return id
}

func TestADisputedPaymentSuspendsUntilTheDisputeIsWon(t *testing.T) {
	r, ada, _ := disputing(t, reconcile.SuspendDisputes)
	id := dispute(t, r, ada.Subscription)
	rep := r.Run(engine.Request{})
	diff(t, "actions", []string{"suspend applied"}, kinds(rep))
	if n := suspendedNames(r); len(n) != 1 || !strings.Contains(n[0], ada.Subscription) {
		t.Errorf("down: %v", n)
	}
	if notes(rep, id) != 1 {
		t.Errorf("notes %v", rep.Notes)
	}
	a := rep.Actions[0]
	if a.Evidence == nil || a.Evidence.Subscriptions[0].Dispute != id+" needs_response" {
		t.Errorf("evidence %+v", a.Evidence)
	}
	r.World.Advance(2 * time.Minute)
	if rep = r.Run(engine.Request{Full: true}); notes(rep, id) != 0 {
		t.Errorf("noted again: %v", rep.Notes)
	}
	diff(t, "actions then", []string(nil), kinds(rep))
	must(t, r.World.CloseDispute(ada.Subscription, "won"))
	r.World.Advance(2 * time.Minute)
	diff(t, "actions when it is won", []string{"resume applied"}, kinds(r.Run(engine.Request{})))
	if n := suspendedNames(r); len(n) != 0 {
		t.Errorf("down: %v", n)
	}
}

// TestALostDisputeEndsWithTheNextPayment: who pays for this month has a site in this month.
func TestALostDisputeEndsWithTheNextPayment(t *testing.T) {
	r, ada, _ := disputing(t, reconcile.SuspendDisputes)
	dispute(t, r, ada.Subscription)
	r.Run(engine.Request{})
	must(t, r.World.CloseDispute(ada.Subscription, "lost"))
	r.World.Advance(2 * time.Minute)
	diff(t, "lost", []string(nil), kinds(r.Run(engine.Request{})))
	if len(suspendedNames(r)) != 1 {
		t.Errorf("down: %v", suspendedNames(r))
	}
	r.World.Advance(32 * 24 * time.Hour)
	r.Run(engine.Request{})
	if len(suspendedNames(r)) != 0 {
		t.Errorf("down after a payment: %v", suspendedNames(r))
	}
}

func TestInquiriesAndRefundsSuspendNothing(t *testing.T) {
	r, ada, bob := disputing(t, reconcile.SuspendDisputes)
	r.World.Advance(time.Hour)
	for _, status := range []string{"warning_needs_response", "warning_under_review", "warning_closed", "prevented", "won"} {
		_, err := r.World.Dispute(ada.Subscription, status)
		must(t, err)
	}
	must(t, r.World.Refund(bob.Subscription, true))
	must(t, r.World.Refund(ada.Subscription, false))
	r.World.Advance(2 * time.Minute)
	rep := r.Run(engine.Request{})
	if len(suspendedNames(r)) != 0 || notes(rep, "refunded in full") != 1 || notes(rep, "disputed") != 0 {
		t.Errorf("down %v, notes %v", suspendedNames(r), rep.Notes)
	}
}

// TestDisputesAreListedOnlyWhenTheyMayDiffer: not in each run of a minute.
func TestDisputesAreListedOnlyWhenTheyMayDiffer(t *testing.T) {
	r, ada, _ := disputing(t, reconcile.TellDisputes)
	n := 0
	r.World.SetFault(func(c simulator.Call) simulator.Fault {
		if c.Route == "GET /v1/disputes" {
			n++
		}
		return simulator.Fault{Honest: true}
	})
	for range 5 {
		r.World.Advance(2 * time.Minute)
		r.Run(engine.Request{})
	}
	if n != 0 {
		t.Errorf("listed %d times without an event", n)
	}
	dispute(t, r, ada.Subscription)
	rep := r.Run(engine.Request{})
	if n != 1 || len(suspendedNames(r)) != 0 || notes(rep, "is disputed since") != 1 || !rep.Converged() {
		t.Errorf("listed %d times, down %v, notes %v", n, suspendedNames(r), rep.Notes)
	}
	r.World.Advance(25 * time.Hour)
	if r.Run(engine.Request{}); n != 2 {
		t.Errorf("listed %d times within a day", n)
	}
}

// TestADisputeThatCannotBeReadSuspendsNothing: neither the list nor the one by its id, and
// whichever fails.
func TestADisputeThatCannotBeReadSuspendsNothing(t *testing.T) {
	for name, f := range unshown {
		for _, route := range []string{"GET /v1/disputes", "GET /v1/disputes/{id}"} {
			if name == "empty" && strings.HasSuffix(route, "{id}") {
				continue // it is no list
			}
			t.Run(name+" "+route, func(t *testing.T) {
				t.Parallel()
				r, ada, _ := disputing(t, reconcile.SuspendDisputes)
				dispute(t, r, ada.Subscription)
				r.World.SetFault(func(c simulator.Call) simulator.Fault {
					if c.Route == route {
						return f
					}
					return simulator.Fault{Honest: true}
				})
				for day := range 3 {
					_, _ = r.Try(engine.Request{Full: day == 1})
					r.World.Advance(time.Hour)
				}
				if n := suspendedNames(r); len(n) != 0 {
					t.Errorf("down: %v", n)
				}
				r.World.SetFault(nil)
				r.World.Advance(25 * time.Hour)
				rep, err := r.Try(engine.Request{Full: true})
				if n := suspendedNames(r); len(n) != 1 {
					t.Errorf("down when it can be read: %v: %v, %v, %v", n, kinds(rep), rep.Holds, err)
				}
			})
		}
	}
}

// TestADisputeThatIsWonWhileARunIsUnderWaySuspendsNothing: it is read again right before.
func TestADisputeThatIsWonWhileARunIsUnderWaySuspendsNothing(t *testing.T) {
	r, ada, _ := disputing(t, reconcile.SuspendDisputes)
	dispute(t, r, ada.Subscription)
	won := false
	r.World.SetFault(func(c simulator.Call) simulator.Fault {
		if c.Route == "GET /v1/disputes/{id}" && !won {
			won = true
			_ = r.World.CloseDispute(ada.Subscription, "won")
		}
		return simulator.Fault{Honest: true}
	})
	r.Run(engine.Request{})
	if n := suspendedNames(r); len(n) != 0 || !won {
		t.Errorf("down: %v, read by id: %v", n, won)
	}
}

func TestAKeyThatMayNotReadDisputesIsNotedOnce(t *testing.T) {
	r := testenv.New(t, testenv.Options{World: simulator.Options{StripeKey: "rk_test_restricted0123456789", Deny: []string{"disputes", "refunds"}},
		Engine: func(o *engine.Options) { o.Policy.Dispute = reconcile.SuspendDisputes }})
	ada := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, 1)})
	noted := 0
	for i := range 4 {
		rep := r.Run(engine.Request{Full: i%2 == 0})
		noted += notes(rep, "may not read disputes")
		dispute(t, r, ada.Subscription)
	}
	if noted != 1 || len(suspendedNames(r)) != 0 || len(r.World.Hostings()) != 1 {
		t.Errorf("noted %d times, down %v", noted, suspendedNames(r))
	}
}
