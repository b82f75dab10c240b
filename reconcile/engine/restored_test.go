package engine_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// keepDatabase keeps a copy of the database, and returns what puts it back.
func keepDatabase(t *testing.T, r *testenv.Env, file string) (putBack func()) {
	t.Helper()
	r.Close()
	files := []string{file, file + "-wal"}
	kept := map[string][]byte{}
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil {
			kept[f] = b
		}
	}
	r.Open()
	return func() {
		r.Close()
		for _, f := range append(files, file+"-shm", file+".lock") {
			_ = os.Remove(f)
		}
		for f, b := range kept {
			must(t, os.WriteFile(f, b, 0o600))
		}
		r.Open()
	}
}

// fallen is a company of three whose database forgets that two of them were suspended:
// V pays before the next run, W after it, and U does not pay. X always has.
func fallen(t *testing.T, word string) (r *testenv.Env, v, w, u simulator.SignedUp) {
	file := filepath.Join(t.TempDir(), "state.db")
	r = testenv.New(t, testenv.Options{Database: "sqlite:" + file, Engine: func(o *engine.Options) { o.Policy.Instance = word }})
	price := priceFor(t, r, plans(r)[0])
	v = signUp(t, r, simulator.SignUp{Email: "v@example.com", Price: price})
	w = signUp(t, r, simulator.SignUp{Email: "w@example.com", Price: price})
	u = signUp(t, r, simulator.SignUp{Email: "u@example.com", Price: price})
	signUp(t, r, simulator.SignUp{Email: "x@example.com", Price: price})
	r.Run(engine.Request{Full: true})
	r.World.Advance(2 * time.Minute)
	r.Run(engine.Request{})
	putBack := keepDatabase(t, r, file)
	for _, s := range []simulator.SignedUp{v, w, u} {
		must(t, r.World.MarkUnpaid(s.Subscription))
	}
	r.World.Advance(2 * time.Minute)
	r.Run(engine.Request{})
	diff(t, "up after they stopped paying", 1, len(live(r)))
	for _, h := range r.World.Hostings() {
		diff(t, "marked in the call that suspended it", h.SuspendedBy != "", strings.Contains(h.FriendlyName, "(suspended) ["))
	}
	putBack()
	must(t, r.World.Pay(v.Subscription))
	return r, v, w, u
}

// TestADatabaseThatFellBackKeepsNobodyDownInSilence: V was reported as converged, and W
// to be suspended by staff.
func TestADatabaseThatFellBackKeepsNobodyDownInSilence(t *testing.T) {
	for _, word := range []string{"", "shop"} {
		for _, request := range []engine.Request{{}, {Full: true}, {Full: true, Scheduled: true}} {
			r, v, w, _ := fallen(t, word)
			r.World.Advance(2 * time.Minute)
			rep := r.Run(request)
			diff(t, "held", []string{"perhaps_ours", "brake"}, holdKinds(rep))
			diff(t, "whose", v.Subscription, rep.Holds[0].Subscription)
			diff(t, "told", 1, notes(rep, "this database was put back to an old copy"))
			diff(t, "gates", 1, len(rep.Run.Gates))
			diff(t, "plans", reconcile.Resume, rep.Plans[0].Kind)
			must(t, r.World.Pay(w.Subscription))
			r.World.Advance(2 * time.Minute)
			rep = r.Run(request)
			diff(t, "held when both have paid", []string{"perhaps_ours", "perhaps_ours", "brake", "brake"}, holdKinds(rep))
			diff(t, "up before anybody approved", 1, len(live(r)))
			diff(t, "one plan of both", 2, rep.Plans[0].Size())
			diff(t, "as before", reconcile.Resume, rep.Plans[0].Kind)
			r.Approve(rep)
			r.World.Advance(time.Minute)
			rep = r.Run(request)
			diff(t, "up after one approval", 3, len(live(r)))
			diff(t, "converged", true, rep.Converged())
			for _, h := range r.World.Hostings() {
				diff(t, "marked", h.SuspendedBy != "", strings.Contains(h.FriendlyName, "(suspended)"))
			}
		}
	}
}

// TestWhatStaffSuspendedIsTheirs after a fall-back as before it, also where our mark was
// left in the name; and a word that people wrote is no mark.
func TestWhatStaffSuspendedIsTheirs(t *testing.T) {
	r, v, w, _ := fallen(t, "")
	for _, h := range r.World.Hostings() {
		if strings.Contains(h.FriendlyName, v.Subscription) { // our mark stays in the name
			must(t, r.World.StaffResume(h.ID))
			must(t, r.World.StaffSuspend(h.ID))
		}
		if strings.Contains(h.FriendlyName, w.Subscription) {
			must(t, r.World.StaffResume(h.ID))
			must(t, r.World.StaffRename(h.ID, "My site (suspended) in winter ["+w.Subscription+"/1]"))
			must(t, r.World.StaffSuspend(h.ID))
		}
	}
	must(t, r.World.Pay(w.Subscription))
	for range 3 {
		r.World.Advance(2 * time.Minute)
		rep := r.Run(engine.Request{Full: true})
		diff(t, "held", []string{"foreign_suspension", "foreign_suspension"}, holdKinds(rep))
		if n := len(rep.Plans); n > 0 {
			r.Approve(rep)
		}
	}
	diff(t, "up", 1, len(live(r)))
}

// TestEverythingIsLookedAtOnceAFallBackIsNoticed: nothing shows that this database has
// forgotten the others.
func TestEverythingIsLookedAtOnceAFallBackIsNoticed(t *testing.T) {
	r, _, _, u := fallen(t, "")
	must(t, r.World.Pay(u.Subscription))
	r.World.Advance(time.Minute)
	r.Run(engine.Request{})
	for _, h := range r.World.Hostings() {
		if h.SuspendedBy == "" {
			must(t, r.World.StaffSuspend(h.ID))
		}
	}
	r.World.Advance(time.Minute)
	before := r.Panel.Requests()
	diff(t, "held", []string{"foreign_suspension", "perhaps_ours", "perhaps_ours", "brake", "brake"}, holdKinds(r.Run(engine.Request{})))
	if n := r.Panel.Requests() - before; n < 4 {
		t.Errorf("%d requests to look at four hostings", n)
	}
	r.World.Advance(time.Minute)
	before = r.Panel.Requests()
	rep := r.Run(engine.Request{})
	diff(t, "noticed once", 0, notes(rep, "put back to an old copy"))
	diff(t, "looked at once", true, r.Panel.Requests()-before < 4)
}

// TestANameWithoutAMarkerIsMarkedAsWell: staff took the marker off, the binding stands.
func TestANameWithoutAMarkerIsMarkedAsWell(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state.db")
	r := testenv.New(t, testenv.Options{Database: "sqlite:" + file})
	s := signUp(t, r, simulator.SignUp{Email: "v@example.com", Price: priceFor(t, r, plans(r)[0])})
	r.Run(engine.Request{Full: true})
	must(t, r.World.StaffRename(r.World.Hostings()[0].ID, "My site"))
	r.World.Advance(25 * time.Hour)
	r.Run(engine.Request{})
	putBack := keepDatabase(t, r, file)
	must(t, r.World.MarkUnpaid(s.Subscription))
	r.World.Advance(2 * time.Minute)
	r.Run(engine.Request{})
	diff(t, "its name while it is down", "My site (suspended) [stripe-enhance]", r.World.Hostings()[0].FriendlyName)
	putBack()
	must(t, r.World.Pay(s.Subscription))
	r.World.Advance(2 * time.Minute)
	rep := r.Run(engine.Request{})
	diff(t, "held", []string{"perhaps_ours", "brake"}, holdKinds(rep))
	r.Approve(rep)
	diff(t, "converged", true, r.Run(engine.Request{}).Converged())
	diff(t, "its name", "My site", r.World.Hostings()[0].FriendlyName)
	diff(t, "up", "", r.World.Hostings()[0].SuspendedBy)
}

// TestANamedSubscriptionIsLookedAt, though nothing has changed at Stripe.
func TestANamedSubscriptionIsLookedAt(t *testing.T) {
	r, v, _, _ := fallen(t, "")
	r.World.Advance(time.Minute)
	rep := r.Run(engine.Request{Subscriptions: []string{v.Subscription}})
	diff(t, "held", []string{"perhaps_ours", "brake"}, holdKinds(rep))
}

// A panel that takes no other name: the suspension and its end go on without one. With
// the refusal taken for that of the resume put in once, this went red.
func TestNobodyWhoPaysStaysDownForAName(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	s := signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0])})
	r.Run(engine.Request{})
	refuse := func() {
		r.Fail(simulator.NotDone(400), func(c simulator.Call) bool {
			return c.Method == "PATCH" && strings.Contains(string(c.Body), "friendlyName")
		})
	}
	refuse()
	must(t, r.World.MarkUnpaid(s.Subscription))
	r.World.Advance(2 * time.Minute)
	diff(t, "not paid", []string{"suspend applied"}, kinds(r.Run(engine.Request{})))
	must(t, r.World.Pay(s.Subscription))
	r.World.Advance(2 * time.Minute)
	diff(t, "paid", []string{"resume applied"}, kinds(r.Run(engine.Request{})))
	r.World.SetFault(nil)
	must(t, r.World.MarkUnpaid(s.Subscription))
	r.World.Advance(2 * time.Minute)
	r.Run(engine.Request{})
	refuse()
	must(t, r.World.Pay(s.Subscription))
	r.World.Advance(2 * time.Minute)
	diff(t, "paid, with the mark in the name", []string{"resume applied"}, kinds(r.Run(engine.Request{})))
	diff(t, "up", 1, len(live(r)))
}
