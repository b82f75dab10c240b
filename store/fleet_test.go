package store

import (
	"fmt"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// fleet is subscriptions from…to, each of a customer of its own.
func fleet(from, to int) []reconcile.SubscriptionFacts {
	all := make([]reconcile.SubscriptionFacts, 0, to-from)
	for i := from; i < to; i++ {
		all = append(all, facts(fmt.Sprintf("sub_%07d", i), fmt.Sprintf("cus_%07d", i), fmt.Sprintf("c%d@example.com", i)))
	}
	return all
}
