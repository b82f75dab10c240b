package simtest

import (
	"fmt"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/simulator"
)

func (y *play) oneOrg(p *process, e simulator.Effect) {
	buyer := e.After.Name[strings.LastIndex(e.After.Name, "[")+1:]
	buyer = strings.TrimSuffix(buyer, "]")
	party := ""
	for _, c := range y.world.Customers() {
		if c.ID == buyer {
			party = c.ID
		}
	}
	if party == "" {
		y.violated(OursOnly, "an org was made that names no customer: %q", e.After.Name)
		return
	}
	for org, of := range y.orgs {
		if of == party && (y.lost.IsZero() || !y.emptied[org] || y.recognisable(org)) && !y.inTheRace(p, []string{org}) {
			y.violated(OneOrg, "%s has org %s and now %s", party, org, e.Org)
		}
	}
	y.orgs[e.Org] = party
}

// recognisable tells that an org from which staff took something still bears a
// mark of ours, or that something in it does. Once a database is lost, nothing else
// says whose it is.
func (y *play) recognisable(org string) bool {
	for _, h := range y.world.Hostings() {
		if h.Org == org && bears(h.FriendlyName) {
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
	if party, ok := y.orgs[e.Org]; ok && party != b.party && !y.mayShare(b.party, e.Org) && !y.livesIn(b.party, e.Org, e.Hosting) {
		y.violated(OwnOwner, "hosting %d for %s was made in the org of %q", e.Hosting, b.party, party)
	}
	exist, same, there := 0, 0, map[int]bool{}
	var others []string
	for _, h := range y.world.Hostings() {
		there[h.ID] = true
		o := y.origin[h.ID]
		if o.subscription == b.id && !o.staff {
			if h.ID != e.Hosting {
				others = append(others, fmt.Sprint(h.ID))
			}
			if o.bound || bears(h.FriendlyName) {
				exist++
			}
			if h.FriendlyName == e.After.Name && h.Status != "deleted" {
				same++
			}
		}
	}
	if (same > 1 || exist > y.most[b.id]+y.more[b.id]) && y.inTheRace(p, others) {
		return
	}
	if same > 1 {
		y.violated(OneHosting, "%d hostings are called %q", same, e.After.Name)
	}
	// What was purged, or lost its marker, is remembered by the database alone.
	for id, o := range y.origin {
		if o.subscription == b.id && !o.staff && o.bound && !there[id] {
			exist++
		}
	}
	if exist > y.most[b.id]+y.more[b.id] {
		y.violated(OneHosting, "%d hostings were made for %s, which never had more than %d units", exist, b.id, y.most[b.id])
	}
}
