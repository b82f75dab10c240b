package mutation

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

const root = "../.."

// least is how many mistakes there are at least: deleting one is noticed.
const least = 30

// mistake is one file of testdata.
type mistake struct {
	number   int
	name     string
	sentence string
	file     string     // from the top
	tests    [][]string // each of them is to find it
	was, is  string
}

func mistakes(t *testing.T) []mistake {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var all []mistake
	for i, path := range paths {
		a, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		part := map[string]string{}
		for _, f := range a.Files {
			part[f.Name] = string(f.Data)
		}
		m := mistake{
			number: i, name: strings.TrimSuffix(filepath.Base(path), ".txtar"), sentence: strings.TrimSpace(string(a.Comment)),
			file: strings.TrimSpace(part["where"]), was: part["was"], is: part["becomes"],
		}
		for line := range strings.Lines(part["tests"]) {
			m.tests = append(m.tests, strings.Fields(line))
		}
		all = append(all, m)
	}
	return all
}

// make is the file with the mistake in it.
func (m mistake) make() (string, error) {
	text, err := os.ReadFile(filepath.Join(root, m.file))
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(text), m.was); n != 1 || m.was == "" {
		return "", fmt.Errorf("its lines stand %d times in %s, want once: change the mistake with the code", n, m.file)
	}
	return strings.Replace(string(text), m.was, m.is, 1), nil
}

func (m mistake) made(t *testing.T) string {
	t.Helper()
	text, err := m.make()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestEveryMistakeCanStillBeMade(t *testing.T) {
	all := mistakes(t)
	if len(all) < least {
		t.Errorf("%d mistakes, want at least %d", len(all), least)
	}
	for _, m := range all {
		t.Run(m.name, func(t *testing.T) {
			if m.sentence == "" || len(m.tests) == 0 || m.was == m.is {
				t.Errorf("it has no sentence or no tests, or changes nothing: %+v", m)
			}
			m.made(t)
		})
	}
}

// A mistake whose test was renamed would be found by nothing, and only the full run would
// show it, hours later.
func TestEveryTestThatAMistakeNamesExists(t *testing.T) {
	for _, m := range mistakes(t) {
		for _, args := range m.tests {
			i := slices.Index(args, "-run")
			if i < 0 || i+1 >= len(args) {
				continue
			}
			for _, name := range strings.Split(strings.Trim(args[i+1], "^'\"$()"), "|") {
				name, _, _ = strings.Cut(name, "/")
				name = strings.Trim(name, "^$")
				if !slices.ContainsFunc(args[:i], func(folder string) bool { return declared(t, folder, name) }) {
					t.Errorf("%s: no test of %v is called %s", m.name, args[:i], name)
				}
			}
		}
	}
}

// declared reports whether a test whose name has this part is in a package.
func declared(t *testing.T, folder, name string) bool {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if regexp.MustCompile(`(?m)^func (Test|Fuzz)?\w*` + name).Match(text) {
			return true
		}
	}
	return false
}
