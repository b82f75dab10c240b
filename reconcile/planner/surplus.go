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

// becameNone finds an item that came after a binding and that is mapped to none: it may
// have replaced the item of the binding, with the wrong mapping. nil if there is none. An
// item of the order itself is an extra, however soon the hosting was bound.
func (pl *planner) becameNone(l *assignment) *reconcile.Item {
	s := &pl.subs[l.sub]
	for i := range s.items {
		if t, ok := pl.cat.match(&s.items[i]); ok && t.none && s.items[i].ID != l.Item && s.cameAfter(&s.items[i], l) && !s.cameWithOrder(&s.items[i]) {
			return &s.items[i]
		}
	}
	return nil
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
