package engine_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// Orgs that give no answer are never read, so they are always those that were not read for
// longest. If only such orgs showed that the panel is the right one, a few of them would
// keep every new customer from a hosting.
func TestAFewOrgsThatGiveNoAnswerKeepNoNewCustomerFromAHosting(t *testing.T) {
	r, _ := forty(t)
	var stuck []string
	for _, h := range r.World.Hostings()[:6] {
		stuck = append(stuck, h.Org)
	}
	broken := func(c simulator.Call) bool {
		for _, org := range stuck {
			if strings.Contains(c.Path, org) {
				return true
			}
		}
		return false
	}
	r.Fail(simulator.NotDone(http.StatusBadGateway), broken)
	for range 3 { // all the others are read meanwhile
		r.World.Advance(25 * time.Hour)
		_, _ = r.Try(engine.Request{Full: true})
	}
	before := len(r.World.Hostings())
	signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: "price_basic_monthly"})
	r.World.Advance(time.Minute)
	rep, err := r.Try(engine.Request{})
	if made := len(r.World.Hostings()) - before; made != 1 {
		t.Errorf("%d hostings were made; the run ended with %v, %+v", made, err, rep.Holds)
	}
}
