package crashtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/mailtest"
	"github.com/stripe-enhance/stripe-enhance/internal/pgtest"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/simulator"
	"github.com/stripe-enhance/stripe-enhance/store"
)

// clock is one clock for the simulators and every process of a test.
type clock struct {
	path  string
	ahead atomic.Int64 // of this machine's, in nanoseconds
}

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// move moves it forward. It replaces the whole file, because processes may be reading
// it.
func (c *clock) move(tb testing.TB, d time.Duration) {
	tb.Helper()
	n := c.ahead.Add(int64(d))
	if err := os.WriteFile(c.path+".new", []byte(strconv.FormatInt(n, 10)), 0o644); err != nil {
		tb.Fatal(err)
	}
	if err := os.Rename(c.path+".new", c.path); err != nil {
		tb.Fatal(err)
	}
}

// company is one world with its panel, a database, and what processes need to
// work between them.
type company struct {
	mail *mailtest.Server // nil: it sends no mail
	testing.TB
	*simulator.World
	clock *clock
	dir   string // of the processes; the SQLite file is in it
	url   string // of the database
	env   map[string]string
	plans map[string]int // price → plan
}

// The two databases, as parameters of a test.
var databases = []string{"sqlite", "postgres"}

// memory is a directory in memory, so that files need not wait for a disk. That is
// enough, because order and content matter here and a power cut is not among the
// deaths.
func memory(tb testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "stripe-enhance-crashtest-")
	if err != nil {
		return tb.TempDir()
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// found makes a company whose database is empty, migrated and has its mappings.
func found(tb testing.TB, database string, o simulator.Options) *company {
	tb.Helper()
	c := bare(tb, database, o)
	if database == "postgres" {
		c.moveTo(pgtest.New(tb, migrate))
	}
	c.furnish()
	return c
}

// empty makes a company whose database was never opened.
func empty(tb testing.TB, database string) *company {
	tb.Helper()
	c := bare(tb, database, simulator.Options{Calm: true})
	if database == "postgres" {
		c.moveTo(pgtest.Empty(tb))
	}
	return c
}

// bare makes a company without a database; only the name of its file is chosen.
func bare(tb testing.TB, database string, o simulator.Options) *company {
	tb.Helper()
	c := &company{TB: tb, dir: memory(tb)}
	c.clock = &clock{path: filepath.Join(c.dir, "clock")}
	c.clock.move(tb, 0)
	o.Follow = c.clock.now
	c.World = simulator.New(o)
	c.plans = c.Offer()
	ctx, stop := context.WithCancel(context.Background())
	tb.Cleanup(stop)
	servers, err := c.Listen(ctx, "", "")
	if err != nil {
		tb.Fatal(err)
	}
	c.env = map[string]string{
		"STRIPE_API_URL": servers.StripeURL, "STRIPE_SECRET_KEY": c.StripeKey(), "STRIPE_RPS": "1000",
		"ENHANCE_API_URL": servers.EnhanceURL, "ENHANCE_API_TOKEN": c.EnhanceToken(), "ENHANCE_ORG_ID": c.OrgID(), "ENHANCE_RPS": "1000",
		"STRIPE_ENHANCE_CLOCK": c.clock.path, "CONCURRENCY": "1", "USER": "operator",
	}
	switch database {
	case "sqlite":
		c.moveTo("sqlite:" + filepath.Join(c.dir, "state.db"))
	case "postgres":
	default:
		tb.Fatalf("no database %q", database)
	}
	return c
}

// moveTo lets later processes use another database.
func (c *company) moveTo(url string) { c.url, c.env["DATABASE_URL"] = url, url }

func migrate(ctx context.Context, url string) error {
	s, err := store.Open(ctx, store.Options{URL: secret.New(url)})
	if err != nil {
		return err
	}
	_, err = s.Migrate(ctx, false)
	return errors.Join(err, s.Close())
}

// furnish migrates the database and maps the offered prices.
func (c *company) furnish() {
	c.Helper()
	c.withStore(func(s *store.Store) {
		if _, err := s.Migrate(c.Context(), false); err != nil {
			c.Fatal(err)
		}
		for price, plan := range c.plans {
			m := reconcile.Mapping{BillingID: price, Plan: strconv.Itoa(plan)}
			if err := s.SetMapping(c.Context(), m, "test", c.Now()); err != nil {
				c.Fatal(err)
			}
		}
	})
}

func (c *company) withStore(do func(*store.Store)) {
	c.Helper()
	s, err := store.Open(c.Context(), store.Options{URL: secret.New(c.url)})
	if err != nil {
		c.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			c.Error(err)
		}
	}()
	do(s)
}

// process is one run of the program.
type process struct {
	*exec.Cmd
	out, err bytes.Buffer
	ended    chan struct{} // closed when it has
}

// atOnce limits the processes of all parallel tests together. If a test needs two at
// the same time it counts as one, because only tests that wait for an end hold places.
var atOnce = make(chan struct{}, 2)

// start starts the program, with settings beside the company's.
func (c *company) start(settings map[string]string, args ...string) *process {
	c.Helper()
	return c.launch(func(*exec.Cmd) {}, settings, args...)
}

// launch is start with control over how the process is made.
func (c *company) launch(change func(*exec.Cmd), settings map[string]string, args ...string) *process {
	c.Helper()
	p := &process{Cmd: exec.Command(program(c, "deadly"), args...), ended: make(chan struct{})}
	p.Dir, p.Stdout, p.Stderr = c.dir, &p.out, &p.err
	env := maps.Clone(c.env)
	maps.Copy(env, settings)
	for _, name := range slices.Sorted(maps.Keys(env)) {
		p.Env = append(p.Env, name+"="+env[name])
	}
	change(p.Cmd)
	if err := p.Start(); err != nil {
		c.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = p.Wait() // how it ended is read from its state
	}()
	c.Cleanup(p.kill)
	return p
}

// kill ends the process without any warning and waits until it is gone.
func (p *process) kill() {
	_ = p.Process.Kill() // it may have ended by itself
	<-p.ended
}

// result is how a process ended.
type result struct {
	code           int // -1: by a signal
	signal         syscall.Signal
	report         report.Document // of a run with -o json, else empty
	stdout, stderr string
}

// wait waits for the end of the process.
func (c *company) wait(p *process) result {
	c.Helper()
	<-p.ended
	state := p.ProcessState.Sys().(syscall.WaitStatus)
	r := result{code: p.ProcessState.ExitCode(), stdout: p.out.String(), stderr: p.err.String()}
	if state.Signaled() {
		r.signal = state.Signal()
	}
	if strings.HasPrefix(r.stdout, "{") {
		if err := json.Unmarshal(p.out.Bytes(), &r.report); err != nil {
			c.Fatalf("stdout is no JSON: %v\n%s", err, r.stdout)
		}
	}
	return r
}

// run is one command from beginning to end.
func (c *company) run(settings map[string]string, args ...string) result {
	c.Helper()
	atOnce <- struct{}{}
	defer func() { <-atOnce }()
	return c.wait(c.start(settings, args...))
}

func (c *company) reconcile(settings map[string]string) result {
	c.Helper()
	return c.run(settings, "reconcile", "-o", "json")
}

// at is the setting that ends a process at the nth pass of a point.
func at(step, what string, n int) map[string]string {
	return map[string]string{"STRIPE_ENHANCE_FAILPOINT": fmt.Sprintf("%s:%s:%d", step, what, n)}
}

// mostRuns is how many runs may be needed after a death: one that looks, one that
// looks again (two complete looks before a create is repeated), one to be done.
const mostRuns = 3

// recover runs the plain command, with the pauses of a schedule in between, until a run
// finds everything as it should be and has nothing to do. It returns the reports.
func (c *company) recover() []report.Document {
	c.Helper()
	var all []report.Document
	for {
		r := c.reconcile(nil)
		all = append(all, r.report)
		switch quiet := len(r.report.Actions) == 0; {
		case r.code == 0 && quiet:
			return all
		case r.code != 0 && r.code != 3:
			c.Errorf("run %d after the death: exit code %d\n%s", len(all), r.code, r.stderr)
		}
		if len(all) > mostRuns {
			c.Errorf("not converged after %d runs: exit code %d, actions %+v, holds %+v", len(all), r.code, r.report.Actions, r.report.Holds)
			return all
		}
		c.clock.move(c, 2*time.Minute)
	}
}

// settled runs until nothing is left to do, before a process is killed.
func (c *company) settled() {
	c.Helper()
	for range 4 {
		r := c.reconcile(nil)
		c.clock.move(c, 2*time.Minute)
		if r.code == 0 {
			return
		}
	}
	c.Fatalf("the company does not even come to rest without a death")
}

// signUp places an order.
func (c *company) signUp(o simulator.SignUp) simulator.SignedUp {
	c.Helper()
	if o.Price == "" {
		o.Price = "price_basic_monthly"
	}
	done, err := c.SignUp(o)
	if err != nil {
		c.Fatal(err)
	}
	return done
}

func (c *company) must(err error) {
	c.Helper()
	if err != nil {
		c.Fatal(err)
	}
}

// inCall lets a process run until the first matching call has reached the other side. It
// calls do while the process waits for the answer, which never comes; fault decides whether
// the call takes effect. do runs with the world locked, so that every later request sees
// the call as done, not done, or arranged.
func (c *company) inCall(p func() *process, which func(simulator.Call) bool, fault simulator.Fault, do func(*process)) result {
	c.Helper()
	started := make(chan *process, 1)
	var taken atomic.Bool
	fault.Reset = true
	fault.Rewrite = func(status int, body []byte) (int, []byte) {
		do(<-started)
		return status, body
	}
	c.SetFault(func(call simulator.Call) simulator.Fault {
		if which(call) && taken.CompareAndSwap(false, true) {
			return fault
		}
		return simulator.Fault{}
	})
	defer c.SetFault(nil)
	one := p()
	started <- one
	r := c.wait(one)
	if !taken.Load() {
		c.Fatalf("it never came to that call: exit code %d\n%s", r.code, r.stderr)
	}
	return r
}
