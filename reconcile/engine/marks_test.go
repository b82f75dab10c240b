package engine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// staffMade is a hosting that staff made.
func staffMade(t *testing.T, r *testenv.Env, org string, plan int, name string) reconcile.Hosting {
	t.Helper()
	id, err := r.World.StaffCreateHosting(org, plan, name)
	must(t, err)
	return reconcile.Hosting{ID: int64(id), Org: org, Plan: plan, State: reconcile.HostingActive, FriendlyName: name, ObservedAt: r.World.Now()}
}

// bound is a customer whose hosting was made by hand, and that a person has just bound.
func bound(t *testing.T, r *testenv.Env) (ada simulator.SignedUp, h reconcile.Hosting) {
	t.Helper()
	plan := plans(r)[0]
	h = staffMade(t, r, r.World.StaffCreateOrg("Ada", "ada@example.com"), plan, "Mine")
	ada = signUp(t, r, simulator.SignUp{Email: "ada@example.com", Name: "Ada", Price: priceFor(t, r, plan)})
	r.Run(engine.Request{})
	say(t, r, reconcile.Instruction{Kind: reconcile.InstructBind, Subscription: ada.Subscription, Hosting: h})
	return ada, h
}

var marking = []reconcile.ActionKind{reconcile.Link, reconcile.MarkHosting}

// A database that is lost finds the hosting by the marker, and the next run of the new one
// has nothing to do.
func TestALostDatabaseFindsWhatAPersonHasBound(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	ada, _ := bound(t, r)
	r.Run(engine.Request{})
	if name := r.World.Hostings()[0].FriendlyName; name != "Mine ["+ada.Subscription+"/1]" {
		t.Fatalf("the hosting is called %q", name)
	}
	lost := testenv.New(t, testenv.Options{World: simulator.Options{}})
	lost.World, lost.Plans = r.World, r.Plans
	lost.Open()
	for range 3 {
		r.World.Advance(2 * time.Minute)
		lost.Run(engine.Request{Full: true})
	}
	diff(t, "panel", []string{"Mine active"}, firstWords(r))
	if rep := lost.Run(engine.Request{Full: true}); !rep.Converged() {
		t.Errorf("not converged: %+v", rep.Holds)
	}
}

func firstWords(r *testenv.Env) (all []string) {
	for _, h := range r.World.Hostings() {
		name, _, _ := strings.Cut(h.FriendlyName, " ")
		all = append(all, name+" "+h.Status)
	}
	return all
}

// A run for some kinds of actions does nothing else, not even to a customer whose hosting
// would go, and leaves the rest to the next run.
func TestARunOfSomeKindsDoesNothingElse(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	ada, _ := bound(t, r)
	must(t, r.World.MarkUnpaid(ada.Subscription))
	r.World.Advance(2 * time.Minute)
	rep := r.Run(engine.Request{Subscriptions: []string{ada.Subscription}, Kinds: marking})
	diff(t, "with the markers alone", []string{"link applied", "mark_hosting applied", "suspend planned"}, kinds(rep))
	if h := r.World.Hostings()[0]; h.SuspendedBy != "" {
		t.Errorf("suspended in the run that was to write markers: %+v", h)
	}
	r.World.Advance(2 * time.Minute)
	rep = r.Run(engine.Request{})
	diff(t, "in the next run", []string{"suspend applied"}, kinds(rep))
}

// A run that only looks plans for no customer, and a run after it has all to do.
func TestALookPlansNothing(t *testing.T) {
	r := testenv.New(t, testenv.Options{})
	signUp(t, r, simulator.SignUp{Email: "ada@example.com", Name: "Ada", Price: priceFor(t, r, plans(r)[0])})
	rep := r.Run(engine.Request{Full: true, Dry: true, Look: true})
	diff(t, "actions of a look", []string(nil), kinds(rep))
	if counts, err := r.Store.Counts(t.Context()); err != nil || counts.Subscriptions != 1 {
		t.Errorf("it has read %d subscriptions: %v", counts.Subscriptions, err)
	}
	diff(t, "hostings", 0, len(r.World.Hostings()))
	r.Run(engine.Request{})
	diff(t, "hostings after a run", 1, len(r.World.Hostings()))
}
