package simtest

import (
	"context"
	"fmt"
	"hash/fnv"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// Violation is a promise that was broken.
type Violation struct {
	Invariant Invariant
	At        time.Time
	Step      int // the step in which it was noticed
	What      string
}

func (v Violation) String() string {
	return fmt.Sprintf("%s, in step %d at %s: %s\n%s", v.Invariant, v.Step, v.At.Format(time.RFC3339), v.What, promises[v.Invariant])
}

// Outcome is the result of a scenario.
type Outcome struct {
	Violation *Violation // nil: every promise was kept
	Trace     string     // every event, line by line; only if it was requested
	Runs      int
	Calls     int
	Effects   int
	Flows     int // flow runs
	Given     int // statements about the orgs of customers
	Raced     int // things that two installations made twice because they ran at the same moment
}

// play is a scenario at work.
type play struct {
	Scenario
	world *simulator.World
	wire  http.RoundTripper
	other *simulator.World // another company's Stripe account; made when needed

	db        *database
	backup    *backup   // the last copy of the database, nil: none
	twin      *database // of a second installation; nil: there is none
	processes [replicas + 1]*process
	dead      []*process // those that died in the middle of a run
	skew      [replicas + 1]time.Duration
	lives     int

	ledger
	calm   bool // no faults for now
	nth    map[string]int
	late   time.Duration // how late the answer at hand is, by a fault
	stale  map[string]page
	traced bool
	trace  strings.Builder
	first  *Violation
	step   int
	runs   int
	calls  int
	// planned is how many runs were held against the plan before them.
	planned int
	events  int // webhooks that arrived
	flows   int // flow runs that had something to serve
}

// Play plays a scenario and returns its outcome. An error is a problem of the test itself.
func Play(s Scenario, traced bool) (Outcome, error) {
	y := &play{Scenario: s, traced: traced, nth: map[string]int{}, stale: map[string]page{}}
	y.world = simulator.New(simulator.Options{Seed: s.Seed, MaxPage: s.Company.Page, AfterRetries: s.Company.AfterRetries, RequestLog: 1})
	y.world.SetBackups(s.Company.Backups)
	y.world.SetApps(s.Company.Apps)
	y.wire = y.world.Transport()
	y.world.SetFault(y.faultOf)
	defer y.close()
	if err := y.open(); err != nil {
		return Outcome{}, err
	}
	for _, st := range s.Steps {
		if y.first != nil {
			break
		}
		y.do(st)
	}
	if y.first == nil {
		y.end()
	}
	return Outcome{Violation: y.first, Trace: y.trace.String(), Runs: y.runs, Calls: y.calls, Effects: y.seen, Flows: y.flows, Given: y.given, Raced: y.raced}, nil
}

// open puts three hosting products and another service on sale, and sets the program up.
func (y *play) open() (err error) {
	if y.db, err = fresh(); err != nil {
		return err
	}
	y.begin(y.world.Offer())
	y.prices = append(y.prices, y.world.PutPrice(simulator.Price{ID: "price_consulting", Product: "prod_consulting", Amount: 9900}))
	if err := y.world.SetFeatures(soldByFeature.product, soldByFeature.key); err != nil {
		return err
	}
	if err := y.remap(y.offer); err != nil {
		return err
	}
	y.watch()
	return nil
}

// close lets the remains of dead processes end, and frees the databases.
func (y *play) close() {
	for _, p := range y.dead {
		close(p.release)
		<-p.ended
	}
	for n := range y.processes {
		y.kill(n)
	}
	y.db.close()
	y.twin.close()
	if y.backup != nil {
		y.backup.db.close()
	}
}

func (y *play) stranger() *simulator.World {
	if y.other == nil {
		y.other = simulator.New(simulator.Options{Seed: y.Seed + 1, Calm: true, RequestLog: 1, Start: y.world.Now()})
		y.other.Offer()
		y.other.Populate(3, simulator.Mix{Plain: true})
	}
	return y.other
}

func (y *play) logf(format string, args ...any) {
	if y.traced {
		fmt.Fprintf(&y.trace, "%s  ", y.world.Now().Format("01-02 15:04:05.000"))
		fmt.Fprintf(&y.trace, format, args...)
		y.trace.WriteByte('\n')
	}
}

func (y *play) violated(which Invariant, format string, args ...any) {
	v := Violation{Invariant: which, At: y.world.Now(), Step: y.step, What: fmt.Sprintf(format, args...)}
	y.logf("VIOLATION %s", v)
	if y.first == nil {
		y.first = &v
	}
}

// advance lets time pass. Between its parts leases are renewed and the checker
// looks; only the last minutes are worth looking at closely.
func (y *play) advance(d time.Duration) {
	const part, close = 10 * time.Second, 90 * time.Second
	if d > close {
		y.world.Advance(d - close)
		d = close
		y.checkNew(nil, y.world.Now())
		y.watch()
		y.renew()
	}
	for d > 0 {
		y.world.Advance(min(d, part))
		d -= part
		y.checkNew(nil, y.world.Now())
		y.watch()
		y.renew()
	}
}

// renew does what a process does three times in the life of a lease, unless it is
// frozen.
func (y *play) renew() {
	for _, p := range y.processes {
		if p == nil || p.dead || p.frozen || !p.running && !y.Company.KeepLease || y.world.Now().Sub(p.renewed) < renewEvery {
			continue
		}
		p.renewed = y.world.Now()
		_ = p.engine.Renew(context.Background()) // the run at work notices
	}
}

// dice is a random number that depends on the seed, the step and the choice alone.
func (y *play) dice(what string) uint64 {
	h := fnv.New64a()
	y.nth[what]++
	fmt.Fprintf(h, "%d %d %s %d", y.Seed, y.step, what, y.nth[what])
	z := h.Sum64()
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb
	return z ^ (z >> 31)
}

// latency is how long a call takes, each way.
func (y *play) latency(r *http.Request) time.Duration {
	return time.Duration(y.dice("latency "+r.Method) % uint64(y.Company.Latency/2))
}

// do does one step. If the world does not allow a step, it does nothing.
func (y *play) do(st Step) {
	outer, nth := y.step, y.nth
	y.step, y.nth = st.ID, map[string]int{}
	defer func() { y.step, y.nth = outer, nth }()
	y.logf("STEP %d: %s", st.ID, st)
	y.watch()
	if err := y.act(st); err != nil {
		y.logf("  refused: %v", err)
	} else if eventful(st.Kind) {
		y.arrive(st)
	}
	y.watch()
	y.checkNew(nil, y.world.Now())
}

func (y *play) act(st Step) error {
	switch st.Kind {
	case Wait:
		y.advance(st.Wait)
		return nil
	case Run, WrongKey:
		return y.runStep(st)
	case Restart:
		y.stop(st.N)
		return nil
	case Skew:
		y.skew[st.N] = st.Wait
		return nil
	case Calm, Storm:
		y.calm = st.Kind == Calm
		return nil
	case OrderMany:
		return y.orderMany(st)
	case Install:
		return y.install()
	case CopyDB, LoseDB, RestoreDB:
		return y.disaster(st)
	case MapRemove, MapBreak, MapSwap, MapNone, MapRestore, HoldAdd, HoldRemove, Approve, SaidNew, Unbind, Rebind, Merge, Split:
		return y.operator(st)
	case BuildSite, DropSite, StaffMove:
		return y.website(st)
	case StaffSuspend, StaffResume, StaffDelete, StaffPurge, StaffPlan, StaffRename, Elsewhere:
		return y.staff(st)
	}
	return y.customer(st)
}

func (y *play) runStep(st Step) error {
	if st.Kind == WrongKey {
		return y.misled(st)
	}
	p, err := y.process(st.N)
	if err != nil {
		return err
	}
	req := engine.Request{Trigger: "cron"}
	switch st.Pick % runModes {
	case runFull:
		req.Full = true
	case runDry:
		req.Dry = true
	case runTargeted:
		for _, s := range y.subscriptions(st.Who) {
			req.Subscriptions = append(req.Subscriptions, s.ID)
		}
	}
	p.run(req, st.Cut)
	return nil
}

// misled runs the program once with another company's key, as after a mistake in
// the configuration, and puts the right key back.
func (y *play) misled(st Step) error {
	now, err := y.process(st.N)
	if err != nil {
		return err
	}
	if bound, err := now.store.KnownSubscriptions(context.Background(), 1); err != nil || len(bound) == 0 {
		return err // without customers the program cannot recognise a foreign key
	}
	y.stop(st.N)
	p, err := y.start(st.N, true)
	if err != nil {
		return err
	}
	y.processes[st.N] = p
	p.run(engine.Request{Trigger: "cron", Full: st.N == 0}, nil)
	y.stop(st.N)
	return nil
}

// finished notes the end of a run.
func (y *play) finished(p *process, rep reconcile.Report, err error) {
	y.runs++
	y.last = rep
	if err == nil {
		y.met(p)
		y.learned(p)
	}
	if !y.traced {
		return
	}
	y.logf("  run %s %s: %d Stripe, %d Enhance, error %v", rep.Run.ID, rep.Run.Mode, rep.Run.StripeCalls, rep.Run.EnhanceCalls, err)
	for _, a := range rep.Actions {
		y.logf("    %s %s %s", a.State, a.ID, a.Error)
	}
	for _, h := range rep.Holds {
		y.logf("    hold %s %s %s %d: %s", h.Kind, h.Customer, h.Subscription, h.Hosting, h.Reason)
	}
	for _, n := range rep.Notes {
		y.logf("    note %s", n)
	}
}

// mending is the least time that people need to put a database back: longer than a write
// takes that no process remembers now.
const mending = 2 * time.Minute

// disaster copies, loses and restores the database. The processes go with it.
func (y *play) disaster(st Step) error {
	if st.Kind == RestoreDB && y.backup == nil {
		return nil
	}
	if st.Kind == CopyDB {
		db, err := y.db.copy()
		if err != nil {
			return err
		}
		if y.backup != nil {
			y.backup.db.close()
		}
		y.backup = &backup{db: db, desk: y.desk.clone()}
		return nil
	}
	for n := range y.processes {
		y.kill(n)
	}
	y.advance(mending)
	y.db.close()
	var err error
	if st.Kind == RestoreDB {
		if y.db, err = y.backup.db.copy(); err != nil {
			return err
		}
		y.restored(y.backup.desk.clone())
		return nil
	}
	if y.db, err = fresh(); err != nil {
		return err
	}
	y.restored(newDesk())
	if st.Pick == 0 {
		return nil // the operator will notice that nothing is mapped
	}
	return y.remap(y.offer)
}

// remap makes these the mappings.
func (y *play) remap(mappings map[string]string) error {
	p, err := y.process(0)
	if err != nil {
		return err
	}
	for _, price := range slices.Sorted(maps.Keys(y.mappings)) {
		if _, kept := mappings[price]; !kept {
			if _, err := p.store.DeleteMapping(context.Background(), y.billingID(price)); err != nil {
				return err
			}
		}
	}
	var all []reconcile.Mapping
	for _, price := range slices.Sorted(maps.Keys(mappings)) {
		m := reconcile.Mapping{BillingID: y.billingID(price), Plan: mappings[price]}
		if y.Company.WordPress && m.Plan != reconcile.NotHosting {
			m.App = reconcile.AppWordPress
		}
		all = append(all, m)
	}
	if err := p.store.ImportMappings(context.Background(), all, "operator", p.now()); err != nil {
		return err
	}
	y.mappings = mappings
	return nil
}
