package planner

import "github.com/stripe-enhance/stripe-enhance/reconcile"

// plausibleOrder is the most hostings that one customer plausibly orders in one run. An
// agency that brings ten sites is a good day. More is usually a script, a quantity that
// counts something else, or an abuse of a trial without a card, and such an order is worth
// a look. It does not grow with the fleet, as the percentage of the limit does; it grows
// with the count that an operator sets, of which it is orderShare: 10 of the usual 25. So
// no single order comes near the limit of the fleet.
const (
	plausibleOrder = 10
	orderShare     = 0.4
)

// Order is the most hostings that one customer may order in one run, in a fleet of bound
// hostings, without being held.
func (b Brakes) Order(bound int) int {
	most := max(plausibleOrder, int(float64(b.Create.Count)*orderShare))
	if limit := b.Create.Allow(bound); limit > 0 {
		most = min(most, limit)
	}
	return most
}

// Order is the hostings to be created for one customer: those that are held already, and
// new ones.
type Order struct {
	Held, New int
	Done      int // made in the last 24 hours, without what approvals released
	// Alone: it is the one order for which the fleet is over its limit.
	Alone bool
}

// OrdersVerdict is the result of the brake on creates for all orders of a run.
type OrdersVerdict struct {
	// Large are the orders that are held by themselves.
	Large map[uint64]Order
	// Others is why all other new orders are held as well; "": they are not.
	Others string
	Most   int // hostings that one customer plausibly orders
	Limit  int // of the fleet, in one run
}

// JudgeOrders is the brake on creates. An order that is larger than one customer plausibly
// orders, in this run or 2.5 times that in 24 hours, is held by itself and does not count
// against the others. The limit of the fleet is for the hostings of all others, including
// those that are held already: if there are too many, all of them are held. Hostings are
// counted, and not customers, because the limit is one of changes, and no order that
// counts has more than Most of them. Where it is a single order with which the fleet is
// over its limit, that order is held and not the others. performed is the number of
// hostings created in the last 24 hours, and atWork of those that other runs may still
// create which are at work at the same time: several runs may not make together what one
// may not.
func (b Brakes) JudgeOrders(orders map[uint64]Order, atWork, performed, bound int) OrdersVerdict {
	v := OrdersVerdict{Large: map[uint64]Order{}, Most: b.Order(bound), Limit: b.Create.Allow(bound)}
	load := BrakeLoad{Kind: reconcile.CreateSubscription, AtWork: atWork, Performed: performed, Bound: bound}
	largest, size, second := uint64(0), 0, 0
	for key, o := range orders {
		n := o.Held + o.New
		if n > v.Most || n+o.Done > int(float64(v.Most)*dayFactor) {
			v.Large[key] = o
			continue
		}
		load.Planned += n
		if n > size {
			largest, size, second = key, n, size
		} else {
			second = max(second, n)
		}
	}
	reason, over := b.Holds(load)
	if !over {
		return v
	}
	load.Planned -= size
	if _, still := b.Holds(load); !still && size > 1 && size > second {
		o := orders[largest]
		o.Alone = true
		v.Large[largest] = o
		return v
	}
	v.Others = reason
	return v
}
