package engine_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// onFile is a company with a database that can be lost.
func onFile(t *testing.T) (r *testenv.Env, file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "state.db")
	return testenv.New(t, testenv.Options{Database: "sqlite:" + file}), file
}

// loseDatabase starts the program on an empty database, with the mappings put back.
func loseDatabase(r *testenv.Env, file string) {
	r.Close()
	for _, suffix := range []string{"", "-wal", "-shm", ".lock"} {
		_ = os.Remove(file + suffix)
	}
	r.Open()
	for price, plan := range r.Plans {
		r.Map(price, plan)
	}
}

// A person has two Stripe customers in one org, and has not accepted the invitation. The
// database is lost and the hosting of one customer is gone, so that only the other's leads to
// the org.
func TestALostDatabaseFindsTheOrgOfOnePersonWhicheverCustomerComesFirst(t *testing.T) {
	for gone := range 2 {
		t.Run(fmt.Sprint(gone), func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "state.db")
			r := testenv.New(t, testenv.Options{Database: "sqlite:" + file, Engine: since(longAgo)})
			price := priceFor(t, r, plans(r)[0])
			for range 2 {
				signUp(t, r, simulator.SignUp{Email: "ada@example.com", Guest: true, Price: price})
				r.World.Advance(time.Minute)
				r.Run(engine.Request{})
			}
			diff(t, "orgs before", 1, len(r.World.Orgs()))
			must(t, r.World.StaffPurge(r.World.Hostings()[gone].ID))
			loseDatabase(r, file)
			r.Converge(6)
			diff(t, "orgs", 1, len(r.World.Orgs()))
			diff(t, "hostings", 2, len(r.World.Hostings()))
		})
	}
}

// TestWhatIsFoundUpLongAfterItsEndStaysUp: a customer came back, took the old hosting
// over and has another e-mail now, and the database is lost: nothing shows any more
// which customer the hosting serves. With the ended one suspended anyway put in once,
// this went red.
func TestWhatIsFoundUpLongAfterItsEndStaysUp(t *testing.T) {
	r, file := onFile(t)
	price := priceFor(t, r, plans(r)[0])
	old := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price})
	r.Run(engine.Request{})
	must(t, r.World.Cancel(old.Subscription))
	r.World.Advance(2 * time.Minute)
	r.Run(engine.Request{})
	back := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price})
	r.Run(engine.Request{})
	must(t, r.World.SetEmail(back.Customer, "ada@example.org"))
	r.World.Advance(2 * aDay)
	r.Run(engine.Request{Full: true})
	site := r.World.Hostings()[0]
	diff(t, "the site before", "", site.SuspendedBy)
	loseDatabase(r, file)
	for range 4 {
		r.World.Advance(time.Hour)
		r.Run(engine.Request{})
	}
	diff(t, "the site afterwards", "", r.World.Hostings()[0].SuspendedBy)
}

// TestARecoveryThatWasInterruptedStillOnlyGives: the first look at the panel ends
// with an error after everything in it was read. With only the hostings that this very run has
// read counted as found put in once, this went red.
func TestARecoveryThatWasInterruptedStillOnlyGives(t *testing.T) {
	r, file := onFile(t)
	price := priceFor(t, r, plans(r)[0])
	var subs []string
	for _, who := range []string{"ada", "bob", "cem", "dan"} {
		subs = append(subs, signUp(t, r, simulator.SignUp{Email: who + "@example.com", Price: price}).Subscription)
	}
	r.Run(engine.Request{})
	must(t, r.World.Cancel(subs[3]))
	effects := len(r.World.Effects())
	loseDatabase(r, file)
	r.World.SetFault(func(c simulator.Call) simulator.Fault {
		switch c.Route {
		case "GET /v1/subscriptions":
			return simulator.HalfList()
		case "GET /v1/subscriptions/{id}":
			return simulator.NotDone(http.StatusInternalServerError)
		}
		return simulator.Fault{}
	})
	r.World.Advance(2 * time.Minute)
	if _, err := r.Try(engine.Request{}); err == nil {
		t.Fatal("nothing interrupted it")
	}
	r.World.SetFault(nil)
	r.World.Advance(2 * time.Minute)
	rep := r.Run(engine.Request{})
	diff(t, "told", 1, notes(rep, "this database knew nothing of the panel"))
	diff(t, "effects", effects, len(r.World.Effects()))
	r.World.Advance(2 * time.Minute)
	r.Run(engine.Request{Full: true})
	diff(t, "down in the end", 1, down(r))
	diff(t, "orgs and hostings", []int{4, 4}, []int{len(r.World.Orgs()), len(r.World.Hostings())})
}

// TestAFirstListingThatLacksTooMuchIsDoneAgain: Stripe lists next to nothing, and the
// panel has more than is read one by one. With the limit ignored put in once, this went red.
func TestAFirstListingThatLacksTooMuchIsDoneAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state.db")
	r := testenv.New(t, testenv.Options{Database: "sqlite:" + file, Engine: func(o *engine.Options) { o.Brakes.Create = planner.Limit{Count: 10_000} }})
	r.World.Populate(250, simulator.Mix{Plain: true, Statuses: map[string]int{"active": 1}})
	r.Run(engine.Request{})
	orgs, effects := len(r.World.Orgs()), len(r.World.Effects())
	loseDatabase(r, file)
	r.World.Advance(48 * time.Hour) // there is no event about them any more
	r.World.SetFault(func(c simulator.Call) simulator.Fault {
		if c.Route == "GET /v1/subscriptions" {
			return simulator.EmptyList()
		}
		return simulator.Fault{}
	})
	if _, err := r.Try(engine.Request{}); err == nil || !strings.Contains(err.Error(), "everything is listed again") {
		t.Errorf("the run ends with %v", err)
	}
	r.World.SetFault(nil)
	r.World.Advance(2 * time.Minute)
	rep := r.Run(engine.Request{})
	diff(t, "mode of the next run", reconcile.RunFull.String(), rep.Run.Mode)
	r.World.Advance(2 * time.Minute)
	r.Run(engine.Request{})
	diff(t, "orgs and effects", []int{orgs, effects}, []int{len(r.World.Orgs()), len(r.World.Effects())})
}
