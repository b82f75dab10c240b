package stripe_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

func (s *shop) schedules(t *testing.T) (all []reconcile.Schedule, partly bool, err error) {
	partly, err = s.client.Schedules(t.Context(), func(page []reconcile.Schedule) { all = append(all, page...) })
	return all, partly, err
}

// Schedules that have not ended are read with the prices of their phases, so that a mapping
// by lookup key or product finds its plan.
func TestSchedulesAreReadWithTheirPrices(t *testing.T) {
	s := open(t, simulator.Options{Calm: true})
	up := s.signUp(t, simulator.SignUp{Email: "a@example.com"})
	pro := s.AddPrice(s.AddProduct("Pro"), "pro", 1900)
	at := s.Now().Add(48 * time.Hour).Truncate(time.Second)
	change, err := s.ScheduleChange(up.Subscription, pro, at)
	if err != nil {
		t.Fatal(err)
	}
	first, _ := s.Subscription(up.Subscription)
	begins, err := s.PlanSubscription(up.Customer, pro, at)
	if err != nil {
		t.Fatal(err)
	}
	ended := s.signUp(t, simulator.SignUp{Email: "b@example.com"})
	if _, err := s.ScheduleChange(ended.Subscription, "", s.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	ends, err := s.ScheduleChange(s.signUp(t, simulator.SignUp{Email: "c@example.com"}).Subscription, "", at)
	if err != nil {
		t.Fatal(err)
	}
	s.Advance(2 * time.Hour) // the schedule of b is completed
	all, partly, err := s.schedules(t)
	if err != nil || partly || len(all) != 3 {
		t.Fatalf("%+v, partly %v, %v", all, partly, err)
	}
	product := ""
	for _, p := range s.Prices() {
		if p.ID == pro {
			product = p.Product
		}
	}
	want := reconcile.Schedule{ID: change, StripeCustomer: up.Customer, Subscription: up.Subscription, Phases: []reconcile.Phase{
		{Start: time.Unix(first.PeriodStart, 0).UTC(), End: at, Items: all[2].Phases[0].Items},
		{Start: at, End: at.AddDate(0, 1, 0), Items: []reconcile.Item{{Price: pro, LookupKey: "pro", Product: product, Quantity: 1}}}}}
	if diff := cmp.Diff(want, all[2]); diff != "" {
		t.Errorf("a change (-want +got):\n%s", diff)
	}
	if of, err := s.client.SchedulesOf(t.Context(), up.Customer); err != nil || len(of) != 2 || of[0].ID != begins || of[1].ID != change {
		t.Errorf("of one customer: %+v, %v", of, err)
	}
	if got := all[1]; got.ID != begins || got.Subscription != "" || got.Cancels || len(got.Phases) != 1 {
		t.Errorf("one that begins: %+v", got)
	}
	if got := all[0]; got.ID != ends || !got.Cancels || !got.Phases[0].End.Equal(at) {
		t.Errorf("one that ends: %+v", got)
	}
}

func TestAKeyThatMayNotReadSchedulesIsDenied(t *testing.T) {
	s := open(t, simulator.Options{Calm: true, StripeKey: "rk_test_restricted0123456789", Deny: []string{"subscription_schedules"}})
	if _, _, err := s.schedules(t); !errors.Is(err, fault.Denied) {
		t.Errorf("%v", err)
	}
}

// A price that comes as its id alone is still a price; a schedule without a date or without
// a customer is no schedule.
func TestOddSchedulesAreReadOrRefused(t *testing.T) {
	s := open(t, simulator.Options{Calm: true})
	page := func(fields string) string {
		return `{"object":"list","has_more":false,"data":[{"id":"sub_sched_1","object":"subscription_schedule","livemode":false,"status":"active",` + fields + `}]}`
	}
	for name, tc := range map[string]struct {
		fields string
		fine   bool
	}{
		"an id":              {`"customer":"cus_1","phases":[{"start_date":1,"end_date":2,"items":[{"price":"price_1"}]}]`, true},
		"no price":           {`"customer":"cus_1","phases":[{"start_date":1,"end_date":2,"items":[{"price":null}]}]`, false},
		"no customer":        {`"customer":null,"phases":[]`, false},
		"no start":           {`"customer":"cus_1","phases":[{"end_date":2,"items":[]}]`, false},
		"a price of numbers": {`"customer":"cus_1","phases":[{"start_date":1,"items":[{"price":7}]}]`, false},
	} {
		s.SetFault(func(simulator.Call) simulator.Fault {
			return simulator.Fault{Status: 200, Body: []byte(page(tc.fields))}
		})
		all, _, err := s.schedules(t)
		if tc.fine && (err != nil || len(all) != 1 || all[0].Phases[0].Items[0] != (reconcile.Item{Price: "price_1", Quantity: 1})) {
			t.Errorf("%s: %+v, %v", name, all, err)
		}
		if !tc.fine && !errors.Is(err, fault.Malformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
