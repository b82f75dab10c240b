package simtest

import (
	"fmt"
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// contents are what customers have put on their hostings.
type contents struct {
	changed map[int]time.Time // hosting → when a website last came, went or was moved
	ours    map[int]bool      // hostings on which we made the website that was ordered
	removed map[string]bool   // websites that are gone without their hosting
	saved   map[string]time.Time
	made    map[string]bool // websites that we have made
}

func newContents() contents {
	return contents{map[int]time.Time{}, map[int]bool{}, map[string]bool{}, map[string]time.Time{}, map[string]bool{}}
}

// touch records that the content of a hosting changed.
func (y *play) touch(e simulator.Effect) {
	switch e.Kind {
	case "create_website":
		y.ours[e.Hosting] = y.ours[e.Hosting] || !e.Staff
		y.made[e.Object] = !e.Staff
	case "remove_website":
		y.removed[e.Object] = true
	case "move_website":
	case "backup_website":
		y.saved[e.Object] = e.At
		return
	default:
		return
	}
	y.changed[e.Hosting] = e.At
	for _, s := range y.world.Websites() {
		if s.ID == e.Object {
			y.changed[s.Hosting] = e.At // where it is now
		}
	}
}

// sites counts the websites on each hosting.
func (y *play) sites() map[int]int {
	n := map[int]int{}
	for _, s := range y.world.Websites() {
		if s.Status != "deleted" {
			n[s.Hosting]++
		}
	}
	return n
}

// website is a step in which a customer, or staff, adds, removes or moves a website.
func (y *play) website(st Step) error {
	var living []simulator.Hosting
	on := map[int]bool{}
	for _, h := range y.hostingsOf(st.Who) {
		if h.Status == "active" && h.SuspendedBy == "" {
			living = append(living, h)
			on[h.ID] = true
		}
	}
	if len(living) == 0 {
		return errNothing
	}
	h := living[st.N%len(living)]
	if st.Kind == BuildSite {
		if h.Plan == 1 && y.sites()[h.ID] > 0 {
			return errNothing // the smallest plan gives one
		}
		_, err := y.world.AddWebsite(h.ID, fmt.Sprintf("site%d.%s.example.com", st.ID, people[st.Who%len(people)]))
		return err
	}
	mine := slices.DeleteFunc(y.world.Websites(), func(s simulator.Website) bool { return s.Status == "deleted" || !on[s.Hosting] })
	if len(mine) == 0 {
		return errNothing
	}
	domain, org := mine[st.Pick%len(mine)].Domain, mine[st.Pick%len(mine)].Org
	if st.Kind == DropSite {
		return y.world.RemoveWebsite(domain)
	}
	all := slices.DeleteFunc(y.hostingsOf(st.Who), func(o simulator.Hosting) bool { return o.Org != org || o.Status != "active" })
	if len(all) == 0 {
		return errNothing
	}
	return y.world.MoveWebsite(domain, all[st.N%len(all)].ID) // be it to one that is suspended
}

// settledSince reports whether the content of a hosting has not changed for so long that
// the program must know it.
func (y *play) settledSince(hosting int, sent time.Time) bool {
	return !y.changed[hosting].After(sent.Add(-premise))
}

// premise is how old the last look at the content of a hosting may be when the hosting is
// taken away, and how long the looks and the call may take.
const premise = tolerance + time.Minute

// keepsContent checks, if a hosting with a website is taken away because its customer
// pays for fewer units, that no empty hosting of the same customer stays: none of those
// that are up, entitled, and not about to be taken away as well.
func (y *play) keepsContent(e simulator.Effect, sent time.Time) {
	sites := y.sites()
	b := y.bill(y.origin[e.Hosting].subscription)
	if sites[e.Hosting] == 0 || !y.settledSince(e.Hosting, sent) || b == nil || y.unpaidLately(b.customer, sent) {
		return
	}
	paid := 0
	for _, o := range y.shots[len(y.shots)-1].bills {
		if o.customer == b.customer && o.entitlement == up {
			paid += o.units
		}
	}
	running := 0
	var empty []int
	for _, h := range y.world.Hostings() {
		if h.ID == e.Hosting || !y.runsFor(b.customer, h) {
			continue
		}
		running++
		o := y.bill(y.origin[h.ID].subscription)
		if sites[h.ID] == 0 && o.entitlement == up && o.whole && y.settledSince(h.ID, sent) && y.knows(o.id) {
			empty = append(empty, h.ID)
		}
	}
	if len(empty) > max(0, running-paid) {
		y.violated(KeepContent, "%s of hosting %d, which has %d websites, and of the same customer's %v, which have none, at least one stays", e.Kind, e.Hosting, sites[e.Hosting], empty)
	}
}

// runsFor reports whether a hosting is up for a customer's subscription.
func (y *play) runsFor(customer string, h simulator.Hosting) bool {
	if _, unbound := y.unbound[h.ID]; unbound || h.Status != "active" || h.SuspendedBy != "" {
		return false
	}
	b := y.bill(y.origin[h.ID].subscription)
	return b != nil && b.customer == customer
}

// unpaidLately reports whether a subscription of a customer should or may be suspended, or has a
// status that leaves its hostings as they are. The checker does not follow which hosting
// serves which of several subscriptions then.
func (y *play) unpaidLately(customer string, sent time.Time) bool {
	for _, s := range y.since(sent.Add(-window)) {
		for _, b := range s.bills {
			if b.customer == customer && (b.entitlement == down || b.entitlement == either || b.entitlement == keep) {
				return true
			}
		}
	}
	return false
}

// personChooses reports whether a person has to choose which hostings of a customer stay:
// if more of them have a website than are paid for, or if one has only the website that
// came with the order.
func (y *play) personChooses(customer string, paid int) bool {
	sites, used, ordered := y.sites(), 0, false
	for _, h := range y.world.Hostings() {
		b := y.bill(y.origin[h.ID].subscription)
		if b == nil || b.customer != customer || h.Status != "active" || h.SuspendedBy != "" || sites[h.ID] == 0 {
			continue
		}
		used++
		ordered = ordered || y.ours[h.ID]
	}
	held := slices.ContainsFunc(y.last.Holds, func(h reconcile.Hold) bool { return h.Kind == reconcile.HoldContent && h.Customer == customer })
	return used > paid || ordered || used > 0 && held
}

// outgrown reports whether a hosting of a customer has more websites than the smallest plan
// allows. A change to that plan is held.
func (y *play) outgrown(customer string) bool {
	sites := y.sites()
	return slices.ContainsFunc(y.world.Hostings(), func(h simulator.Hosting) bool {
		b := y.bill(y.origin[h.ID].subscription)
		return b != nil && b.customer == customer && sites[h.ID] > 1
	})
}
