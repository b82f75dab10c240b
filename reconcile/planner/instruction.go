package planner

import (
	"slices"

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
