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

// ending is how long the program gets, run after run, once the faults have
// stopped: through settling times, back-offs, any grace period, the probe of what was
// parked and the daily sweep. The last full run is the one that must change nothing.
var ending = []struct {
	wait time.Duration
	full bool
}{
	{3 * time.Minute, false}, {3 * time.Minute, false}, {8 * 24 * time.Hour, false}, {7 * time.Hour, false}, {25 * time.Hour, true},
	{3 * time.Minute, false}, {3 * time.Minute, false}, {61 * time.Minute, false}, {3 * time.Minute, false},
}

// settle lets the faults stop, gives the program some time, and looks at what has
// come of it all.
func (y *play) settle() {
	y.step, y.calm, y.skew = 0, true, [replicas + 1]time.Duration{}
	for n := range y.processes {
		y.stop(n)
	}
	y.tell("THE FAULTS STOP")
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
	y.bothTell()
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

// converged compares what every customer pays for with what is up.
func (y *play) converged() {
	if y.Company.Policy.Mode != reconcile.Enforce || y.twin != nil { // what one of two has suspended is somebody else's to the other
		return
	}
	parties := map[string]bool{}
	now := y.shots[len(y.shots)-1]
	for _, b := range now.bills {
		parties[b.party] = true
	}
	for _, party := range sorted(parties) {
		want, have, down := y.paidAndUp(now, party)
		if why := y.excused(party); why != "" {
			y.tell("  %s is excused: %s", party, why)
			if down > 0 && len(have) < len(want) && y.said(party) == "" {
				y.violated(DownIsTold, "%s pays for [%s] and has [%s], with %d suspended, and nothing is said", party, strings.Join(want, ", "), strings.Join(have, ", "), down)
			}
			continue
		}
		if slices.Contains(want, "plan 1") && y.outgrown(party) {
			y.tell("  %s is excused: more websites than the smallest plan gives", party)
			continue
		}
		if !slices.Equal(want, have) && !(contains(have, want) && (!y.lost.IsZero() || y.personChooses(party, len(want)))) {
			y.violated(Converges, "%s pays for [%s] and has [%s]; the last run said: %s", party, strings.Join(want, ", "), strings.Join(have, ", "), y.said(party))
		}
	}
}

// paidAndUp is the plans that a customer pays for and those of the hostings that are up,
// and how many more are suspended.
func (y *play) paidAndUp(now shot, party string) (want, have []string, down int) {
	for _, b := range now.bills {
		if b.party == party && b.stance == up {
			for _, plan := range b.plans {
				want = append(want, fmt.Sprint("plan ", plan))
			}
		}
	}
	for _, h := range y.world.Hostings() {
		b := now.bills[y.origin[h.ID].subscription]
		_, nobodys := y.unbound[h.ID]
		switch {
		case nobodys, b == nil || b.party != party || h.Status != "active":
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

// contains tells that everything wanted is there, and perhaps more: what a lost
// database knew of items cannot be read from markers, so that a unit which is no
// longer paid for may be kept, and told.
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

// said is what the last run had to say, for the person who reads a violation.
func (y *play) said(party string) string {
	var all []string
	for _, h := range y.last.Holds {
		b := y.bill(h.Subscription)
		if b == nil || b.party == party {
			all = append(all, string(h.Kind)+": "+h.Reason)
		}
	}
	return strings.Join(all, "; ")
}

// excused names what a person did that keeps a customer from what is paid for, or
// makes it a matter of opinion what that is.
func (y *play) excused(party string) string {
	for _, h := range y.manual {
		if h.party == party {
			return "a hold"
		}
	}
	if slices.ContainsFunc(y.addresses(party), func(e string) bool { return slices.Contains(y.byHand, e) }) {
		return "an org made by hand"
	}
	for _, b := range y.shots[len(y.shots)-1].bills {
		if b.party == party && (b.stance == keep || b.stance == either || b.stance == up && !b.whole || b.stance == down && !b.mapped) {
			return "a subscription of which nobody knows what it wants"
		}
	}
	exists := map[int]bool{}
	for _, h := range y.world.Hostings() {
		exists[h.ID] = true
		b := y.bill(y.origin[h.ID].subscription)
		if b == nil || b.party != party {
			continue
		}
		switch {
		case h.SuspendedBy != "" && h.SuspendedBy != y.world.OrgID():
			return "a suspension by staff"
		case h.SuspendedBy != "" && y.origin[h.ID].suspended.Before(y.lost) && !reconcile.SuspensionMarked(h.FriendlyName, y.Company.Policy.Instance):
			return "a suspension that only a lost database knew to be ours"
		case !bears(h.FriendlyName):
			return "a marker that was taken off"
		}
	}
	if id := y.mistakable(party); id != 0 {
		return fmt.Sprintf("hosting %d, of which a lost database knew whose it is", id)
	}
	for id, o := range y.origin {
		if b := y.bill(o.subscription); b != nil && b.party == party && (!o.gone.IsZero() || !exists[id]) {
			return "a deletion by staff"
		}
	}
	return ""
}

// mistakable is a hosting for which an order waits as the policy wants it, and of which the
// program says so; 0: there is none. A lost database knew whose it is, and nothing says so
// now: it was ours, and staff took its marker off; or staff made it in the customer's own
// org, and a person had said that the order is another one. Whoever has that org, the
// address of its owner or its name may be the hosting's customer, and a person decides.
func (y *play) mistakable(party string) int {
	orgs, names := y.world.Orgs(), map[string]string{}
	for _, c := range y.world.Customers() {
		names[c.ID] = c.Name
	}
	for _, h := range y.world.Hostings() {
		o := y.origin[h.ID]
		if o.bound || !o.staff && bears(h.FriendlyName) || !o.made.Before(y.lost) {
			continue
		}
		waits := slices.ContainsFunc(y.last.Holds, func(w reconcile.Hold) bool {
			return w.Kind == reconcile.HoldAdopt && w.Customer == party && w.Hosting == int64(h.ID)
		})
		alike := y.livesIn(party, h.Org, h.ID) ||
			!o.staff && slices.ContainsFunc(orgs, func(o simulator.Org) bool { return o.ID == h.Org && strings.EqualFold(o.Name, names[party]) }) ||
			!o.staff && slices.ContainsFunc(y.owners(h.Org), func(e string) bool { return slices.Contains(y.addresses(party), e) })
		if waits && alike {
			return h.ID
		}
	}
	return 0
}
