package simtest

import (
	"strings"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// showsBinding reports whether a rename wrote the marker of a hosting that the operator has
// bound, and left the rest of the name. The marker is of the subscription for which the
// hosting was made, or of a later one of the same customer, which has taken it over.
func (y *play) showsBinding(e simulator.Effect) bool {
	m, marked := reconcile.MarkerOf(e.After.Name)
	if !marked || !y.rebound[e.Hosting] || e.After.Name != reconcile.MarkedName(e.Before.Name, m) {
		return false
	}
	made := y.origin[e.Hosting].subscription
	first, now := y.bill(made), y.bill(m.StripeID)
	return m.StripeID == made || first != nil && now != nil && first.customer == now.customer
}

// followsPlan reports whether a rename replaced the name of the old plan by that of the new
// one and left our marks as they were. The change of plan is in the same call.
func (y *play) followsPlan(e simulator.Effect) bool {
	named := func(name string, is func(simulator.Plan) bool) (rest string, ok bool) {
		for _, p := range y.world.Plans() {
			if rest, ok = strings.CutPrefix(name, p.Name+" "); ok && is(p) {
				if strings.HasPrefix(rest, "[sub_") || strings.HasPrefix(rest, "(suspended) [sub_") {
					return rest, true
				}
			}
		}
		return "", false
	}
	before, was := named(e.Before.Name, func(simulator.Plan) bool { return true })
	after, is := named(e.After.Name, func(p simulator.Plan) bool { return p.ID == e.After.Plan })
	return was && is && before == after
}

// marks reports whether a rename only added or removed the mark of our suspension. The
// suspension or its end is in the same call.
func marks(e simulator.Effect, word string) bool {
	before, after := e.Before.Name, e.After.Name
	return after == reconcile.SuspendedName(before, word) || after == reconcile.ResumedName(before, word)
}
