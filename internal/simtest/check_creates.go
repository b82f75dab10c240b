package simtest

import (
	"slices"
	"strconv"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

func (y *play) oneOrg(p *process, e simulator.Effect) {
	buyer := e.After.Name[strings.LastIndex(e.After.Name, "[")+1:]
	buyer = strings.TrimSuffix(buyer, "]")
	customer := ""
	for _, c := range y.world.Customers() {
		if c.ID == buyer {
			customer = c.ID
		}
	}
	if customer == "" {
		y.violated(OursOnly, "an org was made that names no customer: %q", e.After.Name)
		return
	}
	y.statementStands(e, customer)
	for org, of := range y.orgs {
		if of == customer && !y.ever[customer] && (y.lost.IsZero() || !y.emptied[org] || y.recognisable(org, customer)) && !y.inTheRace(p, []string{org}) {
			y.violated(OneOrg, "%s has org %s and now %s", customer, org, e.Org)
		}
	}
	y.orgs[e.Org] = customer
}

// recognisable reports whether an org from which staff took something still bears a mark of
// ours, or a hosting in it that of the customer. After a database is lost, only marks link an
// org to its customer.
func (y *play) recognisable(org, customer string) bool {
	for _, h := range y.world.Hostings() {
		m, _ := reconcile.MarkerOf(h.FriendlyName)
		if b := y.bill(m.StripeID); h.Org == org && b != nil && b.customer == customer {
			return true
		}
	}
	for _, o := range y.world.Orgs() {
		if o.ID == org && bears(o.Name) {
			return true
		}
	}
	return false
}

func (y *play) oneHosting(p *process, e simulator.Effect) {
	b := y.bill(e.Subscription)
	if b == nil {
		y.violated(OursOnly, "hosting %d was made for no subscription: %q", e.Hosting, e.After.Name)
		return
	}
	y.statementStands(e, b.customer)
	if customer, ok := y.orgs[e.Org]; ok && customer != b.customer && y.merged[b.customer] != e.Org && !y.mayShare(b.customer, e.Org) && !y.livesIn(b.customer, e.Org, e.Hosting) {
		y.violated(OwnOwner, "hosting %d for %s was made in the org of %q", e.Hosting, b.customer, customer)
	}
	made := y.madeFor(b.id, e)
	limit := y.most[b.id] + y.more[b.id]
	if (made.alike > 1 || made.count > limit) && y.inTheRace(p, made.others) {
		return
	}
	if made.alike > 1 {
		y.violated(OneHosting, "%d hostings are called %q", made.alike, e.After.Name)
	}
	if exist := made.count + y.goneFrom(b.id); exist > limit {
		y.violated(OneHosting, "%d hostings were made for %s, which never had more than %d units", exist, b.id, y.most[b.id])
	}
}

// siblings are the hostings that the program made for one subscription.
type siblings struct {
	count  int      // those that a program can recognise
	alike  int      // those that exist and have the name of the newest
	others []string // all but the newest
}

func (y *play) madeFor(subscription string, newest simulator.Effect) (made siblings) {
	for _, h := range y.world.Hostings() {
		o := y.origin[h.ID]
		if o.subscription != subscription || o.staff {
			continue
		}
		if h.ID != newest.Hosting {
			made.others = append(made.others, strconv.Itoa(h.ID))
		}
		if (o.bound || bears(h.FriendlyName)) && !y.lostTrace(subscription, h) {
			made.count++
		}
		if h.FriendlyName == newest.After.Name && h.Status != "deleted" && (h.ID == newest.Hosting || !y.lostTrace(subscription, h)) {
			made.alike++
		}
	}
	return made
}

// lostTrace reports whether nothing leads to a hosting that staff deleted, or that stands in
// another customer's org: only a database that is gone knew of it, its org bears no marker, and
// its owner has not the customer's address.
func (y *play) lostTrace(subscription string, h simulator.Hosting) bool {
	o, b := y.origin[h.ID], y.bill(subscription)
	if b == nil || h.Status != "deleted" && y.orgs[h.Org] == b.customer || o.bound || !o.made.Before(y.lost) || y.livesIn(b.customer, h.Org, h.ID) {
		return false
	}
	return !slices.ContainsFunc(y.world.Orgs(), func(g simulator.Org) bool { return g.ID == h.Org && bears(g.Name) }) &&
		!slices.ContainsFunc(y.owners(h.Org), func(e string) bool { return slices.Contains(y.addresses(b.customer), e) })
}

// goneFrom counts the hostings of a subscription that were purged after a run had
// bound them. Only the database remembers those.
func (y *play) goneFrom(subscription string) (n int) {
	there := map[int]bool{}
	for _, h := range y.world.Hostings() {
		there[h.ID] = true
	}
	for id, o := range y.origin {
		if o.subscription == subscription && !o.staff && o.bound && !there[id] {
			n++
		}
	}
	return n
}
