package engine

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// heldCompany is stored holds and held plans, as the ports answer them.
type heldCompany struct {
	HeldPlans
	holds    []reconcile.Hold // by customer
	standing []reconcile.HeldAction
}

func (c *heldCompany) FirstHolds(_ context.Context, most int, without func(string) bool) (first []reconcile.Hold, _ reconcile.HoldCounts, _ error) {
	listed := map[reconcile.HoldKind]int{}
	for _, h := range c.holds {
		if without != nil && without(h.Customer) {
			continue
		}
		if listed[h.Kind]++; listed[h.Kind] <= most {
			first = append(first, h)
		}
	}
	counts, _ := c.HoldCounts(context.Background())
	return first, counts, nil
}

func (c *heldCompany) HoldCounts(context.Context) (counts reconcile.HoldCounts, _ error) {
	counts.Add(c.holds)
	return counts, nil
}

func (c *heldCompany) HoldsOf(_ context.Context, customers []string) (of []reconcile.Hold, _ error) {
	for _, h := range c.holds {
		if slices.Contains(customers, h.Customer) {
			of = append(of, h)
		}
	}
	return of, nil
}

func (c *heldCompany) Standing(_ context.Context, _ time.Time, use func(reconcile.HeldAction) error) error {
	for _, h := range c.standing {
		if err := use(h); err != nil {
			return err
		}
	}
	return nil
}

// someHolds are the holds of n customers, few of a rare kind and many of another.
func someHolds(rng *rand.Rand, n int) (all []reconcile.Hold) {
	for i := range n {
		customer := fmt.Sprintf("cus_%06d", i)
		for j := range rng.IntN(3) {
			h := reconcile.Hold{Customer: customer, Kind: reconcile.HoldUnmapped, Reason: fmt.Sprint("reason ", j), Order: rng.IntN(2) == 0}
			if rng.IntN(4) > 0 {
				h.Subscription = "sub_" + customer
			}
			if rng.IntN(50) == 0 {
				h.Kind = reconcile.HoldParked
			}
			if rng.IntN(9) == 0 {
				h.Manual = reconcile.Ignore
			}
			all = append(all, h)
		}
	}
	return all
}

// TestHoldsBeyondTheListAreCountedAsIfAllWereRead compares the report with one that reads
// every hold, for runs and for dry runs that have planned some of the customers anew.
func TestHoldsBeyondTheListAreCountedAsIfAllWereRead(t *testing.T) {
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 0))
		customers := []int{100, 5_000, 9_000}[seed%3]
		company := &heldCompany{holds: someHolds(rng, customers)}
		planned, dry := map[string][]reconcile.Hold{}, seed%2 == 0
		if dry {
			for range rng.IntN(customers) {
				planned[fmt.Sprintf("cus_%06d", rng.IntN(customers))] = nil
			}
			for _, h := range someHolds(rng, customers) {
				if _, ok := planned[h.Customer]; ok {
					planned[h.Customer] = append(planned[h.Customer], h)
				}
			}
		}
		orders := idSet{}
		for range 40 {
			customer := fmt.Sprintf("cus_%06d", rng.IntN(customers+20))
			a := reconcile.Action{Kind: reconcile.CreateSubscription, Customer: customer, Subscription: "sub_" + customer}
			company.standing = append(company.standing, reconcile.HeldAction{Action: a, Brake: a.Kind})
			orders.add(a.Subscription)
		}

		r := &run{Engine: &Engine{Ports: Ports{Withheld: company, Plans: company}}}
		w := &writing{run: r, rep: &reconcile.Report{}, withheld: newWithheld(maps.Clone(orders))}
		var all []reconcile.Hold // in the order of the report
		instead := &replaced{}
		if dry {
			var err error
			if instead, err = w.replacing(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, customer := range slices.Sorted(maps.Keys(planned)) {
				for _, h := range planned[customer] {
					w.hold(h)
					all = append(all, h)
				}
				if err := instead.add(customer); err != nil {
					t.Fatal(err)
				}
			}
			if err := instead.look.flush(); err != nil {
				t.Fatal(err)
			}
		}
		for _, h := range company.holds {
			if _, again := planned[h.Customer]; !again {
				all = append(all, h)
			}
		}
		if err := w.storedHolds(t.Context(), instead); err != nil {
			t.Fatal(err)
		}
		w.withheld.fill(w.rep)

		var want reconcile.Report
		listed := map[reconcile.HoldKind]int{}
		for _, h := range all {
			if h.Order {
				orders.add(cmp.Or(h.Subscription, h.Customer))
			}
			switch listed[h.Kind]++; {
			case listed[h.Kind] <= reconcile.MostReported:
				want.Holds = append(want.Holds, h)
			case h.DecidedByPerson():
				want.Omitted.DecidedByPerson++
			default:
				want.Omitted.Holds++
			}
		}
		if diff := gocmp.Diff(want, *w.rep); diff != "" {
			t.Errorf("seed %d: report (-want +got):\n%.2000s", seed, diff)
		}
		if got := []int{w.count(), w.countOrders()}; got[0] != len(all) || got[1] != len(orders) {
			t.Errorf("seed %d: held and orders %v, want %d and %d", seed, got, len(all), len(orders))
		}
		if seed%3 == 2 && want.Omitted.Holds == 0 {
			t.Errorf("seed %d: nothing is beyond the list", seed)
		}
	}
}
