package reconcile_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Staff suspended the org for a reason, or deleted it: another hosting in it would get
// around that, or be lost with it.
func TestNothingIsCreatedInAnOrgThatCannotBeUsed(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(o *reconcile.Org)
		want   string
	}{
		{"an org like any other", func(*reconcile.Org) {}, "create_subscription:sub_1/2:1"},
		{"suspended", func(o *reconcile.Org) { o.Suspended = true }, "hold foreign_suspension"},
		{"deleted", func(o *reconcile.Org) { o.Deleted = true }, "hold deleted"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := world(func(c *reconcile.Customer) {
				c.Subscriptions[0].Items[0].Quantity = 2
				tc.change(c.Org)
			})
			if d := cmp.Diff(tc.want, told(reconcile.Decide(&c, catalog(), policy(), noon))); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}
