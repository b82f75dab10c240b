// Package testenv puts the real engine, store and clients in front of the simulators, in
// one process and without sockets, for tests of the whole.
//
// Nothing in it is a stand-in: only the clock is the simulators' and the waits between
// attempts are short. If a test fails here, a customer would have met the same.
package testenv

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/clients/breaker"
	"github.com/stripe-enhance/stripe-enhance/clients/enhance"
	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
	"github.com/stripe-enhance/stripe-enhance/clients/stripe"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
	"github.com/stripe-enhance/stripe-enhance/simulator"
	"github.com/stripe-enhance/stripe-enhance/store"
)

// Options of an Env. The zero value is a calm world, SQLite in the test's
// directory, mode enforce, a grace period of 72 h and no retention.
type Options struct {
	World    simulator.Options
	Hostile  bool   // the world's default hostility on
	Database string // URL; "": SQLite in the test's directory
	Engine   func(*engine.Options)
	Skew     time.Duration // how far the clock of our machine is ahead of the world's
	// Log receives what the engine and both clients log. Nil: the engine's, in a
	// verbose test.
	Log *logrus.Logger
	// Key and Token are the credentials of the clients. Not set: those of the world.
	Key, Token secret.Text
	// Transport wraps the way to both simulators. Nil: the world's own.
	Transport func(http.RoundTripper) http.RoundTripper
}

// Env is one company, its panel, and our program between them.
type Env struct {
	World  *simulator.World
	Store  *store.Store
	Engine *engine.Engine
	Stripe *stripe.Client
	Panel  *enhance.Client
	// Plans maps price → plan of what the world offers; mapped in the store.
	Plans map[string]int

	tb      testing.TB
	options Options
}

// New makes a world with the usual offer, an empty migrated database with its
// mappings, and an engine.
func New(tb testing.TB, o Options) *Env {
	tb.Helper()
	o.World.Calm = !o.Hostile
	w := simulator.New(o.World)
	r := &Env{World: w, Plans: w.Offer(), tb: tb, options: o}
	if r.options.Database == "" {
		path := filepath.Join(memoryDir(tb), "test.db")
		r.options.Database = "sqlite:" + path
		empty, err := migrated()
		if err == nil {
			err = os.WriteFile(path, empty, 0o600)
		}
		if err != nil {
			tb.Fatalf("an empty database: %v", err)
		}
	}
	r.Open()
	for price, plan := range r.Plans {
		r.Map(price, plan)
	}
	return r
}

// migrated is an empty database of SQLite with all tables, as a file. It is made once,
// because the migrations took half of the time of these tests.
var migrated = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "stripe-enhance-empty-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "empty.db")
	s, err := store.Open(context.Background(), store.Options{URL: secret.New("sqlite:" + path)})
	if err != nil {
		return nil, err
	}
	_, err = s.Migrate(context.Background(), false)
	if err := errors.Join(err, s.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// memoryDir is a directory that does not wait for a disk, if there is one and TMPDIR does
// not name another. These tests are about order and content, and fsync would be most of
// their time.
func memoryDir(tb testing.TB) string {
	parent := "/dev/shm"
	if dir := os.Getenv("TMPDIR"); dir != "" {
		parent = dir
	}
	dir, err := os.MkdirTemp(parent, "stripe-enhance-test-")
	if err != nil {
		return tb.TempDir()
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// Open opens the database and makes the clients and an engine, as a process that
// starts does. The one before, if any, is closed.
func (r *Env) Open() {
	r.tb.Helper()
	r.Close()
	ctx := context.Background()
	s, err := store.Open(ctx, store.Options{URL: secret.New(r.options.Database)})
	if err != nil {
		r.tb.Fatalf("opening the store: %v", err)
	}
	if _, err := s.Migrate(ctx, false); err != nil {
		r.tb.Fatalf("migrating: %v", err)
	}
	r.Store = s
	r.tb.Cleanup(func() { _ = s.Close() })
	transport := r.World.Transport()
	if r.options.Transport != nil {
		transport = r.options.Transport(transport)
	}
	key, token := r.options.Key, r.options.Token
	if !key.IsSet() {
		key = secret.New(r.World.StripeKey())
	}
	if !token.IsSet() {
		token = secret.New(r.World.EnhanceToken())
	}
	r.Stripe, err = stripe.New(stripe.Options{Key: key, BaseURL: "http://" + simulator.StripeHost,
		Transport: transport, Log: r.options.Log, Now: r.now, Breaker: breaker.New("Stripe", r.now), RetryMin: time.Microsecond, RetryMax: time.Microsecond,
		Limiter: ratelimit.New(ratelimit.Options{RPS: 1e6, Min: 1e6, Concurrency: 8})})
	if err != nil {
		r.tb.Fatalf("stripe client: %v", err)
	}
	r.Panel, err = enhance.New(enhance.Options{BaseURL: "http://" + simulator.EnhanceHost, Token: token,
		Org: r.World.OrgID(), Transport: transport, Log: r.options.Log, Now: r.now, Breaker: breaker.New("Enhance", r.now), ReadBackoff: time.Microsecond,
		Limiter: ratelimit.New(ratelimit.Options{RPS: 1e6, Min: 1e6, Concurrency: 8})})
	if err != nil {
		r.tb.Fatalf("enhance client: %v", err)
	}
	r.Engine = r.NewEngine(r.options.Engine)
}

// now is the clock of the machine that the program runs on.
func (r *Env) now() time.Time { return r.World.Now().Add(r.options.Skew) }

// SetSkew changes how far the clock of our machine is ahead, between two runs.
func (r *Env) SetSkew(ahead time.Duration) { r.options.Skew = ahead }

// SecondProcess is another process on the same company and database, while the first one
// may still be there.
func SecondProcess(r *Env) *Env {
	r.tb.Helper()
	heir := &Env{World: r.World, Plans: r.Plans, tb: r.tb, options: r.options}
	heir.options.Engine = nil
	heir.Open()
	return heir
}

// SecondInstallation is another installation on the same company and panel, with an empty
// database of its own. A test may put a copy there and open it.
func SecondInstallation(r *Env, database string, change func(*engine.Options)) *Env {
	r.tb.Helper()
	other := &Env{World: r.World, Plans: r.Plans, tb: r.tb, options: r.options}
	other.options.Database, other.options.Engine = database, change
	other.Open()
	return other
}

// NewEngine makes another engine on the same store and clients.
func (r *Env) NewEngine(change func(*engine.Options)) *engine.Engine {
	r.tb.Helper()
	var mu sync.Mutex // guards dice
	dice := rand.New(rand.NewPCG(r.options.World.Seed, 1))
	o := engine.Options{
		Policy: reconcile.Policy{Mode: reconcile.Enforce, Grace: 72 * time.Hour, Onboarding: reconcile.Invite, CreateWebsites: true},
		Brakes: planner.DefaultBrakes(), Settle: 90 * time.Second, Now: r.now,
		Rand: func() float64 { mu.Lock(); defer mu.Unlock(); return dice.Float64() },
	}
	o.Log = r.options.Log
	if o.Log == nil && testing.Verbose() {
		o.Log = logrus.New()
		o.Log.SetLevel(logrus.InfoLevel)
		o.Log.SetOutput(r.tb.Output())
		o.Log.SetFormatter(&logrus.TextFormatter{DisableTimestamp: true, DisableQuote: true})
	}
	if change != nil {
		change(&o)
	}
	e, err := engine.New(o, r.Ports())
	if err != nil {
		r.tb.Fatalf("engine: %v", err)
	}
	return e
}

// Ports are the real store and clients as the engine sees them.
func (r *Env) Ports() engine.Ports {
	return engine.Ports{Billing: r.Stripe, Account: r.Stripe, Panel: r.Panel, OrgLister: r.Panel, Owners: r.Panel, Provisioner: r.Panel,
		Websites: r.Panel, Contents: r.Panel, Backups: r.Panel, Features: r.Stripe, Disputes: r.Stripe, Terminator: r.Panel, Mirror: r.Store, Cursors: r.Store, Queue: r.Store, Timetable: r.Store,
		Journal: r.Store, Plans: r.Store, Inventory: r.Store, ContentStore: r.Store, BackupStore: r.Store, PlanStore: r.Store, FeatureStore: r.Store, DisputeStore: r.Store, History: r.Store, Evidence: r.Store, Withheld: r.Store, Existing: r.Store, Leases: r.Store, Archive: r.Store}
}

// Close ends the process, so to speak: the database is closed as it is.
func (r *Env) Close() {
	if r.Store != nil {
		_ = r.Store.Close()
	}
}

// Map maps a price to a plan.
func (r *Env) Map(price string, plan int) {
	r.tb.Helper()
	if err := r.Store.SetMapping(context.Background(), reconcile.Mapping{BillingID: price, Plan: strconv.Itoa(plan)}, "test", r.World.Now()); err != nil {
		r.tb.Fatalf("mapping %s: %v", price, err)
	}
}

// Run does one run and fails the test when the run fails.
func (r *Env) Run(req engine.Request) reconcile.Report {
	r.tb.Helper()
	rep, err := r.Try(req)
	if err != nil {
		r.tb.Fatalf("run: %v", err)
	}
	return rep
}

// Try does one run.
func (r *Env) Try(req engine.Request) (reconcile.Report, error) {
	if req.Trigger == "" {
		req.Trigger = "test"
	}
	return r.Engine.Run(context.Background(), req)
}

// Fail lets the calls that of names be answered with f, and every other honestly.
func (r *Env) Fail(f simulator.Fault, of func(simulator.Call) bool) {
	r.World.SetFault(func(c simulator.Call) simulator.Fault {
		if of(c) {
			return f
		}
		return simulator.Fault{Honest: true}
	})
}

// Converge runs, letting time pass between, until nothing is left to do or n runs
// are over; it returns the last report. Failing runs are allowed on the way.
func (r *Env) Converge(n int) reconcile.Report {
	r.tb.Helper()
	var rep reconcile.Report
	var err error
	quiet := 0
	for range n {
		r.World.Advance(2 * time.Minute)
		rep, err = r.Try(engine.Request{})
		if err == nil && len(rep.Actions) == 0 {
			if quiet++; quiet == 2 { // an unanswered write may be waiting to be looked for
				return rep
			}
			continue
		}
		quiet = 0
	}
	if err != nil {
		r.tb.Fatalf("still failing after %d runs: %v", n, err)
	}
	return rep
}

// Approve releases every held plan.
func (r *Env) Approve(rep reconcile.Report) {
	r.tb.Helper()
	for _, p := range rep.Plans {
		if _, err := r.Store.Approve(context.Background(), p.ID, 0, "operator@test", r.World.Now()); err != nil {
			r.tb.Fatalf("approving %s: %v", p.ID, err)
		}
	}
}
