package simtest

import (
	"fmt"
	"math/rand/v2"
	"slices"
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

// twins is a history of two installations: now and then somebody orders or leaves, and
// the two of them run, one after the other or one in the middle of the other's run.
// It throws dice of its own.
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
		y.twin, err = y.db.copy()
	}
	return err
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

// inTheRace tells that something was made twice because two installations were at it at
// once: no look could have shown the one to the other. others are what was there.
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

// bothTell demands that each installation tells, in a full run, what there is twice;
// that then neither makes anything for who orders next; and that all is well once one
// of them is gone, with what it has made twice.
func (y *play) bothTell() {
	pairs := y.pairs()
	if y.twin == nil || len(pairs) == 0 || y.first != nil {
		return
	}
	for _, number := range []int{0, second} {
		y.advance(2 * time.Minute)
		rep := y.fullRun(number)
		for marker, ids := range pairs {
			if !slices.ContainsFunc(rep.Holds, func(h reconcile.Hold) bool {
				return h.Kind == reconcile.HoldDuplicate && slices.Contains(ids, int(h.Hosting)) && strings.Contains(h.Reason, marker)
			}) {
				y.violated(TwinsTold, "installation %d does not tell that hostings %v all carry %s", number, ids, marker)
			}
		}
		if rep.Converged() {
			y.violated(TwinsTold, "installation %d says that all is well beside %v", number, pairs)
		}
	}
	if len(y.Faults) > 0 || y.first != nil {
		return // a create of its own that was never heard of may explain a pair
	}
	late, err := y.world.SignUp(simulator.SignUp{Email: "zoe@example.com", Price: y.prices[0]})
	if err != nil {
		y.violated(TwinsTold, "ordering: %v", err)
		return
	}
	y.advance(2 * time.Minute)
	for _, number := range []int{second, 0} {
		y.fullRun(number)
	}
	if y.hostingFor(late.Subscription) {
		y.violated(TwinsTold, "%s got a hosting beside %v", late.Subscription, pairs)
	}
	y.stop(second)
	for _, ids := range pairs {
		for _, id := range ids {
			if y.makers[fmt.Sprint(id)].number != second {
				continue
			}
			if err := y.world.StaffPurge(id); err != nil {
				y.violated(TwinsTold, "purging %d: %v", id, err)
			}
			y.origin[id] = origin{staff: true} // and it counts for nothing any more
		}
	}
	for range 3 {
		y.advance(2 * time.Hour)
		y.fullRun(0)
	}
	if !y.hostingFor(late.Subscription) {
		y.violated(TwinsTold, "%s has no hosting, though nothing is there twice any more: %s", late.Subscription, y.said(late.Customer))
	}
}

func (y *play) hostingFor(subscription string) bool {
	return slices.ContainsFunc(y.world.Hostings(), func(h simulator.Hosting) bool { return strings.Contains(h.FriendlyName, "["+subscription+"/") })
}

// fullRun is a full run of a process, and what it reports.
func (y *play) fullRun(number int) reconcile.Report {
	p, err := y.process(number)
	if err != nil {
		y.violated(TwinsTold, "starting: %v", err)
		return reconcile.Report{}
	}
	p.run(engine.Request{Trigger: "cron", Full: true}, nil)
	return y.last
}
