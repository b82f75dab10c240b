//go:build mutants

package app

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// fileLimit is set by `make walk`. The measure has a build tag, as the other tests of tests,
// because it compiles the whole program again.
var fileLimit = flag.Int("walk", 60, "count the files that a sign-up passes, and fail at this many")

const walkModule = "github.com/stripe-enhance/stripe-enhance/"

// The service starts, does its first full run and stops; and the same with a sign-up in
// between, from its webhooks to the report of the run that has made everything. What runs
// more often with the sign-up is its walk.
func TestASignUpPassesFewFiles(t *testing.T) {
	program := filepath.Join(t.TempDir(), "walk.test")
	command(t, "go", "test", "-c", "-covermode=atomic", "-coverpkg="+walkModule+"...", "-o", program, ".")
	without, with := profile(t, program, "TestAServiceIdles"), profile(t, program, "TestAServiceServesASignUp")
	passed, functions := map[string]map[string]bool{}, 0
	for block, times := range with {
		if file, line := place(block); times > without[block] && !simulated(file) {
			if passed[file] == nil {
				passed[file] = map[string]bool{}
			}
			passed[file][functionAt(t, file, line)] = true
		}
	}
	for _, file := range slices.Sorted(maps.Keys(passed)) {
		functions += len(passed[file])
		fmt.Printf("%s: %s\n", file, strings.Join(slices.Sorted(maps.Keys(passed[file])), " "))
	}
	fmt.Printf("a sign-up passes %d functions in %d files\n", functions, len(passed))
	if len(passed) >= *fileLimit {
		t.Errorf("a sign-up passes %d files; it should pass fewer than %d", len(passed), *fileLimit)
	}
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// profile runs one test and returns how often each block of code ran.
func profile(t *testing.T, program, test string) map[string]int {
	t.Helper()
	file := filepath.Join(t.TempDir(), "profile")
	command(t, program, "-test.run", "^"+test+"$", "-test.coverprofile", file)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	times := map[string]int{}
	for line := range strings.Lines(string(text)) {
		block, count, _ := strings.Cut(strings.TrimSpace(line), " ")
		_, count, _ = strings.Cut(count, " ") // the first number counts statements
		if n, err := strconv.Atoi(count); err == nil {
			times[block] += n
		}
	}
	return times
}

// place is the file of a block, from the top of the repository, and its first line.
func place(block string) (file string, line int) {
	file, at, _ := strings.Cut(strings.TrimPrefix(block, walkModule), ":")
	at, _, _ = strings.Cut(at, ".")
	line, _ = strconv.Atoi(at)
	return file, line
}

// simulated: the simulator takes the place of Stripe and Enhance and is no part of the walk.
func simulated(file string) bool { return path.Dir(file) == "simulator" }

// functionAt names the function that a line belongs to.
func functionAt(t *testing.T, file string, line int) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", file))
	if err != nil {
		t.Fatal(err)
	}
	name := ""
	for i, l := range strings.Split(string(text), "\n") {
		if declared, ok := strings.CutPrefix(l, "func "); ok && i < line {
			if strings.HasPrefix(declared, "(") {
				_, declared, _ = strings.Cut(declared, ") ")
			}
			name, _, _ = strings.Cut(declared, "(")
		}
	}
	return name
}
