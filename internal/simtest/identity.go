package simtest

import (
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// identities are the people behind the customers at Stripe. An address does not identify a
// person, because the people of a history type each other's.
type identities struct {
	of         map[string]int        // Stripe customer → who ordered as it
	registered map[int]string        // who → the customer that later orders are placed as
	moved      map[string]moveOfMail // Stripe customers that have another address than at first
	had        map[string][]string   // and all that they had before
}

// moveOfMail is the last change of an address.
type moveOfMail struct {
	from string
	at   time.Time
}

func newIdentities() identities {
	return identities{map[string]int{}, map[int]string{}, map[string]moveOfMail{}, map[string][]string{}}
}

// ordered notes who is behind a customer.
func (i identities) ordered(customer string, who int, guest bool) {
	if _, known := i.of[customer]; !known {
		i.of[customer] = who
	}
	if !guest && i.registered[who] == "" {
		i.registered[who] = customer
	}
}

// is reports whether a customer at Stripe is this person.
func (i identities) is(customer string, who int) bool {
	of, known := i.of[customer]
	return known && of%len(people) == who%len(people)
}

// newEmail is a customer who types another address, perhaps another person's.
func (y *play) newEmail(st Step) error {
	var mine []simulator.Customer
	for _, c := range y.world.Customers() {
		if y.is(c.ID, st.Who) {
			mine = append(mine, c)
		}
	}
	if len(mine) == 0 {
		return errNothing
	}
	c := mine[st.N%len(mine)]
	email := [...]string{address(st.Who), address(st.Pick / 4), "evil-" + address(st.Who), address(st.Who + 1)}[st.Pick%4]
	if reconcile.EmailKey(email) != reconcile.EmailKey(c.Email) {
		y.moved[c.ID] = moveOfMail{reconcile.EmailKey(c.Email), y.world.Now()}
		y.had[c.ID] = append(y.had[c.ID], reconcile.EmailKey(c.Email))
	}
	return y.world.SetEmail(c.ID, email)
}

// addresses are those that a customer has, or had a moment ago.
func (y *play) addresses(customer string) []string {
	var all []string
	for _, c := range y.world.Customers() {
		if c.ID == customer {
			all = append(all, reconcile.EmailKey(c.Email))
		}
	}
	if m, ok := y.moved[customer]; ok && y.world.Now().Sub(m.at) < window {
		all = append(all, m.from)
	}
	return all
}

// owners are the addresses of an org's owners, invited ones included.
func (y *play) owners(org string) []string {
	var all []string
	for _, o := range y.world.Orgs() {
		for _, m := range o.Members {
			if o.ID == org && slices.Contains(m.Roles, "Owner") {
				all = append(all, reconcile.EmailKey(m.Email))
			}
		}
	}
	return all
}

// mayShare reports whether a customer's hosting may be made in the org of another one: if
// the org's owner at the panel has the customer's address, or one that the customer had
// when the org was bound. A binding stays when the address changes.
func (y *play) mayShare(customer, org string) bool {
	mine := slices.Concat(y.addresses(customer), y.had[customer])
	return slices.ContainsFunc(y.owners(org), func(e string) bool { return slices.Contains(mine, e) })
}

// onlyItsOwner checks that only the customer for whom an org was made becomes its owner.
func (y *play) onlyItsOwner(e simulator.Effect) {
	customer := y.orgs[e.Org]
	if customer == "" {
		return
	}
	mine := y.addresses(customer)
	if e.Late { // it was sent at the address of that time
		mine = append(mine, y.had[customer]...)
	}
	for _, o := range y.world.Orgs() {
		for _, m := range o.Members {
			if o.ID == e.Org && m.ID == e.Object && !slices.Contains(mine, reconcile.EmailKey(m.Email)) && !y.onlyTheirs(e.Org, m.Email) {
				y.violated(OwnOwner, "%s was made the owner of org %s of %s, whose address is %v", m.Email, e.Org, customer, mine)
			}
		}
	}
}

// onlyTheirs reports whether a database was lost and all that is left in an org is marked as
// that of customers with an address: then nothing shows for whom the org was made, and nothing
// of others is in it.
func (y *play) onlyTheirs(org, email string) bool {
	own := 0
	for _, h := range y.world.Hostings() {
		if h.Org != org {
			continue
		}
		m, _ := reconcile.MarkerOf(h.FriendlyName)
		b := y.bill(m.StripeID)
		if b == nil || !slices.Contains(y.addresses(b.customer), reconcile.EmailKey(email)) {
			return false
		}
		own++
	}
	return own > 0 && !y.lost.IsZero()
}

// livesIn reports whether a customer already has a hosting in an org: the org stays the
// customer's if the address changes.
func (y *play) livesIn(customer, org string, but int) bool {
	for id, o := range y.origin {
		if b := y.bill(o.subscription); id != but && o.org == org && b != nil && b.customer == customer && !o.staff {
			return true
		}
	}
	return false
}
