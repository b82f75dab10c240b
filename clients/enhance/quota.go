package enhance

import (
	"context"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Quota returns how much the selling organisation uses, for itself and its customers, of
// what its own provider gives it, by resource in the order of the panel. Several plans add
// up. It is empty for an organisation without a provider, such as the master organisation.
// An order fails at the panel when a resource that it needs is used up.
func (c *Client) Quota(ctx context.Context) ([]reconcile.Usage, error) {
	all, err := list[subscriptionWire](ctx, c, get(routeOwnQuota, c.org).about(ourselves), nil)
	if err != nil {
		return nil, err
	}
	var quota []reconcile.Usage
	at := map[string]int{}
	for _, s := range all {
		if s.state() == reconcile.HostingDeleted {
			continue
		}
		for _, r := range s.Resources {
			i, known := at[r.Name]
			if !known {
				at[r.Name] = len(quota)
				quota = append(quota, reconcile.Usage{Name: r.Name, Used: r.Usage, Total: r.Total})
				continue
			}
			q := &quota[i]
			q.Used += r.Usage
			switch {
			case q.Total == nil:
			case r.Total == nil:
				q.Total = nil // unlimited in one of them
			default:
				sum := *q.Total + *r.Total
				q.Total = &sum
			}
		}
	}
	return quota, nil
}
