package drills

import (
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/simulator"
)

func mappingsEmptied(t *testing.T) {
	s := open(t, false)
	for price := range s.Plans {
		if _, err := s.Store.DeleteMapping(t.Context(), price); err != nil {
			t.Fatal(err)
		}
	}
	s.day()
	s.nothingMade()
	s.shows("has a hosting but no mapping any more: it stays as it is", "map the price again with `stripe-enhance mappings set price_basic_monthly PLAN`")
	// These two had really cancelled, so the mapping makes no difference to them.
	if up := s.up(); up != people-2 {
		t.Errorf("%d hostings are up, want %d", up, people-2)
	}
	for price, plan := range s.Plans {
		s.Map(price, plan)
	}
	s.mended()
}

func planMissing(t *testing.T) {
	s := open(t, false)
	plan := s.Plans["price_basic_monthly"]
	s.Map("price_basic_monthly", 4711)
	s.day()
	s.nothingMade()
	s.shows(`names the plan "4711", which the panel does not have`, "stripe-enhance mappings set price_basic_monthly PLAN")
	if up := s.up(); up != people-2 {
		t.Errorf("%d hostings are up, want %d", up, people-2)
	}
	s.Map("price_basic_monthly", plan)
	s.mended()
}

func panelRestored(t *testing.T) {
	s := open(t, false)
	for i, sub := range s.subs[people-6:] {
		h := s.hosting(sub)
		s.must(s.World.StaffPurge(h.ID))
		if i >= 3 {
			s.must(s.World.StaffDeleteOrg(h.Org))
		}
	}
	s.World.Advance(25 * time.Hour) // every hosting is compared again
	s.day()
	s.nothingMade()
	s.shows("the panel no longer has it: it is not made again by itself", "restore it in the panel")
	if up := s.up(); up != people-6-2 {
		t.Errorf("%d hostings are up, want %d", up, people-6-2)
	}
}

func otherPanel(t *testing.T) {
	for name, with := range map[string]settings{"another address": {panelURL: "http://panel.example/api"}, "the same address, emptied": {}} {
		t.Run(name, func(t *testing.T) {
			s := open(t, false)
			other := simulator.New(simulator.Options{Calm: true, Seed: 5, Start: s.World.Now(), EnhanceToken: s.World.EnhanceToken(), OrgID: s.World.OrgID()})
			other.Offer()
			s.panelIs = other
			s.restart(with)
			newcomer := s.signUp("newcomer")
			s.next()
			s.day()
			s.nobodyLost()
			s.nothingMade()
			s.shows("nothing was done", "Put the right ENHANCE_API_URL and ENHANCE_ORG_ID back")
			s.notifies("nothing at all is done")
			s.panelIs = s.World
			s.connect()
			s.next()
			s.next()
			if done := s.effects("create_subscription"); len(done) != 1 {
				t.Errorf("the newcomer (%s) got %v", newcomer, done)
			}
		})
	}
}

func otherOrganisation(t *testing.T) {
	s := open(t, false)
	s.restart(settings{org: "11111111-2222-4333-8444-555555555555"})
	s.signUp("newcomer")
	s.next()
	s.day()
	s.nobodyLost()
	s.nothingMade()
	s.shows("The run failed", "enhance:")
	s.notifies("runs failed")
	s.connect()
	s.screen.Reset()
	s.next()
	s.World.Advance(2 * time.Hour)
	s.next()
	if made := s.effects("create_subscription"); len(made) != 1 || s.up() != people-2+1 {
		t.Errorf("with the id put back the newcomer got %v, and %d hostings are up, want %d\n%s", made, s.up(), people-2+1, s.screen.String())
	}
}

func readsFail(t *testing.T) {
	s := open(t, false)
	s.signUp("newcomer")
	s.down(simulator.Enhance, func(c simulator.Call) bool { return !c.Write() })
	s.World.Advance(25 * time.Hour)
	s.next()
	s.day()
	s.nobodyLost()
	s.nothingMade()
	s.shows("The run failed", "enhance: GET")
	s.World.SetFault(nil)
	s.next()
	s.World.Advance(2 * time.Hour)
	s.next()
	if up := s.up(); up != people-2+1 {
		t.Errorf("%d hostings are up, want %d\n%s", up, people-2+1, s.screen.String())
	}
}

func enhanceDown(t *testing.T) {
	s := open(t, false)
	s.signUp("newcomer")
	s.down(simulator.Enhance, nil)
	for range 12 {
		s.next()
		s.World.Advance(2 * time.Hour)
	}
	s.nobodyLost()
	s.nothingMade()
	s.shows("The run failed", "enhance: GET")
	s.notifies("runs failed")
	s.World.SetFault(nil)
	s.screen.Reset()
	s.next()
	s.World.Advance(2 * time.Hour)
	if rep := s.next(); !rep.Converged() || s.up() != people-2+1 {
		t.Errorf("%d hostings are up, want %d; no customer was to be parked\n%s", s.up(), people-2+1, s.screen.String())
	}
}
