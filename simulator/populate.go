package simulator

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Mix describes a fleet for Populate. The zero value is a plausible company.
type Mix struct {
	// Statuses are weights by Stripe status. Nil: mostly active, all eight present.
	Statuses map[string]int

	// Plain leaves out the oddities: quantities, several items, unusual e-mails,
	// guests, unmapped prices, the unknown status.
	Plain bool

	// Bound fills the panel as if the fleet had been served before: an organisation,
	// and a hosting with its marker for each unit that is or was live.
	Bound bool

	// Living lets the clock renew, expire and retry these subscriptions. Otherwise only
	// an operation changes them, so that a world with a million of them stays quiet.
	Living bool

	// Years is the age of the oldest subscription. 0: three.
	Years int
}

// Fleet is the result of Populate.
type Fleet struct {
	Plans    map[string]int // price id → plan id: the mapping to configure
	Unmapped string         // a price that some have and that has no plan
	Unknown  string         // the subscription with a status that Stripe does not document
	Large    string         // a subscription with more than 20 items
}

var usualStatuses = map[string]int{
	"active": 780, "trialing": 50, "past_due": 40, "unpaid": 15, "canceled": 85, "incomplete": 10,
	"incomplete_expired": 10, "paused": 10,
}

// Populate adds n subscriptions. The first ones go through all statuses and oddities,
// so that a small fleet has them too. It makes three products with prices and plans if
// they are missing. It emits no events, because the fleet is older than any client.
func (w *World) Populate(n int, m Mix) Fleet {
	w.enter()
	defer w.mu.Unlock()
	g := &fleetBuilder{World: w, mix: m, fleet: Fleet{Plans: map[string]int{}}}
	if m.Statuses == nil {
		g.mix.Statuses = usualStatuses
	}
	if m.Years == 0 {
		g.mix.Years = 3
	}
	g.order = sortedKeys(g.mix.Statuses)
	for _, s := range g.order {
		g.weight += g.mix.Statuses[s]
	}
	g.catalogue()
	first := w.births + 1
	w.births += uint64(n)
	for i := range n {
		g.addSubscription(i, n, first+uint64(i))
	}
	slices.SortStableFunc(w.panel.orgs, func(a, b *Org) int { return a.Created.Compare(b.Created) })
	w.panel.invalidate()
	return g.fleet
}

// fleetBuilder makes a fleet. It hashes the index for its choices, so that a fleet of
// ten begins like a fleet of a million.
type fleetBuilder struct {
	*World
	mix          Mix
	fleet        Fleet
	order        []string
	weight       int
	prices       []string
	lastCustomer *Customer
	lastOrg      *Org // of the subscription before
}

// offers are the products, prices and plans that Populate and demos use.
var offers = []struct {
	product, name, price, lookup string
	amount                       int64
	plan                         string
	disk, sites                  int64
}{
	{"prod_basic", "Basic hosting", "price_basic_monthly", "basic_monthly", 500, "Basic", 10 << 30, 1},
	{"prod_pro", "Pro hosting", "price_pro_monthly", "pro_monthly", 1500, "Pro", 50 << 30, 10},
	{"prod_business", "Business hosting", "price_business_monthly", "business_monthly", 4900, "Business", 200 << 30, -1},
}

// Offer puts the usual three products on sale, with a plan for each, and returns price
// id → plan id. Products, prices and plans that exist already stay as they are.
func (w *World) Offer() map[string]int {
	w.enter()
	defer w.mu.Unlock()
	g := &fleetBuilder{World: w, fleet: Fleet{Plans: map[string]int{}}}
	g.offer()
	return g.fleet.Plans
}

func (g *fleetBuilder) offer() {
	for _, o := range offers {
		if g.account.products.byID[o.product] == nil {
			g.putProduct(Product{ID: o.product, Name: o.name})
		}
		if g.account.prices.byID[o.price] == nil {
			g.putPrice(Price{ID: o.price, Product: o.product, LookupKey: o.lookup, Amount: o.amount})
		}
		id := 0
		for _, p := range g.panel.plans {
			if p.Name == o.plan {
				id = p.ID
			}
		}
		if id == 0 {
			id = len(g.panel.plans) + 1
			g.panel.plans = append(g.panel.plans, &Plan{ID: id, Name: o.plan, createdAt: g.now, Resources: []Resource{
				{"diskspace", o.disk}, {"websites", o.sites}, {"mailboxes", 10 * o.sites},
			}})
		}
		g.prices = append(g.prices, o.price)
		g.fleet.Plans[o.price] = id
	}
}

func (g *fleetBuilder) catalogue() {
	g.offer()
	if g.mix.Plain {
		return
	}
	g.fleet.Unmapped = "price_consulting_monthly"
	if g.account.prices.byID[g.fleet.Unmapped] == nil {
		g.putPrice(Price{ID: g.fleet.Unmapped, Product: "prod_consulting", Amount: 9900})
	}
}

// The oddities: one subscription in so many has each.
const (
	oddQuantity  = 16
	oddSeveral   = 25
	oddLarge     = 2000
	oddUpperCase = 20
	oddNoEmail   = 100
	oddGuest     = 20
	oddUnmapped  = 100
	sameSecond   = 4
)

// hasOddity decides on one oddity for one index. The first fifty of a fleet have each
// of them at a fixed place.
func (g *fleetBuilder) hasOddity(what string, i, every, place int) bool {
	if g.mix.Plain {
		return false
	}
	return i == place || i > 50 && g.prf.nth(what, uint64(i))%uint64(every) == 0
}

func (g *fleetBuilder) addSubscription(i, n int, birth uint64) {
	t := g.creationTime(i, n)
	c := g.addCustomer(i, birth, t)
	s := &Subscription{
		ID: "sub_1" + base62(g.prf.nth("fleet sub", birth), 15), Customer: c.ID, customer: c, Status: g.status(i),
		Created: t, PeriodStart: t, birth: birth, living: g.mix.Living,
	}
	s.Items = g.itemsOf(s, i, birth)
	s.PeriodStart, s.PeriodEnd = g.period(s)
	g.setStatusFields(s)
	if i == 40 && !g.mix.Plain {
		s.Status, g.fleet.Unknown = "dormant", s.ID
	}
	g.account.subs.put(s.ID, s)
	c.subs = append(c.subs, s)
	if s.Status == "past_due" || s.Status == "unpaid" || s.Status == "incomplete" {
		inv := g.invoice(s, "subscription_cycle")
		inv.Created = max(s.Created, g.now.Unix()-int64(below(g.prf.nth("overdue", uint64(i)), 5*24*3600)))
		inv.Attempts = 1
		if inv.Due != 0 {
			inv.Due = inv.Created
		}
		s.PastDueSince = inv.Created
		g.account.invoices.unsorted = true
	}
	if g.mix.Living {
		g.schedule(s)
	}
	if g.mix.Bound {
		g.addHostings(s)
	}
}

// creationTime spreads the creations evenly up to an hour ago. Some are in the same
// second as the one before.
func (g *fleetBuilder) creationTime(i, n int) int64 {
	at := func(i int) int64 {
		span := int64(g.mix.Years) * 365 * 24 * 3600
		return g.now.Unix() - 3600 - span + int64(float64(span)*float64(i)/float64(n))
	}
	for i > 0 && g.hasOddity("same second", i, sameSecond, 3) {
		i--
	}
	return at(i)
}

func (g *fleetBuilder) status(i int) string {
	if i < 2*len(g.order) {
		return g.order[i%len(g.order)]
	}
	roll := below(g.prf.nth("status", uint64(i)), g.weight)
	for _, s := range g.order {
		if roll -= g.mix.Statuses[s]; roll < 0 {
			return s
		}
	}
	return "active"
}

// addCustomer adds a customer. If it is a guest, its e-mail is that of the customer
// before, with another capitalisation.
func (g *fleetBuilder) addCustomer(i int, birth uint64, t int64) *Customer {
	email := "customer" + strconv.Itoa(i) + "@example.com"
	name := "Customer " + strconv.Itoa(i)
	switch {
	case g.hasOddity("guest", i, oddGuest, 20) && g.lastCustomer != nil && g.lastCustomer.Email != "":
		email, name = strings.ToUpper(g.lastCustomer.Email[:1])+g.lastCustomer.Email[1:], g.lastCustomer.Name
	case g.hasOddity("upper case", i, oddUpperCase, 22):
		email = strings.ToUpper(email)
	case g.hasOddity("no e-mail", i, oddNoEmail, 24):
		email = ""
	}
	c := &Customer{ID: "cus_" + base62(g.prf.nth("fleet cus", birth), 14), Email: email, Name: name, Created: t, birth: birth}
	g.account.cust.put(c.ID, c)
	g.lastCustomer = c
	return c
}

func (g *fleetBuilder) itemsOf(s *Subscription, i int, birth uint64) []Item {
	n := 1
	switch {
	case g.hasOddity("large", i, oddLarge, 30):
		n = 23
		if g.fleet.Large == "" {
			g.fleet.Large = s.ID
		}
	case g.hasOddity("several", i, oddSeveral, 32):
		n = 2
	}
	items := make([]Item, n)
	for k := range items {
		roll := g.prf.nth("item", birth*64+uint64(k))
		items[k] = Item{ID: "si_" + base62(roll, 14), Price: g.prices[below(roll, len(g.prices))], Quantity: 1, Created: s.Created}
	}
	if g.hasOddity("quantity", i, oddQuantity, 34) {
		items[0].Quantity = 3
	}
	if g.hasOddity("unmapped", i, oddUnmapped, 36) {
		items[0].Price = g.fleet.Unmapped
	}
	return items
}

const month = 30 * 24 * 3600

// period returns the current period. It counts in months of 30 days, which is close
// enough and needs no calendar for a million subscriptions.
func (g *fleetBuilder) period(s *Subscription) (start, end int64) {
	n := (g.now.Unix() - s.Created) / month
	return s.Created + n*month, s.Created + (n+1)*month
}

// setStatusFields sets the fields that follow from the status.
func (g *fleetBuilder) setStatusFields(s *Subscription) {
	switch s.Status {
	case "trialing":
		s.TrialStart, s.TrialEnd = s.Created, s.PeriodEnd
	case "canceled":
		s.PeriodEnd = min(s.Created+month, g.now.Unix())
		s.PeriodStart, s.CanceledAt, s.EndedAt = s.Created, s.PeriodEnd, s.PeriodEnd
		s.CancelReason = "cancellation_requested"
	case "incomplete_expired":
		s.EndedAt = s.Created + incompleteFor
	}
}

// addHostings gives a subscription its organisation and a hosting for each mapped
// unit, unless its first payment is missing.
func (g *fleetBuilder) addHostings(s *Subscription) {
	if s.Status == "incomplete" || s.Status == "incomplete_expired" {
		return
	}
	o, unit := g.sharedOrg(s), 0
	for _, it := range s.Items {
		plan, mapped := g.fleet.Plans[it.Price]
		if !mapped {
			continue
		}
		for range it.Quantity {
			if o == nil {
				o = g.addOrg(s)
			}
			unit++
			g.addHosting(o, plan, s, unit)
		}
	}
	g.lastOrg = o
	if o != nil && s.customer.Email != "" {
		o.Members = []Member{{
			ID: g.prf.uuid("fleet member", s.ID), Login: g.prf.uuid("fleet login", s.ID), Email: s.customer.Email,
			Name: s.customer.Name, Roles: ownerOnly, Active: true, Joined: time.Unix(s.Created, 0).UTC(),
		}}
	}
}

func (g *fleetBuilder) addOrg(s *Subscription) *Org {
	o := &Org{ID: g.prf.uuid("fleet org", s.ID), Name: s.customer.Name, Status: "active", Created: time.Unix(s.Created, 0).UTC()}
	g.panel.orgs = append(g.panel.orgs, o)
	g.panel.orgByID[o.ID] = o
	return o
}

// addHosting adds the hosting of one unit, suspended if the subscription's status
// entitles to nothing.
func (g *fleetBuilder) addHosting(o *Org, plan int, s *Subscription, unit int) {
	h := g.newHosting(o, plan, fmt.Sprintf("%s [%s/%d]", g.panel.plan(plan).Name, s.ID, unit))
	h.Created = time.Unix(s.Created, 0).UTC()
	if s.Status == "canceled" || s.Status == "unpaid" || s.Status == "paused" {
		h.SuspendedBy = g.panel.our.ID
	}
}

// sharedOrg is the organisation of the subscription before, if both belong to one
// person who came twice as a guest.
func (g *fleetBuilder) sharedOrg(s *Subscription) *Org {
	if g.lastOrg == nil || len(g.lastOrg.Members) == 0 || !strings.EqualFold(g.lastOrg.Members[0].Email, s.customer.Email) {
		return nil
	}
	return g.lastOrg
}

// ownerOnly is shared by all members of a fleet, so putOwner copies it before it
// writes.
var ownerOnly = []string{"Owner"}
