package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// writes to one org are refused for good. Another customer pays.
func TestWritesRefusedForOneOrgKeepNoPayerWaiting(t *testing.T) {
	for _, broken := range []int{1, 4} {
		t.Run(fmt.Sprint(broken), func(t *testing.T) {
			r := testenv.New(t, testenv.Options{Engine: func(o *engine.Options) { o.Brakes.Suspend = planner.Limit{Count: 100} }})
			subs := owing(t, r, broken+1)
			refuse := map[string]bool{}
			all := r.World.Hostings()
			for _, h := range all[:broken] {
				refuse[h.Org] = true
			}
			r.Fail(simulator.NotDone(403), func(c simulator.Call) bool { return c.Route == changeHosting && refuse[strings.Split(c.Path, "/")[2]] })
			for _, s := range subs[:broken] {
				must(t, r.World.Pay(s))
			}
			for range 40 {
				r.World.Advance(time.Minute)
				_, _ = r.Try(engine.Request{})
			}
			must(t, r.World.Pay(subs[broken]))
			began := r.World.Now()
			for range 180 {
				r.World.Advance(time.Minute)
				_, _ = r.Try(engine.Request{})
				if r.World.Hostings()[broken].SuspendedBy == "" {
					break
				}
			}
			took := r.World.Now().Sub(began)
			if took > 30*time.Minute {
				t.Errorf("the payer is up after %s", took)
			}
		})
	}
}

// one org of ours is refused, and that is why its hosting is the one looked at
// longest ago. Nobody new gets anything, not even by name.
func TestOneRefusedOrgStopsNoTargetedOrder(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	price := priceFor(t, r, plans(r)[0])
	signUp(t, r, simulator.SignUp{Email: "broken@example.com", Price: price})
	r.Run(engine.Request{})
	org := r.World.Hostings()[0].Org
	signUp(t, r, simulator.SignUp{Email: "other@example.com", Price: price})
	r.Run(engine.Request{})
	r.World.Advance(time.Hour)
	r.Fail(simulator.NotDone(403), func(c simulator.Call) bool {
		return c.Side == simulator.Enhance && strings.HasPrefix(c.Path, "/orgs/"+org)
	})
	s := signUp(t, r, simulator.SignUp{Email: "new@example.com", Price: price})
	var err error
	for range 30 {
		_, err = r.Try(engine.Request{Subscriptions: []string{s.Subscription}})
		_, _ = r.Try(engine.Request{})
		r.World.Advance(time.Minute)
	}
	if n := len(r.World.Hostings()); n != 3 {
		t.Errorf("%d hostings after half an hour, want 3: %v", n, err)
	}
}

// the owner cannot be invited (the panel refuses the address); the customer pays for
// a larger plan.
func TestARefusedInvitationDoesNotKeepThePlanThatIsPaidFor(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	r.Run(engine.Request{})
	r.Fail(simulator.Fault{Apply: simulator.Skip, Status: 400, Body: []byte(`{"code":"invalid","detail":"email"}`)}, func(c simulator.Call) bool { return c.Method == "POST" && strings.HasSuffix(c.Route, "/invites") })
	s := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0]), Domain: "ada.example.com"})
	_, _ = r.Try(engine.Request{})
	must(t, r.World.ChangePrice(s.Subscription, s.Items[0], priceFor(t, r, plans(r)[1])))
	for range 100 {
		r.World.Advance(2 * time.Minute)
		_, _ = r.Try(engine.Request{})
	}
	diff(t, "plan", plans(r)[1], r.World.Hostings()[0].Plan)
	diff(t, "websites", 1, len(r.World.Websites()))
}

// TestWhoIsRefusedIsTriedAgainWithinTheLongestBackOff: five minutes are too long
// where an operator has set a second.
func TestWhoIsRefusedIsTriedAgainWithinTheLongestBackOff(t *testing.T) {
	r := testenv.New(t, testenv.Options{Engine: func(o *engine.Options) { o.RetryMin, o.RetryMax = time.Second, time.Second }})
	s := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0])})
	r.Run(engine.Request{})
	must(t, r.World.MarkUnpaid(s.Subscription))
	r.World.Advance(2 * time.Minute)
	r.Run(engine.Request{})
	must(t, r.World.Pay(s.Subscription))
	r.World.Advance(2 * time.Minute)
	r.World.SetFault(onlyFirst(changeHosting, simulator.NotDone(403)))
	r.Run(engine.Request{})
	r.World.Advance(time.Second)
	diff(t, "a second later", []string{"resume applied"}, kinds(r.Run(engine.Request{})))
}
