package simtest

import (
	"math/rand/v2"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// Generate makes the scenario of a seed. Each seed is a company of its own: a few
// customers, a policy, a random choice of what can go wrong, and some thirty steps.
func Generate(seed uint64) Scenario {
	if s, ok := twins(seed); ok {
		return s
	}
	g := generator{Rand: rand.New(rand.NewPCG(seed, 0x5ce9a210)), people: 1}
	s := Scenario{Seed: seed, Company: g.company(), Faults: g.mix()}
	g.people += g.IntN(4)
	if g.oneIn(6) {
		g.people += g.IntN(5)
	}
	g.replicas = 1 + g.IntN(2)
	for who := range g.people {
		g.add(Step{Kind: SignUp, Who: who, Pick: g.IntN(64)})
	}
	if g.oneIn(3) {
		g.add(Step{Kind: Elsewhere, Who: g.IntN(g.people), Pick: g.IntN(4)})
	}
	g.add(Step{Kind: Wait, Wait: 2 * time.Minute})
	g.add(Step{Kind: Run, Pick: runFull})
	for range 10 + g.IntN(22) {
		g.next()
	}
	s.Steps = g.steps
	existing(&s, g.people, g.id)
	largeOrders(&s, g.people, g.id)
	instructions(&s, g.people, g.id)
	notHosting(&s, g.people, g.id)
	webhooks(&s)
	backups(&s)
	apps(&s)
	mails(&s)
	policies(&s, g.people, g.id)
	return s
}

// backups makes most companies that delete hostings save them first. It has random numbers
// of its own, so that the rest of a seed's history is the same with and without it.
func backups(s *Scenario) {
	dice := rand.New(rand.NewPCG(s.Seed, 0xbacc))
	s.Company.Policy.Backup = s.Company.Policy.Retention > 0 && dice.IntN(8) > 0
	if dice.IntN(2) == 0 {
		s.Company.Backups.Take = 10 * time.Minute
	}
	s.Company.Backups.Fail, s.Company.Backups.Denied = dice.IntN(12) == 0, dice.IntN(12) == 0
}

type generator struct {
	*rand.Rand
	people, replicas int
	steps            []Step
	ids              int
}

func (g *generator) oneIn(n int) bool { return g.IntN(n) == 0 }

func (g *generator) add(st Step) {
	st.ID = g.id()
	g.steps = append(g.steps, st)
}

func (g *generator) id() int {
	g.ids++
	return g.ids
}

func choose[T any](g *generator, of ...T) T { return of[g.IntN(len(of))] }

func (g *generator) company() Company {
	c := Company{
		Policy: reconcile.Policy{
			Mode:           choose(g, reconcile.Enforce, reconcile.Enforce, reconcile.Enforce, reconcile.Enforce, reconcile.Enforce, reconcile.Enforce, reconcile.Provision, reconcile.Observe),
			Grace:          choose(g, 0, 72*time.Hour, 72*time.Hour, 7*24*time.Hour),
			Retention:      choose(g, 0, 0, 0, 30*24*time.Hour),
			SuspendPaused:  g.oneIn(2),
			Onboarding:     choose(g, reconcile.Invite, reconcile.Invite, reconcile.Password, reconcile.NoOnboarding),
			CreateWebsites: g.oneIn(2),
			WriteMetadata:  g.oneIn(4),
		},
		Brakes: planner.Brakes{
			Suspend: planner.Limit{Count: 1 + g.IntN(3)}, ChangePlan: planner.Limit{Count: 1 + g.IntN(3)},
			Create: planner.Limit{Count: 2 + g.IntN(10)}, Terminate: planner.Limit{Count: 1},
		},
		KeepLease:    g.oneIn(2),
		Latency:      choose(g, 50*time.Millisecond, 500*time.Millisecond, 2*time.Second, 15*time.Second),
		Page:         choose(g, 2, 3, 25, 100),
		AfterRetries: choose(g, "cancel", "cancel", "unpaid", "past_due"),
	}
	return c
}

// mix turns on a random part of the faults, each at a rate of its own, because a mix of all
// faults hides what only a few together can do.
func (g *generator) mix() Mix {
	m := Mix{}
	if g.oneIn(5) {
		return m
	}
	for _, f := range allFaults {
		if g.oneIn(3) {
			m[f] = choose(g, 5, 20, 60, 150)
		}
	}
	for _, rare := range []Fault{Denied, ShortList, EmptyBody} { // each ends a run
		m[rare] /= 4
	}
	return m
}

// next adds a step, and often some time and a run after it.
func (g *generator) next() {
	g.add(g.step())
	switch g.IntN(6) {
	case 0, 1:
		g.add(Step{Kind: Wait, Wait: g.pause()})
		g.add(g.run())
	case 2:
		g.add(g.run())
	}
}

func (g *generator) pause() time.Duration {
	switch g.IntN(10) {
	case 0:
		return time.Duration(1+g.IntN(20)) * 24 * time.Hour
	case 1, 2:
		return time.Duration(1+g.IntN(80)) * time.Hour
	case 3:
		return time.Duration(1+g.IntN(60)) * time.Second
	}
	return time.Duration(1+g.IntN(10)) * time.Minute
}

func (g *generator) run() Step {
	st := Step{Kind: Run, N: g.IntN(g.replicas), Pick: choose(g, runIncremental, runIncremental, runIncremental, runIncremental, runFull, runTargeted, runDry), Who: g.IntN(g.people)}
	if g.oneIn(4) {
		st.Cut = g.cut(st.N)
	}
	return st
}

// cut interrupts a run: it dies, it is frozen for a while, another process runs
// in its middle, or a customer or a person acts while a request is on its way.
func (g *generator) cut(process int) *Cut {
	c := &Cut{At: choose(g, "before-intent", "after-intent", "after-call", "after-record", "call", "answer", "answer"), Nth: 1 + g.IntN(4)}
	if c.At == "call" || c.At == "answer" {
		c.Nth = 1 + g.IntN(40)
	}
	if g.oneIn(2) {
		c.Dies = true
		return c
	}
	if g.oneIn(2) {
		c.Meanwhile = append(c.Meanwhile, Step{ID: g.id(), Kind: Wait, Wait: time.Duration(1+g.IntN(1+g.IntN(600))) * time.Second})
	}
	if g.oneIn(3) {
		c.Meanwhile = append(c.Meanwhile, Step{ID: g.id(), Kind: Run, N: (process + 1) % 2, Pick: g.IntN(2)})
	}
	if len(c.Meanwhile) == 0 || g.oneIn(2) {
		st := g.person()
		st.ID = g.id()
		c.Meanwhile = append(c.Meanwhile, st)
	}
	return c
}

// person is a step of a customer or of staff: something that needs no process.
func (g *generator) person() Step {
	if g.oneIn(6) {
		return g.staff()
	}
	return g.customer()
}

func (g *generator) step() Step {
	switch n := g.IntN(100); {
	case n < 42:
		return g.customer()
	case n < 54:
		return g.staff()
	case n < 68:
		return g.operator()
	case n < 80:
		return g.run()
	case n < 84:
		return Step{Kind: Restart, N: g.IntN(g.replicas)}
	case n < 86:
		return Step{Kind: WrongKey, N: g.IntN(g.replicas)}
	case n < 89:
		return Step{Kind: Skew, N: g.IntN(g.replicas), Wait: choose(g, 0, 0, 3*time.Minute, -3*time.Minute, 20*time.Hour, -20*time.Hour)}
	case n < 92:
		return Step{Kind: CopyDB}
	case n < 94:
		return Step{Kind: LoseDB, Pick: g.IntN(3)}
	case n < 96:
		return Step{Kind: RestoreDB}
	case n < 97:
		return Step{Kind: Calm}
	case n < 98:
		return Step{Kind: Storm}
	}
	return Step{Kind: Wait, Wait: g.pause()}
}

func (g *generator) customer() Step {
	st := Step{Who: g.IntN(g.people), N: g.IntN(4), Pick: g.IntN(64)}
	st.Kind = choose(g, SignUp, SignUp, SignUp, Pay, Pay, Pay, FailPayment, FailPayment, FailPayment, GiveUp, BillExtra, WriteOff, WriteOff, Cancel, Cancel, Cancel, CancelLater,
		ChangePrice, ChangePrice, Quantity, Quantity, ReplaceItem, AddItem, RemoveItem, PauseBilling, ResumeBill, OddStatus, Accept, Accept, BuildSite, BuildSite, BuildSite, DropSite, NewEmail, NewEmail)
	return st
}

func (g *generator) staff() Step {
	st := Step{Who: g.IntN(g.people), N: g.IntN(4), Pick: g.IntN(64)}
	st.Kind = choose(g, StaffSuspend, StaffSuspend, StaffSuspend, StaffResume, StaffResume, StaffDelete, StaffPurge, StaffPlan, StaffPlan, StaffMove, StaffRename)
	return st
}

func (g *generator) operator() Step {
	st := Step{Who: g.IntN(g.people), N: g.IntN(4), Pick: g.IntN(64)}
	st.Kind = choose(g, MapRemove, MapBreak, MapSwap, MapRestore, MapRestore, HoldAdd, HoldAdd, HoldRemove, Approve, Approve, Approve)
	return st
}
