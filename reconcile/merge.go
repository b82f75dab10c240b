package reconcile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Sharer is a customer of an org that several have.
type Sharer struct {
	ID, Email     string
	Guest         bool   // see Customer.OrgGuest
	Why           string // see Customer.OrgWhy
	Subscriptions []string
}

// ApartOrg is an org of which a person has stated that it is not the customer's. No
// evidence leads the customer into it again, only another statement.
type ApartOrg struct {
	Org string
	Why string // who stated it, and why
	At  time.Time
}

// OrgInstruction is a person's statement about which org a customer's new hostings go
// into. No hosting moves because of it, and nothing is sent to the panel.
type OrgInstruction struct {
	Kind     OrgInstructionKind
	Customer string // the founder's id
	// Into is the customer whose org it is to be; "" of a split.
	Into           string
	Author, Reason string
	At             time.Time
}

// OrgInstructionKind is the kind of a statement. The zero value is invalid.
type OrgInstructionKind uint8

const (
	MergeOrgs OrgInstructionKind = iota + 1 // the org of Into is this customer's too, as a guest
	SplitOrgs                               // the org in which it is a guest is not its own
)

// Why is who stated it, and the reason.
func (w *OrgInstruction) Why() string { return w.Author + ": " + w.Reason }

// OrgDecider works out what a statement changes. c is the customer, and into the one whose
// org it is to be, nil if there is none; both were just loaded. It changes nothing; its
// error is an [InstructionRefused].
type OrgDecider func(c, into *Customer) (OrgChange, error)

// OrgChange is the change that a statement makes.
type OrgChange struct {
	Instruction OrgInstruction
	// Org is the org that the customer comes into, or leaves.
	Org Org
	// Former is its own org before a merge; "": it had none, or was a guest.
	Former string
	// Host is the customer who names the org and has its owner.
	Host string
	// Already means that all is so, and nothing changes.
	Already bool
	// Stays are the hostings of the customer, which stay in their orgs.
	Stays []Binding
	// There are the hostings in the org, Alike those of them that an order may look like,
	// and Sharers its customers after the change. They are for Apply.
	There   []Hosting
	Alike   []Lookalike
	Sharers []Sharer
}

// Apply makes the same change in a loaded customer as the store makes in the database.
func (ch *OrgChange) Apply(c *Customer) {
	w := &ch.Instruction
	if ch.Already || c.ID != w.Customer {
		return
	}
	was := c.Org
	c.Invited, c.InvitedEmail, c.NameWanted, c.NameWhy, c.InviteWanted, c.InviteWhy = time.Time{}, "", "", "", "", ""
	c.Apart = slices.DeleteFunc(slices.Clone(c.Apart), func(o ApartOrg) bool { return o.Org == ch.Org.ID })
	if w.Kind == MergeOrgs {
		org := ch.Org
		c.Org, c.OrgGuest, c.OrgNamed, c.OrgWhy, c.Sharers = &org, true, true, w.Why(), ch.Sharers
	} else {
		c.Org, c.OrgGuest, c.OrgNamed, c.OrgWhy, c.Sharers = nil, false, false, "", nil
		c.Apart = append(c.Apart, ApartOrg{Org: ch.Org.ID, Why: w.Why(), At: w.At})
		slices.SortFunc(c.Apart, func(a, b ApartOrg) int { return cmp.Compare(a.Org, b.Org) })
	}
	ch.look(c, was)
}

// look changes what the customer sees: the hostings of its org, and those of its former one
// no longer, unless they concern it for another reason.
func (ch *OrgChange) look(c *Customer, was *Org) {
	left := func(org string) bool { return was != nil && org == was.ID }
	c.Hostings = slices.DeleteFunc(slices.Clone(c.Hostings), func(h Hosting) bool { return left(h.Org) && !c.concerns(&h) })
	c.Lookalikes = slices.DeleteFunc(slices.Clone(c.Lookalikes), func(l Lookalike) bool { return left(l.Org) && l.Why == LikeOrg })
	if ch.Instruction.Kind != MergeOrgs {
		return
	}
	for _, h := range ch.There {
		if !slices.ContainsFunc(c.Hostings, func(o Hosting) bool { return o.ID == h.ID }) {
			c.Hostings = append(c.Hostings, h)
		}
	}
	slices.SortFunc(c.Hostings, func(a, b Hosting) int { return cmp.Compare(a.ID, b.ID) })
	c.Lookalikes = append(c.Lookalikes, ch.Alike...)
	if was != nil && was.ID == ch.Former {
		c.free(*was)
	}
}

// free notes an org that no customer has any more.
func (c *Customer) free(o Org) {
	if m, _ := MarkerOf(o.Name); m.StripeID == c.ID {
		c.MarkedOrgs = append(slices.Clone(c.MarkedOrgs), o)
	}
	if key := EmailKey(c.Email); !o.Deleted && key != "" && EmailKey(o.OwnerEmail) == key {
		c.OwnedOrgs = append(slices.Clone(c.OwnedOrgs), o)
	}
}

// concerns reports whether a hosting concerns a customer wherever it is: it is bound to one
// of its subscriptions, or a marker or the metadata of one names it.
func (c *Customer) concerns(h *Hosting) bool {
	return slices.ContainsFunc(c.Bindings, func(b Binding) bool { return b.Hosting == h.ID }) ||
		slices.ContainsFunc(c.Subscriptions, func(s Subscription) bool {
			return s.MetadataHosting == h.ID || s.ID == h.Marker().StripeID
		})
}

// Describe returns the change as sentences for people.
func (ch *OrgChange) Describe() []string {
	w := &ch.Instruction
	switch {
	case ch.Already && w.Kind == MergeOrgs:
		return []string{fmt.Sprintf("%s is in org %s with %s already", w.Customer, ch.Org.ID, w.Into)}
	case ch.Already:
		return []string{fmt.Sprintf("%s was split from org %s already", w.Customer, ch.Org.ID)}
	}
	var all []string
	if w.Kind == MergeOrgs {
		all = append(all, fmt.Sprintf("%s is a guest in org %s (%q) of %s: its new hostings are made there, and the owner of that org has access to them; %s is not invited",
			w.Customer, ch.Org.ID, ch.Org.Name, ch.Host, w.Customer))
		if ch.Former != "" {
			all = append(all, fmt.Sprintf("org %s is not its own any more: nothing new is made in it", ch.Former))
		}
	} else {
		all = append(all, fmt.Sprintf("%s is no guest in org %s (%q) of %s any more: its new hostings are made in an org of its own",
			w.Customer, ch.Org.ID, ch.Org.Name, ch.Host))
	}
	return append(all, ch.stays())
}

// stays is the sentence about what does not change.
func (ch *OrgChange) stays() string {
	var parts []string
	for _, b := range ch.Stays {
		parts = append(parts, fmt.Sprintf("hosting %d of %s in org %s", b.Hosting, b.Subscription, b.Org))
	}
	text := "nothing is moved, suspended, deleted or renamed at the panel because of this"
	if len(parts) == 0 {
		return text
	}
	if len(parts) == 1 {
		return text + ": " + parts[0] + " stays where it is"
	}
	return text + ": " + strings.Join(parts, ", ") + " stay where they are"
}

// Entry is the change as a row of the journal, with author and reason.
func (ch *OrgChange) Entry() Action {
	w := &ch.Instruction
	id, did := "merge:"+w.Customer+":"+ch.Org.ID, fmt.Sprintf("put into org %s of %s by %s", ch.Org.ID, ch.Host, w.Why())
	if ch.Former != "" {
		did += " (before: org " + ch.Former + ")"
	}
	if w.Kind == SplitOrgs {
		id, did = "split:"+w.Customer+":"+ch.Org.ID, fmt.Sprintf("split from org %s of %s by %s", ch.Org.ID, ch.Host, w.Why())
	}
	return Action{ID: id, Kind: Link, Customer: w.Customer, Org: ch.Org.ID, How: BoundByAdopt, Reason: did}
}
