//go:build mutants

package guards

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// examinations are the packages in the order of the harm that a missing guard does,
// each with the folders whose tests are tried. The planner needs nothing but facts, so
// its own tests are to miss each of its guards.
var examinations = []struct {
	folder string
	tests  []string
}{
	{"reconcile/planner", []string{"reconcile/planner"}},
	{"reconcile", []string{"reconcile", "reconcile/planner"}},
	{"reconcile/engine", []string{"reconcile/engine", "internal/drills"}},
	{"store", []string{"store"}},
	{"clients/stripe", []string{"clients/stripe"}},
	{"clients/enhance", []string{"clients/enhance"}},
	{"clients/ratelimit", []string{"clients/ratelimit"}},
	{"clients/breaker", []string{"clients/breaker"}},
	{"server", []string{"server"}},
}

// TestEveryGuardIsMissed is `make guards`. PKG is a package, FILES a pattern of paths,
// LIMIT about how many mutants of each package, RUN a pattern of the tests to try (new
// ones, say), LONGEST=20s leaves longer tests out, OPERANDS=1 adds the operands of && and
// ||, JOBS is how many processes run at a time, REPORT where the report goes as JSON.
func TestEveryGuardIsMissed(t *testing.T) {
	abs, err := filepath.Abs(top)
	if err != nil {
		t.Fatal(err)
	}
	files, err := regexp.Compile(os.Getenv("FILES"))
	if err != nil {
		t.Fatal(err)
	}
	run, err := regexp.Compile(os.Getenv("RUN"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("equivalent.txt")
	if err != nil {
		t.Fatal(err)
	}
	known, err := ParseKnown(string(text))
	if err != nil {
		t.Fatal(err)
	}
	longest := time.Duration(0)
	if text := os.Getenv("LONGEST"); text != "" {
		if longest, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	var results []*Result
	for _, e := range examinations {
		if pkg := strings.Trim(os.Getenv("PKG"), "./"); pkg != "" && pkg != e.folder {
			continue
		}
		r, err := Examine(Options{Top: abs, Folder: e.folder, Tests: e.tests, Files: files, Run: run, Limit: number(t, "LIMIT", 0),
			Longest:  longest,
			Operands: os.Getenv("OPERANDS") != "", Jobs: number(t, "JOBS", 2), Log: os.Stderr, Known: known})
		if err != nil {
			t.Fatal(err)
		}
		results = append(results, r)
	}
	if len(results) == 0 {
		t.Fatalf("PKG=%s is none of the packages: %v", os.Getenv("PKG"), examinations)
	}
	if err := Text(os.Stdout, commit(t), results); err != nil {
		t.Fatal(err)
	}
	if path := os.Getenv("REPORT"); path != "" {
		write(t, path, results)
	}
	if slices.ContainsFunc(results, func(r *Result) bool { n := r.Count(""); return n.Survived+n.NotReached > 0 || len(r.Broken) > 0 }) {
		t.Error("some guards are missed by no test, or some tests fail without any mutant: both are listed above")
	}
}

func write(t *testing.T, path string, results []*Result) {
	t.Helper()
	if !filepath.IsAbs(path) {
		path = filepath.Join(top, path) // where make was called
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := JSON(f, commit(t), results); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func number(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		t.Fatalf("%s=%s is not a number", name, text)
	}
	return n
}

// commit names the sources; those with changes of their own end in -dirty.
func commit(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("git", "-C", top, "describe", "--always", "--dirty", "--abbrev=10").Output()
	if err != nil {
		return "sources without a commit"
	}
	return strings.TrimSpace(string(out))
}
