package reconcile

import (
	"fmt"
	"slices"
)

// Apply makes the change in what is known of its customer, as the store makes it.
func (ch *Change) Apply(c *Customer) {
	w := &ch.Word
	if ch.None() || c.ID != ch.Customer {
		return
	}
	bindings := slices.Clone(c.Bindings)
	partings := slices.DeleteFunc(slices.Clone(c.Partings), func(p Parting) bool {
		return p.Subscription == w.Subscription && (ch.Bind != nil && p.Hosting == ch.Bind.Hosting ||
			slices.ContainsFunc(ch.Unbinds, func(b Claim) bool { return b.Hosting == p.Hosting }))
	})
	for i := range partings {
		if p := &partings[i]; p.Subscription == w.Subscription && slices.Contains(ch.Answers, p.Hosting) {
			p.Answered = true
		}
	}
	for _, b := range slices.Concat(ch.Unbinds, ch.Frees) {
		bindings = slices.DeleteFunc(bindings, func(o Binding) bool { return o.Subscription == b.Subscription && o.Slot == b.Slot })
	}
	for _, b := range ch.Unbinds {
		partings = append(partings, ch.Parting(b.Binding))
	}
	for _, p := range ch.Parts {
		if c.subscription(p.Subscription) != nil && !slices.ContainsFunc(partings, func(o Parting) bool { return o.Subscription == p.Subscription && o.Hosting == p.Hosting }) {
			partings = append(partings, p)
		}
	}
	subs := slices.Clone(c.Subscriptions)
	for i := range subs {
		if subs[i].ID == w.Subscription {
			subs[i].SaidNew = ch.New || subs[i].SaidNew && w.Kind != SayUnbind
		}
	}
	c.Bindings, c.Partings, c.Subscriptions = bindings, partings, subs
	ch.rebind(c)
}

// rebind puts the hosting that is bound now into the picture.
func (ch *Change) rebind(c *Customer) {
	hostings := slices.Clone(c.Hostings)
	for i := range hostings {
		if slices.ContainsFunc(ch.Unbinds, func(b Claim) bool { return b.Hosting == hostings[i].ID }) {
			hostings[i].Bound = slices.ContainsFunc(c.Bindings, func(b Binding) bool { return b.Hosting == hostings[i].ID })
		}
	}
	if b := ch.Bind; b != nil {
		c.Bindings = slices.DeleteFunc(c.Bindings, func(o Binding) bool { return o.Subscription == b.Subscription && o.Slot == b.Slot })
		c.Bindings = append(c.Bindings, *b)
		i := slices.IndexFunc(hostings, func(h Hosting) bool { return h.ID == b.Hosting })
		if i < 0 {
			hostings = append(hostings, ch.Word.Hosting)
			i = len(hostings) - 1
		} else if read := &ch.Word.Hosting; !hostings[i].ObservedAt.After(read.ObservedAt) {
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

// Parting is the word that a binding was wrong.
func (ch *Change) Parting(b Binding) Parting {
	return Parting{Subscription: b.Subscription, Slot: b.Slot, Org: b.Org, Hosting: b.Hosting,
		At: ch.Word.At, Author: ch.Word.Author, Reason: ch.Word.Reason, Named: ch.Named == b.Hosting, Answered: ch.Word.Kind != SayUnbind}
}

// Says tells in sentences what the word changes.
func (ch *Change) Says() []string {
	w := &ch.Word
	if ch.None() {
		return []string{w.Subscription + " is served as you say already: " + ch.Before}
	}
	var all []string
	for _, b := range ch.Unbinds {
		all = append(all, fmt.Sprintf("%s is not served by hosting %d of org %s any more; at the panel that stays as it is", slot(b.Subscription, b.Slot), b.Hosting, b.Org))
	}
	for _, b := range ch.Frees {
		all = append(all, fmt.Sprintf("hosting %d is not kept for %s of %s any more, which has ended", b.Hosting, b.Subscription, b.Customer))
	}
	if b := ch.Bind; b != nil {
		all = append(all, fmt.Sprintf("%s is served by hosting %d of org %s", slot(b.Subscription, b.Slot), b.Hosting, b.Org))
	}
	if w.Kind == SayNew {
		all = append(all, w.Subscription+" is a new order: it gets a hosting of its own")
	}
	return all
}

// Entries are the change as rows of the journal, with who said it and why.
func (ch *Change) Entries() []Action {
	w := &ch.Word
	said := fmt.Sprintf("%s: %s (before: %s)", w.Author, w.Reason, ch.Before)
	entry := func(id, customer string, b Binding, what string) Action {
		return Action{ID: id, Kind: Link, Customer: customer, Subscription: b.Subscription, Item: b.Item, Slot: b.Slot,
			Org: b.Org, Hosting: b.Hosting, How: BoundByAdopt, Reason: what + " by " + said}
	}
	var all []Action
	for _, b := range slices.Concat(ch.Unbinds, ch.Frees) {
		all = append(all, entry("unbind:"+slot(b.Subscription, b.Slot)+":"+num(b.Hosting), b.Customer, b.Binding, "unbound"))
	}
	if b := ch.Bind; b != nil {
		all = append(all, entry("bind:"+slot(b.Subscription, b.Slot)+":"+num(b.Hosting), ch.Customer, *b, "bound"))
	}
	if w.Kind == SayNew && !ch.None() {
		all = append(all, entry("new:"+w.Subscription, ch.Customer, Binding{Subscription: w.Subscription}, "said to be new"))
	}
	return all
}
