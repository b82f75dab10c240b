package planner

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

func refuseInstruction(why string) (reconcile.BindingChange, error) {
	return reconcile.BindingChange{}, reconcile.InstructionRefused(why)
}

// instructed is the change of an instruction while it is worked out.
type instructed struct{ reconcile.BindingChange }

// Instruct returns the function that decides an instruction: its change for the customer
// of its subscription. That function is given the bindings of all customers to the hosting
// of the instruction, and changes nothing. Its error is an [InstructionRefused].
func Instruct(w reconcile.Instruction, cat *Catalog, instance string) reconcile.InstructionDecider {
	return func(c *reconcile.Customer, bound []reconcile.CustomerBinding) (reconcile.BindingChange, error) {
		return instruct(w, c, cat, instance, bound)
	}
}

// instruct works out the change for the customer of the instruction's subscription. bound
// are the bindings of all customers to its hosting. Nothing is changed here.
func instruct(w reconcile.Instruction, c *reconcile.Customer, cat *Catalog, instance string, bound []reconcile.CustomerBinding) (reconcile.BindingChange, error) {
	s := c.Subscription(w.Subscription)
	switch {
	case s == nil:
		return refuseInstruction(notItsSubscription(w, c))
	case len(c.Pending) > 0 && w.Kind != reconcile.InstructNew:
		p := c.Pending[0]
		return refuseInstruction(outcomeNotKnown(&p))
	}
	ch := instructed{reconcile.BindingChange{Instruction: w, Customer: c.ID, Named: s.MetadataHosting, Before: servedBy(c, w.Subscription)}}
	switch w.Kind {
	case reconcile.InstructBind:
		return ch.bind(c, s, cat, instance, bound)
	case reconcile.InstructUnbind:
		return ch.unbind(c)
	case reconcile.InstructNew:
		ch.resolve(c, func(reconcile.Unbinding) bool { return true })
		ch.New = !s.IsNewOrder
		return ch.BindingChange, nil
	}
	return refuseInstruction("the instruction has no kind")
}

func (ch instructed) unbind(c *reconcile.Customer) (reconcile.BindingChange, error) {
	w, own := &ch.Instruction, c.BindingsOf(ch.Instruction.Subscription)
	var of []reconcile.Binding
	for _, b := range own {
		if (w.Slot == 0 || b.Slot == w.Slot) && (w.Hosting.ID == 0 || b.Hosting == w.Hosting.ID) {
			of = append(of, b)
		}
	}
	unbound := slices.ContainsFunc(c.Unbindings, func(p reconcile.Unbinding) bool {
		return p.Subscription == w.Subscription && !p.Resolved && (w.Hosting.ID == 0 || p.Hosting == w.Hosting.ID) && (w.Slot == 0 || p.Slot == w.Slot)
	})
	switch {
	case len(of) == 1:
		ch.Unbinds = []reconcile.CustomerBinding{{Binding: of[0], Customer: c.ID}}
		ch.addOtherUnbindings(c)
		return ch.BindingChange, nil
	case len(of) == 0 && unbound:
		return ch.BindingChange, nil
	case len(of) == 0:
		return refuseInstruction(ch.notBound())
	}
	return refuseInstruction(ch.severalBound(of[0].Hosting))
}

func (ch instructed) bind(c *reconcile.Customer, s *reconcile.Subscription, cat *Catalog, instance string, bound []reconcile.CustomerBinding) (reconcile.BindingChange, error) {
	w, own := &ch.Instruction, c.BindingsOf(ch.Instruction.Subscription)
	h := &w.Hosting
	has := slices.IndexFunc(own, func(b reconcile.Binding) bool { return b.Hosting == h.ID })
	if w.Move {
		if s.Status.Ended() {
			return refuseInstruction(movedToEnded(s))
		}
		ch.Leaves = slices.DeleteFunc(slices.Clone(bound), func(cl reconcile.CustomerBinding) bool { return cl.Ended || cl.Subscription == w.Subscription })
	}
	if has >= 0 && (w.Slot == 0 || own[has].Slot == w.Slot) {
		return ch.BindingChange, nil
	}
	if why := unfit(w, c, instance, bound); why != "" {
		return refuseInstruction(why)
	}
	b := reconcile.Binding{Subscription: w.Subscription, Org: h.Org, Hosting: h.ID, How: reconcile.BoundByAdopt, At: w.At}
	if has >= 0 { // it takes the place of another one of the same subscription
		b = own[has]
		b.How, b.At = reconcile.BoundByAdopt, w.At
	}
	old, why := ch.placeFor(c, s, cat, own)
	if why != "" {
		return refuseInstruction(why)
	}
	if old != nil {
		ch.Unbinds, b.Item = []reconcile.CustomerBinding{{Binding: *old, Customer: c.ID}}, old.Item
	} else {
		ch.resolveOne(c)
	}
	if has < 0 {
		b.Slot = slotFor(c, w.Subscription, h, instance)
	}
	for _, cl := range bound {
		if cl.Subscription != w.Subscription && (cl.Ended || !w.Move) {
			ch.Frees = append(ch.Frees, cl)
		}
	}
	ch.Bind = &b
	ch.addOtherUnbindings(c)
	return ch.BindingChange, nil
}

// addOtherUnbindings collects the markers that name another subscription than the
// instruction does.
func (ch *instructed) addOtherUnbindings(c *reconcile.Customer) {
	w := &ch.Instruction
	all := slices.Clone(c.Hostings)
	if ch.Bind != nil {
		all = append(slices.DeleteFunc(all, func(h reconcile.Hosting) bool { return h.ID == w.Hosting.ID }), w.Hosting)
	}
	for _, h := range all {
		bound := ch.Bind != nil && ch.Bind.Hosting == h.ID
		if !bound && !slices.ContainsFunc(ch.Unbinds, func(b reconcile.CustomerBinding) bool { return b.Hosting == h.ID }) {
			continue
		}
		if m := h.Marker(); m.Slot > 0 && m.StripeID != w.Subscription {
			s := c.Subscription(m.StripeID)
			ch.OtherUnbindings = append(ch.OtherUnbindings, reconcile.Unbinding{Subscription: m.StripeID, Slot: m.Slot, Org: h.Org, Hosting: h.ID,
				At: w.At, Author: w.Author, Reason: w.Reason, Named: s != nil && s.MetadataHosting == h.ID, Resolved: true})
		}
	}
}

// unfit returns why the hosting cannot serve the subscription; "" if it can.
func unfit(w *reconcile.Instruction, c *reconcile.Customer, instance string, bound []reconcile.CustomerBinding) string {
	h := &w.Hosting
	switch h.State {
	case reconcile.HostingActive, reconcile.HostingSuspended:
	case reconcile.HostingDeleted:
		return hostingWasDeleted(h)
	case reconcile.HostingMissing:
		return hostingNotThere(h)
	case reconcile.HostingUnknown:
		return hostingStateNotKnown(h)
	default:
		return hostingNotRead(h)
	}
	for _, cl := range bound {
		if cl.Subscription != w.Subscription && !cl.Ended && !w.Move {
			return boundToOther(h, cl)
		}
	}
	m := h.Marker()
	from := slices.ContainsFunc(bound, func(cl reconcile.CustomerBinding) bool { return cl.Subscription == m.StripeID })
	foreign := m.StripeID != "" && m.Of(instance) == reconcile.Marker{}
	switch {
	case w.OtherMarker || m.StripeID == "" || !foreign && (m.StripeID == w.Subscription || from):
	case foreign:
		return markedByOthers(h, m)
	default:
		return madeForOther(w, h, m)
	}
	if !w.OtherOrg {
		return notItsOrg(w, h, c)
	}
	return ""
}

// notItsOrg returns why the org of a hosting is not the customer's; "" if it may be.
func notItsOrg(w *reconcile.Instruction, h *reconcile.Hosting, c *reconcile.Customer) string {
	if c.Org != nil && c.Org.ID != h.Org {
		return inOtherOrg(w, h, c)
	}
	for i := range c.Apart {
		if o := &c.Apart[i]; o.Org == h.Org {
			return inApartOrg(w, h, o)
		}
	}
	return ""
}

// placeFor finds the binding in whose place the hosting is bound: that of the slot which
// was named; of a hosting that is gone, where there is one; the only one, where all units
// have a hosting. nil: a unit has none yet.
func (ch *instructed) placeFor(c *reconcile.Customer, s *reconcile.Subscription, cat *Catalog, own []reconcile.Binding) (old *reconcile.Binding, why string) {
	w := &ch.Instruction
	var gone []int
	for i := range own {
		if w.Slot != 0 && own[i].Slot == w.Slot {
			return &own[i], ""
		}
		if !servable(stateOf(c, own[i].Hosting)) {
			gone = append(gone, i)
		}
	}
	waits := slices.ContainsFunc(c.Unbindings, func(p reconcile.Unbinding) bool {
		return p.Subscription == s.ID && !p.Resolved && (w.Slot == 0 || p.Slot == w.Slot)
	})
	switch {
	case waits, w.Slot == 0 && (len(own) == 0 || int64(len(own)) < cat.units(s)):
		return nil, ""
	case w.Slot != 0:
		return nil, ch.noSuchUnit(w.Slot)
	case len(gone) == 1:
		return &own[gone[0]], ""
	case len(own) == 1:
		return &own[0], ""
	}
	return nil, ch.allUnitsServed(own[0].Slot)
}

// resolve marks the unbindings that this instruction resolves.
func (ch *instructed) resolve(c *reconcile.Customer, which func(reconcile.Unbinding) bool) {
	for _, p := range c.Unbindings {
		if p.Subscription == ch.Instruction.Subscription && !p.Resolved && which(p) {
			ch.Resolves = append(ch.Resolves, p.Hosting)
		}
	}
}

// resolveOne marks the unbinding whose unit the hosting serves now.
func (ch *instructed) resolveOne(c *reconcile.Customer) {
	ch.resolve(c, func(p reconcile.Unbinding) bool {
		return len(ch.Resolves) == 0 && (ch.Instruction.Slot == 0 || p.Slot == ch.Instruction.Slot)
	})
}

// openUnbinding is the first unbinding of a subscription that is not resolved yet; nil for
// none.
func openUnbinding(c *reconcile.Customer, sub string) (first *reconcile.Unbinding) {
	for i := range c.Unbindings {
		if p := &c.Unbindings[i]; p.Subscription == sub && !p.Resolved && (first == nil || p.Slot < first.Slot || p.Slot == first.Slot && p.Hosting < first.Hosting) {
			first = p
		}
	}
	return first
}

func stateOf(c *reconcile.Customer, hosting int64) reconcile.HostingState {
	for i := range c.Hostings {
		if c.Hostings[i].ID == hosting {
			return c.Hostings[i].State
		}
	}
	return 0
}

// slotFor is the slot of the marker that a hosting carries for the subscription, where
// nothing else is bound there, else one that was never used.
func slotFor(c *reconcile.Customer, sub string, h *reconcile.Hosting, instance string) int {
	if m := h.Marker().Of(instance); m.StripeID == sub && !slices.ContainsFunc(c.Bindings, func(b reconcile.Binding) bool { return b.Subscription == sub && b.Slot == m.Slot }) {
		return m.Slot
	}
	for n := 1; ; n++ {
		if !slotUsed(c, sub, n, instance) {
			return n
		}
	}
}

// slotUsed reports whether a slot has been used, as far as can be seen: by a binding, a
// marker, an unbinding, or a write that is still unanswered.
func slotUsed(c *reconcile.Customer, sub string, n int, instance string) bool {
	m := reconcile.Marker{StripeID: sub, Slot: n}
	return slices.ContainsFunc(c.Bindings, func(b reconcile.Binding) bool { return b.Subscription == sub && b.Slot == n }) ||
		slices.ContainsFunc(c.Unbindings, func(p reconcile.Unbinding) bool { return p.Subscription == sub && p.Slot == n }) ||
		slices.ContainsFunc(c.Pending, func(p reconcile.Pending) bool { return p.Subscription == sub && p.Slot == n }) ||
		slices.ContainsFunc(c.Hostings, func(h reconcile.Hosting) bool { return h.Marker().Of(instance) == m })
}

// The commands that sentences name work as they are printed. If a person has another
// reason, it replaces the printed one.

// BindCommand binds a hosting to a subscription, or to one of its units ("sub_…/2"), with
// further flags.
func BindCommand(unit string, hosting int64, flags ...string) string {
	return bindCommand(unit, reconcile.FormatID(hosting), "it is its hosting", flags...)
}

// BindNewCommand declares an order as new.
func BindNewCommand(sub string) string { return bindCommand(sub, "new", "the order is new") }

// UnbindCommand unbinds a hosting from a subscription.
func UnbindCommand(sub string, hosting int64) string {
	return fmt.Sprintf("stripe-enhance customers unbind %s %d --reason 'it is not its hosting'", sub, hosting)
}

// RenameCommand names the organisation of a customer.
func RenameCommand(customer, name string) string {
	return "stripe-enhance customers rename " + customer + " " + quoted(name) + " --reason 'its name at Stripe'"
}

// quoted is a text as one word of a shell.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// MapCommand maps a price to a plan, or to none.
func MapCommand(price, plan string) string {
	return "stripe-enhance mappings set " + price + " " + plan
}

// IgnoreCommand puts a manual hold that leaves a subscription alone.
func IgnoreCommand(sub, why string) string {
	return "stripe-enhance holds add --subscription " + sub + " --kind ignore --reason '" + why + "'"
}

// TrustCommand puts a manual hold by which nothing is taken away from a subscription, and by
// which its disputes count for nothing.
func TrustCommand(sub, why string) string {
	return "stripe-enhance holds add --subscription " + sub + " --kind no-suspend --reason '" + why + "'"
}

// MetadataCommand writes a value into the metadata of a subscription with Stripe's own
// command line; an empty one takes it out.
func MetadataCommand(sub, key, value string) string {
	return "stripe subscriptions update " + sub + " -d 'metadata[" + key + "]=" + value + "'"
}

// EmailCommand enters the e-mail of a customer with Stripe's own command line.
func EmailCommand(customer string) string {
	return "stripe customers update " + customer + " -d email=ADDRESS"
}

// LookCommand shows a subscription with Stripe's own command line.
func LookCommand(sub string) string { return "stripe subscriptions retrieve " + sub }

func bindCommand(unit, what, why string, flags ...string) string {
	text := "stripe-enhance customers bind " + unit + " " + what
	for _, f := range flags {
		text += " " + f
	}
	return text + " --reason '" + why + "'"
}

// holdUnbound holds the units whose hosting a person has unbound, until a person decides:
// they are served by another hosting, or the order is new. Nothing is made or taken over
// for the subscription before that.
func (pl *planner) holdUnbound() {
	for s := range pl.subs {
		p := openUnbinding(pl.c, pl.subs[s].ID)
		if p == nil || !slices.ContainsFunc(pl.units, func(w unit) bool { return w.sub == s && pl.unassigned(w) }) {
			continue
		}
		pl.block(s)
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldAdopt, Subscription: p.Subscription, Org: cmp.Or(pl.orgOf(p.Hosting), p.Org), Hosting: p.Hosting, Reason: wasUnbound(p)})
	}
}

// unboundFrom reports whether a person has unbound a hosting from a subscription.
func (pl *planner) unboundFrom(sub string, hosting int64) bool {
	return slices.ContainsFunc(pl.c.Unbindings, func(p reconcile.Unbinding) bool { return p.Subscription == sub && p.Hosting == hosting })
}

// unboundFromLive reports whether a person has unbound a hosting from a subscription that
// has not ended. Then only a person knows which customer it serves.
func (pl *planner) unboundFromLive(hosting int64) bool {
	return slices.ContainsFunc(pl.c.Unbindings, func(p reconcile.Unbinding) bool {
		s := pl.subIndex(p.Subscription)
		return p.Hosting == hosting && s >= 0 && pl.subs[s].desired != desiredEnded
	})
}

// bindFlags are the flags without which the command that binds a hosting would refuse.
func (pl *planner) bindFlags(sub, org string, hosting int64) (flags []string) {
	if pl.c.Org != nil && org != "" && org != pl.c.Org.ID || pl.apart(org) != nil {
		flags = append(flags, "--other-org")
	}
	if i := pl.hostingIndex(hosting); i >= 0 {
		if m := pl.c.Hostings[i].Marker(); m.StripeID != "" && (m.Of(pl.policy.Instance) == reconcile.Marker{} || m.StripeID != sub && !pl.endedHere(m.StripeID, hosting)) {
			flags = append(flags, "--other-marker")
		}
	}
	return flags
}

// endedHere reports whether a hosting is bound to the subscription that its marker names,
// and that one has ended.
func (pl *planner) endedHere(sub string, hosting int64) bool {
	s := pl.subIndex(sub)
	return s >= 0 && pl.subs[s].desired == desiredEnded && slices.ContainsFunc(pl.c.Bindings, func(b reconcile.Binding) bool {
		return b.Subscription == sub && b.Hosting == hosting
	})
}

// bindInstead is the command that binds a hosting in the place of another one of a
// Subscription.
func (pl *planner) bindInstead(sub string, instead int64, h *reconcile.Hosting) string {
	unit, own := sub, pl.c.BindingsOf(sub)
	if i := slices.IndexFunc(own, func(b reconcile.Binding) bool { return b.Hosting == instead }); i >= 0 {
		unit = pl.unit(sub, own[i].Slot)
	}
	return BindCommand(unit, h.ID, pl.bindFlags(sub, h.Org, h.ID)...)
}

// unit names a unit of a subscription in a command: by its slot where there are several.
func (pl *planner) unit(sub string, n int) string {
	if len(pl.c.BindingsOf(sub)) > 1 {
		return reconcile.SlotID(sub, n)
	}
	return sub
}

// bindKept are the commands by which a hosting that is about to go takes the place of
// one that stays. Of a subscription that has not ended it is unbound first.
func (pl *planner) bindKept(l, other *assignment) string {
	bind := "`" + BindCommand(pl.unit(other.Subscription, other.Slot), l.Hosting, pl.bindFlags(other.Subscription, l.Org, l.Hosting)...) + "`"
	if l.Subscription == other.Subscription || pl.subs[l.sub].desired == desiredEnded {
		return bind
	}
	return "`" + UnbindCommand(l.Subscription, l.Hosting) + "`, and then " + bind + ","
}

// byMetadata binds the hosting that the metadata of a subscription names. Only the
// operator can write there, so it is an order, not a guess.
func (pl *planner) byMetadata() {
	for s := range pl.subs {
		sub := &pl.subs[s]
		if sub.unclear() {
			pl.holdUnclear(s)
			continue
		}
		if sub.MetadataHosting == 0 || pl.ownBinding(s, sub.MetadataHosting) || pl.unboundFrom(sub.ID, sub.MetadataHosting) {
			continue
		}
		if w := pl.unfilled(s, 0); w >= 0 && !pl.secondOfBound(s) {
			pl.bindNamed(s, w)
		}
	}
}

// bySecond binds the hosting that the metadata of a subscription names although it was made
// a second time, if the subscription got no other one by now.
func (pl *planner) bySecond() {
	for s := range pl.subs {
		if w := pl.unfilled(s, 0); w >= 0 && pl.assignmentsOf(s) == 0 && pl.secondOfBound(s) && !pl.unboundFrom(pl.subs[s].ID, pl.subs[s].MetadataHosting) {
			pl.bindNamed(s, w)
		}
	}
}

// secondOfBound reports whether the metadata of a subscription names a hosting that was
// made a second time, for a unit whose other hosting is bound, and we did not write that.
// Another installation may have, for which that is the first: if it were bound as well,
// neither would report any more that both make hostings.
func (pl *planner) secondOfBound(s int) bool {
	sub := &pl.subs[s]
	h := pl.hostingIndex(sub.MetadataHosting)
	return sub.MetadataHosting != 0 && h >= 0 && sub.MetadataHosting != sub.MetadataWritten && pl.doubled(h, pl.bound)
}

// bindNamed binds the hosting that the metadata of a subscription names to a unit. If it
// cannot serve the subscription, a hold has the reason, and no other hosting is found or
// created.
func (pl *planner) bindNamed(s, w int) {
	sub := &pl.subs[s]
	id, org := sub.MetadataHosting, sub.MetadataOrg
	if org == "" && pl.c.Org != nil {
		org = pl.c.Org.ID
	}
	h := pl.hostingIndex(id)
	switch {
	case org == "" || pl.c.Org != nil && pl.c.Org.ID != org:
		pl.block(s)
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldConflict, Subscription: sub.ID, Hosting: id, Reason: pl.namesOtherOrg(sub, id)})
	case h < 0 || pl.c.Hostings[h].ObservedAt.IsZero():
		pl.block(s)
		pl.addNeed(Need{Kind: NeedHosting, Org: org, Hosting: id})
	case pl.c.Hostings[h].Serves != "":
		pl.block(s)
		pl.holdServes(s, h)
	case pl.c.Hostings[h].Org != org || !servable(pl.c.Hostings[h].State):
		pl.block(s)
		if !servable(pl.c.Hostings[h].State) {
			sub.missingHosting = id
		}
		pl.addHold(reconcile.Hold{Kind: reconcile.HoldMissing, Subscription: sub.ID, Hosting: id, Reason: namedIsMissing(sub, &pl.c.Hostings[h], org)})
	default:
		pl.assignments = append(pl.assignments, assignment{Binding: reconcile.Binding{Subscription: sub.ID, Item: pl.units[w].item,
			Slot: pl.freeSlot(s), Org: org, Hosting: id, How: reconcile.BoundByMetadata},
			sub: s, hosting: h, fresh: true, moved: true,
			reason: metadataNames(sub)})
		pl.fill(w, len(pl.assignments)-1)
	}
}

// followMetadata looks at the hosting that the metadata of a subscription names beside the
// one that serves it. A person wrote that and meant something. If the case is clear, the
// named one takes the place of the other: when that is gone, or is empty and of our
// making. Else the bound hosting goes on serving, and a hold names both and the command.
func (pl *planner) followMetadata() {
	for s := range pl.subs {
		sub := &pl.subs[s]
		id := sub.MetadataHosting
		units := pl.filledUnits(s)
		if id == 0 || id == sub.MetadataWritten || len(units) == 0 || pl.ownBinding(s, id) || pl.instructedSince(sub.ID, id) {
			continue
		}
		first := &pl.assignments[pl.units[units[0]].assignment]
		org := cmp.Or(sub.MetadataOrg, first.Org)
		h := pl.hostingIndex(id)
		switch {
		case org != first.Org:
			pl.holdNamed(s, first, org, notTheOrg(first.Org))
		case h < 0 || pl.c.Hostings[h].ObservedAt.IsZero():
			pl.addNeed(Need{Kind: NeedHosting, Org: org, Hosting: id})
		case !servable(pl.c.Hostings[h].State):
		case pl.c.Hostings[h].Org != org:
			pl.holdNamed(s, first, pl.c.Hostings[h].Org, notTheOrg(org))
		case pl.servesOther(s, h) != "":
			pl.holdNamed(s, first, org, namedIsBound(pl.servesOther(s, h), id))
		case pl.unboundFrom(sub.ID, id):
			pl.holdNamed(s, first, org, namedWasUnbound)
		case pl.honoured(s, units, h):
		default:
			pl.holdNamed(s, pl.least(units), org, bothAreThere)
		}
	}
}

// instructedSince reports whether a person has unbound the named hosting when the metadata
// named it already.
func (pl *planner) instructedSince(sub string, hosting int64) bool {
	return slices.ContainsFunc(pl.c.Unbindings, func(p reconcile.Unbinding) bool { return p.Subscription == sub && p.Hosting == hosting && p.Named })
}

// filledUnits are the units of a subscription if all of them have a hosting; nil when one
// has none, which byMetadata has looked at.
func (pl *planner) filledUnits(s int) (units []int) {
	for w := range pl.units {
		if pl.units[w].sub != s {
			continue
		}
		if pl.units[w].assignment < 0 {
			return nil
		}
		units = append(units, w)
	}
	return units
}

// servesOther is another subscription that is bound to a hosting and has not ended; ""
// for none.
func (pl *planner) servesOther(s, h int) string {
	for i := range pl.assignments {
		if l := &pl.assignments[i]; l.Hosting == pl.c.Hostings[h].ID && l.sub != s && (l.sub < 0 || pl.subs[l.sub].desired != desiredEnded) {
			return l.Subscription
		}
	}
	return pl.c.Hostings[h].Serves
}

// least is the assignment of the unit that is worth least.
func (pl *planner) least(units []int) *assignment {
	w := slices.MinFunc(units, func(a, b int) int {
		return cmp.Compare(pl.keepPriority(&pl.assignments[pl.units[a].assignment]), pl.keepPriority(&pl.assignments[pl.units[b].assignment]))
	})
	return &pl.assignments[pl.units[w].assignment]
}

func (pl *planner) holdNamed(s int, bound *assignment, org, why string) {
	sub := &pl.subs[s]
	id := sub.MetadataHosting
	for _, h := range [...]int64{bound.Hosting, id} { // either may be deleted in the panel, to choose the other
		if i := pl.hostingIndex(h); i >= 0 {
			pl.recheckHosting(&pl.c.Hostings[i])
		}
	}
	pl.addHold(reconcile.Hold{Kind: reconcile.HoldConflict, Subscription: sub.ID, Hosting: id, Reason: pl.namedBesideBound(sub, bound, org, why)})
}

// honoured gives the named hosting the place of one that is gone, or that is empty, of our
// making, serves nothing else and was not made twice. It reports whether it did, or waits
// for the content of that one to be read.
func (pl *planner) honoured(s int, units []int, h int) bool {
	if !pl.free(s, h) {
		return false
	}
	for _, w := range units {
		if l := &pl.assignments[pl.units[w].assignment]; l.hosting >= 0 && !pl.alive(l) {
			pl.instead(s, w, h, "is gone")
			return true
		}
	}
	if pl.madeTwice(h) {
		return false // a hold asks which of the two goes
	}
	for _, w := range units {
		l := &pl.assignments[pl.units[w].assignment]
		if l.hosting < 0 || pl.c.Hostings[l.hosting].ObservedAt.IsZero() || l.How == reconcile.BoundByMetadata || l.How == reconcile.BoundByAdopt {
			continue
		}
		e := &pl.c.Hostings[l.hosting]
		pl.readFresh(e)
		if !pl.readContent(e, pl.freshSince()) {
			return true
		}
		if pl.replaceable(pl.units[w].assignment) {
			pl.instead(s, w, h, "has nothing on it")
			return true
		}
	}
	return false
}

// madeTwice reports whether another hosting that lives carries the same marker of ours.
func (pl *planner) madeTwice(h int) bool {
	return pl.doubled(h, func(int64) bool { return true })
}

// doubled is madeTwice for another hosting that is such.
func (pl *planner) doubled(h int, such func(other int64) bool) bool {
	m := pl.marker(&pl.c.Hostings[h])
	return m.Slot > 0 && slices.ContainsFunc(pl.c.Hostings, func(o reconcile.Hosting) bool {
		return o.ID != pl.c.Hostings[h].ID && servable(o.State) && pl.marker(&o) == m && such(o.ID)
	})
}

// free reports whether a hosting is bound to no subscription and marked for no other one.
func (pl *planner) free(s, h int) bool {
	m := pl.c.Hostings[h].Marker()
	return !pl.bound(pl.c.Hostings[h].ID) && !pl.c.Hostings[h].Bound &&
		(m.StripeID == "" || m.Of(pl.policy.Instance).StripeID == pl.subs[s].ID)
}

// instead binds the named hosting to a unit in the place of the one that it has.
func (pl *planner) instead(s, w, h int, why string) {
	k := pl.units[w].assignment
	named, sub := &pl.c.Hostings[h], pl.subs[s].ID
	pl.assignments = append(pl.assignments, assignment{Binding: reconcile.Binding{Subscription: sub, Item: pl.units[w].item,
		Slot: pl.freeSlot(s), Org: named.Org, Hosting: named.ID, How: reconcile.BoundByMetadata},
		sub: s, hosting: h, fresh: true, moved: true,
		reason: namedReplaces(sub, named.ID, pl.assignments[k].Hosting, why)})
	pl.fill(w, len(pl.assignments)-1)
	e := &pl.assignments[k]
	e.instead, e.desired, e.plan = linkID(&pl.assignments[len(pl.assignments)-1]), 0, reconcile.EnhancePlan{}
	pl.leftover(e)
	if e.desired == desiredSuspended {
		e.reason = namedInstead(e, sub, named.ID)
	}
}

// holdServes holds an order whose metadata names a hosting that serves another customer's
// subscription.
func (pl *planner) holdServes(s, h int) {
	sub, o := pl.subs[s].ID, &pl.c.Hostings[h]
	pl.recheckHosting(o)
	pl.addHold(reconcile.Hold{Kind: reconcile.HoldConflict, Subscription: sub, Hosting: o.ID, Reason: pl.namedServesOther(sub, o)})
}
