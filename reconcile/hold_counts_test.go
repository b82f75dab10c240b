package reconcile_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Holds are counted by kind, customers once, and each order that waits for a person once for
// each of its customers, however many holds keep it.
func TestHoldsAreCounted(t *testing.T) {
	hold := func(customer, sub string, kind reconcile.HoldKind, order bool) reconcile.Hold {
		return reconcile.Hold{Customer: customer, Subscription: sub, Kind: kind, Order: order}
	}
	ignored := hold("cus_3", "", reconcile.HoldManual, false)
	ignored.Manual = reconcile.Ignore
	kept := hold("cus_3", "sub_3", reconcile.HoldManual, false)
	kept.Manual = reconcile.NoSuspend
	var c reconcile.HoldCounts
	c.Add([]reconcile.Hold{
		hold("cus_1", "sub_1", reconcile.HoldUnmapped, true), hold("cus_1", "sub_1", reconcile.HoldConflict, true), hold("cus_1", "sub_2", reconcile.HoldUnmapped, true),
		hold("cus_1", "sub_4", reconcile.HoldGrace, false),
		hold("cus_2", "sub_1", reconcile.HoldUnmapped, true), hold("cus_2", "", reconcile.HoldNoEmail, true),
	})
	c.Add([]reconcile.Hold{ignored, kept})
	c.Add(nil)
	want := reconcile.HoldCounts{Customers: 3, Orders: 4, Kinds: map[reconcile.HoldKind]reconcile.HoldCount{
		reconcile.HoldUnmapped: {All: 3}, reconcile.HoldConflict: {All: 1}, reconcile.HoldGrace: {All: 1}, reconcile.HoldNoEmail: {All: 1}, reconcile.HoldManual: {All: 2, Decided: 1}}}
	if d := cmp.Diff(want, c); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	for n, more := range map[int]bool{2: true, 3: false} {
		if c.Exceed(n) != more {
			t.Errorf("more than %d of a kind: %t, want %t", n, !more, more)
		}
	}
}
