package planner_test

import (
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

func TestAnUpgradeThatIsNotPaidWaitsIfTheSettingsAskForIt(t *testing.T) {
	open := func(s *reconcile.Subscription) { s.UnpaidChange = noon }
	late := func(s *reconcile.Subscription) {
		s.Status, s.StatusText, s.Lapse = reconcile.StatusPastDue, "past_due", reconcile.Lapse{Seen: noon, Since: noon}
	}
	for _, tt := range []struct {
		name       string
		from       int
		price      string
		hold       bool
		change     func(*reconcile.Subscription)
		held, asks bool
	}{
		{"paid", 1, "price_pro", true, func(*reconcile.Subscription) {}, false, false},
		{"its invoice is open", 1, "price_pro", true, open, true, false},
		{"past_due", 1, "price_pro", true, late, true, false},
		{"the settings do not ask for it", 1, "price_pro", false, open, false, false},
		{"a smaller plan", 2, "price_basic", true, open, false, false},
		{"listed, so its invoices are not known", 1, "price_pro", true, func(s *reconcile.Subscription) { s.ByID = false }, false, true},
		{"read long ago", 1, "price_pro", true, func(s *reconcile.Subscription) { open(s); s.ReadAt = noon.Add(-time.Hour) }, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := world(func(c *reconcile.Customer) {
				s := &c.Subscriptions[0]
				s.Items[0].Price, s.ReadAt = tt.price, noon
				c.Hostings[0].Plan = tt.from
				tt.change(s)
			})
			p := policy()
			p.HoldUnpaidUpgrade = tt.hold
			d := planner.Decide(&c, catalog(), p, noon)
			if changes := actionOf(d, reconcile.ChangePlan) != nil; changes == tt.held || heldAs(d, reconcile.HoldUnpaidUpgrade, "hosting 7 stays on plan") != tt.held {
				t.Errorf("changes the plan: %v: %+v", changes, d)
			}
			if asks := len(d.Needs) == 1 && d.Needs[0] == (planner.Need{Kind: planner.NeedSubscription, Subscription: "sub_1"}); asks != tt.asks {
				t.Errorf("it asks for %+v", d.Needs)
			}
		})
	}
}

func TestASecondTrialWaitsIfTheSettingsAskForIt(t *testing.T) {
	for _, tt := range []struct {
		name   string
		one    bool
		change func(first, second *reconcile.Subscription)
		held   bool
	}{
		{"the first goes on", true, func(_, _ *reconcile.Subscription) {}, true},
		{"the first has ended", true, func(first, _ *reconcile.Subscription) {
			first.Status, first.EndedAt = reconcile.StatusCanceled, noon.Add(-time.Hour)
		}, true},
		{"the first had no trial", true, func(first, _ *reconcile.Subscription) {
			first.Status, first.TrialStart = reconcile.StatusActive, time.Time{}
		}, false},
		{"the second is active by now", true, func(_, second *reconcile.Subscription) { second.Status = reconcile.StatusActive }, false},
		{"a person has allowed it", true, func(_, second *reconcile.Subscription) { second.IsNewOrder = true }, false},
		{"the settings do not ask for it", false, func(_, _ *reconcile.Subscription) {}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := world(func(c *reconcile.Customer) {
				another(c, "2", reconcile.StatusTrialing, "price_basic").TrialStart = noon
				first := &c.Subscriptions[0]
				first.Status, first.StatusText, first.TrialStart = reconcile.StatusTrialing, "trialing", noon.Add(-240*time.Hour)
				tt.change(first, &c.Subscriptions[1])
			})
			p := policy()
			p.OneTrial = tt.one
			d := planner.Decide(&c, catalog(), p, noon)
			served := actionOf(d, reconcile.CreateSubscription) != nil || actionOf(d, reconcile.Link) != nil
			if served == tt.held || heldAs(d, reconcile.HoldTrial, "sub_2 is in trial, and its customer had a trial with sub_1") != tt.held {
				t.Errorf("served: %v: %+v", served, d)
			}
			for _, h := range d.Holds {
				if h.Kind == reconcile.HoldTrial && h.Subscription == "sub_1" {
					t.Errorf("the first is held: %+v", h)
				}
			}
		})
	}
}

// A hosting that a second trial has, from the time before the setting, is not taken away.
func TestASecondTrialKeepsWhatItHas(t *testing.T) {
	c := world(func(c *reconcile.Customer) {
		s := another(c, "2", reconcile.StatusCanceled, "price_basic")
		s.TrialStart, s.EndedAt = noon.Add(-240*time.Hour), noon.Add(-time.Hour)
		c.Subscriptions[0].Status, c.Subscriptions[0].TrialStart = reconcile.StatusTrialing, noon
	})
	p := policy()
	p.OneTrial = true
	if d := planner.Decide(&c, catalog(), p, noon); len(d.Actions) > 0 || !heldAs(d, reconcile.HoldTrial, "sub_1") {
		t.Errorf("%+v", d)
	}
}
