package adoption

import (
	"errors"
	"strings"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile/adopt"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/server"
)

// Within the service there is no run of adoption's own: the link is stored, and the next run of
// the service writes the marker.
func TestTheServiceLinksAPairAndItsNextRunWritesTheMarker(t *testing.T) {
	o := newOffice(t, nil)
	hosting, done := o.existing("ada")
	o.existing("bob")
	o.rows() // a run of the service has stored both sides
	s := NewService(o.App)
	if rows, at := s.Pairs(); rows != nil || !at.IsZero() {
		t.Fatalf("before the comparison: %v %v", rows, at)
	}
	o.must(s.Compare(t.Context()))
	rows, at := s.Pairs()
	if len(rows) != 2 || rows[0].Decision != adopt.Link || !at.Equal(o.world.Now()) {
		t.Fatalf("%+v at %v", rows, at)
	}
	p := adopt.Pair{Decision: adopt.Link, Subscription: done.Subscription, Hosting: int64(hosting), Plan: 1}
	o.must(s.Decide(t.Context(), p, "ada (admin key 123456)"))
	if left, _ := s.Pairs(); len(left) != 1 || left[0].Hosting == int64(hosting) || o.bound() != 1 || o.marked() != 0 {
		t.Errorf("%+v, %d bound, %d marked", left, o.bound(), o.marked())
	}
	_, err := o.Engine.Run(t.Context(), engine.Request{Trigger: "cron"})
	o.must(err)
	if o.marked() != 1 {
		t.Errorf("%d marked after the run of the service", o.marked())
	}
}

func TestTheServiceRefusesAPairThatHasChanged(t *testing.T) {
	o := newOffice(t, nil)
	hosting, done := o.existing("ada")
	o.rows()
	s := NewService(o.App)
	o.must(s.Compare(t.Context()))
	p := adopt.Pair{Decision: adopt.Link, Subscription: done.Subscription, Hosting: int64(hosting), Plan: 1}
	o.must(o.world.StaffChangePlan(hosting, 2))
	for what, c := range map[string]struct {
		change func(*adopt.Pair)
		why    string
	}{
		"on another plan":    {func(*adopt.Pair) {}, "has come to plan 2 meanwhile"},
		"of another org":     {func(p *adopt.Pair) { p.Org = "6f1c1c5e-52c3-4f0e-9a53-6f5d8f0b7a11" }, "is in org"},
		"without a hosting":  {func(p *adopt.Pair) { p.Hosting = 0 }, "one of them is missing"},
		"with a made-up id":  {func(p *adopt.Pair) { p.Subscription = "sub_none" }, "is not known at Stripe"},
		"without a decision": {func(p *adopt.Pair) { p.Decision = "" }, "the decision is missing"},
	} {
		one := p
		c.change(&one)
		err := s.Decide(t.Context(), one, "ada")
		var no server.Refused
		if !errors.As(err, &no) || !strings.Contains(no.Text, c.why) || strings.HasPrefix(no.Text, "line") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if rows, _ := s.Pairs(); len(rows) != 1 || o.bound() != 0 {
		t.Errorf("%+v, %d bound", rows, o.bound())
	}
}

func TestTwoDoNotCompareTogether(t *testing.T) {
	o := newOffice(t, nil)
	s := NewService(o.App).(*Service)
	s.comparing.Lock()
	if err := s.Compare(t.Context()); !errors.Is(err, fault.Conflict) {
		t.Errorf("%v", err)
	}
	s.comparing.Unlock()
	o.must(s.Compare(t.Context()))
}
