package engine_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// The org of another customer hangs whenever its hostings are listed. Who has just paid
// waits for it only briefly, and is served.
//
// With this mistake put in once, it went red: a flow run that waits as long as the client
// does.
func TestAFlowRunWaitsOnlyBrieflyForAnotherOrg(t *testing.T) {
	f := newFlowing(t, nil)
	hangs := f.World.StaffCreateOrg("Elsewhere", "staff@example.com")
	_, open := f.gate.shut(100, func(req *http.Request) bool { return strings.Contains(req.URL.Path, "/"+hangs+"/") })
	defer open()
	sub := f.order(t, "ada@example.com")
	brief, cancel := context.WithTimeout(t.Context(), 20*time.Second) // for a flow run that waits
	defer cancel()
	s, err := f.Engine.Flow(brief)
	must(t, err)
	diff(t, "served", sub, s.Subscription)
	diff(t, "hostings that are up", 1, f.up())
	for _, a := range s.Report.Actions {
		diff(t, a.Kind.String(), reconcile.ActionApplied, a.State)
	}
}
