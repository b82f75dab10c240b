package mutation

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/internal/overlay"
)

const tiny = "internal/mutation/testdata/tiny"

// seeded are mistakes in package tiny: what becomes of which lines, and the test that fails
// then, or else why the mistake needs a build of its own.
var seeded = []struct{ was, is, by, apart string }{
	{"		*c += Count(n)\n", "		*c -= Count(n)\n", "TestAdd", ""},
	{"	return int(*c), nil\n", "	sum++\n	return\n", "TestAdd", ""},
	{`return strings.Repeat("x", limit) }`, `return "" }`, "TestWord", ""}, // imports are still in use
	{`append(*into, "marked")`, "nil", "TestMark", ""},
	{"return []A{a, a}", "return []A{a}", "TestTwice", ""},
	{"recover() != nil }()", "recover() == nil }()", "TestRescued", ""},
	{`append(*into, "marked")`, "marked", "", "does not compile beside the original: undefined: marked"},
	{"return []A{a, a}", "return []B{b}", "", "does not compile beside the original: cannot use []B"},
	{"limit = 3", "limit = 2", "", "changes something outside of functions"},
	{"Mark(into *[]string)", "Mark(in *[]string)", "", "changes how Mark is called"},
	{"		*err = r.(error)\n", "", "", "Rescue ends the panic of its caller"},
	{"runtime.Caller(1)", "runtime.Caller(0)", "", "Where looks at its callers"},
	{"const limit = 3\n", "", "", "adds or removes a declaration"},
	{"	\"strings\"\n", "	\"slices\"\n", "", `imports "slices"`},
	{"	*into = append(", "	*into = append((", "", "expected ')'"},
	{"// Mark has", "// Mark had", "", "changes no function"},
}

func TestMistakesOfOneBuildAreMadeOneAtATime(t *testing.T) {
	top, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(top, tiny, "tiny.go"))
	if err != nil {
		t.Fatal(err)
	}
	changes := map[string][]change{"README.md": {{number: 99}}}
	for i, s := range seeded {
		if n := strings.Count(string(text), s.was); n != 1 {
			t.Fatalf("%q stands %d times in tiny.go", s.was, n)
		}
		changes[tiny+"/tiny.go"] = append(changes[tiny+"/tiny.go"], change{i, []byte(strings.Replace(string(text), s.was, s.is, 1))})
	}
	sources := &overlay.Overlay{Top: top, Dir: t.TempDir()}
	l, err := set(sources, changes)
	if err != nil {
		t.Fatal(err)
	}
	b, err := sources.Build(tiny, filepath.Join(sources.Dir, "tiny.test"))
	if err != nil {
		t.Fatal(err)
	}
	run := func(choice string) []string {
		return b.Run(overlay.Run{Args: []string{"-test.count=1"}, Choice: choice, Limit: time.Minute}).Failures()
	}
	if failed := run(""); len(failed) > 0 {
		t.Errorf("without any mistake: %v", failed)
	}
	for i, s := range seeded {
		if s.apart != "" {
			if why := l.apart[i]; why == nil || !strings.Contains(why.Error(), s.apart) {
				t.Errorf("%q: apart because it %v, and the reason is that it %s", s.is, why, s.apart)
			}
			continue
		}
		want := []string{s.by}
		if s.by == "TestMark" { // which another test runs in a process of its own
			want = append(want, "TestAgain")
		}
		if diff := cmp.Diff(want, run(strconv.Itoa(i))); diff != "" || l.apart[i] != nil {
			t.Errorf("%q: apart: %v; failed (-want +got):\n%s", s.is, l.apart[i], diff)
		}
	}
	if why := l.apart[99]; why == nil || why.Error() != "is in no Go file" {
		t.Errorf("a mistake in README.md: %v", why)
	}
}

func TestNothingIsBuiltAroundAnErrorThatNoMistakeMade(t *testing.T) {
	top, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(top, tiny, "tiny.go"))
	if err != nil {
		t.Fatal(err)
	}
	sources := &overlay.Overlay{Top: top, Dir: t.TempDir()}
	if err := sources.Put(tiny+"/broken.go", []byte("package tiny\n\nvar x = y\n")); err != nil {
		t.Fatal(err)
	}
	made := strings.Replace(string(text), "[]A{a, a}", "[]A{a}", 1)
	if _, err := set(sources, map[string][]change{tiny + "/tiny.go": {{0, []byte(made)}}}); err == nil || !strings.Contains(err.Error(), "undefined: y") {
		t.Errorf("the error is %v", err)
	}
}

func TestALineKeepsItsNumberWhenMistakesAreWoven(t *testing.T) {
	text := "package x\n\nfunc f(a int) int {\n\treturn a\n}\n\nfunc g() {}\n"
	w, err := weave([]byte(text), []change{{7, []byte(strings.Replace(text, "return a", "return -a", 1))}})
	if err != nil {
		t.Fatal(err)
	}
	want := "package x\n\nfunc f(a int) int { if mistakeIsMade(\"7\") { return mistake7_f(a) };\n\treturn a\n}\n\nfunc g() {}\n" +
		"\nfunc mistake7_f(a int) int {\n\treturn -a\n}\n"
	if diff := cmp.Diff(want, string(w.text)); diff != "" {
		t.Errorf("woven (-want +got):\n%s", diff)
	}
	for line, mistake := range map[int][]int{1: nil, 3: {7}, 4: nil, 8: nil, 9: {7}, 11: {7}, 12: nil, 99: nil} {
		if diff := cmp.Diff(mistake, w.at(line)); diff != "" {
			t.Errorf("line %d (-want +got):\n%s", line, diff)
		}
	}
}
