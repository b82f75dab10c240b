package drills

import (
	"net/http"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

const listing = "GET /v1/subscriptions"

// listsAs applies a fault to every listing of subscriptions.
func (s *stage) listsAs(f simulator.Fault) {
	s.World.SetFault(func(c simulator.Call) simulator.Fault {
		if c.Side == simulator.Stripe && c.Route == listing {
			return f
		}
		return simulator.Fault{}
	})
}

func emptyAndHalf(t *testing.T) {
	for name, fault := range map[string]simulator.Fault{"an empty list": simulator.EmptyList(), "half a list": simulator.HalfList()} {
		t.Run(name, func(t *testing.T) {
			s := open(t, false)
			s.listsAs(fault)
			s.day()
			s.nobodyLost()
			s.nothingMade()
			s.shows("the listing is not complete", "run `stripe-enhance reconcile --full`")
			s.notifies("nothing is taken away at present")
			// The verdict outlives the fault: the runs of every minute do not believe
			// the mirror that a short listing has left behind.
			s.World.SetFault(nil)
			s.curtain()
			s.next()
			s.nobodyLost()
			s.shows("nothing is taken away in this run", "This stands since")
			s.mended()
		})
	}
}

// vanished are subscriptions that disappear because test data is wiped, or because only
// part of an account can be read. They and all others keep their hostings, however often
// Stripe is read, and even if the disappearance is real.
func vanished(t *testing.T) {
	unknown := func(s *stage, is bool) {
		for _, id := range s.subs[10:14] {
			s.must(s.World.Edit(id, func(sub *simulator.Subscription) { sub.Unknown = is }))
		}
	}
	gone := func(t *testing.T) *stage {
		s := open(t, false)
		unknown(s, true)
		s.day()
		s.World.Advance(20 * time.Hour)
		s.day()
		s.nobodyLost()
		s.nothingMade()
		s.shows("4 known ones are not there any more, though none ever vanishes at Stripe", "nothing is taken away in this run", "This stands since",
			"does not exist at Stripe, though a hosting is bound to it", "add --accept-listing")
		s.notifies("nothing is taken away at present")
		return s
	}
	t.Run("by mistake", func(t *testing.T) {
		s := gone(t)
		unknown(s, false)
		s.mended()
	})
	t.Run("in truth", func(t *testing.T) {
		s := gone(t)
		s.screen.Reset()
		s.run(engine.Request{Full: true, Accept: true})
		s.shows("accepted because of --accept-listing")
		s.mended() // the vanished ones stay up, because a vanished subscription takes nothing away
	})
}

func emptyObject(t *testing.T) {
	s := open(t, false)
	s.World.SetFault(func(c simulator.Call) simulator.Fault {
		if c.Side == simulator.Stripe {
			return simulator.EmptyObject()
		}
		return simulator.Fault{}
	})
	s.day()
	s.nobodyLost()
	s.nothingMade()
	s.shows("The run failed", "a page whose object is")
	s.notifies("runs failed")
	s.World.SetFault(nil)
	s.mended()
}

// strangers is another company, with customers of its own who pay for the same
// prices, and some who do not.
func strangers(t *testing.T, o simulator.Options) *simulator.World {
	t.Helper()
	o.Calm = true
	w := simulator.New(o)
	w.Offer()
	for _, who := range []string{"stranger1", "stranger2", "customer05"} {
		done, err := w.SignUp(simulator.SignUp{Email: who + "@example.com", Price: "price_basic_monthly"})
		if err != nil {
			t.Fatal(err)
		}
		if who == "customer05" { // because this one left them and is a customer of ours
			if err := w.Cancel(done.Subscription); err != nil {
				t.Fatal(err)
			}
		}
	}
	return w
}

// wrongAccount connects to another account in one of several ways. The program
// recognises each of them, so it believes nothing and does nothing.
func (s *stage) wrongAccount() {
	s.t.Helper()
	s.day()
	_, _ = s.Engine.Run(s.t.Context(), engine.Request{Subscriptions: s.subs[:2], Trigger: "cli"})
	s.next()
	s.nobodyLost()
	s.nothingMade()
	s.shows("nothing was done", "the key belongs to another account or mode", "Put the right STRIPE_SECRET_KEY and STRIPE_API_URL back")
	s.notifies("nothing at all is done")
}

func otherAccount(t *testing.T) {
	s := open(t, false)
	s.stripeIs = strangers(t, simulator.Options{Seed: 99, Start: s.World.Now()})
	s.restart(settings{key: s.stripeIs.StripeKey()})
	s.wrongAccount()
	s.stripeIs = s.World
	s.connect()
	s.mended()
}

func testKey(t *testing.T) {
	s := open(t, true)
	s.stripeIs = strangers(t, simulator.Options{Seed: 99, Start: s.World.Now()})
	s.restart(settings{key: s.stripeIs.StripeKey()})
	s.wrongAccount()
	s.stripeIs = s.World
	s.connect()
	s.mended()
}

func swappedAccount(t *testing.T) {
	for name, with := range map[string]settings{"same address": {}, "another address": {stripeURL: "http://proxy.example"}} {
		t.Run(name, func(t *testing.T) {
			s := open(t, false)
			s.stripeIs = strangers(t, simulator.Options{Seed: 99, Start: s.World.Now(), StripeKey: s.World.StripeKey()})
			s.restart(with)
			s.wrongAccount()
			s.stripeIs = s.World
			s.connect()
			s.mended()
		})
	}
}

// down answers every call to a side with 503.
func (s *stage) down(side simulator.Side, only func(simulator.Call) bool) {
	s.World.SetFault(func(c simulator.Call) simulator.Fault {
		if c.Side == side && (only == nil || only(c)) {
			return simulator.NotDone(http.StatusServiceUnavailable)
		}
		return simulator.Fault{}
	})
}
