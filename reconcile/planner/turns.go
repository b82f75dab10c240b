package planner

import (
	"slices"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// orgTurns are the hostings of ended subscriptions in the order in which a returning
// customer is given them. If there is one, there is nothing to choose. Of several, those
// with content come first; if there are more of those than places, the ones that are up
// come first, so that nothing is taken away. If even those are more than the places, one
// with content would go: all stay, and a person has to choose.
func (pl *planner) orgTurns() (turns [][]int) {
	var buyers []string
	for i := range pl.subs {
		if buyer := pl.subs[i].StripeCustomer; !slices.Contains(buyers, buyer) {
			buyers = append(buyers, buyer)
			turns = append(turns, pl.turnsOf(buyer)...)
		}
	}
	return turns
}

// turnsOf are the turns of one Stripe customer: no hosting passes from one to another.
func (pl *planner) turnsOf(buyer string) [][]int {
	var all, full, up, rest []int
	for i := range pl.assignments {
		if l := &pl.assignments[i]; pl.mayReturn(l) && pl.payer(l) == buyer {
			all = append(all, i)
		}
	}
	places := 0
	for _, w := range pl.units {
		if pl.unassigned(w) && pl.subs[w.sub].StripeCustomer == buyer {
			places++
		}
	}
	if len(all) < 2 || places == 0 {
		return [][]int{all}
	}
	known := true
	for _, i := range all {
		h := &pl.c.Hostings[pl.assignments[i].hosting]
		pl.readFresh(h)
		known = pl.readContent(h, pl.freshSince()) && known
	}
	if !known {
		return [][]int{all}
	}
	for _, i := range all {
		switch h := &pl.c.Hostings[pl.assignments[i].hosting]; {
		case contentState(h) == fillingEmpty:
			rest = append(rest, i)
		case h.State == reconcile.HostingActive:
			full, up = append(full, i), append(up, i)
		default:
			full = append(full, i)
		}
	}
	switch {
	case len(full) <= places:
		return [][]int{full, rest}
	case len(up) <= places:
		return [][]int{up, full, rest}
	}
	pl.tooMany(full)
	return [][]int{rest}
}

// tooMany keeps the hostings of ended subscriptions if more of them have content than
// there are places, and holds the subscriptions that would be given one.
func (pl *planner) tooMany(full []int) {
	c := contest{keepers: full[1:]}
	for _, i := range full {
		pl.assignments[i].desired = desiredKeep
		pl.recheckHosting(&pl.c.Hostings[pl.assignments[i].hosting])
	}
	first := &pl.assignments[full[0]]
	for s := range pl.subs {
		if pl.subs[s].StripeCustomer != pl.payer(first) || !slices.ContainsFunc(pl.units, func(w unit) bool { return w.sub == s && pl.unassigned(w) }) {
			continue
		}
		pl.block(s)
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldContent, Subscription: pl.subs[s].ID, Hosting: first.Hosting, Reason: pl.moreThanPlaces(&c, s, full, first)})
	}
}
