package simtest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// ending is the time that the program gets, run after run, after the faults have stopped:
// through settling times, back-offs, any grace period, the probe of parked customers and
// the daily sweep. The last full run must change nothing.
var ending = []struct {
	wait time.Duration
	full bool
}{
	{3 * time.Minute, false}, {3 * time.Minute, false}, {8 * 24 * time.Hour, false}, {7 * time.Hour, false}, {25 * time.Hour, true},
	{3 * time.Minute, false}, {3 * time.Minute, false}, {61 * time.Minute, false}, {3 * time.Minute, false},
}

// end stops the faults, gives the program some time, and checks the result.
func (y *play) end() {
	y.step, y.calm, y.skew = 0, true, [replicas + 1]time.Duration{}
	for n := range y.processes {
		y.stop(n)
	}
	y.logf("THE FAULTS STOP")
	y.decided()
	for _, e := range ending {
		y.advance(e.wait)
		p, err := y.process(0)
		if err != nil {
			y.violated(Converges, "starting: %v", err)
			return
		}
		y.answerAll(p)
		y.foretold(p, e.full)
		if err := y.approve(); err != nil {
			y.violated(Converges, "approving: %v", err)
			return
		}
		if y.first != nil {
			return
		}
	}
	y.bothReport()
	y.allSeen = true
	y.watch()
	y.converged()
	if y.first != nil {
		return
	}
	before := y.seen
	p, err := y.process(0)
	if err != nil {
		y.violated(Quiet, "starting: %v", err)
		return
	}
	p.run(engine.Request{Trigger: "cron", Full: true}, nil)
	if y.first == nil && y.seen != before {
		e := y.world.Effects()[before]
		y.violated(Quiet, "%s of hosting %d, org %s", e.Kind, e.Hosting, e.Org)
	}
}

// converged compares the units that every customer pays for with the hostings that are up.
func (y *play) converged() {
	if y.Company.Policy.Mode != reconcile.Enforce || y.twin != nil { // each of two installations takes the other's suspensions for staff's
		return
	}
	customers := map[string]bool{}
	now := y.shots[len(y.shots)-1]
	for _, b := range now.bills {
		customers[b.customer] = true
	}
	for _, customer := range sorted(customers) {
		y.getsPaidUnits(now, customer)
	}
}

// getsPaidUnits checks that a customer has the hostings that it pays for, unless a
// person's doing excuses the difference.
func (y *play) getsPaidUnits(now shot, customer string) {
	want, have, down := y.paidAndUp(now, customer)
	difference := fmt.Sprintf("%s pays for [%s] and has [%s]", customer, strings.Join(want, ", "), strings.Join(have, ", "))
	if why := y.excused(customer); why != "" {
		y.logf("  %s is excused: %s", customer, why)
		if down > 0 && len(have) < len(want) && y.holdsOf(customer) == "" {
			y.violated(DownIsReported, "%s, with %d suspended, and no hold explains it", difference, down)
		}
		return
	}
	if slices.Contains(want, "plan 1") && y.outgrown(customer) {
		y.logf("  %s is excused: more websites than the smallest plan allows", customer)
		return
	}
	chooses := y.personChooses(customer, len(want)) // and until then none of them gets another plan
	extraIsFine := contains(have, want) && (!y.lost.IsZero() || y.boundWithoutUnit(customer)) || chooses && len(have) > len(want) || chooses && contains(have, want)
	if !slices.Equal(want, have) && !extraIsFine {
		y.violated(Converges, "%s; the holds of the last run: %s", difference, y.holdsOf(customer))
	}
}

// paidAndUp is the plans that a customer pays for and those of the hostings that are up,
// and how many more are suspended.
func (y *play) paidAndUp(now shot, customer string) (want, have []string, down int) {
	for _, b := range now.bills {
		if b.customer == customer && b.entitlement == up {
			for _, plan := range b.plans {
				want = append(want, fmt.Sprint("plan ", plan))
			}
		}
	}
	for _, h := range y.world.Hostings() {
		b := now.bills[y.origin[h.ID].subscription]
		_, nobodys := y.unbound[h.ID]
		switch {
		case nobodys, b == nil || b.customer != customer || h.Status != "active":
		case h.SuspendedBy == "":
			have = append(have, fmt.Sprint("plan ", h.Plan))
		default:
			down++
		}
	}
	slices.Sort(want)
	slices.Sort(have)
	return want, have, down
}

// boundWithoutUnit reports whether an operator has bound a hosting of the customer while
// nothing asked for it. Which item it serves is then not known, so it stays, and the program
// reports that with the command that unbinds it.
func (y *play) boundWithoutUnit(customer string) bool {
	return slices.ContainsFunc(y.last.Holds, func(h reconcile.Hold) bool {
		return h.Kind == reconcile.HoldAmbiguous && h.Customer == customer && y.rebound[int(h.Hosting)]
	})
}

// contains reports whether every wanted plan is there, and perhaps more. Markers do not
// name items, so if a database is lost, a unit that is no longer paid for may stay up, and
// the program reports it.
func contains(have, want []string) bool {
	left := slices.Clone(have)
	for _, w := range want {
		i := slices.Index(left, w)
		if i < 0 {
			return false
		}
		left = slices.Delete(left, i, i+1)
	}
	return true
}

func sorted(set map[string]bool) (all []string) {
	for key := range set {
		all = append(all, key)
	}
	slices.Sort(all)
	return all
}

// holdsOf returns the holds of the last run for a customer, for the person who reads a
// violation.
func (y *play) holdsOf(customer string) string {
	var all []string
	for _, h := range y.last.Holds {
		b := y.bill(h.Subscription)
		if b == nil || b.customer == customer {
			all = append(all, string(h.Kind)+": "+h.Reason)
		}
	}
	return strings.Join(all, "; ")
}

// excused names the act of a person that keeps a customer from the hostings that it pays
// for, or makes it debatable which those are. "": there is none.
func (y *play) excused(customer string) string {
	for _, why := range []func(string) string{y.excusedByHold, y.excusedBySubscription, y.excusedByHosting, y.excusedByLoss, y.excusedByPolicy} {
		if reason := why(customer); reason != "" {
			return reason
		}
	}
	return ""
}

func (y *play) excusedByHold(customer string) string {
	if slices.ContainsFunc(y.manual, func(h manual) bool { return h.customer == customer }) {
		return "a hold"
	}
	if slices.ContainsFunc(y.addresses(customer), func(e string) bool { return slices.Contains(y.byHand, e) }) {
		return "an org made by hand"
	}
	return ""
}

func (y *play) excusedBySubscription(customer string) string {
	for _, b := range y.shots[len(y.shots)-1].bills {
		if b.customer == customer && b.debatable() {
			return "a subscription of which it is not certain what it pays for"
		}
	}
	return ""
}

// debatable reports whether two correct programs may disagree about a subscription.
func (b *bill) debatable() bool {
	switch b.entitlement {
	case keep, either:
		return true
	case up:
		return !b.whole
	case down:
		return !b.mapped
	default:
		return false
	}
}

func (y *play) excusedByHosting(customer string) string {
	for _, h := range y.world.Hostings() {
		o := y.origin[h.ID]
		if b := y.bill(o.subscription); b == nil || b.customer != customer {
			continue
		}
		switch {
		case h.SuspendedBy != "" && h.SuspendedBy != y.world.OrgID():
			return "a suspension by staff"
		case h.SuspendedBy != "" && o.suspended.Before(y.lost) && !reconcile.SuspensionMarked(h.FriendlyName, y.Company.Policy.Instance):
			return "a suspension that only a lost database knew to be ours"
		case !bears(h.FriendlyName):
			return "a marker that was taken off"
		}
	}
	return ""
}

func (y *play) excusedByLoss(customer string) string {
	if id := y.mistakable(customer); id != 0 {
		return fmt.Sprintf("hosting %d, of which nothing is left that says whose it is", id)
	}
	exists := map[int]bool{}
	for _, h := range y.world.Hostings() {
		exists[h.ID] = true
	}
	for id, o := range y.origin {
		if b := y.bill(o.subscription); b != nil && b.customer == customer && (!o.gone.IsZero() || !exists[id]) {
			return "a deletion by staff"
		}
	}
	return ""
}

// mistakable returns a hosting that rightly keeps an order waiting, and for which the
// program reports that; 0: there is none. Nothing says whose it is: it was ours, staff took
// its marker off, and only a lost database knew it or the answer that it was made never came,
// or a person unbound it; or staff made it in the customer's own org, where an earlier order was
// called new and a later one waits. If it is alike, it may be the customer's, and a person
// decides.
func (y *play) mistakable(customer string) int {
	orgs, names := y.world.Orgs(), map[string]string{}
	for _, c := range y.world.Customers() {
		names[c.ID] = c.Name
	}
	for _, h := range y.world.Hostings() {
		o := y.origin[h.ID]
		_, unbound := y.unbound[h.ID]
		if known := o.bound || !o.made.Before(y.lost) && !o.late; !o.staff && (known && !unbound || bears(h.FriendlyName)) {
			continue
		}
		waits := slices.ContainsFunc(y.last.Holds, func(w reconcile.Hold) bool {
			return w.Kind == reconcile.HoldAdopt && w.Customer == customer && w.Hosting == int64(h.ID)
		})
		if waits && y.alike(customer, h, names[customer], orgs) {
			return h.ID
		}
	}
	return 0
}

// alike reports whether a hosting is in the customer's own org, or that org or the address of
// its owner matches the customer.
func (y *play) alike(customer string, h simulator.Hosting, name string, orgs []simulator.Org) bool {
	if y.livesIn(customer, h.Org, h.ID) {
		return true
	}
	if y.origin[h.ID].staff {
		former := y.moved[customer].from // by which the org became the customer's, perhaps before anything was made in it
		return former != "" && former == y.owner[h.Org]
	}
	return slices.ContainsFunc(orgs, func(o simulator.Org) bool { return o.ID == h.Org && strings.EqualFold(o.Name, name) }) ||
		slices.ContainsFunc(y.owners(h.Org), func(e string) bool { return slices.Contains(y.addresses(customer), e) })
}
