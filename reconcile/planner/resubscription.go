package planner

import (
	"cmp"
	"slices"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// byResubscription gives a new subscription the hosting of an ended one: one with content
// before an empty one (see turns), then same plan first, then the one that ended last.
// Nothing is recreated while the old site exists.
func (pl *planner) byResubscription() {
	for _, turn := range pl.orgTurns() {
		for _, samePlan := range [...]bool{true, false} {
			for w := range pl.units {
				if pl.units[w].assignment >= 0 || pl.units[w].blocked {
					continue
				}
				if i := pl.returning(w, samePlan, turn); i >= 0 {
					pl.takeOver(w, i)
				}
			}
		}
	}
}

// mayReturn reports whether a hosting may be given to a customer who comes back.
func (pl *planner) mayReturn(l *assignment) bool {
	return l.desired == 0 && l.sub >= 0 && pl.subs[l.sub].desired == desiredEnded && pl.alive(l) && !pl.served(l.Hosting) && pl.namedBy(l) == nil && !pl.unboundFromLive(l.Hosting)
}

// returning finds the best hosting of an ended subscription of the same Stripe customer
// among some, -1 for none.
func (pl *planner) returning(w int, samePlan bool, of []int) int {
	best, plan, buyer := -1, pl.units[w].plan.ID, pl.subs[pl.units[w].sub].StripeCustomer
	for _, i := range of {
		l := &pl.assignments[i]
		if !pl.mayReturn(l) || pl.subs[l.sub].StripeCustomer != buyer || samePlan && pl.c.Hostings[l.hosting].Plan != plan {
			continue
		}
		if best < 0 || cmp.Or(pl.subs[l.sub].EndedAt.Compare(pl.subs[pl.assignments[best].sub].EndedAt),
			cmp.Compare(pl.assignments[best].Hosting, l.Hosting)) > 0 {
			best = i
		}
	}
	return best
}

// served reports whether a subscription which has not ended is bound to the hosting: then
// it is known who uses it.
func (pl *planner) served(hosting int64) bool {
	return slices.ContainsFunc(pl.assignments, func(l assignment) bool {
		return l.Hosting == hosting && l.sub >= 0 && pl.subs[l.sub].desired != desiredEnded
	})
}

// namedBy finds the subscription that is to have the hosting of an ended one as soon
// as it can be given one: its metadata names it. It has none, has not ended, and is
// unpaid or waits for something. nil for none; of several, one that may be paid for.
func (pl *planner) namedBy(l *assignment) (by *assessed) {
	for i := range pl.subs {
		s := &pl.subs[i]
		if s.MetadataHosting != l.Hosting && !s.unclear() || pl.unboundFrom(s.ID, l.Hosting) || s.Gone || s.desired == desiredEnded || pl.assignmentsOf(i) > 0 || !pl.waits(i) {
			continue
		}
		if by == nil || by.desired == desiredSuspended {
			by = s
		}
	}
	return by
}

// waits reports whether a subscription may need a hosting that it cannot be given now.
func (pl *planner) waits(sub int) bool {
	s := &pl.subs[sub]
	return s.desired != desiredActive || slices.ContainsFunc(pl.units, func(w unit) bool { return w.sub == sub && w.assignment < 0 }) ||
		slices.ContainsFunc(s.items, func(it reconcile.Item) bool {
			_, ok := pl.cat.match(&it)
			return !ok && !s.mapped || pl.unclear(&it)
		})
}

func (pl *planner) takeOver(w, i int) {
	l, s := &pl.assignments[i], pl.units[w].sub
	old := l.Subscription
	n := pl.freeSlot(s)
	l.Binding.Subscription, l.Slot, l.Item, l.How = pl.subs[s].ID, n, pl.units[w].item, reconcile.BoundByResubscription
	l.sub, l.fresh, l.moved = s, true, true
	l.reason = customerIsBack(old, pl.subs[s].ID, l.Hosting)
	pl.fill(w, i)
}
