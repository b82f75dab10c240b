package drills

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// notified counts how often people were notified of something.
func (s *stage) notified(text string) int { return strings.Count(s.news.String(), text) }

// largeOrder is a trial for thirty hostings, which must not delay a customer who pays for
// one.
func largeOrder(t *testing.T) {
	s := open(t, false)
	s.change = func(o *engine.Options) { o.Brakes = planner.DefaultBrakes() }
	s.connect()
	s.next() // the two who cancelled
	s.curtain()
	_, err := s.World.SignUp(simulator.SignUp{Email: "trial@example.com", Trial: 14 * 24 * time.Hour,
		Lines: []simulator.Line{{Price: "price_basic_monthly", Quantity: 30}}})
	s.must(err)
	plans := map[string]bool{}
	for i := range 7 {
		s.signUp(fmt.Sprintf("payer%d", i))
		for _, p := range s.next().Plans {
			plans[p.ID] = true
		}
	}
	s.nobodyLost()
	if up := s.up(); up != people-2+7 {
		t.Errorf("%d hostings are up while the order waits, want %d\n%s", up, people-2+7, s.screen.String())
	}
	s.shows("30 × create_subscription for cus_", "more than the 10 that one customer plausibly orders", "stripe-enhance approve")
	if n := s.notified("the brake holds"); n != 1 || len(plans) != 1 {
		t.Errorf("notified %d times, of %d plans:\n%s", n, len(plans), s.news.String())
	}
	s.Approve(s.next())
	s.next()
	if up := s.up(); up != people-2+7+30 {
		t.Errorf("%d hostings are up after the approval, want %d\n%s", up, people-2+7+30, s.screen.String())
	}
}

// fewerLater lets most of those who cancelled come back before a person has looked: the few
// who are left would have been suspended without notice.
func fewerLater(t *testing.T) {
	s := open(t, false)
	s.next()
	s.curtain()
	gone := s.subs[2:12]
	for _, sub := range gone {
		s.must(s.World.MarkUnpaid(sub))
	}
	held := s.next()
	for _, sub := range gone[3:] {
		s.must(s.World.Pay(sub))
	}
	s.day()
	s.change = func(o *engine.Options) { o.Brakes.Suspend = planner.Limit{Count: 1000} }
	s.connect()
	s.day()
	s.nobodyLost()
	s.shows("10 × suspend in one run, more than the limit of 5", "stripe-enhance approve "+held.Plans[0].ID)
	if n := s.notified("the brake holds"); n != 1 {
		t.Errorf("notified %d times:\n%s", n, s.news.String())
	}
	last := s.next()
	if len(last.Plans) != 1 || last.Plans[0].ID != held.Plans[0].ID || last.Plans[0].Size() != 3 {
		t.Errorf("what waits in the end: %+v", last.Plans)
	}
	s.Approve(last)
	s.next()
	if up := s.up(); up != people-2-3 {
		t.Errorf("%d hostings are up after the approval, want %d\n%s", up, people-2-3, s.screen.String())
	}
}
