package mutants

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/tools/txtar"
)

const root = "../.."

// least is how many mistakes there are at least: deleting one is noticed.
const least = 30

// mutant is one mistake.
type mutant struct {
	name     string
	sentence string
	file     string     // from the top
	tests    [][]string // each of them is to find it
	was, is  string
}

func mutants(t *testing.T) []mutant {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var all []mutant
	for _, path := range paths {
		a, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		part := map[string]string{}
		for _, f := range a.Files {
			part[f.Name] = string(f.Data)
		}
		m := mutant{
			name: strings.TrimSuffix(filepath.Base(path), ".txtar"), sentence: strings.TrimSpace(string(a.Comment)),
			file: strings.TrimSpace(part["where"]), was: part["was"], is: part["becomes"],
		}
		for line := range strings.Lines(part["tests"]) {
			m.tests = append(m.tests, strings.Fields(line))
		}
		all = append(all, m)
	}
	return all
}

// made is the file with the mistake in it.
func (m mutant) made(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, m.file))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), m.was); n != 1 || m.was == "" {
		t.Fatalf("its lines stand %d times in %s, want once: change the mutant with the code", n, m.file)
	}
	return strings.Replace(string(text), m.was, m.is, 1)
}

func TestEveryMistakeCanStillBeMade(t *testing.T) {
	all := mutants(t)
	if len(all) < least {
		t.Errorf("%d mutants, want at least %d", len(all), least)
	}
	for _, m := range all {
		t.Run(m.name, func(t *testing.T) {
			if m.sentence == "" || len(m.tests) == 0 || m.was == m.is {
				t.Errorf("it says nothing, is tested by nothing, or changes nothing: %+v", m)
			}
			m.made(t)
		})
	}
}

// TestEveryMistakeIsFound is `make mutants`. MUTANTS is how often each is tried,
// MUTANT a pattern of names to try alone.
func TestEveryMistakeIsFound(t *testing.T) {
	times, err := strconv.Atoi(os.Getenv("MUTANTS"))
	if err != nil || times < 1 {
		t.Skip("this is run by make mutants: it builds the program many times over")
	}
	some, err := regexp.Compile(os.Getenv("MUTANT"))
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	sound := map[string]bool{}
	found, tried := 0, 0
	for _, m := range mutants(t) {
		if !some.MatchString(m.name) {
			continue
		}
		tried++
		t.Run(m.name, func(t *testing.T) {
			overlay, by := m.overlay(t), map[string]int{}
			for _, tests := range m.tests {
				key := strings.Join(tests, " ")
				if !sound[key] {
					if failed, out := run(t, tests, "", 1); len(failed) > 0 {
						t.Fatalf("%s fails without any mistake: %v\n%s", key, failed, out)
					}
					sound[key] = true
				}
				failed, out := run(t, tests, overlay, times)
				if len(failed) == 0 {
					t.Fatalf("%s\nnot found by go test %s\n%s", m.sentence, key, out)
				}
				if best := slices.Max(slices.Collect(maps.Values(failed))); best < times {
					t.Fatalf("%s\nfound by luck, at most %d times of %d, by go test %s: %v", m.sentence, best, times, key, failed)
				}
				maps.Copy(by, failed)
			}
			found++
			fmt.Printf("found  %-44s by %s\n", m.name, strings.Join(slices.Sorted(maps.Keys(by)), ", "))
		})
	}
	fmt.Printf("%d of %d mistakes found, %d times each, in %s\n", found, tried, times, time.Since(began).Round(time.Second))
}

// overlay is the path of a file that makes the go command see the mistake.
func (m mutant) overlay(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	changed := filepath.Join(dir, filepath.Base(m.file))
	original, err := filepath.Abs(filepath.Join(root, m.file))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]map[string]string{"Replace": {original: changed}})
	if err != nil {
		t.Fatal(err)
	}
	list := filepath.Join(dir, "overlay.json")
	for path, content := range map[string]string{changed: m.made(t), list: string(text)} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

// failure is a test that failed, but none within another.
var failure = regexp.MustCompile(`(?m)^--- FAIL: (\w+)`)

// run runs tests and counts the failures of each. Anything else that goes wrong,
// such as a mistake that does not compile, ends this test.
func run(t *testing.T, tests []string, overlay string, times int) (failed map[string]int, out string) {
	t.Helper()
	args := []string{"test", "-vet=off", "-count=" + strconv.Itoa(times)}
	if overlay != "" {
		args = append(args, "-overlay="+overlay)
	}
	c := exec.Command("go", append(args, tests...)...)
	c.Dir = root
	text, err := c.CombinedOutput()
	out = tail(string(text))
	failed = map[string]int{}
	for _, m := range failure.FindAllStringSubmatch(string(text), -1) {
		failed[m[1]]++
	}
	switch {
	case times > 1 && strings.Contains(string(text), "\npanic: "): // which ends the repeats with it
		clear(failed)
		for range times {
			again, _ := run(t, tests, overlay, 1)
			for name, n := range again {
				failed[name] += n
			}
		}
	case strings.Contains(string(text), "[build failed]"), strings.Contains(string(text), "[setup failed]"):
		t.Fatalf("it does not build:\n%s", out)
	case strings.Contains(string(text), "no tests to run"):
		t.Fatalf("there are no such tests: %v\n%s", tests, out)
	case err != nil && len(failed) == 0:
		t.Fatalf("neither passed nor failed: %v\n%s", err, out)
	}
	return failed, out
}

// tail is the end of a long output, where the reason stands.
func tail(text string) string {
	const enough = 3000
	if len(text) > enough {
		return "…" + text[len(text)-enough:]
	}
	return text
}
