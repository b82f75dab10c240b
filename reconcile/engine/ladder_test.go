package engine_test

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

const aDay = 24 * time.Hour

// ended are customers who have left: all are suspended, by us.
func ended(t *testing.T, n int, set func(*engine.Options)) (*testenv.Env, []string) {
	t.Helper()
	r := testenv.New(t, testenv.Options{Engine: func(o *engine.Options) {
		o.Brakes.Suspend = planner.Limit{Count: 1000}
		if set != nil {
			set(o)
		}
	}})
	var subs []string
	for i := range n {
		subs = append(subs, signUp(t, r, simulator.SignUp{Email: string(rune('a'+i)) + "@example.com", Price: priceFor(t, r, plans(r)[0])}).Subscription)
	}
	r.Run(engine.Request{})
	for _, id := range subs {
		must(t, r.World.Cancel(id))
	}
	r.World.Advance(2 * time.Minute)
	r.Run(engine.Request{})
	return r, subs
}

// deletions are who was deleted, and how.
func deletions(r *testenv.Env) (all []string) {
	for _, e := range r.World.Effects() {
		if e.Kind == "delete_subscription" || e.Kind == "delete_org" {
			all = append(all, e.Kind+" of "+e.Subscription)
		}
	}
	return all
}

// days lets time pass, with the runs of every day.
func days(r *testenv.Env, n int) (rep reconcile.Report) {
	for range n {
		r.World.Advance(aDay)
		rep = r.Run(engine.Request{Full: true})
	}
	return rep
}

// one is a single customer who has left.
func one(t *testing.T, set func(*engine.Options)) *testenv.Env {
	t.Helper()
	r, _ := ended(t, 1, set)
	return r
}

// customer is a single one, who has a hosting.
func customer(t *testing.T, set func(*engine.Options)) (*testenv.Env, string) {
	t.Helper()
	r := testenv.New(t, testenv.Options{Engine: set})
	s := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0])})
	r.Run(engine.Request{})
	return r, s.Subscription
}

// The ladder, step by step: nothing is ever deleted unless a person asked for
// it, Stripe has ended the subscription for as long, and our own suspension has
// lasted for as long; then softly, and one at a time.
//
// With each of these mistakes put in once, it went red: a retention period of zero
// that is over at once; one that counts from the end at Stripe alone, or from our
// suspension alone; deletion of what staff suspended; deletion for a status
// that is not an end; a brake for deletions that is that of suspensions.
func TestTheLadderIsOffUnlessItIsAskedFor(t *testing.T) {
	r := one(t, nil)
	r.World.Advance(700 * aDay)
	days(r, 2)
	diff(t, "deleted", []string(nil), deletions(r))
}

func TestTheLadderEndsSoftlyAndNotBeforeThePeriodIsOver(t *testing.T) {
	r := one(t, withRetention)
	r.World.Advance(29 * aDay)
	r.Run(engine.Request{Full: true})
	diff(t, "deleted after 29 days", []string(nil), deletions(r))
	diff(t, "the day after", []string{"terminate applied"}, kinds(days(r, 1)))
	for _, q := range r.World.Requests() {
		if q.Method == http.MethodDelete && q.Query != "" {
			t.Errorf("%s %s?%s", q.Method, q.Path, q.Query)
		}
	}
	diff(t, "how it stands at the panel", []string{"deleted"}, []string{r.World.Hostings()[0].Status})
	diff(t, "and afterwards", []string(nil), kinds(days(r, 3)))
}

func TestTheLadderBeginsAnewForWhoWasKeptUpForMonths(t *testing.T) {
	r, sub := customer(t, withRetention)
	until := r.World.Now().Add(100 * aDay)
	_, err := r.Store.AddManualHold(t.Context(), reconcile.ManualHold{ID: "hold_1", Kind: reconcile.NoSuspend, Subscription: sub,
		Until: until, Reason: "a friend", Author: "test", Created: r.World.Now()})
	must(t, err)
	must(t, r.World.Cancel(sub))
	r.World.Advance(99 * aDay)
	days(r, 3) // the hold ends, and it is suspended
	diff(t, "deleted", []string(nil), deletions(r))
	diff(t, "suspended", []string{r.World.Plans()[0].Name + " suspended"}, panel(r))
	days(r, 27)
	diff(t, "deleted 29 days later", []string(nil), deletions(r))
	days(r, 3)
	diff(t, "deleted in the end", 1, len(deletions(r)))
}

func TestTheLadderBeginsAnewWhenWhatOwedForMonthsEnds(t *testing.T) {
	r, sub := customer(t, withRetention)
	must(t, r.World.MarkUnpaid(sub))
	r.World.Advance(2 * time.Minute)
	diff(t, "unpaid", []string{"suspend applied"}, kinds(r.Run(engine.Request{})))
	r.World.Advance(200 * aDay)
	days(r, 2)
	diff(t, "deleted while it may still be paid", []string(nil), deletions(r))
	must(t, r.World.Cancel(sub))
	days(r, 29)
	diff(t, "deleted 29 days after the end", []string(nil), deletions(r))
	days(r, 3)
	diff(t, "deleted in the end", 1, len(deletions(r)))
}

func TestTheLadderLeavesToStaffWhatTheySuspended(t *testing.T) {
	r, sub := customer(t, withRetention)
	must(t, r.World.StaffSuspend(r.World.Hostings()[0].ID))
	r.World.Advance(25 * time.Hour)
	r.Run(engine.Request{Full: true})
	must(t, r.World.Cancel(sub))
	r.World.Advance(100 * aDay)
	days(r, 2)
	diff(t, "deleted", []string(nil), deletions(r))
}

func TestTheLadderLetsWhoComesBackOnTheLastDayKeepEverything(t *testing.T) {
	r := one(t, withRetention)
	r.World.Advance(29*aDay + 23*time.Hour)
	signUp(t, r, simulator.SignUp{Email: "a@example.com", Price: priceFor(t, r, plans(r)[0])})
	r.Run(engine.Request{})
	days(r, 3)
	diff(t, "deleted", []string(nil), deletions(r))
	diff(t, "panel", []string{r.World.Plans()[0].Name + " active"}, panel(r))
}

func TestTheLadderTakesOneAtATimeAndTheOthersWaitForAPerson(t *testing.T) {
	r, _ := ended(t, 4, withRetention)
	rep := days(r, 31)
	diff(t, "deleted over the limit", []string(nil), deletions(r))
	diff(t, "held", 4, len(slices.DeleteFunc(kinds(rep), func(k string) bool { return k != "terminate held" })))
	r.World.Advance(time.Minute)
	r.Approve(rep)
	r.World.Advance(time.Minute)
	r.Run(engine.Request{})
	diff(t, "deleted once it was approved", 4, len(deletions(r)))
}

// TestASubscriptionThatGrewUnheardKeepsTheHostingOfAnEndedOne: of two subscriptions
// one ends, and the event of the other, that it pays for two now, gets lost. With
// only the subscriptions of the hosting read again before it goes, it was suspended, and
// up again in the next full run.
func TestASubscriptionThatGrewUnheardKeepsTheHostingOfAnEndedOne(t *testing.T) {
	r, old := customer(t, nil)
	first, _ := r.World.Subscription(old)
	other := signUp(t, r, simulator.SignUp{Customer: first.Customer, Price: priceFor(t, r, plans(r)[0])}).Subscription
	r.Run(engine.Request{})
	diff(t, "up", 2, len(live(r)))
	must(t, r.World.Cancel(old))
	must(t, r.World.SetQuantity(other, "", 2))
	r.World.Advance(2 * time.Minute)
	r.Run(engine.Request{Subscriptions: []string{old}})
	diff(t, "still up", 2, len(live(r)))
	r.Run(engine.Request{Full: true})
	diff(t, "hostings", 2, len(r.World.Hostings()))
}

// TestWhatGoesIsReadLast: whatever else the customer has is read before, so that the
// subscription that has ended and its hosting were read when nothing else was left to
// do. With the others read after them, who pays meanwhile was suspended for as long as
// it takes to read hundreds. And they are read once for all that go: with the one that was just
// read not left out, whether subscription or hosting, this went red.
func TestWhatGoesIsReadLast(t *testing.T) {
	r, first := customer(t, func(o *engine.Options) { o.Concurrency = 1 })
	buyer, _ := r.World.Subscription(first)
	last := ""
	for range 5 {
		last = signUp(t, r, simulator.SignUp{Customer: buyer.Customer, Price: priceFor(t, r, plans(r)[0])}).Subscription
	}
	r.Run(engine.Request{})
	of := map[string]string{} // hosting → subscription
	for _, h := range r.World.Hostings() {
		m, _ := reconcile.MarkerOf(h.FriendlyName)
		of[strconv.Itoa(h.ID)] = m.StripeID
	}
	must(t, r.World.Cancel(first))
	must(t, r.World.Cancel(last))
	r.World.Advance(2 * time.Minute)
	before := len(r.World.Requests())
	r.Run(engine.Request{})
	diff(t, "up", 4, len(live(r)))
	read, times := []string{""}, map[string]int{}
	for _, q := range r.World.Requests()[before:] {
		id := q.Path[strings.LastIndex(q.Path, "/")+1:]
		if n := len(read); q.Method == http.MethodPatch && (read[n-2] != of[id] || read[n-1] != id) {
			t.Errorf("before the suspension of %s were read: %v", id, read)
		}
		read = append(read, id)
		times[id]++
	}
	once := 0 // a gate asks for some of the subscriptions as well
	for hosting, sub := range of {
		if sub == first || sub == last {
			continue
		}
		diff(t, "times that hosting "+hosting+" was read", 1, times[hosting])
		if times[sub] == 1 {
			once++
		}
	}
	if once == 0 {
		t.Errorf("no other subscription was read just once: %v", times)
	}
}
