package engine_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// one id that can never be read (a webhook of the other mode).
func TestOneUnreadableSubscriptionDoesNotKeepTheCursor(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	price := priceFor(t, r, plans(r)[0])
	signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price})
	r.Run(engine.Request{})
	r.World.SetFault(func(c simulator.Call) simulator.Fault {
		if strings.HasSuffix(c.Path, "sub_othermode") {
			return simulator.Fault{Apply: simulator.Skip, Status: 404, Body: []byte(`{"error":{"code":"resource_missing","type":"invalid_request_error","param":"id",` +
				`"message":"No such subscription: 'sub_othermode'; a similar object exists in test mode, but a live mode key was used to make this request."}}`)}
		}
		return simulator.Fault{Honest: true}
	})
	must(t, r.Store.Nudge(context.Background(), []string{"sub_othermode"}, "webhook", r.World.Now()))
	before, err := r.Store.Cursor(context.Background(), "events")
	must(t, err)
	var reads []int
	for i := range 12 {
		signUp(t, r, simulator.SignUp{Email: fmt.Sprintf("c%02d@example.com", i), Price: price})
		n := r.World.Total(simulator.Stripe)
		_, _ = r.Try(engine.Request{})
		reads = append(reads, r.World.Total(simulator.Stripe)-n)
		r.World.Advance(time.Hour)
	}
	after, err := r.Store.Cursor(context.Background(), "events")
	must(t, err)
	if before == after {
		t.Errorf("the cursor stands at %s since half a day; requests to Stripe in each run: %v", after, reads)
	}
}

// TestARunThatCouldNotReadWhatChangedHasNotConverged: nothing is held, and still it
// is not known whether everything is as it should be.
func TestARunThatCouldNotReadWhatChangedHasNotConverged(t *testing.T) {
	for name, f := range map[string]simulator.Fault{
		"500":  simulator.NotDone(500),
		"html": {Apply: simulator.Skip, Status: 200, Body: []byte("<html>We are back soon</html>")},
		"400":  {Apply: simulator.Skip, Status: 400, Body: []byte(`{"error":{"type":"invalid_request_error","message":"no"}}`)},
		"{}":   simulator.EmptyObject(),
	} {
		for _, route := range []string{"GET /v1/subscriptions/{id}", "GET /orgs/{org}/subscriptions/{subscription}"} {
			t.Run(name+", "+route, func(t *testing.T) {
				r := testenv.New(t, testenv.Options{})
				price := priceFor(t, r, plans(r)[0])
				signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price})
				s := signUp(t, r, simulator.SignUp{Email: "bob@example.com", Price: price})
				r.Run(engine.Request{})
				if route[5] == 'v' {
					must(t, r.World.Cancel(s.Subscription))
				} else {
					r.World.Advance(25 * time.Hour) // everything is to be compared
				}
				r.World.Advance(2 * time.Minute)
				r.Fail(f, func(c simulator.Call) bool {
					return c.Route == route && (c.Side == simulator.Enhance || strings.HasSuffix(c.Path, s.Subscription))
				})
				rep, err := r.Try(engine.Request{})
				diff(t, "converged", false, err == nil && rep.Converged())
				r.World.SetFault(nil)
				r.World.Advance(10 * time.Minute)
				r.Run(engine.Request{})
				diff(t, "converged once it can be read", true, r.Run(engine.Request{Full: true}).Converged())
			})
		}
	}
}

// TestOneOfSeveralThatStripeDoesNotKnowIsNamed in a run that a person asked for.
func TestOneOfSeveralThatStripeDoesNotKnowIsNamed(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	s := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0])})
	r.Run(engine.Request{})
	rep := r.Run(engine.Request{Subscriptions: []string{s.Subscription, "sub_nope"}})
	diff(t, "named", 1, notes(rep, "Stripe knows no subscription sub_nope"))
	diff(t, "converged", false, rep.Converged())
	diff(t, "converged without it", true, r.Run(engine.Request{Subscriptions: []string{s.Subscription}}).Converged())
}
