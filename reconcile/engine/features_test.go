package engine_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

const featuresRoute = "GET /v1/products/{id}/features"

// mapByFeatures takes every mapping away, and maps a feature of each product instead, which
// is named like the product.
func mapByFeatures(t *testing.T, r *testenv.Env) {
	t.Helper()
	plan := map[string]int{}
	for _, p := range r.World.Prices() {
		if n, mapped := r.Plans[p.ID]; mapped {
			plan["feature-"+p.Product] = n
			must(t, r.World.SetFeatures(p.Product, "feature-"+p.Product))
			_, err := r.Store.DeleteMapping(context.Background(), p.ID)
			must(t, err)
		}
	}
	for feature, n := range plan {
		r.Map(feature, n)
	}
}

// asked counts the requests for features while f answers them.
func asked(r *testenv.Env, f simulator.Fault) *counter {
	n := &counter{}
	r.World.SetFault(func(c simulator.Call) simulator.Fault {
		if c.Route != featuresRoute {
			return simulator.Fault{Honest: true}
		}
		n.add()
		return f
	})
	return n
}

func TestTheFeaturesOfAProductAreReadOnceForAllItsCustomers(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	mapByFeatures(t, r)
	for i := range 5 {
		signUp(t, r, simulator.SignUp{Email: fmt.Sprintf("buyer%d@example.com", i), Price: priceFor(t, r, 1)})
	}
	n := asked(r, simulator.Fault{Honest: true})
	rep := r.Run(engine.Request{})
	if len(r.World.Hostings()) != 5 || n.n != 1 {
		t.Errorf("%d hostings, asked %d times: %v", len(r.World.Hostings()), n.n, rep.Holds)
	}
	for range 5 {
		r.World.Advance(2 * time.Minute)
		r.Run(engine.Request{})
	}
	if n.n != 1 {
		t.Errorf("asked %d times within the hour", n.n)
	}
	r.World.Advance(25 * time.Hour)
	r.Run(engine.Request{})
	if n.n != 2 {
		t.Errorf("asked %d times within a day", n.n)
	}
}

// TestAFeatureThatIsMappedLaterCountsInTheNextRun, also if the product got it just then.
func TestAFeatureThatIsMappedLaterCountsInTheNextRun(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	mapByFeatures(t, r)
	price := r.World.AddPrice("prod_new", "", 900)
	signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price})
	diff(t, "before", []string{"unmapped"}, holdKinds(r.Run(engine.Request{})))
	must(t, r.World.SetFeatures("prod_new", "hosting"))
	r.Map("hosting", 1)
	r.World.Advance(time.Minute)
	if rep := r.Run(engine.Request{}); len(r.World.Hostings()) != 1 {
		t.Errorf("no hosting: %v", rep.Holds)
	}
}

// TestAFeatureThatChangesAtStripeIsFollowedWithinADay, for customers of whom no event comes.
func TestAFeatureThatChangesAtStripeIsFollowedWithinADay(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	mapByFeatures(t, r)
	product := productOf(r, priceFor(t, r, 1))
	signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, 1)})
	r.Run(engine.Request{})
	must(t, r.World.SetFeatures(product, "feature-"+productOf(r, priceFor(t, r, 2))))
	r.World.Advance(25 * time.Hour)
	r.Run(engine.Request{})
	if h := r.World.Hostings()[0]; h.Plan != 2 {
		t.Errorf("plan %d", h.Plan)
	}
}

func productOf(r *testenv.Env, price string) string {
	all := r.World.Prices()
	return all[slices.IndexFunc(all, func(p simulator.Price) bool { return p.ID == price })].Product
}

// unshown are the ways in which Stripe does not show the features of a product.
var unshown = map[string]simulator.Fault{
	"403":       simulator.NotDone(403),
	"404":       simulator.NotDone(404),
	"400":       simulator.NotDone(400),
	"503":       simulator.NotDone(503),
	"empty":     simulator.EmptyList(),
	"truncated": {Truncate: true},
	"malformed": {Malformed: true},
	"{}":        simulator.EmptyObject(),
	"no API":    {Status: http.StatusNotFound, Body: []byte(`{"error":{"type":"invalid_request_error","message":"Unrecognized request URL"}}`)},
}

// TestFeaturesThatAreNotShownAgainTakeNothingAway: for days, in runs of both kinds, of one who
// pays, and of one who owes and whose mapping gives a longer grace period than the settings.
func TestFeaturesThatAreNotShownAgainTakeNothingAway(t *testing.T) {
	for name, f := range unshown {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := testenv.New(t, testenv.Options{})
			mapByFeatures(t, r)
			must(t, r.Store.SetMapping(context.Background(), reconcile.Mapping{BillingID: "feature-" + productOf(r, priceFor(t, r, 1)), Plan: "1",
				MappingOptions: reconcile.MappingOptions{OwnGrace: true, Grace: 30 * 24 * time.Hour}}, "test", r.World.Now()))
			ada := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, 1)})
			bob := signUp(t, r, simulator.SignUp{Email: "bob@example.com", Price: priceFor(t, r, 1)})
			r.Run(engine.Request{})
			must(t, r.World.FailPayment(bob.Subscription))
			n := asked(r, f)
			for day := range 5 {
				r.World.Advance(25 * time.Hour)
				_, _ = r.Try(engine.Request{Full: day%2 == 0})
				r.World.Advance(2 * time.Minute)
				_, _ = r.Try(engine.Request{Subscriptions: []string{ada.Subscription}})
			}
			if n.n == 0 {
				t.Error("it was never asked for")
			}
			for _, h := range r.World.Hostings() {
				if h.SuspendedBy != "" || h.Plan != 1 {
					t.Errorf("hosting %d: suspended %q, plan %d", h.ID, h.SuspendedBy, h.Plan)
				}
			}
		})
	}
}

// TestAKeyThatMayNotReadFeaturesIsNotedOnce, however many products there are.
func TestAKeyThatMayNotReadFeaturesIsNotedOnce(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	mapByFeatures(t, r)
	for _, plan := range []int{1, 2, 3} {
		signUp(t, r, simulator.SignUp{Email: fmt.Sprintf("buyer%d@example.com", plan), Price: priceFor(t, r, plan)})
	}
	n := asked(r, simulator.NotDone(403))
	rep := r.Run(engine.Request{})
	if noted := notes(rep, "may not read the features"); noted != 1 || n.n == 0 {
		t.Errorf("noted %d times, asked %d times: %v", noted, n.n, rep.Notes)
	}
	diff(t, "holds", []string{"unmapped", "unmapped", "unmapped"}, holdKinds(rep))
	if len(r.World.Hostings()) != 0 {
		t.Error("something was made")
	}
}

// TestAMappingThatMayNotBeLookedUpClosesNoGate: a key without Entitlements still suspends who
// does not pay, as long as one mapping proves to be of this account.
func TestAMappingThatMayNotBeLookedUpClosesNoGate(t *testing.T) {
	for name, prices := range map[string]bool{"beside a price": true, "alone": false} {
		t.Run(name, func(t *testing.T) {
			r := testenv.New(t, testenv.Options{})
			if !prices {
				mapByFeatures(t, r)
			}
			r.Map("a-feature", 1)
			ada := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, 1)})
			r.Run(engine.Request{})
			must(t, r.World.MarkUnpaid(ada.Subscription))
			r.World.Advance(2 * time.Minute)
			r.World.SetFault(func(c simulator.Call) simulator.Fault {
				if c.Route == "GET /v1/entitlements/features" {
					return simulator.NotDone(403)
				}
				return simulator.Fault{Honest: true}
			})
			rep := r.Run(engine.Request{})
			if down := r.World.Hostings()[0].SuspendedBy != ""; down != prices {
				t.Errorf("suspended %v: %v", down, rep.Notes)
			}
		})
	}
}
