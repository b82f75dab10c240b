package engine_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// setCursor writes a cursor, as an earlier run with other settings did.
func setCursor(t *testing.T, r *testenv.Env, name, value string) {
	t.Helper()
	r.World.Advance(time.Minute)
	tok, _, _, err := r.Store.Acquire(t.Context(), "test", r.World.Now(), time.Minute)
	must(t, err)
	must(t, r.Store.SetCursor(t.Context(), tok, name, value))
	must(t, r.Store.Release(t.Context(), tok))
}

// A panel with another address that has the orgs, but none of the hostings, is a copy that
// was emptied, or one from before: all customers would count as without a hosting.
func TestAChangedPanelThatHasNoneOfOurHostingsIsNotWorkedFor(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	for n := range 3 {
		signUp(t, r, simulator.SignUp{Email: fmt.Sprintf("c%d@example.com", n), Price: "price_basic_monthly"})
	}
	r.Run(engine.Request{})
	setCursor(t, r, "panel", "https://panel.before")
	for _, c := range []struct {
		status int
		want   string
	}{
		{http.StatusNotFound, "has none of 3 known hostings"},
		{http.StatusInternalServerError, "checking that this is the right panel"},
	} {
		r.Fail(simulator.NotDone(c.status), func(c simulator.Call) bool { return strings.Contains(c.Route, "/subscriptions/{subscription}") })
		rep, err := r.Try(engine.Request{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("each hosting is answered with %d, and the run ends with %v, gates %q", c.status, err, rep.Run.Gates)
		}
		r.World.Advance(2 * time.Minute)
	}
	r.World.SetFault(nil)
	r.Run(engine.Request{})
	diff(t, "hostings", 3, len(live(r)))
}

// The panel is known by the hostings that were read last, and by those that were not read
// for longest: staff may have deleted all of the former.
func TestAChangedPanelIsKnownByHostingsThatWereNotReadLately(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	old := signUp(t, r, simulator.SignUp{Email: "old@example.com", Price: "price_basic_monthly"})
	r.Run(engine.Request{})
	org := r.World.Hostings()[0].Org
	r.World.Advance(time.Hour)
	for n := range 10 {
		signUp(t, r, simulator.SignUp{Email: fmt.Sprintf("c%d@example.com", n), Price: "price_basic_monthly"})
	}
	r.Run(engine.Request{})
	diff(t, "hostings", 11, len(live(r)))
	setCursor(t, r, "panel", "https://panel.before")
	r.Fail(simulator.NotDone(http.StatusNotFound), func(c simulator.Call) bool {
		return c.Side == simulator.Enhance && strings.Contains(c.Route, "{org}") && !strings.Contains(c.Path, org)
	})
	if _, err := r.Try(engine.Request{Subscriptions: []string{old.Subscription}}); err != nil {
		t.Errorf("the panel has a hosting that is known, and the run ends with %v", err)
	}
}

// An error of Stripe is not an account that has none of our subscriptions.
func TestAnAccountThatCannotBeReadIsNotCalledAnother(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: "price_basic_monthly"})
	r.Run(engine.Request{})
	setCursor(t, r, "key", "another")
	r.Fail(simulator.NotDone(http.StatusInternalServerError), func(c simulator.Call) bool { return c.Route == "GET /v1/subscriptions/{id}" })
	rep, err := r.Try(engine.Request{})
	if err == nil || !strings.Contains(err.Error(), "checking that this is the right Stripe account") {
		t.Errorf("the run ends with %v, gates %q", err, rep.Run.Gates)
	}
}

// Before the first creation of a run, the panel is asked for an org that we know: once, and
// if it cannot be read, nothing is made.
func TestThePanelIsLookedForOnceBeforeTheFirstCreation(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	signUp(t, r, simulator.SignUp{Email: "old@example.com", Price: "price_basic_monthly"})
	r.Run(engine.Request{})
	for n := range 3 {
		signUp(t, r, simulator.SignUp{Email: fmt.Sprintf("c%d@example.com", n), Price: "price_basic_monthly"})
	}
	r.Fail(simulator.NotDone(http.StatusInternalServerError), func(c simulator.Call) bool { return c.Route == "GET /orgs/{org}" })
	rep, err := r.Try(engine.Request{})
	if err == nil || !strings.Contains(err.Error(), "checking that this is the right panel") || strings.Contains(err.Error(), "has none") {
		t.Errorf("the run ends with %v, gates %q", err, rep.Run.Gates)
	}
	r.World.SetFault(nil)
	r.World.Advance(2 * time.Minute)
	known, asked := r.World.Orgs()[0].ID, 0
	diff(t, "orgs", 1, len(r.World.Orgs()))
	r.Fail(simulator.Fault{}, func(c simulator.Call) bool {
		if c.Route == "GET /orgs/{org}" && strings.HasSuffix(c.Path, known) {
			asked++
		}
		return false
	})
	r.Run(engine.Request{})
	diff(t, "hostings", 4, len(live(r)))
	diff(t, "requests about the org that is known", 1, asked)
}
