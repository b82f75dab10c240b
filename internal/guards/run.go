package guards

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/overlay"
)

const (
	// recordLimit is for one test that runs alone; the longest takes two minutes on a
	// machine that does nothing else.
	recordLimit = 15 * time.Minute
	// A mutant hangs if its tests take [Options.Patience] beyond ten times the time that
	// was recorded for them.
	slower = 10
	// firstBatch is how much of recorded time is tried in the first process of a
	// mutant. Each later one tries four times as much, so that a quick test that
	// fails spares the slow ones and few processes are started.
	firstBatch = 500 * time.Millisecond
)

// State is the outcome of trying a mutant.
type State string

const (
	Killed     State = "killed"
	Survived   State = "survived"
	NotReached State = "not reached"
	Equivalent State = "equivalent"
)

// Options of an examination.
type Options struct {
	Top      string         // the top of the repository
	Folder   string         // the package, from the top
	Tests    []string       // folders whose tests are tried, in this order
	Run      *regexp.Regexp // only tests whose name matches; nil: all
	Files    *regexp.Regexp // only guards in files whose path matches; nil: all
	Limit    int            // about so many mutants, spread over the package; 0: all
	Operands bool           // single operands of && and || too
	Longest  time.Duration  // tests that take longer by themselves are left out; 0: none
	Jobs     int            // processes at a time; 0: one
	Patience time.Duration  // after which, beyond ten times the usual, tests hang; 0: a minute
	Known    []Known        // mutants that are known to be equivalent
	Log      io.Writer      // progress; nil: none
}

// Mutant is one guard removed, and the outcome.
type Mutant struct {
	Site
	Value bool   `json:"value"` // the value that the condition was given
	State State  `json:"state"`
	By    string `json:"by,omitempty"` // the test that failed, or how the process ended
	Why   string `json:"why,omitempty"`
}

// timed is a test with its recorded time and guards.
type timed struct {
	name string
	took time.Duration
	seen seen
}

// Examine takes every guard of a package away, one at a time.
func Examine(o Options) (*Result, error) {
	if o.Log == nil {
		o.Log = io.Discard
	}
	o.Jobs, o.Patience = max(o.Jobs, 1), cmp.Or(o.Patience, time.Minute)
	dir, err := os.MkdirTemp("", "guards-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // a PostgreSQL that tests start runs as another user
		return nil, err
	}
	began := time.Now()
	ex, err := prepare(o.Top, o.Folder, dir, o.Operands)
	if err != nil {
		return nil, err
	}
	result := &Result{Folder: o.Folder, Mutants: choose(ex.sites, o)}
	for i, folder := range o.Tests {
		open := result.open()
		if len(open) == 0 {
			break
		}
		fmt.Fprintf(o.Log, "%s: %d mutants for the tests of %s\n", o.Folder, len(open), folder)
		b, err := ex.build(folder, filepath.Join(dir, strconv.Itoa(i)+".test"))
		if err != nil {
			return nil, err
		}
		if o.Run != nil {
			b.tests = slices.DeleteFunc(b.tests, func(name string) bool { return !o.Run.MatchString(name) })
		}
		b.patience, b.longest, b.log = o.Patience, cmp.Or(o.Longest, recordLimit), o.Log
		tests, broken := b.record(o.Jobs)
		for _, name := range broken {
			result.Broken = append(result.Broken, folder+" "+name)
		}
		overlay.Parallel(o.Jobs, open, func(m *Mutant) { b.try(m, tests) })
	}
	result.Took = time.Since(began).Round(time.Second)
	return result, result.settle(o.Known)
}

// choose makes the mutants of sites, except those that the options exclude.
func choose(sites []Site, o Options) []*Mutant {
	var all []*Mutant
	for _, s := range sites {
		if o.Files != nil && !o.Files.MatchString(s.File) {
			continue
		}
		for _, v := range s.Values {
			all = append(all, &Mutant{Site: s, Value: v, State: NotReached})
		}
	}
	if o.Limit <= 0 || len(all) <= o.Limit {
		return all
	}
	var some []*Mutant
	for i := range o.Limit {
		some = append(some, all[i*len(all)/o.Limit])
	}
	return some
}

// record runs each test by itself. Those that fail without any mutant are returned
// by name and not used.
func (b *binary) record(jobs int) (tests []timed, broken []string) {
	var mu sync.Mutex // guards tests and broken
	overlay.Parallel(jobs, b.tests, func(name string) {
		path := b.path + "." + name
		began := time.Now()
		failed := b.run([]string{name}, b.longest, "", recordEnv+"="+path)
		took := time.Since(began)
		all, err := readSeen(path)
		mu.Lock()
		defer mu.Unlock()
		if failed == hangs && b.longest < recordLimit {
			fmt.Fprintf(b.log, "%s takes longer than %s and is left out\n", name, b.longest)
			return
		}
		if failed != "" || err != nil {
			broken = append(broken, fmt.Sprintf("%s: %s", name, cmp.Or(failed, fmt.Sprint(err))))
			return
		}
		tests = append(tests, timed{name, took, all})
	})
	slices.SortFunc(tests, func(a, b timed) int { return cmp.Compare(a.took, b.took) })
	slices.Sort(broken)
	return tests, broken
}

// try runs the tests that can notice a mutant until one fails.
func (b *binary) try(m *Mutant, tests []timed) {
	tests = slices.DeleteFunc(slices.Clone(tests), func(t timed) bool {
		was := t.seen[m.Number]
		return m.Value && !was.no || !m.Value && !was.yes
	})
	budget := firstBatch
	for len(tests) > 0 {
		m.State = Survived
		var names []string
		var sum time.Duration
		for len(names) < len(tests) && (len(names) == 0 || sum+tests[len(names)].took <= budget) {
			sum += tests[len(names)].took
			names = append(names, tests[len(names)].name)
		}
		if by := b.run(names, b.patience+slower*sum, fmt.Sprintf("%d=%t", m.Number, m.Value)); by != "" {
			m.State, m.By = Killed, by
			return
		}
		tests, budget = tests[len(names):], 4*budget
	}
	fmt.Fprintf(b.log, "%s, by the tests of %s: %s\n", m.State, filepath.Base(b.folder), m)
}

// hangs is how a process ended that did not within its limit.
const hangs = "hangs"

// run runs some tests in one process and returns "" when all of them passed, else
// the name of the one that failed, or how the process ended.
func (b *binary) run(names []string, limit time.Duration, choice string, env ...string) string {
	end := b.Run(overlay.Run{
		Args:   []string{"-test.run=^(" + strings.Join(names, "|") + ")$", "-test.failfast", "-test.count=1"},
		Choice: choice, Env: env, Limit: limit,
	})
	switch failed := end.Failures(); {
	case end.Hangs:
		return hangs
	case end.Err == nil:
		return ""
	case len(failed) > 0:
		return failed[0]
	}
	if line, _, ok := bytes.Cut(end.Output[max(0, bytes.Index(end.Output, []byte("panic:"))):], []byte("\n")); ok {
		return string(line)
	}
	return end.Err.Error()
}
