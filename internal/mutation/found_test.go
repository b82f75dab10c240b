//go:build mutants

package mutation

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/overlay"
)

// TestEveryMistakeIsFound is `make mutants`. MUTANTS is how often each is tried, MUTANT a
// pattern of names to try alone, JOBS how many processes run at a time. APART=1 gives every
// mistake a build of its own.
func TestEveryMistakeIsFound(t *testing.T) {
	top, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	some, err := regexp.Compile(os.Getenv("MUTANT"))
	if err != nil {
		t.Fatal(err)
	}
	r := trial{top: top, times: number(t, "MUTANTS", 3), sound: map[string]func() error{}, started: time.Now()}
	jobs := number(t, "JOBS", runtime.NumCPU())
	all := slices.DeleteFunc(mistakes(t), func(m mistake) bool { return !some.MatchString(m.name) })
	r.build(t, all, os.Getenv("APART") != "")
	// Those that have to be built take longest.
	slices.SortStableFunc(all, func(a, b mistake) int { return len(r.reason(b)) - len(r.reason(a)) })
	overlay.Parallel(jobs, all, func(m mistake) {
		t.Run(m.name, func(t *testing.T) {
			if err := r.try(m, t.TempDir()); err != nil {
				t.Errorf("%s\n%v", m.sentence, err)
			}
		})
	})
	fmt.Printf("%d of %d mistakes found, %d times each, %d of them in builds of their own, in %s\n",
		r.found, len(all), r.times, len(r.apart), time.Since(r.started).Round(time.Second))
}

func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%s is not a number of at least 1", name, text)
	}
	return n
}

// trial is one run over all mistakes.
type trial struct {
	top     string
	times   int
	started time.Time
	apart   map[int]error              // mistakes with a build of their own
	common  map[string]*overlay.Binary // by folder: the tests with all other mistakes
	sound   map[string]func() error    // by tests: whether they pass without any mistake
	mu      sync.Mutex                 // guards found
	found   int
}

// build compiles the tests of every folder once, with all mistakes that can be chosen when
// they run.
func (r *trial) build(t *testing.T, all []mistake, apart bool) {
	t.Helper()
	changes := map[string][]change{}
	for _, m := range all {
		changes[m.file] = append(changes[m.file], change{m.number, []byte(m.made(t))})
	}
	if apart {
		clear(changes)
	}
	sources := &overlay.Overlay{Top: r.top, Dir: t.TempDir()}
	l, err := set(sources, changes)
	if err != nil {
		t.Fatal(err)
	}
	r.apart, r.common = l.apart, map[string]*overlay.Binary{}
	for _, m := range all {
		if apart {
			r.apart[m.number] = errors.New("was asked for")
		}
		if why := r.reason(m); why != "" {
			fmt.Printf("apart  %-44s %s\n", m.name, why)
		}
		for _, tests := range m.tests {
			folders, args := split(tests)
			for _, folder := range folders {
				if r.common[folder] == nil {
					path := filepath.Join(sources.Dir, strings.ReplaceAll(folder, "/", "_")+".test")
					if r.common[folder], err = sources.Build(folder, path); err != nil {
						t.Fatalf("without any mistake: %v", err)
					}
				}
			}
			r.sound[strings.Join(tests, " ")] = sync.OnceValue(func() error {
				failed, out, err := r.run(r.common, folders, args, "", 1)
				if err == nil && len(failed) > 0 {
					err = fmt.Errorf("%v", failed)
				}
				if err != nil {
					return fmt.Errorf("%s fails without any mistake: %w\n%s", strings.Join(tests, " "), err, out)
				}
				return nil
			})
		}
	}
	fmt.Printf("built %d folders of tests with %d mistakes in %s\n", len(r.common), len(all)-len(r.apart), time.Since(r.started).Round(time.Second))
}

// reason is why a mistake has a build of its own, "" if it has none.
func (r *trial) reason(m mistake) string {
	if err := r.apart[m.number]; err != nil {
		return err.Error()
	}
	return ""
}

// split takes the arguments of `go test` apart: folders, and flags as a test binary knows
// them.
func split(tests []string) (folders, args []string) {
	for _, word := range tests {
		switch {
		case strings.HasPrefix(word, "-"):
			args = append(args, "-test."+strings.TrimLeft(word, "-"))
		case len(args) > 0:
			args = append(args, word)
		default:
			folders = append(folders, path.Clean(word))
		}
	}
	return folders, args
}

// try makes a mistake. The error is why its tests do not find it.
func (r *trial) try(m mistake, dir string) error {
	binaries, choice := r.common, strconv.Itoa(m.number)
	if r.reason(m) != "" {
		binaries, choice = map[string]*overlay.Binary{}, ""
	}
	by := map[string]int{}
	for _, tests := range m.tests {
		key := strings.Join(tests, " ")
		if err := r.sound[key](); err != nil {
			return err
		}
		folders, args := split(tests)
		if choice == "" {
			if err := m.build(r.top, dir, folders, binaries); err != nil {
				return fmt.Errorf("it does not build: %w", err)
			}
		}
		failed, out, err := r.run(binaries, folders, args, choice, r.times)
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", key, err, out)
		}
		if len(failed) == 0 {
			return fmt.Errorf("not found by go test %s\n%s", key, out)
		}
		if best := slices.Max(slices.Collect(maps.Values(failed))); best < r.times {
			return fmt.Errorf("found by luck, at most %d times of %d, by go test %s: %v", best, r.times, key, failed)
		}
		maps.Copy(by, failed)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.found++
	fmt.Printf("found  %-44s by %s\n", m.name, strings.Join(slices.Sorted(maps.Keys(by)), ", "))
	return nil
}

// build compiles the tests of folders with this mistake alone.
func (m mistake) build(top, dir string, folders []string, binaries map[string]*overlay.Binary) error {
	text, err := m.make()
	if err != nil {
		return err
	}
	sources := overlay.Overlay{Top: top, Dir: dir}
	if err := sources.Put(m.file, []byte(text)); err != nil {
		return err
	}
	for _, folder := range folders {
		if binaries[folder] == nil {
			if binaries[folder], err = sources.Build(folder, filepath.Join(dir, strings.ReplaceAll(folder, "/", "_")+".test")); err != nil {
				return err
			}
		}
	}
	return nil
}

// run runs the tests of folders and counts the failures of each. The error is for an end
// that is neither a pass nor a failure.
func (r *trial) run(binaries map[string]*overlay.Binary, folders, args []string, choice string, times int) (failed map[string]int, out string, err error) {
	failed = map[string]int{}
	for _, folder := range folders {
		some, text, err := runOne(binaries[folder], args, choice, times)
		for name, n := range some {
			failed[name] += n
		}
		out += text
		if err != nil {
			return failed, out, err
		}
	}
	return failed, out, nil
}

var panics = regexp.MustCompile(`(?m)^panic: `)

// longest is how long the tests of one mistake may take once.
const longest = 30 * time.Minute

func runOne(b *overlay.Binary, args []string, choice string, times int) (failed map[string]int, out string, err error) {
	end := b.Run(overlay.Run{Args: append([]string{"-test.count=" + strconv.Itoa(times)}, args...), Choice: choice, Limit: time.Duration(times) * longest})
	out, failed = tail(string(end.Output)), map[string]int{}
	for _, name := range end.Failures() {
		failed[name]++
	}
	panicked := panics.Match(end.Output) && !end.Hangs
	switch {
	case times > 1 && panicked: // which ends the repeats with it
		clear(failed)
		for range times {
			again, out, err := runOne(b, args, choice, 1)
			if err != nil {
				return failed, out, err
			}
			for name, n := range again {
				failed[name] += n
			}
		}
	case panicked && len(failed) == 0: // in a goroutine of the program
		failed["a panic"]++
	case bytes.Contains(end.Output, []byte("no tests to run")):
		err = errors.New("there are no such tests")
	case end.Hangs && len(failed) == 0:
		err = fmt.Errorf("not over after %d times %s", times, longest)
	case end.Err != nil && len(failed) == 0:
		err = fmt.Errorf("neither passed nor failed: %w", end.Err)
	}
	return failed, out, err
}

// tail is the end of a long output, where the reason stands.
func tail(text string) string {
	const enough = 3000
	if len(text) > enough {
		return "…" + text[len(text)-enough:]
	}
	return text
}
