package reconcile

import (
	"fmt"
	"slices"
	"time"
)

// Instruction is a person's decision about which hosting serves a subscription. It
// overrides markers, metadata and all other evidence until the next instruction. Nothing
// of it is sent to the panel.
type Instruction struct {
	Kind         InstructionKind
	Subscription string
	Slot         int // of the unit that it is about; 0: the only one that it can be about
	// Hosting is as just read at the panel. Of an unbinding only the id matters; 0: the
	// only one that is bound.
	Hosting Hosting
	// OtherOrg accepts a hosting outside of the customer's org, OtherMarker one that
	// carries the marker of another subscription or installation.
	OtherOrg, OtherMarker bool
	// Move takes the hosting from the subscriptions that it serves, also from those that
	// have not ended.
	Move           bool
	Author, Reason string
	At             time.Time
}

// InstructionKind is the kind of an instruction. The zero value is invalid.
type InstructionKind uint8

const (
	InstructBind   InstructionKind = iota + 1 // this hosting serves the subscription
	InstructUnbind                            // this one does not
	InstructNew                               // the order is new: it gets a hosting of its own
)

// Unbinding is a person's statement that a hosting does not serve a subscription. No
// marker and no metadata binds the two again; only another instruction does.
type Unbinding struct {
	Subscription string
	Slot         int // that it had; it is never used again
	Org          string
	Hosting      int64
	At           time.Time
	Author       string
	Reason       string
	// Named means that the metadata of the subscription named the hosting at that time: if
	// it still does, that is nothing new.
	Named bool
	// Resolved means that a later instruction names what serves the unit instead. Until
	// then nothing is created for the subscription.
	Resolved bool
}

// CustomerBinding is a binding to a hosting, of whichever customer.
type CustomerBinding struct {
	Binding
	Customer string // Customer.ID
	Ended    bool   // its subscription
}

// InstructionDecider works out what an instruction changes for the customer of its
// subscription, who has just been loaded. bound are the bindings of all customers to the
// hosting of the instruction. It changes nothing; its error is an [InstructionRefused].
type InstructionDecider func(c *Customer, bound []CustomerBinding) (BindingChange, error)

// BindingChange is the change that an instruction makes. The zero value changes nothing:
// all is so already.
type BindingChange struct {
	Instruction Instruction
	Customer    string
	// Unbinds are bindings of the subscription that end with an unbinding, Frees those of
	// ended subscriptions that end because their hosting serves another one now.
	Unbinds []CustomerBinding
	Frees   []CustomerBinding
	// Leaves are bindings of other subscriptions that end with an unbinding, because a person
	// has moved the hosting: nothing is created for those before another instruction.
	Leaves []CustomerBinding
	Bind   *Binding
	// OtherUnbindings cancel the markers by which these hostings name other subscriptions.
	// Without them the hostings would be bound to those again.
	OtherUnbindings []Unbinding
	// Resolves are the unbindings of the subscription that this resolves.
	Resolves []int64
	New      bool
	Named    int64  // the hosting that the metadata of the subscription names
	Before   string // what served the subscription, for people
}

// None reports whether everything is already as instructed.
func (ch *BindingChange) None() bool {
	return len(ch.Unbinds) == 0 && len(ch.Leaves) == 0 && ch.Bind == nil && !ch.New && len(ch.Resolves) == 0
}

// InstructionRefused is why an instruction cannot be followed, as a sentence for people.
type InstructionRefused string

func (e InstructionRefused) Error() string { return string(e) }

// SubscriptionNotKnown is the error for a subscription that was never read.
func SubscriptionNotKnown(sub string) error {
	return InstructionRefused(fmt.Sprintf("%s is not known here: `stripe-enhance reconcile --subscription %s` reads it", sub, sub))
}

// Subscription returns one of the customer's subscriptions; nil: it has no such one.
func (c *Customer) Subscription(id string) *Subscription {
	for i := range c.Subscriptions {
		if c.Subscriptions[i].ID == id {
			return &c.Subscriptions[i]
		}
	}
	return nil
}

// BindingsOf are the bindings of a subscription by slot, without those to hostings
// that were deleted at the end of their retention period.
func (c *Customer) BindingsOf(sub string) []Binding {
	var own []Binding
	for _, b := range c.Bindings {
		if b.Subscription == sub && !slices.ContainsFunc(c.Hostings, func(h Hosting) bool { return h.ID == b.Hosting && !h.TerminatedByUs.IsZero() }) {
			own = append(own, b)
		}
	}
	slices.SortFunc(own, func(a, b Binding) int { return a.Slot - b.Slot })
	return own
}

// Apply makes the same change in a loaded customer as the store makes in the database.
func (ch *BindingChange) Apply(c *Customer) {
	w := &ch.Instruction
	if !ch.None() {
		ch.leave(c)
	}
	if ch.None() || c.ID != ch.Customer {
		return
	}
	unbindings := ch.unbindingsAfter(c)
	bindings := slices.Clone(c.Bindings)
	for _, b := range slices.Concat(ch.Unbinds, ch.Frees) {
		bindings = slices.DeleteFunc(bindings, func(o Binding) bool { return o.Subscription == b.Subscription && o.Slot == b.Slot })
	}
	subs := slices.Clone(c.Subscriptions)
	for i := range subs {
		if subs[i].ID == w.Subscription {
			subs[i].IsNewOrder = ch.New || subs[i].IsNewOrder && w.Kind != InstructUnbind
		}
	}
	c.Bindings, c.Unbindings, c.Subscriptions = bindings, unbindings, subs
	ch.rebind(c)
}

// leave ends the bindings of other subscriptions of a loaded customer.
func (ch *BindingChange) leave(c *Customer) {
	for _, b := range ch.Leaves {
		if c.Subscription(b.Subscription) == nil {
			continue
		}
		c.Bindings = slices.DeleteFunc(slices.Clone(c.Bindings), func(o Binding) bool { return o.Subscription == b.Subscription && o.Slot == b.Slot })
		c.Unbindings = slices.DeleteFunc(slices.Clone(c.Unbindings), func(u Unbinding) bool { return u.Subscription == b.Subscription && u.Hosting == b.Hosting })
		c.Unbindings = append(c.Unbindings, ch.left(b, c.Subscription(b.Subscription).MetadataHosting == b.Hosting))
		c.Subscriptions = slices.Clone(c.Subscriptions)
		c.Subscription(b.Subscription).IsNewOrder = false
	}
}

// left is the unbinding of a subscription whose hosting was moved. named: its metadata names
// the hosting.
func (ch *BindingChange) left(b CustomerBinding, named bool) Unbinding {
	u := ch.Unbinding(b.Binding)
	u.Named, u.Resolved = named, false
	return u
}

// Customers are all customers that the change concerns, each once.
func (ch *BindingChange) Customers() []string {
	all := []string{ch.Customer}
	for _, b := range slices.Concat(ch.Frees, ch.Leaves) {
		if !slices.Contains(all, b.Customer) {
			all = append(all, b.Customer)
		}
	}
	return all
}

// Subscriptions are those whose hosting changes, each once.
func (ch *BindingChange) Subscriptions() []string {
	all := []string{ch.Instruction.Subscription}
	for _, b := range ch.Leaves {
		if !slices.Contains(all, b.Subscription) {
			all = append(all, b.Subscription)
		}
	}
	return all
}

// unbindingsAfter are the unbindings of the customer after the change. One that the
// instruction repeats or takes back is replaced.
func (ch *BindingChange) unbindingsAfter(c *Customer) []Unbinding {
	w := &ch.Instruction
	all := slices.DeleteFunc(slices.Clone(c.Unbindings), func(u Unbinding) bool {
		return u.Subscription == w.Subscription && (ch.Bind != nil && u.Hosting == ch.Bind.Hosting ||
			slices.ContainsFunc(ch.Unbinds, func(b CustomerBinding) bool { return b.Hosting == u.Hosting }))
	})
	for i := range all {
		if u := &all[i]; u.Subscription == w.Subscription && slices.Contains(ch.Resolves, u.Hosting) {
			u.Resolved = true
		}
	}
	for _, b := range ch.Unbinds {
		all = append(all, ch.Unbinding(b.Binding))
	}
	for _, u := range ch.OtherUnbindings {
		known := slices.ContainsFunc(all, func(o Unbinding) bool { return o.Subscription == u.Subscription && o.Hosting == u.Hosting })
		if c.Subscription(u.Subscription) != nil && !known {
			all = append(all, u)
		}
	}
	return all
}

// rebind puts the hosting that is bound now into the picture.
func (ch *BindingChange) rebind(c *Customer) {
	hostings := slices.Clone(c.Hostings)
	for i := range hostings {
		if slices.ContainsFunc(ch.Unbinds, func(b CustomerBinding) bool { return b.Hosting == hostings[i].ID }) {
			hostings[i].Bound = slices.ContainsFunc(c.Bindings, func(b Binding) bool { return b.Hosting == hostings[i].ID })
		}
	}
	if b := ch.Bind; b != nil {
		c.Bindings = slices.DeleteFunc(c.Bindings, func(o Binding) bool { return o.Subscription == b.Subscription && o.Slot == b.Slot })
		c.Bindings = append(c.Bindings, *b)
		i := slices.IndexFunc(hostings, func(h Hosting) bool { return h.ID == b.Hosting })
		if i < 0 {
			hostings = append(hostings, ch.Instruction.Hosting)
			i = len(hostings) - 1
		} else if read := &ch.Instruction.Hosting; !hostings[i].ObservedAt.After(read.ObservedAt) {
			h := &hostings[i]
			h.Org, h.Plan, h.State, h.SuspendedBy, h.FriendlyName, h.ObservedAt = read.Org, read.Plan, read.State, read.SuspendedBy, read.FriendlyName, read.ObservedAt
			if read.Usage != nil {
				h.Usage = read.Usage
			}
		}
		hostings[i].Bound = true
	}
	c.Hostings = hostings
}

// Unbinding is the record that a binding was wrong.
func (ch *BindingChange) Unbinding(b Binding) Unbinding {
	return Unbinding{Subscription: b.Subscription, Slot: b.Slot, Org: b.Org, Hosting: b.Hosting,
		At: ch.Instruction.At, Author: ch.Instruction.Author, Reason: ch.Instruction.Reason, Named: ch.Named == b.Hosting, Resolved: ch.Instruction.Kind != InstructUnbind}
}

// Describe returns the change as sentences for people.
func (ch *BindingChange) Describe() []string {
	w := &ch.Instruction
	if ch.None() {
		return []string{w.Subscription + " is served like that already: " + ch.Before}
	}
	var all []string
	for _, b := range ch.Unbinds {
		all = append(all, fmt.Sprintf("%s is not served by hosting %d of org %s any more; at the panel that stays as it is", SlotID(b.Subscription, b.Slot), b.Hosting, b.Org))
	}
	for _, b := range ch.Frees {
		all = append(all, fmt.Sprintf("hosting %d is not kept for %s of %s any more, which has ended", b.Hosting, b.Subscription, b.Customer))
	}
	for _, b := range ch.Leaves {
		all = append(all, fmt.Sprintf("%s of %s is not served by hosting %d any more; nothing is made for it before `stripe-enhance customers bind %s` names another hosting, or new",
			SlotID(b.Subscription, b.Slot), b.Customer, b.Hosting, b.Subscription))
	}
	if b := ch.Bind; b != nil {
		all = append(all, fmt.Sprintf("%s is served by hosting %d of org %s", SlotID(b.Subscription, b.Slot), b.Hosting, b.Org))
	}
	if w.Kind == InstructNew {
		all = append(all, w.Subscription+" is a new order: it gets a hosting of its own")
	}
	return all
}

// Entries are the change as rows of the journal, with author and reason.
func (ch *BindingChange) Entries() []Action {
	w := &ch.Instruction
	why := fmt.Sprintf("%s: %s (before: %s)", w.Author, w.Reason, ch.Before)
	entry := func(id, customer string, b Binding, what string) Action {
		return Action{ID: id, Kind: Link, Customer: customer, Subscription: b.Subscription, Item: b.Item, Slot: b.Slot,
			Org: b.Org, Hosting: b.Hosting, How: BoundByAdopt, Reason: what + " by " + why}
	}
	var all []Action
	for _, b := range slices.Concat(ch.Unbinds, ch.Frees, ch.Leaves) {
		all = append(all, entry("unbind:"+SlotID(b.Subscription, b.Slot)+":"+FormatID(b.Hosting), b.Customer, b.Binding, "unbound"))
	}
	if b := ch.Bind; b != nil {
		all = append(all, entry("bind:"+SlotID(b.Subscription, b.Slot)+":"+FormatID(b.Hosting), ch.Customer, *b, "bound"))
	}
	if w.Kind == InstructNew && !ch.None() {
		all = append(all, entry("new:"+w.Subscription, ch.Customer, Binding{Subscription: w.Subscription}, "marked as new"))
	}
	return all
}
