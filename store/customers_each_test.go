package store

import (
	"errors"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Every customer is passed on once, complete and in order, over more than one page.
func TestEachCustomerIsPassedOnOnce(t *testing.T) {
	conform(t, func(t *testing.T, f *fixture) {
		f.save(t0, fleet(0, pageSize+20)...)
		var ids []string
		last := reconcile.Customer{}
		f.must(f.EachCustomer(f.Context(), func(c reconcile.Customer) error {
			ids, last = append(ids, c.ID), c
			return nil
		}))
		if len(ids) != pageSize+20 || ids[0] != "cus_0000000" || ids[pageSize+19] != "cus_0000519" {
			t.Fatalf("%d customers, the first %s, the last %s", len(ids), ids[0], ids[len(ids)-1])
		}
		whole, err := f.Customers(f.Context(), []string{last.ID})
		f.must(err)
		same(t, "the last one", whole[0], last)
		enough := errors.New("enough")
		if err := f.EachCustomer(f.Context(), func(reconcile.Customer) error { return enough }); !errors.Is(err, enough) {
			t.Errorf("the error of the caller: %v", err)
		}
	})
}
