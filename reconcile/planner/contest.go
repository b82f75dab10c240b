package planner

import (
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// byContent compares the content of a Stripe customer's hostings before one of them goes
// because no unit is left for it: its subscription has ended, its item is gone, or the
// quantity fell. Which one goes must not depend on when a run looked. If a customer
// upgrades by a second checkout and a run comes in between, the site stays on the first
// hosting and an empty one stands beside it; if no run comes in between, there is one
// hosting.
//
// If the case is clear, the hosting with the content takes the place of the empty one,
// which goes instead. If it is not, all of them stay and a person decides. A subscription
// that is suspended because it is not paid takes no part in this: it keeps its hosting.
func (pl *planner) byContent() {
	var seen []string
	for i := range pl.assignments {
		l := &pl.assignments[i]
		if !pl.loses(l) || slices.Contains(seen, pl.payer(l)) {
			continue
		}
		seen = append(seen, pl.payer(l))
		pl.resolveContest(pl.payer(l))
	}
}

// payer is the Stripe customer of an assignment whose subscription is known.
func (pl *planner) payer(l *assignment) string { return pl.subs[l.sub].StripeCustomer }

// loses reports whether an assignment is to lose its hosting because no unit is left for
// it.
func (pl *planner) loses(l *assignment) bool {
	if l.sub < 0 {
		return false
	}
	switch pl.subs[l.sub].desired {
	case desiredEnded:
		return l.desired == desiredEnded
	case desiredActive:
		return l.desired == desiredSuspended
	case desiredKeep, desiredSuspended:
	}
	return false
}

// contest is the hostings that one Stripe customer loses, and those that stay.
type contest struct {
	losers  []int // assignments to hostings that are to go and hold something
	keepers []int // assignments to hostings that stay
	making  bool  // another one is about to be made
}

// resolveContest decides which hostings of a Stripe customer go and which stay.
func (pl *planner) resolveContest(buyer string) {
	c := contest{}
	pl.standing(&c, buyer)
	if len(c.losers) == 0 || len(c.keepers) == 0 && !c.making {
		return
	}
	resumes := slices.ContainsFunc(c.keepers, func(k int) bool {
		return pl.assignments[k].desired == desiredActive && pl.c.Hostings[pl.assignments[k].hosting].State == reconcile.HostingSuspended
	})
	c.losers = slices.DeleteFunc(c.losers, func(i int) bool { return !pl.isContested(i, resumes) })
	if !pl.contentsRead(&c) {
		return
	}
	pl.withinItems(&c)
	pl.afterEnd(&c)
	for _, i := range c.losers {
		if why := pl.uncertain(&c, i); why != "" && pl.isContested(i, false) {
			l := &pl.assignments[i]
			l.desired, l.reason = pl.keep(reconcile.HoldContent, l, why)
			pl.recheckHosting(&pl.c.Hostings[l.hosting])
			for _, k := range c.keepers { // the panel is where a person may have chosen
				if o := &pl.assignments[k]; o.sub == l.sub && o.Item == l.Item {
					pl.readFresh(&pl.c.Hostings[o.hosting])
				}
			}
		}
	}
}

// standing finds who takes part.
func (pl *planner) standing(c *contest, buyer string) {
	for i := range pl.assignments {
		l := &pl.assignments[i]
		if !pl.alive(l) || pl.c.Hostings[l.hosting].ObservedAt.IsZero() || l.sub >= 0 && pl.payer(l) != buyer {
			continue
		}
		h := &pl.c.Hostings[l.hosting]
		switch {
		case pl.loses(l):
			if h.State == reconcile.HostingActive || h.State == reconcile.HostingSuspended && !h.SuspendedByUs.IsZero() {
				c.losers = append(c.losers, i)
			}
		case l.desired == desiredActive || l.desired == desiredKeep && h.State == reconcile.HostingActive:
			c.keepers = append(c.keepers, i)
		}
	}
	stays := func(i int) bool {
		return slices.ContainsFunc(pl.assignments, func(o assignment) bool { return o.Hosting == pl.assignments[i].Hosting && !pl.loses(&o) })
	}
	c.losers = slices.DeleteFunc(c.losers, stays) // another binding speaks for it
	c.making = slices.ContainsFunc(pl.units, func(w unit) bool { return pl.unassigned(w) && pl.subs[w.sub].StripeCustomer == buyer })
}

// isContested reports whether this decision settles that a hosting goes: because it is up,
// because one that stays is about to be switched on in its place, or because it was
// suspended for an unpaid invoice before its subscription ended, so that this question is
// still open.
func (pl *planner) isContested(i int, resumes bool) bool {
	l := &pl.assignments[i]
	h, s := &pl.c.Hostings[l.hosting], &pl.subs[l.sub]
	return h.State == reconcile.HostingActive || resumes || s.desired == desiredEnded && !h.SuspendedByUs.After(s.EndedAt)
}

// contentsRead has the content of every hosting that matters read, and leaves only the
// losers that have content. If the content of one was never read, all of them stay until
// it is.
func (pl *planner) contentsRead(c *contest) bool {
	known := true
	for _, i := range c.losers {
		h := &pl.c.Hostings[pl.assignments[i].hosting]
		known = pl.readContent(h, pl.asOf(i)) && known
	}
	c.losers = slices.DeleteFunc(c.losers, func(i int) bool { return pl.fillingOf(&pl.assignments[i]) == fillingEmpty })
	for _, i := range c.losers {
		for _, k := range c.keepers {
			h := &pl.c.Hostings[pl.assignments[k].hosting]
			known = pl.readContent(h, pl.asOf(i)) && known
			if h.Content.Count == 0 && pl.c.Hostings[pl.assignments[i].hosting].State == reconcile.HostingActive {
				pl.readFresh(h) // the panel may count more than the list of websites has
			}
		}
	}
	if !known {
		for _, i := range c.losers {
			pl.assignments[i].desired = desiredKeep
		}
	}
	return known
}

// asOf is the instant after which content must have been read for it to be decided
// whether a hosting goes: lately when it is up, else after its subscription ended.
func (pl *planner) asOf(i int) time.Time {
	l := &pl.assignments[i]
	if end := pl.subs[l.sub].EndedAt; pl.c.Hostings[l.hosting].State != reconcile.HostingActive && !end.IsZero() && end.Before(pl.freshSince()) {
		return end
	}
	return pl.freshSince()
}

// withinItems lets a hosting whose item is gone, or asks for none any more, serve
// another item of the same subscription in the place of an empty one.
func (pl *planner) withinItems(c *contest) {
	var subs []int
	for _, i := range c.losers {
		if s := pl.assignments[i].sub; pl.subs[s].desired == desiredActive && !slices.Contains(subs, s) {
			subs = append(subs, s)
		}
	}
	for _, s := range subs {
		from := slices.DeleteFunc(slices.Clone(c.losers), func(i int) bool {
			return pl.assignments[i].sub != s || pl.fillingOf(&pl.assignments[i]) != fillingFull || !pl.alone(i) || pl.siblings(i) > 0
		})
		pl.exchange(c, from, func(k int) bool { return pl.assignments[k].sub == s }, func(w, i int) {
			l := &pl.assignments[i]
			l.Item, l.moved = pl.units[w].item, true
			pl.fill(w, i)
		})
	}
}

// afterEnd gives the hosting of an ended subscription to one that is paid for in the place
// of an empty one, as if the order had come after the end.
func (pl *planner) afterEnd(c *contest) {
	from := slices.DeleteFunc(slices.Clone(c.losers), func(i int) bool {
		return pl.subs[pl.assignments[i].sub].desired != desiredEnded || pl.fillingOf(&pl.assignments[i]) != fillingFull || !pl.alone(i) || pl.unboundFromLive(pl.assignments[i].Hosting)
	})
	pl.exchange(c, from, func(int) bool { return true }, pl.takeOver)
}

// exchange puts hostings with content in the place of empty ones: same plan first,
// then the one that ended last, as for a customer who comes back. It does so for all
// of them or for none: with fewer places than hostings, a person has to choose.
func (pl *planner) exchange(c *contest, from []int, where func(k int) bool, give func(w, i int)) {
	places := slices.DeleteFunc(slices.Clone(c.keepers), func(k int) bool { return !where(k) || !pl.replaceable(k) })
	if len(from) == 0 || len(from) > len(places) {
		return
	}
	slices.SortFunc(places, func(a, b int) int { return pl.unitOf(a) - pl.unitOf(b) })
	for _, samePlan := range [...]bool{true, false} {
		for _, k := range places {
			w := pl.unitOf(k)
			best := pl.lastEnded(from, w, samePlan)
			if best < 0 {
				continue // given away already, or nothing fits
			}
			i := from[best]
			from = slices.Delete(from, best, best+1)
			c.losers = slices.DeleteFunc(c.losers, func(o int) bool { return o == i })
			c.keepers = slices.DeleteFunc(c.keepers, func(o int) bool { return o == k })
			pl.replace(w, i, k, give)
		}
	}
}

// lastEnded is the index in from of the hosting that ended last and may serve a unit; -1 if
// there is none.
func (pl *planner) lastEnded(from []int, w int, samePlan bool) int {
	best := -1
	for at, i := range from {
		if w < 0 || samePlan && pl.c.Hostings[pl.assignments[i].hosting].Plan != pl.units[w].plan.ID {
			continue
		}
		if best < 0 || pl.endedLater(i, from[best]) {
			best = at
		}
	}
	return best
}

// replace gives a unit the hosting of assignment i in the place of that of assignment k,
// once both have been read lately.
func (pl *planner) replace(w, i, k int, give func(w, i int)) {
	for _, o := range [...]int{i, k} {
		h := &pl.c.Hostings[pl.assignments[o].hosting]
		pl.readFresh(h)
		pl.readContent(h, pl.freshSince())
	}
	was := pl.assignments[i].Subscription
	give(w, i)
	l, e := &pl.assignments[i], &pl.assignments[k]
	e.instead = linkID(l)
	l.reason = pl.replacesEmpty(l, e, was)
	e.desired, e.plan = 0, reconcile.EnhancePlan{}
	pl.leftover(e)
	if e.desired == desiredSuspended {
		e.reason = emptyNotNeeded(e, l)
	}
}

// endedLater orders hostings to be given away, as returning does.
func (pl *planner) endedLater(i, than int) bool {
	a, b := &pl.assignments[i], &pl.assignments[than]
	if c := pl.subs[a.sub].EndedAt.Compare(pl.subs[b.sub].EndedAt); c != 0 {
		return c > 0
	}
	return a.Hosting < b.Hosting
}

// replaceable reports whether a hosting is empty, was made by us, serves one unit and
// nothing else, and was not chosen for it by a person.
func (pl *planner) replaceable(k int) bool {
	l := &pl.assignments[k]
	h := &pl.c.Hostings[l.hosting]
	switch l.How {
	case reconcile.BoundByCreate, reconcile.BoundByMarker, reconcile.BoundByResubscription:
	case reconcile.BoundByMetadata, reconcile.BoundByAdopt:
		return false
	}
	ours := h.State == reconcile.HostingActive || h.State == reconcile.HostingSuspended && !h.SuspendedByUs.IsZero()
	return l.desired == desiredActive && pl.unitOf(k) >= 0 && !pl.ordered(l) && pl.alone(k) && ours && contentState(h) == fillingEmpty
}

// ordered reports whether the metadata of its subscription, which is known, names a
// hosting, written by a person: that is an order to keep this one.
func (pl *planner) ordered(l *assignment) bool {
	s := &pl.subs[l.sub]
	return s.MetadataHosting == l.Hosting && s.MetadataHosting != s.MetadataWritten
}

// alone reports whether nothing else is bound to the hosting of an assignment, and no
// write to it is unanswered.
func (pl *planner) alone(i int) bool {
	n := 0
	for j := range pl.assignments {
		if pl.assignments[j].Hosting == pl.assignments[i].Hosting {
			n++
		}
	}
	return n == 1 && !slices.ContainsFunc(pl.c.Pending, func(p reconcile.Pending) bool { return p.Hosting == pl.assignments[i].Hosting })
}

// unitOf is the unit that an assignment fills, -1 for none.
func (pl *planner) unitOf(k int) int {
	return slices.IndexFunc(pl.units, func(w unit) bool { return w.assignment == k })
}

// siblings counts the hostings that stay for the item of an assignment.
func (pl *planner) siblings(i int) (n int) {
	for w := range pl.units {
		if pl.units[w].assignment >= 0 && pl.units[w].sub == pl.assignments[i].sub && pl.units[w].item == pl.assignments[i].Item {
			n++
		}
	}
	return n
}

// uncertain returns why a hosting with content does not go; "" if it goes. If every
// hosting that stays has content too, the one that was cancelled goes. It does not go if
// one that stays may be empty, nor if the quantity fell and all of them have content,
// unless a person has named the one that is left.
func (pl *planner) uncertain(c *contest, i int) string {
	l := &pl.assignments[i]
	if n := pl.siblings(i); n > 0 && pl.subs[l.sub].desired == desiredActive {
		if n == 1 && slices.ContainsFunc(pl.units, func(w unit) bool {
			return w.assignment >= 0 && w.item == l.Item && w.sub == l.sub && pl.ordered(&pl.assignments[w.assignment])
		}) {
			return ""
		}
		return pl.allHaveContent(c, i, l, n)
	}
	var other *assignment
	for _, k := range c.keepers {
		if o := &pl.assignments[k]; pl.fillingOf(o) != fillingFull && (other == nil || o.desired == desiredActive && other.desired != desiredActive) {
			other = o
		}
	}
	switch {
	case other == nil && !c.making:
		return ""
	case other == nil && pl.subs[l.sub].desired == desiredEnded:
		return "" // the new one could have been given this hosting and was not
	case other == nil:
		return pl.contentWhileCreating(l)
	}
	return pl.othersMayHaveLess(c, i, l, other)
}

// mostListed is how many hostings a sentence lists.
const mostListed = 6
