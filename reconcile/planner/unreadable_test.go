package planner_test

import (
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// If metadata cannot be read, it may mean any hosting, so nothing is made or taken away
// because of it.
func TestWhatCannotBeReadIsLeftAlone(t *testing.T) {
	check(t, []guarded{
		{"with a hosting of its own all goes on", func(c *reconcile.Customer, p *reconcile.Policy) {
			c.Subscriptions[0].MetadataHostingText, p.WriteMetadata = "#9", true
		}, "hold unreadable"},
		{"an ended one stays while it may be meant", func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Subscriptions[0].Status, c.Subscriptions[0].EndedAt = reconcile.StatusCanceled, noon.Add(-time.Hour)
			another(c, "3", reconcile.StatusActive, "price_basic").MetadataHostingText = "#7"
		}, "hold adopt, hold unreadable"},
		{"of an ended subscription it does not matter", func(c *reconcile.Customer, _ *reconcile.Policy) {
			c.Subscriptions[0].Status, c.Subscriptions[0].EndedAt = reconcile.StatusCanceled, noon.Add(-time.Hour)
			c.Subscriptions[0].MetadataHostingText, c.Subscriptions[0].MetadataOrgText = "#7", "bar"
		}, "suspend:sub_1/1:7"},
		{"nor of one that buys nothing here", func(c *reconcile.Customer, _ *reconcile.Policy) {
			another(c, "3", reconcile.StatusIncomplete, "price_basic").MetadataHostingText = "#7"
			c.Subscriptions[1].Items = nil
		}, ""},
	})
}
