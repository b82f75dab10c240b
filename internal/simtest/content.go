package simtest

import (
	"fmt"
	"slices"
	"time"

	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// contents are what customers have put on their hostings.
type contents struct {
	changed map[int]time.Time // hosting → when a website last came, went or was moved
	ours    map[int]bool      // hostings on which we made the website that was ordered
}

func newContents() contents { return contents{map[int]time.Time{}, map[int]bool{}} }

// touch notes a change of what is on a hosting.
func (y *play) touch(e simulator.Effect) {
	switch e.Kind {
	case "create_website":
		y.ours[e.Hosting] = y.ours[e.Hosting] || !e.Staff
	case "remove_website", "move_website":
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

// website is what a customer, or staff, does with one.
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

// settledSince tells that what is on a hosting has been so for long enough to be known.
func (y *play) settledSince(hosting int, sent time.Time) bool {
	return !y.changed[hosting].After(sent.Add(-premise))
}

// premise is how old the last look at what is on a hosting may be when something is
// taken away, and how long the looks and the call may take.
const premise = tolerance + time.Minute

// keepsContent holds a hosting with a website that goes for want of a unit against the
// empty ones of the same customer that stay: those that are up and paid for beyond what
// is to go as well.
func (y *play) keepsContent(e simulator.Effect, sent time.Time) {
	sites := y.sites()
	b := y.bill(y.origin[e.Hosting].subscription)
	if sites[e.Hosting] == 0 || !y.settledSince(e.Hosting, sent) || b == nil || y.unpaidLately(b.party, sent) {
		return
	}
	running, paid := 0, 0
	for _, o := range y.shots[len(y.shots)-1].bills {
		if o.party == b.party && o.stance == up {
			paid += o.units
		}
	}
	var empty []int
	for _, h := range y.world.Hostings() {
		o := y.bill(y.origin[h.ID].subscription)
		if _, nobodys := y.unbound[h.ID]; nobodys || h.ID == e.Hosting || o == nil || o.party != b.party || h.Status != "active" || h.SuspendedBy != "" {
			continue
		}
		running++
		if sites[h.ID] == 0 && o.stance == up && o.whole && y.settledSince(h.ID, sent) && y.known[o.id] {
			empty = append(empty, h.ID)
		}
	}
	if len(empty) > max(0, running-paid) {
		y.violated(KeepContent, "%s of hosting %d, which has %d websites, and of the same customer's %v, which have none, at least one stays", e.Kind, e.Hosting, sites[e.Hosting], empty)
	}
}

// unpaidLately tells that something of a customer is to be down for want of a payment,
// or that nobody knows what it is to be: which hosting serves it the checker does not
// follow.
func (y *play) unpaidLately(party string, sent time.Time) bool {
	for _, s := range y.since(sent.Add(-window)) {
		for _, b := range s.bills {
			if b.party == party && (b.stance == down || b.stance == keep) {
				return true
			}
		}
	}
	return false
}

// personChooses tells that which hostings of a customer stay is a person's to say: more
// of them have a website than are paid for, or one has nothing but what came with the
// order.
func (y *play) personChooses(party string, paid int) bool {
	sites, used, ordered := y.sites(), 0, false
	for _, h := range y.world.Hostings() {
		b := y.bill(y.origin[h.ID].subscription)
		if b == nil || b.party != party || h.Status != "active" || h.SuspendedBy != "" || sites[h.ID] == 0 {
			continue
		}
		used++
		ordered = ordered || y.ours[h.ID]
	}
	return used > paid || ordered
}

// outgrown tells that some hosting of a customer has more websites than the smallest
// plan gives: a change to that one is held.
func (y *play) outgrown(party string) bool {
	sites := y.sites()
	return slices.ContainsFunc(y.world.Hostings(), func(h simulator.Hosting) bool {
		b := y.bill(y.origin[h.ID].subscription)
		return b != nil && b.party == party && sites[h.ID] > 1
	})
}
