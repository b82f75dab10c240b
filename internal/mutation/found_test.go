//go:build mutants

package mutation

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
)

// TestEveryMistakeIsFound is `make mutants`. MUTANTS is how often each is tried,
// MUTANT a pattern of names to try alone.
func TestEveryMistakeIsFound(t *testing.T) {
	times := 3
	if text := os.Getenv("MUTANTS"); text != "" {
		var err error
		if times, err = strconv.Atoi(text); err != nil || times < 1 {
			t.Fatalf("MUTANTS=%s is not how often each is tried", text)
		}
	}
	some, err := regexp.Compile(os.Getenv("MUTANT"))
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	sound := map[string]bool{}
	found, tried := 0, 0
	for _, m := range mistakes(t) {
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
func (m mistake) overlay(t *testing.T) string {
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
