package planner_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

func TestAnOrderIsHeldByItselfAndTheFleetWhenItIsMany(t *testing.T) {
	ones := func(n int) (all []planner.Order) {
		for range n {
			all = append(all, planner.Order{New: 1})
		}
		return all
	}
	cases := []struct {
		name      string
		limit     planner.Limit
		performed int
		bound     int
		orders    []planner.Order
		large     []int // of them
		others    string
	}{
		{name: "nothing is ordered"},
		{name: "as many as one customer plausibly orders", orders: []planner.Order{{New: 10}}},
		{name: "one more", orders: []planner.Order{{New: 11}, {New: 1}}, large: []int{0}},
		{name: "what is held already counts", orders: []planner.Order{{Held: 10, New: 1}}, large: []int{0}},
		{name: "over the limit of the fleet", orders: []planner.Order{{New: 30}, {New: 1}, {New: 1}}, large: []int{0}},
		{name: "two of them", orders: []planner.Order{{New: 30}, {New: 1}, {New: 30}}, large: []int{0, 2}},
		{name: "25 in a day", orders: []planner.Order{{New: 5, Done: 20}}},
		{name: "one more in a day", orders: []planner.Order{{New: 5, Done: 21}, {New: 1}}, large: []int{0}},
		{name: "many customers, as many as go in a run", orders: ones(25)},
		{name: "one more of them", orders: ones(26), others: "26 × create_subscription in one run, more than the limit of 25"},
		{name: "those that are held already count", orders: append(ones(5), planner.Order{Held: 7}, planner.Order{Held: 7}, planner.Order{Held: 7}), others: "26 ×"},
		{name: "what is held of a large order does not", orders: append(ones(20), planner.Order{Held: 30}), large: []int{20}},
		{name: "the fleet in a day", orders: ones(3), performed: 60, others: "3 × create_subscription planned and 60 done in the last 24 hours"},
		{name: "one order is what is too much", orders: append(ones(20), planner.Order{New: 6}), large: []int{20}},
		{name: "two of that size are two customers", orders: append(ones(14), planner.Order{New: 6}, planner.Order{New: 6}), others: "26 ×"},
		{name: "an order of one is no large one", limit: planner.Limit{Count: 1}, orders: ones(2), others: "2 ×"},
		{name: "nothing goes", limit: planner.Limit{Count: 0, Percent: 1e-9}, orders: ones(1), others: "more than the limit of 0"},
		{name: "a small limit", limit: planner.Limit{Count: 5}, orders: []planner.Order{{New: 6}, {New: 1}}, large: []int{0}},
		{name: "a small limit, and others within it", limit: planner.Limit{Count: 5}, orders: []planner.Order{{New: 6}, {New: 6}, {New: 5}}, large: []int{0, 1}},
		{name: "a limit that an operator has raised", limit: planner.Limit{Count: 100}, orders: []planner.Order{{New: 40}, {New: 41}}, large: []int{1}},
		{name: "a large fleet orders no more by the customer", bound: 10_000, orders: []planner.Order{{New: 10}, {New: 11}}, large: []int{1}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := planner.DefaultBrakes()
			if c.limit != (planner.Limit{}) {
				b.Create = c.limit
			}
			orders := map[uint64]planner.Order{}
			for i, o := range c.orders {
				orders[uint64(i)] = o
			}
			v := b.JudgeOrders(orders, 0, c.performed, c.bound)
			var large []int
			for i := range c.orders {
				if _, is := v.Large[uint64(i)]; is {
					large = append(large, i)
				}
			}
			if d := cmp.Diff(c.large, large); d != "" {
				t.Errorf("large (-want +got):\n%s", d)
			}
			if (c.others == "") != (v.Others == "") || !strings.Contains(v.Others, c.others) {
				t.Errorf("others: %q, want %q", v.Others, c.others)
			}
		})
	}
}

func TestAnOrderThatIsHeldSaysWhy(t *testing.T) {
	v := planner.OrdersVerdict{Most: 10, Limit: 25}
	for want, o := range map[string]planner.Order{
		"30 × create_subscription for cus_a in one run, more than the 10 that one customer plausibly orders":                              {New: 28, Held: 2},
		"6 × create_subscription for cus_a, with which the fleet is over its limit of 25 in one run":                                      {New: 6, Alone: true},
		"6 × create_subscription for cus_a planned and 21 done in the last 24 hours, more than the 25 that one customer plausibly orders": {New: 6, Done: 21},
	} {
		if got := v.Reason("cus_a", o); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
}

// A run never makes more than the fleet's limit, and the brake decides the same if the same
// orders come in another sequence.
func TestTheBrakeOnCreatesLetsNoMorePassThanItsLimit(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		b := planner.Brakes{Create: planner.Limit{Count: 1 + dice.IntN(30)}}
		orders := map[uint64]planner.Order{}
		for i := range uint64(1 + dice.IntN(12)) {
			orders[i] = planner.Order{New: dice.IntN(15), Held: dice.IntN(3) * dice.IntN(5), Done: dice.IntN(2) * dice.IntN(20)}
		}
		done := dice.IntN(60)
		v := b.JudgeOrders(orders, 0, done, 0)
		pass := 0
		for key, o := range orders {
			if _, large := v.Large[key]; !large && v.Others == "" {
				pass += o.New
			}
		}
		if pass > b.Create.Count || pass > 0 && pass+done > b.Create.Count*5/2 {
			t.Fatalf("%d pass of %v with a limit of %d and %d done: %+v", pass, orders, b.Create.Count, done, v)
		}
		if d := cmp.Diff(fmt.Sprint(v), fmt.Sprint(b.JudgeOrders(orders, 0, done, 0))); d != "" {
			t.Fatalf("decided otherwise:\n%s", d)
		}
	}
}
