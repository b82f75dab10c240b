package adopt

import (
	"cmp"
	"slices"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// matcher is the facts with their indexes. All slices in it are in order.
type matcher struct {
	orders   []Order
	hostings []Hosting
	buyers   map[string]*Buyer
	orgs     map[string]*Org
	emails   map[string][]string   // key of an e-mail → Stripe customers
	owned    map[string][]string   // key of an e-mail → orgs that it owns, alone or not
	byName   map[string][]string   // key of a name → orgs
	byOrg    map[string][]*Hosting // those that are not ignored
	byBuyer  map[string][]*Order   // orders that wait for a decision
	sites    map[string][]reconcile.WebsiteLocation
	// orgsOf and buyersOf are what metadata, e-mails and domains lead to.
	orgsOf, buyersOf map[string]map[string]bool
}

func newMatcher(f Facts) *matcher {
	m := &matcher{
		orders: slices.Clone(f.Orders), buyers: map[string]*Buyer{}, orgs: map[string]*Org{},
		emails: map[string][]string{}, owned: map[string][]string{}, byName: map[string][]string{},
		byOrg: map[string][]*Hosting{}, byBuyer: map[string][]*Order{}, sites: map[string][]reconcile.WebsiteLocation{},
		orgsOf: map[string]map[string]bool{}, buyersOf: map[string]map[string]bool{},
	}
	slices.SortFunc(m.orders, func(a, b Order) int { return cmp.Compare(a.Subscription, b.Subscription) })
	for i := range f.Buyers {
		b := &f.Buyers[i]
		m.buyers[b.ID] = b
		put(m.emails, reconcile.EmailKey(b.Email), b.ID)
	}
	for i := range f.Orgs {
		o := &f.Orgs[i]
		m.orgs[o.ID] = o
		put(m.byName, reconcile.NameKey(o.Name), o.ID)
		for _, key := range append(o.owners(), reconcile.EmailKey(o.OwnerEmail)) {
			put(m.owned, key, o.ID)
		}
	}
	for _, h := range f.Hostings {
		if m.orgs[h.Org] != nil { // of an org that was deleted nothing is left
			m.hostings = append(m.hostings, h)
		}
	}
	slices.SortFunc(m.hostings, func(a, b Hosting) int { return cmp.Compare(a.ID, b.ID) })
	for i := range m.hostings {
		if h := &m.hostings[i]; h.Ignored == "" {
			m.byOrg[h.Org] = append(m.byOrg[h.Org], h)
		}
	}
	for i := range m.orders {
		if o := &m.orders[i]; o.Ignored == "" && !o.New {
			m.byBuyer[o.Customer] = append(m.byBuyer[o.Customer], o)
		}
	}
	for _, s := range f.Sites {
		if key := reconcile.DomainKey(s.Domain); key != "" {
			m.sites[key] = append(m.sites[key], s.WebsiteLocation)
		}
	}
	for _, index := range []map[string][]string{m.emails, m.owned, m.byName} {
		for key := range index {
			slices.Sort(index[key])
		}
	}
	m.follow()
	return m
}

func put(index map[string][]string, key, value string) {
	if key != "" && !slices.Contains(index[key], value) {
		index[key] = append(index[key], value)
	}
}

// follow notes what metadata, e-mails and domains lead to, of all customers and orgs: also
// of those that miss nothing, because they may be the right ones.
func (m *matcher) follow() {
	for id, b := range m.buyers {
		for _, org := range m.owned[reconcile.EmailKey(b.Email)] {
			m.lead(id, org)
		}
	}
	for i := range m.orders {
		o := &m.orders[i]
		for _, place := range m.placesOf(o) {
			m.lead(o.Customer, place.Org)
		}
		m.lead(o.Customer, m.named(o))
	}
}

func (m *matcher) lead(customer, org string) {
	if m.orgs[org] == nil {
		return
	}
	for _, way := range []struct {
		index    map[string]map[string]bool
		from, to string
	}{{m.orgsOf, customer, org}, {m.buyersOf, org, customer}} {
		if way.index[way.from] == nil {
			way.index[way.from] = map[string]bool{}
		}
		way.index[way.from][way.to] = true
	}
}

// named is the org that the metadata of an order names; "": none.
func (m *matcher) named(o *Order) string {
	if o.MetadataOrg != "" || o.MetadataHosting == 0 {
		return o.MetadataOrg
	}
	for i := range m.hostings {
		if m.hostings[i].ID == o.MetadataHosting {
			return m.hostings[i].Org
		}
	}
	return ""
}

// placesOf is where the panel has the domain of an order.
func (m *matcher) placesOf(o *Order) []reconcile.WebsiteLocation {
	if key := reconcile.DomainKey(o.Domain); key != "" {
		return m.sites[key]
	}
	return nil
}

func (m *matcher) siteOn(o *Order, h *Hosting) bool {
	return slices.ContainsFunc(m.placesOf(o), func(p reconcile.WebsiteLocation) bool { return p.Org == h.Org && p.Hosting == h.ID })
}

// names reports whether an order names just this hosting.
func (m *matcher) names(o *Order, h *Hosting) bool {
	return o.MetadataHosting == h.ID || m.siteOn(o, h)
}

// typed is a customer's e-mail as it was typed, and email its key.
func (m *matcher) typed(customer string) string {
	if b := m.buyers[customer]; b != nil {
		return b.Email
	}
	return ""
}

func (m *matcher) email(customer string) string { return reconcile.EmailKey(m.typed(customer)) }

func (m *matcher) sameName(o *Order, org *Org) bool {
	b := m.buyers[o.Customer]
	return b != nil && reconcile.NameKey(b.Name) != "" && reconcile.NameKey(b.Name) == reconcile.NameKey(org.Name)
}

// paidFor is how many hostings of a plan a customer pays for and does not have.
func (m *matcher) paidFor(customer string, plan int) (n int) {
	for _, o := range m.byBuyer[customer] {
		n += o.Free[plan]
	}
	return n
}

// payers is how many orders of a customer pay for one.
func (m *matcher) payers(customer string, plan int) (n int) {
	for _, o := range m.byBuyer[customer] {
		if o.Free[plan] > 0 {
			n++
		}
	}
	return n
}

// there is how many unbound hostings of a plan an org has.
func (m *matcher) there(org string, plan int) (n int) {
	for _, h := range m.byOrg[org] {
		if h.Plan == plan {
			n++
		}
	}
	return n
}
