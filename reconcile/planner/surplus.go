package planner

import (
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// lostMapping is the sentence for a bound item that is still billed but no longer
// leads to a plan; empty when that is not so.
func (pl *planner) lostMapping(l *assignment) string {
	s := &pl.subs[l.sub]
	it := s.item(l.Item)
	if it == nil {
		return ""
	}
	t, ok := pl.cat.match(it)
	switch {
	case !ok:
		return mappingGone(s, it)
	case t.none:
		return "" // a person decided it: see mappedToNone
	case t.problem != "":
		return t.why
	case it.OutOfRange():
		return quantityOutOfRange(s, it)
	}
	return ""
}

// leftover gives an assignment without a unit its desired state.
func (pl *planner) leftover(l *assignment) {
	if l.desired != 0 {
		return
	}
	if l.sub < 0 {
		l.desired = desiredKeep
		l.reason = notKnown(l)
		return
	}
	s := &pl.subs[l.sub]
	switch {
	case s.desired == desiredEnded:
		l.desired, l.reason = pl.ended(s, l, s.why(s.Subscription))
	case s.desired != desiredActive:
		l.desired, l.reason = s.desired, s.why(s.Subscription)
	case pl.lostMapping(l) != "":
		l.desired, l.reason = pl.keep(pl.lostKind(l), l, pl.lostMapping(l))
	case pl.mappedToNone(s, l) != "":
		l.desired, l.reason = pl.keep(reconcile.HoldNotHosting, l, pl.mappedToNone(s, l))
	case s.item(l.Item) != nil:
		l.desired, l.reason = pl.surplus(l, quantityFell(s, l))
	case !s.mapped && !s.none:
		l.desired = desiredKeep // the subscription has one hold for all of them
	default:
		l.desired, l.reason = pl.itemGone(s, l)
	}
	if l.fresh && l.desired != desiredActive {
		l.desired = desiredKeep
	}
}

const (
	// successorWithin is how long before the end of a subscription the one may have
	// begun that replaces it: a billing period.
	successorWithin = 31 * 24 * time.Hour
	// foundUp is how long after the end of its subscription a hosting may still be up
	// because of us. If it is up later, another reason keeps it up.
	foundUp = 24 * time.Hour
)

// ended suspends the hosting of an ended subscription, unless it seems to serve another
// one.
func (pl *planner) ended(s *assessed, l *assignment, reason string) (desiredState, string) {
	if n := pl.successor(s); n != nil {
		return pl.keep(reconcile.HoldUnmapped, l, pl.replacedByUnmapped(reason, n, l))
	}
	switch n := pl.namedBy(l); {
	case n == nil:
	case n.desired == desiredSuspended: // and not ended: it is not to be deleted for the end of another
		return pl.unlessLast(l, desiredSuspended, reason+", and "+n.why(n.Subscription))
	default:
		return pl.keep(reconcile.HoldAdopt, l, waitsForOther(reason, n, l))
	}
	up := l.hosting >= 0 && pl.c.Hostings[l.hosting].State == reconcile.HostingActive && !pl.served(l.Hosting)
	known := slices.ContainsFunc(pl.assignments, func(o assignment) bool { return o.sub == l.sub && !o.At.IsZero() && o.At.Before(s.EndedAt) })
	if up && !known && l.How == reconcile.BoundByMarker && !s.EndedAt.IsZero() && l.At.Sub(s.EndedAt) > foundUp {
		return pl.keep(reconcile.HoldAdopt, l, foundActive(reason, l))
	}
	return pl.unlessLast(l, desiredEnded, reason)
}

// successor is a live subscription without a mapping that may have replaced an ended one;
// nil for none.
func (pl *planner) successor(s *assessed) *assessed {
	end := s.EndedAt
	if end.IsZero() {
		end = pl.now
	}
	for i := range pl.subs {
		n := &pl.subs[i]
		if n.desired == desiredActive && !n.mapped && pl.underProvisioned(i) && n.Created.After(end.Add(-successorWithin)) {
			return n
		}
	}
	return nil
}

// underProvisioned reports whether a subscription has fewer hostings than it asks for, so
// that it may be using one that is bound to another.
func (pl *planner) underProvisioned(sub int) bool {
	if pl.subs[sub].none {
		return false
	}
	asks := int64(0)
	for i := range pl.subs[sub].items {
		it := &pl.subs[sub].items[i]
		if t, ok := pl.cat.match(it); !t.none && (ok || !pl.subs[sub].mapped) {
			asks += it.Quantity
		}
	}
	has := pl.assignmentsOf(sub)
	return has == 0 || has < asks
}

// itemGone judges a hosting whose item is no longer part of a live subscription. It is
// surplus only if no other item of the subscription can have replaced its item.
func (pl *planner) itemGone(s *assessed, l *assignment) (desiredState, string) {
	if l.Item == "" {
		return pl.keep(reconcile.HoldAmbiguous, l, pl.itemUnknown(s, l))
	}
	return pl.surplus(l, itemIsGone(s, l))
}

// surplus suspends a hosting for a reason, unless its subscription has another item that
// it may have to serve and whose plan is not known.
func (pl *planner) surplus(l *assignment, reason string) (desiredState, string) {
	it := pl.replacementItem(l)
	if n := pl.becameNone(l); it == nil && n != nil {
		return pl.keep(reconcile.HoldNotHosting, l, becameNoHosting(reason, l, n))
	}
	if it == nil {
		return pl.unlessLast(l, desiredSuspended, reason)
	}
	kind, wait := reconcile.HoldUnmapped, newItemUnmapped(reason, it, l)
	if t, ok := pl.cat.match(it); ok && t.problem != "" {
		kind, wait = t.problem, newItemWithoutPlan(reason, it, l, t.why)
	} else if ok {
		kind, wait = reconcile.HoldQuantity, newItemOutOfRange(reason, it, l)
	}
	return pl.keep(kind, l, wait)
}

// keep leaves a hosting as it is, and adds a hold with the reason.
func (pl *planner) keep(kind reconcile.HoldKind, l *assignment, reason string) (desiredState, string) {
	pl.addHold(reconcile.Hold{Kind: kind, Subscription: l.Subscription, Hosting: l.Hosting, Reason: reason})
	return desiredKeep, reason
}

// unlessLast keeps a hosting that would be suspended while another one, which the customer
// still pays for, is gone: it may be the only one left.
func (pl *planner) unlessLast(l *assignment, down desiredState, reason string) (desiredState, string) {
	for i := range pl.assignments {
		o := &pl.assignments[i]
		billed := o.desired == desiredActive || o.sub >= 0 && pl.subs[o.sub].desired == desiredActive && pl.lostMapping(o) != ""
		if !billed || o.Hosting == l.Hosting || o.hosting < 0 || pl.alive(o) {
			continue
		}
		return pl.keep(reconcile.HoldMissing, l, pl.otherIsGone(reason, o, l))
	}
	for i := range pl.subs {
		if s := &pl.subs[i]; s.missingHosting != 0 && s.missingHosting != l.Hosting {
			return pl.keep(reconcile.HoldMissing, l, namedIsGone(reason, s, l))
		}
	}
	return down, reason
}

// replacementItem finds an item that may have replaced the item of a binding and whose
// plan is not known; nil if there is none. It is any that is mapped to a plan which cannot
// be found, or asks for an impossible number; and an unmapped one that is newer than the
// binding or of unknown age: an upgrade, of the item or of one of its units, to a price
// without a mapping. Older unmapped ones were beside it all along; they are extras. Its own
// item is none of these: one of which that is true has lost its mapping, see lostMapping.
func (pl *planner) replacementItem(l *assignment) *reconcile.Item {
	s := &pl.subs[l.sub]
	for i := range s.items {
		it := &s.items[i]
		if _, ok := pl.cat.match(it); pl.unclear(it) || !ok && s.cameAfter(it, l) {
			return it
		}
	}
	return nil
}

const (
	// clocksApart is how far our clock, which dates a binding, may be from Stripe's, which
	// dates an item: the engine goes by clocks that are a minute apart.
	clocksApart = time.Minute
	// orderTakes is how long after a subscription Stripe may date the items that it began
	// with.
	orderTakes = 2 * time.Second
)

// cameAfter reports whether an item may be newer than a binding. Stripe dates it by the
// second, and by its own clock: one of the second of the binding may be newer, and so may
// one that is older by no more than the clocks may be apart, if it did not come with the
// order.
func (s *assessed) cameAfter(it *reconcile.Item, l *assignment) bool {
	return it.Created.IsZero() || !it.Created.Before(l.At.Truncate(time.Second)) ||
		!s.cameWithOrder(it) && it.Created.After(l.At.Add(-clocksApart))
}

// cameWithOrder reports whether a subscription began with an item, or got it so soon that
// the dates do not show the difference.
func (s *assessed) cameWithOrder(it *reconcile.Item) bool {
	return !it.Created.IsZero() && !it.Created.After(s.Created.Add(orderTakes))
}

// mappedToNone is the sentence for a hosting whose price was mapped to none after it was
// made: the price of its item, or, if its item is not known, every price of the
// subscription; empty if that is not so. A change of the mapping ends nothing, because
// only a person knows who uses the hosting.
func (pl *planner) mappedToNone(s *assessed, l *assignment) string {
	it := s.item(l.Item)
	if it == nil {
		if l.Item == "" && s.none {
			return noItemIsHosting(s, l, priceList(s.items))
		}
		return ""
	}
	if t, ok := pl.cat.match(it); ok && t.none {
		return isNoHosting(s, l, it, pl.planOf(l))
	}
	return ""
}

// becameNone finds an item that is mapped to none, perhaps wrongly, and that would have a
// binding else, because it came after that and may have replaced its item, or because it was
// hosting before and has fewer hostings than it asks for. nil if there is none. Any other item
// of the order itself is an extra, however soon the hosting was bound.
func (pl *planner) becameNone(l *assignment) *reconcile.Item {
	s := &pl.subs[l.sub]
	for i := range s.items {
		it := &s.items[i]
		if t, ok := pl.cat.match(it); !ok || !t.none || it.ID == l.Item {
			continue
		}
		if s.cameAfter(it, l) && !s.cameWithOrder(it) || pl.wasHosting(l.sub, it) {
			return it
		}
	}
	return nil
}

// wasHosting reports whether a hosting was made for an item, or sent for, and it asks for more.
func (pl *planner) wasHosting(sub int, it *reconcile.Item) bool {
	n := pl.has(sub, it)
	sent := slices.ContainsFunc(pl.c.Pending, func(p reconcile.Pending) bool { return p.Kind == reconcile.CreateSubscription && p.Item == it.ID })
	return n < it.Quantity && (n > 0 || sent)
}

// planOf is the plan that a price is to be mapped to if a hosting is to keep its plan: its
// number, or PLAN if it is not known.
func (pl *planner) planOf(l *assignment) string {
	if l.hosting < 0 || pl.c.Hostings[l.hosting].Plan == 0 {
		return "PLAN"
	}
	return reconcile.FormatID(int64(pl.c.Hostings[l.hosting].Plan))
}

// unclear reports whether an item is mapped, and yet cannot be provisioned: its plan
// cannot be found, or it asks for an impossible number.
func (pl *planner) unclear(it *reconcile.Item) bool {
	t, ok := pl.cat.match(it)
	return ok && !t.none && (t.problem != "" || it.OutOfRange())
}

// assignmentsOf counts the hostings of a subscription.
func (pl *planner) assignmentsOf(sub int) (n int64) {
	for i := range pl.assignments {
		if pl.assignments[i].sub == sub {
			n++
		}
	}
	return n
}

// has counts the hostings of an item.
func (pl *planner) has(sub int, it *reconcile.Item) (n int64) {
	for i := range pl.assignments {
		if pl.assignments[i].sub == sub && pl.assignments[i].Item == it.ID {
			n++
		}
	}
	return n
}

// hasSpare reports whether a subscription has more hostings without an item than its items
// whose plan is not known could need.
func (pl *planner) hasSpare(sub int) bool {
	free := int64(0)
	for i := range pl.assignments {
		if l := &pl.assignments[i]; l.sub == sub && l.desired == 0 && pl.alive(l) && pl.lostMapping(l) == "" {
			free++
		}
	}
	for i := range pl.subs[sub].items {
		it := &pl.subs[sub].items[i]
		t, ok := pl.cat.match(it)
		switch {
		case t.none:
		case it.OutOfRange():
			return false
		case !ok || t.problem != "":
			free -= max(0, it.Quantity-pl.has(sub, it))
		}
	}
	return free > 0
}

func (pl *planner) lostKind(l *assignment) reconcile.HoldKind {
	t, ok := pl.cat.match(pl.subs[l.sub].item(l.Item))
	switch {
	case !ok:
		return reconcile.HoldUnmapped
	case t.problem != "":
		return t.problem
	}
	return reconcile.HoldQuantity
}

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
// hosting, written by a person: that is an order to keep this one. A hosting that was found
// by its marker was made for the subscription, and a database that was lost does not know
// that we wrote the metadata: then it is no order.
func (pl *planner) ordered(l *assignment) bool {
	s := &pl.subs[l.sub]
	return s.MetadataHosting == l.Hosting && s.MetadataHosting != s.MetadataWritten && l.How != reconcile.BoundByMarker
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
