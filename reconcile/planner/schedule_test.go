package planner_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// A schedule is forecast where it changes what is bought, on the day of the phase, and only
// where hosting is bought before or after it.
func TestAScheduleIsForecastWhereItConcernsHosting(t *testing.T) {
	const day = 24 * time.Hour
	item := func(price string, n int64) []reconcile.Item { return []reconcile.Item{{Price: price, Quantity: n}} }
	phase := func(from time.Duration, items []reconcile.Item) reconcile.Phase {
		return reconcile.Phase{Start: noon.Add(from), End: noon.Add(from + 30*day), Items: items}
	}
	basic, pro, other := item("price_basic", 1), item("price_pro", 1), item("price_news", 1)
	for _, tc := range []struct {
		name    string
		sc      reconcile.Schedule
		kind    reconcile.ForecastKind // "": no forecast
		at      time.Duration
		reasons string
	}{
		{"an upgrade", reconcile.Schedule{Subscription: "sub_1", Phases: []reconcile.Phase{phase(-10*day, basic), phase(20*day, pro)}}, reconcile.ForecastPlanChange, 20 * day,
			`sub_1 changes from 1 × price_basic (plan "Basic") to 1 × price_pro (plan "Pro"), as the schedule sub_sched_1 at Stripe has it`},
		{"a change that is made", reconcile.Schedule{Subscription: "sub_1", Phases: []reconcile.Phase{phase(-40*day, basic), phase(-10*day, pro)}}, "", 0, ""},
		{"a change just now", reconcile.Schedule{Subscription: "sub_1", Phases: []reconcile.Phase{phase(-40*day, basic), phase(0, pro)}}, "", 0, ""},
		{"a phase without a change", reconcile.Schedule{Subscription: "sub_1", Phases: []reconcile.Phase{phase(-10*day, basic), phase(20*day, basic)}}, "", 0, ""},
		{"the same in two items", reconcile.Schedule{Subscription: "sub_1", Phases: []reconcile.Phase{phase(-10*day, item("price_basic", 2)),
			phase(20*day, append(item("price_basic", 1), item("price_basic", 1)...))}}, "", 0, ""},
		{"more of the same", reconcile.Schedule{Subscription: "sub_1", Phases: []reconcile.Phase{phase(-10*day, basic), phase(20*day, item("price_basic", 3))}},
			reconcile.ForecastPlanChange, 20 * day, `to 3 × price_basic`},
		{"a newsletter", reconcile.Schedule{Subscription: "sub_1", Phases: []reconcile.Phase{phase(-10*day, other), phase(20*day, item("price_news", 2))}}, "", 0, ""},
		{"to what has no mapping", reconcile.Schedule{Subscription: "sub_1", Phases: []reconcile.Phase{phase(-10*day, basic), phase(20*day, other)}},
			reconcile.ForecastPlanChange, 20 * day, `to 1 × price_news (no mapping)`},
		{"to a plan that is gone", reconcile.Schedule{Subscription: "sub_1", Phases: []reconcile.Phase{phase(-10*day, other), phase(20*day, item("price_number", 1))}},
			reconcile.ForecastPlanChange, 20 * day, `to 1 × price_number (its plan is not at the panel)`},
		{"by the lookup key", reconcile.Schedule{Subscription: "sub_1", Phases: []reconcile.Phase{phase(-10*day, other), phase(20*day, []reconcile.Item{{Price: "price_9", LookupKey: "gold", Quantity: 1}})}},
			reconcile.ForecastPlanChange, 20 * day, `1 × price_9 (plan "Gold")`},
		{"one that begins", reconcile.Schedule{Phases: []reconcile.Phase{phase(3*day, basic)}}, reconcile.ForecastPlanChange, 3 * day,
			`a subscription to 1 × price_basic (plan "Basic") begins, as the schedule sub_sched_1 at Stripe has it`},
		{"one that ends", reconcile.Schedule{Subscription: "sub_1", Cancels: true, Phases: []reconcile.Phase{phase(-10*day, basic)}}, reconcile.ForecastCancel, 20 * day,
			"sub_1 ends at 2026-03-21 12:00 UTC, with the last phase of the schedule sub_sched_1 at Stripe"},
		{"a newsletter that ends", reconcile.Schedule{Subscription: "sub_1", Cancels: true, Phases: []reconcile.Phase{phase(-10*day, other)}}, "", 0, ""},
		{"nothing at all", reconcile.Schedule{Subscription: "sub_1", Cancels: true}, "", 0, ""},
	} {
		tc.sc.ID, tc.sc.StripeCustomer = "sub_sched_1", "cus_1"
		all := planner.ForecastSchedule(&tc.sc, catalog(), noon)
		switch {
		case tc.kind == "" && len(all) > 0:
			t.Errorf("%s: %+v", tc.name, all)
		case tc.kind == "":
		case len(all) != 1 || all[0].Kind != tc.kind || !all[0].At.Equal(noon.Add(tc.at)) || !strings.Contains(all[0].Reason, tc.reasons) ||
			all[0].Customer != "cus_1" || all[0].Subscription != tc.sc.Subscription || all[0].Source == "":
			t.Errorf("%s: %+v", tc.name, all)
		}
	}
}

// Two changes by one schedule are two events, whatever their order is.
func TestTheChangesOfAScheduleAreToldApart(t *testing.T) {
	sc := reconcile.Schedule{ID: "sub_sched_1", StripeCustomer: "cus_1", Subscription: "sub_1"}
	for i, price := range []string{"price_basic", "price_pro", "price_basic"} {
		sc.Phases = append(sc.Phases, reconcile.Phase{Start: noon.Add(time.Duration(i) * time.Hour), Items: []reconcile.Item{{Price: price, Quantity: 1}}})
	}
	all := planner.ForecastSchedule(&sc, catalog(), noon)
	if len(all) != 2 || all[0].Source == all[1].Source || planner.CompareForecast(all[0], all[1]) >= 0 {
		t.Errorf("%+v", all)
	}
}

// A hold for a time is forecast with its end, also one that leaves the customer alone; one
// without an end, and one that has ended, are not.
func TestTheEndOfAHoldIsForecast(t *testing.T) {
	until := noon.Add(48 * time.Hour)
	for name, tc := range map[string]struct {
		m    reconcile.ManualHold
		want string
	}{
		"a hold of the customer":     {reconcile.ManualHold{ID: "hold_1", Customer: "cus_1", Kind: reconcile.NoSuspend, Author: "ops", Reason: "on holiday", Until: until}, "the hold no-suspend by ops ends (on holiday)"},
		"a hold of the subscription": {reconcile.ManualHold{ID: "hold_1", Subscription: "sub_1", Kind: reconcile.KeepSuspended, Author: "ops", Until: until}, "the hold keep-suspended by ops ends: the next run"},
		"left alone":                 {reconcile.ManualHold{ID: "hold_1", Customer: "cus_1", Kind: reconcile.Ignore, Author: "ops", Until: until}, "the hold ignore by ops ends"},
		"until it is removed":        {reconcile.ManualHold{ID: "hold_1", Customer: "cus_1", Kind: reconcile.Ignore, Author: "ops"}, ""},
		"ended":                      {reconcile.ManualHold{ID: "hold_1", Customer: "cus_1", Kind: reconcile.Ignore, Author: "ops", Until: noon}, ""},
	} {
		c := world(func(c *reconcile.Customer) { c.Manual = []reconcile.ManualHold{tc.m} })
		all := planner.Decide(&c, catalog(), policy(), noon).Forecast
		switch {
		case tc.want == "" && len(all) > 0:
			t.Errorf("%s: %+v", name, all)
		case tc.want == "":
		case len(all) != 1 || all[0].Kind != reconcile.ForecastHoldEnd || !all[0].At.Equal(until) || !strings.HasPrefix(all[0].Reason, tc.want) ||
			all[0].Customer != "cus_1" || all[0].Subscription != tc.m.Subscription || all[0].Email != "a@example.com" || all[0].Source != "hold_1":
			t.Errorf("%s: %+v", name, all)
		}
	}
}
