package reconcile

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Word is what a person says about what serves a subscription. It wins over markers,
// metadata and everything else that the planner goes by, until another word is said.
// Nothing of it is sent to the panel.
type Word struct {
	Kind         WordKind
	Subscription string
	Slot         int // of the unit that it is about; 0: the only one that it can be about
	// Hosting is as just read at the panel. Of an unbinding only the id matters; 0: the
	// only one that is bound.
	Hosting Hosting
	// OtherOrg accepts a hosting outside of the customer's org, OtherMarker one that
	// carries the marker of another subscription or installation.
	OtherOrg, OtherMarker bool
	Author, Reason        string
	At                    time.Time
}

// WordKind is the kind of a word. The zero value is invalid.
type WordKind uint8

const (
	SayBind   WordKind = iota + 1 // this hosting serves the subscription
	SayUnbind                     // this one does not
	SayNew                        // the order is new: it gets a hosting of its own
)

// Parting is a person's word that a hosting does not serve a subscription. No marker
// and no metadata binds the two again; only another word does.
type Parting struct {
	Subscription string
	Slot         int // that it had; it is never used again
	Org          string
	Hosting      int64
	At           time.Time
	Author       string
	Reason       string
	// Named tells that the metadata of the subscription named the hosting at that time:
	// it says nothing new.
	Named bool
	// Answered tells that it was said since what serves the unit instead. Until then
	// nothing is created for the subscription.
	Answered bool
}

// Claim is a binding to a hosting, of whichever customer.
type Claim struct {
	Binding
	Customer string // Customer.ID
	Ended    bool   // its subscription
}

// Change is what a word changes. The zero value changes nothing: it is so already.
type Change struct {
	Word     Word
	Customer string
	// Unbinds are bindings of the subscription that end with a parting, Frees those of
	// ended subscriptions that end because their hosting serves another one now.
	Unbinds []Claim
	Frees   []Claim
	Bind    *Binding
	// Parts are what the markers of these hostings say of other subscriptions, which
	// counts no more: else they would be bound to those again.
	Parts []Parting
	// Answers are partings of the subscription that are answered by this.
	Answers []int64
	New     bool
	Named   int64  // the hosting that the metadata of the subscription names
	Before  string // what served the subscription, for people
}

// None tells that everything is as the word says.
func (ch *Change) None() bool {
	return len(ch.Unbinds) == 0 && ch.Bind == nil && !ch.New && len(ch.Answers) == 0
}

// NoSuchChange is why a word cannot be followed, as a sentence for people.
type NoSuchChange string

func (e NoSuchChange) Error() string { return string(e) }

// NotKnown says that a subscription was never read.
func NotKnown(sub string) error {
	return NoSuchChange(fmt.Sprintf("%s is not known here: `stripe-enhance reconcile --subscription %s` reads it", sub, sub))
}

func refuse(format string, args ...any) (Change, error) {
	return Change{}, NoSuchChange(fmt.Sprintf(format, args...))
}

// Change works out what the word changes for the customer of its subscription. claims
// are the bindings of all customers to its hosting. Nothing is changed here.
func (w Word) Change(c *Customer, cat *Catalog, instance string, claims []Claim) (Change, error) {
	s := c.subscription(w.Subscription)
	switch {
	case s == nil:
		return refuse("%s is no subscription of %s", w.Subscription, c.ID)
	case len(c.Pending) > 0 && w.Kind != SayNew:
		p := c.Pending[0]
		return refuse("%s was sent for this customer and its outcome is not known yet: say it again after the next run has looked for it", p.Kind)
	}
	ch := Change{Word: w, Customer: c.ID, Named: s.MetadataHosting, Before: c.servedBy(w.Subscription)}
	switch w.Kind {
	case SayBind:
		return ch.bind(c, s, cat, instance, claims)
	case SayUnbind:
		return ch.unbind(c)
	case SayNew:
		ch.answer(c, func(Parting) bool { return true })
		ch.New = !s.SaidNew
		return ch, nil
	}
	return refuse("a word of no kind")
}

func (ch Change) unbind(c *Customer) (Change, error) {
	w, own := &ch.Word, c.bindingsOf(ch.Word.Subscription)
	var of []Binding
	for _, b := range own {
		if (w.Slot == 0 || b.Slot == w.Slot) && (w.Hosting.ID == 0 || b.Hosting == w.Hosting.ID) {
			of = append(of, b)
		}
	}
	parted := slices.ContainsFunc(c.Partings, func(p Parting) bool {
		return p.Subscription == w.Subscription && !p.Answered && (w.Hosting.ID == 0 || p.Hosting == w.Hosting.ID) && (w.Slot == 0 || p.Slot == w.Slot)
	})
	switch {
	case len(of) == 1:
		ch.Unbinds = []Claim{{Binding: of[0], Customer: c.ID}}
		ch.part(c)
		return ch, nil
	case len(of) == 0 && parted:
		return ch, nil
	case len(of) == 0:
		return refuse("%s is not bound to that: %s", w.Subscription, ch.Before)
	}
	return refuse("%s has several hostings, say which one: %s. `%s`", w.Subscription, ch.Before, UnbindCommand(w.Subscription, of[0].Hosting))
}

func (ch Change) bind(c *Customer, s *Subscription, cat *Catalog, instance string, claims []Claim) (Change, error) {
	w, own := &ch.Word, c.bindingsOf(ch.Word.Subscription)
	h := &w.Hosting
	has := slices.IndexFunc(own, func(b Binding) bool { return b.Hosting == h.ID })
	if has >= 0 && (w.Slot == 0 || own[has].Slot == w.Slot) {
		return ch, nil
	}
	if why := w.unfit(c, instance, claims); why != "" {
		return refuse("%s", why)
	}
	b := Binding{Subscription: w.Subscription, Org: h.Org, Hosting: h.ID, How: BoundByAdopt, At: w.At}
	if has >= 0 { // it takes the place of another one of the same subscription
		b = own[has]
		b.How, b.At = BoundByAdopt, w.At
	}
	old, why := ch.place(c, s, cat, own)
	if why != "" {
		return refuse("%s", why)
	}
	if old != nil {
		ch.Unbinds, b.Item = []Claim{{Binding: *old, Customer: c.ID}}, old.Item
	} else {
		ch.answerOne(c)
	}
	if has < 0 {
		b.Slot = c.slotFor(w.Subscription, h, instance)
	}
	for _, cl := range claims {
		if cl.Subscription != w.Subscription {
			ch.Frees = append(ch.Frees, cl)
		}
	}
	ch.Bind = &b
	ch.part(c)
	return ch, nil
}

// part collects the markers that name another subscription than the word is about.
func (ch *Change) part(c *Customer) {
	w := &ch.Word
	all := slices.Clone(c.Hostings)
	if ch.Bind != nil {
		all = append(slices.DeleteFunc(all, func(h Hosting) bool { return h.ID == w.Hosting.ID }), w.Hosting)
	}
	for _, h := range all {
		bound := ch.Bind != nil && ch.Bind.Hosting == h.ID
		if !bound && !slices.ContainsFunc(ch.Unbinds, func(b Claim) bool { return b.Hosting == h.ID }) {
			continue
		}
		if m := h.Marker(); m.Slot > 0 && m.StripeID != w.Subscription {
			s := c.subscription(m.StripeID)
			ch.Parts = append(ch.Parts, Parting{Subscription: m.StripeID, Slot: m.Slot, Org: h.Org, Hosting: h.ID,
				At: w.At, Author: w.Author, Reason: w.Reason, Named: s != nil && s.MetadataHosting == h.ID, Answered: true})
		}
	}
}

// unfit says why the hosting cannot serve the subscription; "" when it can.
func (w *Word) unfit(c *Customer, instance string, claims []Claim) string {
	h := &w.Hosting
	switch h.State {
	case HostingActive, HostingSuspended:
	case HostingDeleted:
		return fmt.Sprintf("hosting %d of org %s was deleted in the panel: restore it there first", h.ID, h.Org)
	case HostingMissing:
		return fmt.Sprintf("org %s has no hosting %d at the panel", h.Org, h.ID)
	case HostingUnknown:
		return fmt.Sprintf("hosting %d of org %s is in a state that this version does not know", h.ID, h.Org)
	default:
		return fmt.Sprintf("hosting %d of org %s was not read", h.ID, h.Org)
	}
	ended := ""
	for _, cl := range claims {
		switch {
		case cl.Subscription == w.Subscription:
		case cl.Ended:
			ended = cl.Subscription
		default:
			return fmt.Sprintf("hosting %d is bound to %s of %s, which has not ended: run `%s` before this, if that one is wrong",
				h.ID, cl.Subscription, cl.Customer, UnbindCommand(cl.Subscription, h.ID))
		}
	}
	m := h.Marker()
	foreign := m.StripeID != "" && m.Of(instance) == Marker{}
	switch {
	case w.OtherMarker || m.StripeID == "" || !foreign && (m.StripeID == w.Subscription || m.StripeID == ended):
	case foreign:
		return fmt.Sprintf("hosting %d carries the marker %s of another installation, which may be using it: say --other-marker if it is not", h.ID, m)
	default:
		return fmt.Sprintf("hosting %d carries the marker %s: it was made for %s. Say --other-marker if %s is to have it all the same", h.ID, m, m.StripeID, w.Subscription)
	}
	if c.Org != nil && c.Org.ID != h.Org && !w.OtherOrg {
		return fmt.Sprintf("hosting %d is in org %s, and the org of %s is %s: say --other-org if it is to serve it there; it stays where it is, and nobody is invited to that org", h.ID, h.Org, w.Subscription, c.Org.ID)
	}
	return ""
}

// place finds the binding in whose place the hosting is bound: that of the slot which
// was named; of a hosting that is gone, where there is one; the only one, where all
// units have a hosting. nil: a unit has none yet.
func (ch *Change) place(c *Customer, s *Subscription, cat *Catalog, own []Binding) (old *Binding, why string) {
	w := &ch.Word
	var gone []int
	for i := range own {
		if w.Slot != 0 && own[i].Slot == w.Slot {
			return &own[i], ""
		}
		if !servable(c.stateOf(own[i].Hosting)) {
			gone = append(gone, i)
		}
	}
	waits := slices.ContainsFunc(c.Partings, func(p Parting) bool {
		return p.Subscription == s.ID && !p.Answered && (w.Slot == 0 || p.Slot == w.Slot)
	})
	switch {
	case waits, w.Slot == 0 && (len(own) == 0 || int64(len(own)) < cat.units(s)):
		return nil, ""
	case w.Slot != 0:
		return nil, fmt.Sprintf("%s has no unit %s: %s", s.ID, slot(s.ID, w.Slot), ch.Before)
	case len(gone) == 1:
		return &own[gone[0]], ""
	case len(own) == 1:
		return &own[0], ""
	}
	return nil, fmt.Sprintf("every unit of %s has a hosting: %s. Say in whose place this one comes: `%s`",
		s.ID, ch.Before, BindCommand(slot(s.ID, own[0].Slot), w.Hosting.ID))
}

// answer marks the partings that are answered.
func (ch *Change) answer(c *Customer, which func(Parting) bool) {
	for _, p := range c.Partings {
		if p.Subscription == ch.Word.Subscription && !p.Answered && which(p) {
			ch.Answers = append(ch.Answers, p.Hosting)
		}
	}
}

// answerOne marks the parting whose unit the hosting serves now.
func (ch *Change) answerOne(c *Customer) {
	ch.answer(c, func(p Parting) bool {
		return len(ch.Answers) == 0 && (ch.Word.Slot == 0 || p.Slot == ch.Word.Slot)
	})
}

func (c *Customer) subscription(id string) *Subscription {
	for i := range c.Subscriptions {
		if c.Subscriptions[i].ID == id {
			return &c.Subscriptions[i]
		}
	}
	return nil
}

// bindingsOf are the bindings of a subscription by slot, without those to hostings
// that were deleted at the end of their retention period.
func (c *Customer) bindingsOf(sub string) []Binding {
	var own []Binding
	for _, b := range c.Bindings {
		if b.Subscription == sub && !slices.ContainsFunc(c.Hostings, func(h Hosting) bool { return h.ID == b.Hosting && !h.TerminatedByUs.IsZero() }) {
			own = append(own, b)
		}
	}
	slices.SortFunc(own, func(a, b Binding) int { return a.Slot - b.Slot })
	return own
}

// openParting is the first unit of a subscription of which it was not said yet what
// serves it; nil for none.
func (c *Customer) openParting(sub string) (first *Parting) {
	for i := range c.Partings {
		if p := &c.Partings[i]; p.Subscription == sub && !p.Answered && (first == nil || p.Slot < first.Slot || p.Slot == first.Slot && p.Hosting < first.Hosting) {
			first = p
		}
	}
	return first
}

func (c *Customer) stateOf(hosting int64) HostingState {
	for i := range c.Hostings {
		if c.Hostings[i].ID == hosting {
			return c.Hostings[i].State
		}
	}
	return 0
}

// servedBy says what serves a subscription.
func (c *Customer) servedBy(sub string) string {
	var parts []string
	for _, b := range c.bindingsOf(sub) {
		parts = append(parts, fmt.Sprintf("%s has hosting %d, bound by %s", slot(sub, b.Slot), b.Hosting, b.How))
	}
	for _, p := range c.Partings {
		if p.Subscription == sub && !p.Answered {
			parts = append(parts, fmt.Sprintf("%s was unbound from hosting %d at %s", slot(sub, p.Slot), p.Hosting, day(p.At)))
		}
	}
	if s := c.subscription(sub); s != nil && s.SaidNew {
		parts = append(parts, "it was said to be new")
	}
	if len(parts) == 0 {
		return "no hosting is bound to " + sub
	}
	return strings.Join(parts, "; ")
}

// slotFor is the slot of the marker that a hosting carries for the subscription, where
// nothing else is bound there, else one that was never used.
func (c *Customer) slotFor(sub string, h *Hosting, instance string) int {
	if m := h.Marker().Of(instance); m.StripeID == sub && !slices.ContainsFunc(c.Bindings, func(b Binding) bool { return b.Subscription == sub && b.Slot == m.Slot }) {
		return m.Slot
	}
	for n := 1; ; n++ {
		if !c.slotUsed(sub, n, instance) {
			return n
		}
	}
}

// slotUsed tells that a slot was ever used, as far as can be seen: by a binding, a
// marker, a parting, or a write that is still unanswered.
func (c *Customer) slotUsed(sub string, n int, instance string) bool {
	m := Marker{StripeID: sub, Slot: n}
	return slices.ContainsFunc(c.Bindings, func(b Binding) bool { return b.Subscription == sub && b.Slot == n }) ||
		slices.ContainsFunc(c.Partings, func(p Parting) bool { return p.Subscription == sub && p.Slot == n }) ||
		slices.ContainsFunc(c.Pending, func(p Pending) bool { return p.Subscription == sub && p.Slot == n }) ||
		slices.ContainsFunc(c.Hostings, func(h Hosting) bool { return h.Marker().Of(instance) == m })
}
