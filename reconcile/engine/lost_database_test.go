package engine_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
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

// unreadableAtStripe makes every answer about a subscription one that cannot be read, and
// with half the list of all lack the older half.
func unreadableAtStripe(r *testenv.Env, id string, half bool) {
	r.World.SetFault(func(c simulator.Call) simulator.Fault {
		switch {
		case c.Path == "/v1/subscriptions/"+id:
			return simulator.EmptyObject()
		case half && c.Path == "/v1/subscriptions":
			return simulator.HalfList()
		}
		return simulator.Fault{Honest: true}
	})
}

// The database is older than a customer's first order, whose hosting alone shows whose the
// org is, and Stripe's answer about that order cannot be read. The customer has ordered again,
// and so has one who is new. A full run lists the order, and does not depend on that answer.
func TestAnOrgIsOfNobodyUntilTheSubscriptionOfItsHostingIsRead(t *testing.T) {
	r, file := onFile(t)
	price := priceFor(t, r, plans(r)[0])
	signUp(t, r, simulator.SignUp{Email: "bob@example.com", Price: price})
	r.Run(engine.Request{})
	r.World.Advance(2 * time.Minute)
	r.Run(engine.Request{})
	putBack := keepDatabase(t, r, file)
	first := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price})
	r.Run(engine.Request{})
	diff(t, "orgs before", 2, len(r.World.Orgs()))
	r.World.Advance(time.Hour)
	putBack()
	signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price})
	unreadableAtStripe(r, first.Subscription, false)
	signUp(t, r, simulator.SignUp{Email: "cem@example.com", Price: price})
	for range 2 {
		rep := r.Run(engine.Request{})
		diff(t, "orgs, with the new one's", 3, len(r.World.Orgs()))
		diff(t, "who waits", []string{"retry"}, holdKinds(rep))
		diff(t, "notes why", 1, notes(rep, first.Subscription+", which a hosting in it is marked with, cannot be read at Stripe"))
		r.World.Advance(6 * time.Minute)
	}
	rep := r.Run(engine.Request{Full: true})
	diff(t, "who waits after a full run", []string(nil), holdKinds(rep))
	r.World.Advance(6 * time.Minute)
	diff(t, "converged", true, r.Converge(4).Converged())
	diff(t, "orgs and hostings", []int{3, 4}, []int{len(r.World.Orgs()), len(r.World.Hostings())})
}

// The same with a database that is lost altogether, and a listing at Stripe that lacks the
// first order.
func TestAfterALostDatabaseAnOrgIsOfNobodyUntilTheSubscriptionOfItsHostingIsRead(t *testing.T) {
	r, file := onFile(t)
	price := priceFor(t, r, plans(r)[0])
	first := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price})
	r.Run(engine.Request{})
	r.World.Advance(48 * time.Hour) // there is no event about it any more
	loseDatabase(r, file)
	signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: price})
	unreadableAtStripe(r, first.Subscription, true)
	for range 2 {
		diff(t, "who waits", []string{"retry"}, holdKinds(r.Run(engine.Request{})))
		diff(t, "orgs", 1, len(r.World.Orgs()))
		r.World.Advance(6 * time.Minute)
	}
	r.World.SetFault(nil)
	r.World.Advance(6 * time.Minute)
	diff(t, "converged once it can be read", true, r.Converge(4).Converged())
	diff(t, "orgs and hostings", []int{1, 2}, []int{len(r.World.Orgs()), len(r.World.Hostings())})
}

// The database is put back to a time before a customer's second order, which has a hosting of
// its own, and the first order has ended meanwhile. The second one is not to get the hosting of
// the first: the one that was made for it would then be a second one, and nothing would be
// created for anybody.
func TestAnOldDatabaseGivesNoOtherHostingToAnOrderThatHasOne(t *testing.T) {
	r, file := onFile(t)
	price := priceFor(t, r, plans(r)[0])
	first := signUp(t, r, simulator.SignUp{Email: "dan@example.com", Price: price})
	r.Run(engine.Request{})
	putBack := keepDatabase(t, r, file)
	second := signUp(t, r, simulator.SignUp{Email: "dan@example.com", Price: price})
	r.World.Advance(2 * time.Minute)
	r.Run(engine.Request{})
	must(t, r.World.Cancel(first.Subscription))
	putBack()
	r.World.Advance(2 * time.Minute)
	plan := r.Run(engine.Request{Dry: true})
	diff(t, "planned", true, slices.ContainsFunc(plan.Actions, func(a reconcile.ActionRecord) bool {
		return a.Kind == reconcile.Link && a.Subscription == second.Subscription && a.Hosting == int64(r.World.Hostings()[1].ID)
	}))
	r.Converge(6)
	r.World.Advance(2 * time.Minute)
	rep := r.Run(engine.Request{Full: true})
	diff(t, "converged", true, rep.Converged())
	diff(t, "hostings", 2, len(r.World.Hostings()))
	for _, h := range r.World.Hostings() {
		diff(t, "down: that of the order that has ended", strings.Contains(h.FriendlyName, first.Subscription), h.SuspendedBy != "")
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
