//go:build unix

package main

import (
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/internal/needs"
	"github.com/stripe-enhance/stripe-enhance/internal/pgtest"
)

// commitBefore is the last release before this commit; while there is none with another
// commit, it is the last commit before the newest migration. The statements that a program of
// before sends are those in its sources, so a list of them that is kept here could be wrong
// without a test that notices; the history has them.
func commitBefore(git func(args ...string) (string, error)) (string, error) {
	if tag, err := git("describe", "--tags", "--abbrev=0", "--match", "v*", "HEAD^"); err == nil {
		return tag, nil
	}
	all, err := filepath.Glob("../../migrations/postgres/*.sql")
	if err != nil {
		return "", err
	}
	added, err := git("log", "-1", "--diff-filter=A", "--format=%H", "--", "migrations/postgres/"+filepath.Base(slices.Max(all)))
	if err != nil || added == "" { // it is not committed yet
		return "HEAD", err
	}
	return git("rev-parse", "--verify", added+"^")
}

// programBefore is the program of that commit. A clone of one commit alone has no version
// before, and nothing that CI could install adds it: there the test skips. In a clone with its
// history it fails under CI=true if that program cannot be built.
func programBefore(t *testing.T) string {
	t.Helper()
	path, err := buildBefore(t.TempDir())
	switch {
	case err == nil:
	case !needs.History(t):
		t.Skipf("this is no clone with its history (git fetch --unshallow; fetch-depth: 0): %v", err)
	default:
		needs.Missing(t, "the version before cannot be built: %v", err)
	}
	return path
}

func buildBefore(dir string) (path string, err error) {
	git := func(args ...string) (string, error) {
		out, err := exec.Command("git", append([]string{"-C", "../.."}, args...)...).Output()
		return strings.TrimSpace(string(out)), err
	}
	commit, err := commitBefore(git)
	if err != nil {
		return "", err
	}
	sources := filepath.Join(dir, "sources.tar")
	if _, err := git("archive", "--format=tar", "--output="+sources, commit); err != nil {
		return "", err
	}
	path = filepath.Join(dir, "program-before")
	// As for a release: those tests have most of it in the cache.
	for _, args := range [][]string{{"tar", "-xf", sources}, {"make", "-s", "build", "VERSION=before", "OUT=" + path}} {
		step := exec.Command(args[0], args[1:]...)
		step.Dir = dir
		if out, err := step.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%s of %s: %w: %s", args[0], commit, err, out)
		}
	}
	return path, nil
}

// turns is a company for which programs of two versions work by turns.
type turns struct {
	*site
	before site     // the same with the program of the version before
	orders []string // subscriptions
}

func newTurns(t *testing.T, database, before string) *turns {
	t.Helper()
	r := &turns{site: newSite(t, database)}
	r.before = *r.site
	r.before.binary = before
	return r
}

// turn has one of everything for the process that leads: a customer orders, the customer before
// takes a larger plan, the one before that does not pay, and the one before that pays again.
func (r *turns) turn(who string) {
	r.tb.Helper()
	must := func(err error) {
		r.tb.Helper()
		if err != nil {
			r.tb.Fatal(err)
		}
	}
	n := len(r.orders)
	r.orders = append(r.orders, r.signUp(fmt.Sprintf("customer%d", n+1))...)
	if n >= 1 {
		must(r.world.ChangePrice(r.orders[n-1], "", "price_pro_monthly"))
	}
	if n >= 2 {
		must(r.world.MarkUnpaid(r.orders[n-2]))
	}
	if n >= 3 {
		must(r.world.Pay(r.orders[n-3]))
	}
	eventually(r.tb, "the turn of "+who+" is done", func() bool { return maps.Equal(r.want(), r.have()) })
}

// state is what a customer has at the panel.
type state struct {
	plan      int
	suspended bool
}

func (r *turns) want() map[string]state {
	plans, all := r.world.Offer(), map[string]state{}
	for i, sub := range r.orders {
		last := len(r.orders) - 1
		price := "price_pro_monthly"
		if i == last {
			price = "price_basic_monthly"
		}
		all[sub] = state{plan: plans[price], suspended: i == last-2}
	}
	return all
}

func (r *turns) have() map[string]state {
	all := map[string]state{}
	for _, h := range r.world.Hostings() {
		for _, sub := range r.orders {
			if strings.Contains(h.FriendlyName, sub) && h.Status == "active" {
				all[sub] = state{plan: h.Plan, suspended: h.SuspendedBy != ""}
			}
		}
	}
	return all
}

// nothingTwice compares what was done at the panel with what each customer has asked for, ends
// the last process, and runs once over everything.
func (r *turns) nothingTwice(last *replica) {
	r.tb.Helper()
	n := len(r.orders)
	want := map[string]int{"create_org": n, "create_subscription": n, "rename_org": n, "invite_owner": n, "change_plan": n - 1, "suspend": n - 2, "resume": n - 3}
	kinds, done := map[string]int{}, map[string]int{}
	count := func() {
		clear(kinds)
		clear(done)
		for _, e := range r.world.Effects() {
			if e.Kind == "rename_subscription" { // every change of a hosting writes its name as well
				continue
			}
			kinds[e.Kind]++
			done[e.Kind+" "+e.Org]++
		}
	}
	eventually(r.tb, "everything that was asked for is done", func() bool {
		count()
		return kinds["invite_owner"] >= n && kinds["rename_org"] >= n // they come after the hosting
	})
	r.end(last)
	if out, talk, code := r.run("reconcile", "--full"); code != 0 {
		r.tb.Errorf("a run that finds nothing to do ends with %d: %s %s", code, out, talk)
	}
	count()
	if diff := cmp.Diff(want, kinds); diff != "" {
		r.tb.Errorf("what was done (-want +got):\n%s", diff)
	}
	for _, what := range slices.Sorted(maps.Keys(done)) {
		if done[what] > 1 {
			r.tb.Errorf("%s was done %d times", what, done[what])
		}
	}
	if v := r.world.Violations(); len(v) > 0 {
		r.tb.Errorf("sent what must never be sent: %v", v)
	}
	if len(r.world.Hostings()) != n {
		r.tb.Errorf("%d hostings for %d orders", len(r.world.Hostings()), n)
	}
}

// end ends a process as a rolling update does.
func (r *turns) end(p *replica) {
	r.tb.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		r.tb.Fatal(err)
	}
	if code := p.exit(); code != 0 {
		r.tb.Errorf("%s ended with %d", p.name, code)
	}
}

// mayBegin reports whether the version before begins on the database of this one; if it does
// not, it says so in the known sentence.
func (r *turns) mayBegin() bool {
	r.tb.Helper()
	_, talk, code := r.before.run("plans")
	if code == 0 {
		return true
	}
	if !strings.Contains(talk, "use the newer program that wrote it") || !strings.Contains(talk, "nothing was changed") {
		r.tb.Errorf("the version before does not begin: %d: %s", code, talk)
	}
	return false
}

func TestTheVersionBeforeAndThisOneWorkByTurns(t *testing.T) {
	t.Parallel() // most of it is waiting
	before := programBefore(t)
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		replicasByTurns(t, newTurns(t, pgtest.Empty(t), before))
	})
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		processesByTurns(t, newTurns(t, "sqlite:"+filepath.Join(t.TempDir(), "hosting.db"), before))
	})
}

// replicasByTurns: replicas of the version before are at work while this one migrates, and each leads in its
// turn over rows that the other wrote.
func replicasByTurns(t *testing.T, r *turns) {
	t.Helper()
	one, two := r.before.begin("before one"), r.before.begin("before two")
	one.up()
	two.up()
	r.before.mapPrices()
	first := writer(t, one, two)
	second := one
	if first == one {
		second = two
	}
	r.turn("before")
	this := r.serve("this one") // it has migrated, with the others at work
	r.turn("before, migrated")

	// Of two that wait for the lease the right one gets it, because the other is frozen.
	signal := func(p *replica, s syscall.Signal) {
		t.Helper()
		if err := p.cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	signal(second, syscall.SIGSTOP)
	r.end(first)
	eventually(t, "this one leads", this.leads)
	signal(second, syscall.SIGCONT)
	r.turn("this one")
	r.end(this)
	eventually(t, "the second of the version before leads", second.leads)
	r.turn("before again")
	last := r.serve("this one again")
	r.end(second)
	eventually(t, "this one leads again", last.leads)
	r.turn("this one again")
	if r.mayBegin() {
		back := r.before.serve("the way back")
		r.end(last)
		r.turn("the way back")
		last = back
	}
	r.nothingTwice(last)
}

// processesByTurns: on SQLite one process works at a time. This version migrates while the one before is at
// work, and takes over when it is ended.
func processesByTurns(t *testing.T, r *turns) {
	t.Helper()
	before := r.before.serve("before")
	r.before.mapPrices()
	r.turn("before")
	for _, args := range [][]string{{"migrate"}, {"reconcile"}} {
		if out, talk, code := r.run(args...); code != 0 {
			t.Fatalf("%s beside it: %d: %s %s", args, code, out, talk)
		}
	}
	r.turn("before, migrated")
	r.end(before)
	this := r.serve("this one")
	r.turn("this one")
	r.end(this)
	if r.mayBegin() {
		back := r.before.serve("the way back")
		r.turn("the way back")
		r.end(back)
	}
	last := r.serve("this one again")
	r.turn("this one again")
	r.nothingTwice(last)
}
