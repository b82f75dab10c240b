package engine_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

const changeHosting = "PATCH" + hostingPath

// twice is a company that has suspended a customer already, and a customer who is
// about to be: what the panel calls us is known.
func twice(t *testing.T, set func(*engine.Options)) (r *testenv.Env, sub string, hosting int) {
	t.Helper()
	r, _ = ended(t, 1, set)
	sub = signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0])}).Subscription
	r.Run(engine.Request{})
	all := r.World.Hostings()
	return r, sub, all[len(all)-1].ID
}

// meanwhile lets staff suspend a hosting right before the first call that changes
// one is done.
func meanwhile(t *testing.T, r *testenv.Env, hosting int) {
	t.Helper()
	done := false
	r.World.SetFault(func(c simulator.Call) simulator.Fault {
		if c.Route == changeHosting && !done {
			done = true
			must(t, r.World.StaffSuspend(hosting))
		}
		return simulator.Fault{Honest: true}
	})
}

// theirs holds that a suspension by staff outlived everything.
func theirs(t *testing.T, r *testenv.Env) {
	t.Helper()
	all := r.World.Hostings()
	h := all[len(all)-1]
	diff(t, "status", "active", h.Status)
	if h.SuspendedBy == "" || h.SuspendedBy == r.World.OrgID() {
		t.Errorf("it is suspended by %q, and was by staff", h.SuspendedBy)
	}
	if v := r.World.Violations(); len(v) > 0 {
		t.Errorf("violations: %+v", v)
	}
}

// With every suspension that is read back taken for ours put in once, this went red.
func TestStaffWhoSuspendInTheMomentInWhichWeDoKeepTheirSuspension(t *testing.T) {
	r, sub, hosting := twice(t, nil)
	must(t, r.World.MarkUnpaid(sub))
	r.World.Advance(2 * time.Minute)
	meanwhile(t, r, hosting)
	r.Run(engine.Request{})
	must(t, r.World.Pay(sub))
	r.World.Advance(26 * time.Hour)
	diff(t, "told", []string{"foreign_suspension"}, holdKinds(r.Run(engine.Request{})))
	theirs(t, r)
}

func TestWhatStaffSuspendInThatMomentIsNotDeletedEither(t *testing.T) {
	r, sub, hosting := twice(t, withRetention)
	must(t, r.World.Cancel(sub))
	r.World.Advance(2 * time.Minute)
	meanwhile(t, r, hosting)
	r.Run(engine.Request{})
	days(r, 35)
	theirs(t, r)
}

// The call is lost and not done; when the panel is back, staff are faster. With an
// unanswered suspension that is there taken for ours put in once, this went red.
func TestStaffWhoSuspendAfterOursGotLostKeepTheirSuspension(t *testing.T) {
	r, sub, hosting := twice(t, nil)
	must(t, r.World.MarkUnpaid(sub))
	r.World.Advance(2 * time.Minute)
	down := false
	r.World.SetFault(func(c simulator.Call) simulator.Fault {
		down = down || c.Route == changeHosting
		if down && c.Side == simulator.Enhance {
			return simulator.NotDone(http.StatusBadGateway)
		}
		return simulator.Fault{}
	})
	for range 8 {
		_, _ = r.Try(engine.Request{}) // some fail: the panel is down
		r.World.Advance(15 * time.Minute)
	}
	must(t, r.World.StaffSuspend(hosting))
	r.World.SetFault(nil)
	r.Converge(10)
	must(t, r.World.Pay(sub))
	r.World.Advance(26 * time.Hour)
	r.Run(engine.Request{Full: true})
	theirs(t, r)
}

// With a hosting that cannot be found forgetting who suspended it put in once, this
// went red.
func TestStaffWhoSuspendWhatWasMissingForAWhileKeepTheirSuspension(t *testing.T) {
	r, sub, hosting := twice(t, nil)
	must(t, r.World.MarkUnpaid(sub))
	r.World.Advance(2 * time.Minute)
	diff(t, "unpaid", []string{"suspend applied"}, kinds(r.Run(engine.Request{})))
	backup := r.World.Snapshot()
	must(t, r.World.StaffPurge(hosting))
	r.World.Advance(25 * time.Hour)
	r.Run(engine.Request{})
	r.World.Restore(backup)
	must(t, r.World.StaffResume(hosting))
	must(t, r.World.StaffSuspend(hosting))
	must(t, r.World.Pay(sub))
	r.World.Advance(26 * time.Hour)
	r.Run(engine.Request{})
	theirs(t, r)
}

// TestAPanelThatNamesUsOtherwiseIsUnderstood: a real panel may differ
// one. With nothing but the id of the organisation taken for us put in once, this
// went red.
func TestAPanelThatNamesUsOtherwiseIsUnderstood(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	sub := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0])}).Subscription
	r.Run(engine.Request{})
	must(t, r.World.MarkUnpaid(sub))
	r.World.Advance(2 * time.Minute)
	meanwhile(t, r, r.World.Hostings()[0].ID) // stands for the panel's own way of naming us
	r.Run(engine.Request{})
	must(t, r.World.Pay(sub))
	r.World.Advance(2 * time.Minute)
	diff(t, "paid", []string{"resume applied"}, kinds(r.Run(engine.Request{})))
}
