package simtest

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// second is the number of the process of a second installation: it works for the same
// company and panel, on a copy of the database, and shares no lease with the others.
const second = replicas

// twins is a history of two installations: now and then a customer orders or leaves, and
// the two of them run, one after the other or one in the middle of the other's run. It has
// random numbers of its own.
func twins(seed uint64) (s Scenario, ok bool) {
	g := generator{Rand: rand.New(rand.NewPCG(seed, 0x2b1d)), people: 2}
	if !g.oneIn(12) {
		return s, false
	}
	s = Scenario{Seed: seed, Company: g.company(), Faults: Mix{}}
	s.Company.Policy.Mode, s.Company.Policy.NewAfter = reconcile.Enforce, time.Time{}
	s.Company.Brakes.Create = planner.Limit{Count: 25}
	if g.oneIn(3) {
		s.Faults = g.mix()
	}
	g.people += g.IntN(4)
	for who := range 1 + g.IntN(g.people) {
		g.add(Step{Kind: SignUp, Who: who, Pick: g.IntN(64)})
	}
	g.add(Step{Kind: Wait, Wait: 2 * time.Minute})
	if g.oneIn(2) {
		g.add(Step{Kind: Run, Pick: runFull})
	}
	g.add(Step{Kind: Install})
	for range 6 + g.IntN(12) {
		st := Step{Who: g.IntN(g.people), N: g.IntN(4), Pick: g.IntN(64)}
		st.Kind = choose(&g, SignUp, SignUp, SignUp, SignUp, Cancel, Pay, ChangePrice, Quantity, Accept)
		g.add(st)
		if g.oneIn(3) {
			continue
		}
		g.add(Step{Kind: Wait, Wait: g.pause()})
		g.add(g.together())
	}
	s.Steps = g.steps
	return s, true
}

// together is a run of one of the two, half of the time with one of the other in its
// middle.
func (g *generator) together() Step {
	one, other := 0, second
	if g.oneIn(2) {
		one, other = other, one
	}
	pick := choose(g, runIncremental, runIncremental, runFull)
	st := Step{Kind: Run, N: one, Pick: pick}
	if g.oneIn(2) {
		st.Cut = &Cut{At: choose(g, "before-intent", "after-intent", "after-record", "answer", "answer", "answer"), Nth: 1 + g.IntN(6),
			Meanwhile: []Step{{ID: g.id(), Kind: Run, N: other, Pick: pick}}}
	}
	return st
}

// install sets the second installation up on a copy of the database.
func (y *play) install() (err error) {
	if y.twin == nil {
		y.twins = twinsDesk{known: maps.Clone(y.known), answered: map[string]bool{}}
		y.twin, err = y.db.copy()
	}
	return err
}

// twinsDesk is what the runs of a second installation have read.
type twinsDesk struct {
	known    map[string]bool // subscriptions, see desk
	answered map[string]bool // those served in the run at work
}

// learned counts the subscriptions that a run read as known, if it ended well.
func (d twinsDesk) learned(p *process) {
	if !p.dry {
		maps.Copy(d.known, d.answered)
	}
	clear(d.answered)
}

// knows reports whether the installation whose effect is looked at has seen a subscription
// in a run that ended well. Each of two has a database of its own.
func (y *play) knows(subscription string) bool {
	if y.acting != nil && y.acting.number == second {
		return y.twins.known[subscription]
	}
	return y.known[subscription]
}

// hasSeen reports the same, or that the run whose effect is looked at has read it itself.
func (y *play) hasSeen(subscription string) bool {
	if y.acting != nil && y.acting.number == second {
		return y.knows(subscription) || y.twins.answered[subscription]
	}
	return y.knows(subscription) || y.answered[subscription]
}

// home is the database of a process.
func (y *play) home(number int) (*database, error) {
	if number != second {
		return y.db, nil
	}
	if y.twin == nil {
		return nil, errNothing
	}
	return y.twin, nil
}

// maker is who made a hosting or an org, and when.
type maker struct {
	number int // of the process
	at     time.Time
}

// madeBy notes who made something.
func (y *play) madeBy(p *process, e simulator.Effect) {
	if p == nil || e.Kind != "create_subscription" && e.Kind != "create_org" {
		return
	}
	key := fmt.Sprint(e.Hosting)
	if e.Hosting == 0 {
		key = e.Org
	}
	y.makers[key] = maker{p.number, e.At}
}

// inTheRace reports whether something was made twice because two installations ran at the
// same moment, so that neither could see the other's. The ids of others existed before.
func (y *play) inTheRace(p *process, others []string) bool {
	if y.twin == nil {
		return false
	}
	raced := p == nil || slices.ContainsFunc(others, func(key string) bool {
		m, known := y.makers[key]
		return !known || m.number != p.number && m.at.After(p.began.Add(-tolerance))
	})
	if raced {
		y.raced++
	}
	return raced
}

// pairs are the living hostings that carry one marker, by it.
func (y *play) pairs() map[string][]int {
	all := map[string][]int{}
	for _, h := range y.world.Hostings() {
		if i := strings.LastIndex(h.FriendlyName, "["); i >= 0 && h.Status != "deleted" {
			all[h.FriendlyName[i:]] = append(all[h.FriendlyName[i:]], h.ID)
		}
	}
	for marker, ids := range all {
		if len(ids) < 2 {
			delete(all, marker)
		}
	}
	return all
}

// bothReport checks that each installation reports, in a full run, the hostings that
// exist twice; that neither of them then creates anything for a new order; and that
// the order is served once one installation is gone, with the duplicates it made.
func (y *play) bothReport() {
	pairs := y.pairs()
	if y.twin == nil || len(pairs) == 0 || y.first != nil {
		return
	}
	for _, number := range []int{0, second} {
		y.advance(2 * time.Minute)
		y.reportsPairs(number, pairs)
	}
	if len(y.Faults) > 0 || y.first != nil {
		return // a lost write of its own may explain a pair
	}
	late, err := y.world.SignUp(simulator.SignUp{Email: "zoe@example.com", Price: y.prices[0]})
	if err != nil {
		y.violated(TwinsReported, "ordering: %v", err)
		return
	}
	y.advance(2 * time.Minute)
	for _, number := range []int{second, 0} {
		y.fullRun(number)
	}
	if y.hostingFor(late.Subscription) {
		y.violated(TwinsReported, "%s got a hosting beside %v", late.Subscription, pairs)
	}
	y.stop(second)
	y.purgeMadeBySecond(pairs)
	for range 3 {
		y.advance(2 * time.Hour)
		y.fullRun(0)
	}
	if !y.hostingFor(late.Subscription) {
		y.violated(TwinsReported, "%s has no hosting, though nothing is there twice any more: %s", late.Subscription, y.holdsOf(late.Customer))
	}
}

// reportsPairs checks that a full run of an installation reports every pair.
func (y *play) reportsPairs(number int, pairs map[string][]int) {
	rep := y.fullRun(number)
	for marker, ids := range pairs {
		if !slices.ContainsFunc(rep.Holds, func(h reconcile.Hold) bool {
			return h.Kind == reconcile.HoldDuplicate && slices.Contains(ids, int(h.Hosting)) && strings.Contains(h.Reason, marker)
		}) {
			y.violated(TwinsReported, "installation %d does not report that hostings %v all carry %s", number, ids, marker)
		}
	}
	if rep.Converged() {
		y.violated(TwinsReported, "installation %d reports that it converged, beside %v", number, pairs)
	}
}

// purgeMadeBySecond removes the hostings of pairs that the second installation made.
func (y *play) purgeMadeBySecond(pairs map[string][]int) {
	for _, ids := range pairs {
		for _, id := range ids {
			if y.makers[strconv.Itoa(id)].number != second {
				continue
			}
			if err := y.world.StaffPurge(id); err != nil {
				y.violated(TwinsReported, "purging %d: %v", id, err)
			}
			y.origin[id] = origin{staff: true} // from now on it does not count
		}
	}
}

func (y *play) hostingFor(subscription string) bool {
	return slices.ContainsFunc(y.world.Hostings(), func(h simulator.Hosting) bool { return strings.Contains(h.FriendlyName, "["+subscription+"/") })
}

// fullRun does a full run of a process and returns its report.
func (y *play) fullRun(number int) reconcile.Report {
	p, err := y.process(number)
	if err != nil {
		y.violated(TwinsReported, "starting: %v", err)
		return reconcile.Report{}
	}
	p.run(engine.Request{Trigger: "cron", Full: true}, nil)
	return y.last
}
