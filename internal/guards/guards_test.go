package guards

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	top  = "../.."
	tiny = "internal/guards/testdata/tiny"
)

// verdicts is a result in one line for each mutant.
func verdicts(r *Result) (all []string) {
	for _, m := range r.Mutants {
		value := "never"
		if m.Value {
			value = "always"
		}
		all = append(all, strings.Join([]string{m.Func, value, m.Source, string(m.Class), string(m.State), m.By}, " | "))
	}
	return all
}

func TestATinyPackageIsExamined(t *testing.T) {
	abs, err := filepath.Abs(top)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	r, err := Examine(Options{Top: abs, Folder: tiny, Tests: []string{tiny}, Patience: time.Second, Operands: true, Log: &log,
		Known: []Known{{File: tiny + "/tiny.go", Func: "Price", Source: "if n == 77 { // no test comes here", Why: "it is an example"}}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"Price | never | if n < 0 { // tested | decision | killed | TestPrice",
		"Price | never | if n > 100 { // taken in a test that looks at nothing | decision | survived | ",
		"Price | never | if n == 77 { // no test comes here | decision | equivalent | ",
		"Half | never | if even := n%2 == 0; even { | decision | killed | TestHalf",
		"Half | always | if even := n%2 == 0; even { | decision | killed | TestHalf",
		"Size | never | case n > 10, n < -10: | decision | killed | TestSize",
		"Size | never | case n > 10, n < -10: | decision | not reached | ",
		"Size | never | case n == 0: | decision | killed | TestSize",
		"Check | never | if err := odd(n); err != nil { | propagation | killed | TestCheck",
		`odd | never | if Half(n) == "odd" { | decision | killed | TestCheck`,
		"Wait | never | if ready { | decision | killed | hangs",
		"Both | never | if a && b { | decision | killed | TestBoth",
		"Both | always | if a && b { | operand | killed | TestBoth",
		"Both | always | if a && b { | operand | not reached | ",
	}
	if diff := cmp.Diff(want, verdicts(r)); diff != "" {
		t.Errorf("verdicts (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{tiny + " TestAlwaysFails: TestAlwaysFails"}, r.Broken); diff != "" {
		t.Errorf("tests that fail without any mutant (-want +got):\n%s", diff)
	}
	if got, want := r.Count(Decision), (Count{Mutants: 11, Killed: 8, Survived: 1, NotReached: 1, Equivalent: 1}); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
	if line := "survived, by the tests of tiny: " + tiny + "/tiny.go:11 Price: never: if n > 100"; !strings.Contains(log.String(), line) {
		t.Errorf("the log does not have %q:\n%s", line, log.String())
	}
	reports(t, r)
}

// reports holds both forms of a report to the same result.
func reports(t *testing.T, r *Result) {
	t.Helper()
	var text, wire bytes.Buffer
	if err := Text(&text, "abc", []*Result{r}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"guards taken away at abc",
		"tiny/tiny.go:11 Price: never: if n > 100",
		"tiny/tiny.go:32 Size: never: case n > 10, n < -10:",
		"fails without any mutant and was not used: " + tiny + " TestAlwaysFails",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the report does not have %q:\n%s", want, text.String())
		}
	}
	if strings.Contains(text.String(), "n < 0") {
		t.Errorf("the report lists what was killed:\n%s", text.String())
	}
	if err := JSON(&wire, "abc", []*Result{r}); err != nil {
		t.Fatal(err)
	}
	var read struct {
		Commit   string
		Packages []struct {
			Package string
			Mutants []struct {
				File  string
				Line  int
				State State
			}
			Counts map[Class]Count
		}
	}
	if err := json.Unmarshal(wire.Bytes(), &read); err != nil {
		t.Fatal(err)
	}
	p := read.Packages[0]
	if read.Commit != "abc" || p.Package != tiny || p.Counts[Decision].Killed != 8 || len(p.Mutants) != 14 ||
		p.Mutants[1].State != Survived || p.Mutants[1].Line != 11 || p.Mutants[1].File != tiny+"/tiny.go" {
		t.Errorf("the report for programs is %s", wire.String())
	}
}

func TestALimitIsSpreadOverThePackage(t *testing.T) {
	var sites []Site
	for i := range 10 {
		sites = append(sites, Site{Number: i, Values: []bool{false}})
	}
	var got []int
	for _, m := range choose(sites, Options{Limit: 3}) {
		got = append(got, m.Number)
	}
	if diff := cmp.Diff([]int{0, 3, 6}, got); diff != "" {
		t.Errorf("chosen (-want +got):\n%s", diff)
	}
}

func TestOnlyPlainReturnsOfTheErrorArePropagation(t *testing.T) {
	for body, want := range map[string]Class{
		"if err != nil { return err }":                                            Propagation,
		"if err != nil { return fmt.Errorf(\"x: %w\", err) }":                     Propagation,
		"if closeErr := f(); closeErr != nil { return errors.Join(x, closeErr) }": Propagation,
		"if err != nil { return nil }":                                            Decision,
		"if err == nil { return err }":                                            Decision,
		"if err != nil { x++; return err }":                                       Decision,
		"if err != nil { return err } else { x++ }":                               Decision,
		"if err != nil && x { return err }":                                       Decision,
		"if org != nil { return org }":                                            Decision,
	} {
		sites, err := find("x.go", []byte("package x\nfunc (p *q[T]) f() error {\n"+body+"\nreturn nil\n}\n"), false)
		if err != nil {
			t.Fatal(err)
		}
		if len(sites) != 1 || sites[0].Class != want || sites[0].Func != "q.f" || sites[0].Line != 3 {
			t.Errorf("%s: %+v, want %s", body, sites, want)
		}
	}
}

func TestConditionsWithinEachOtherAreWrapped(t *testing.T) {
	text := "package x\n\nfunc f(a, b, c bool) {\n\tif (a || b) && // why\n\t\tfunc() bool { if c { return a }; return b }() {\n\t}\n}\n"
	sites, err := find("x.go", []byte(text), true)
	if err != nil {
		t.Fatal(err)
	}
	for i := range sites {
		sites[i].Number = i
	}
	want := "package x\n\nfunc f(a, b, c bool) {\n\tif G(0, G(1, (G(2, a) || G(3, b))) && // why\n\t\tG(4, func() bool { if G(5, c) { return a }; return b }())) {\n\t}\n}\n"
	if got := string(wrap([]byte(text), sites)); got != strings.ReplaceAll(want, "G(", helper+"(") {
		t.Errorf("wrapped:\n%s\nwant:\n%s", got, want)
	}
}

func TestTheListOfEquivalentMutantsIsTrueOfTheCode(t *testing.T) {
	text, err := os.ReadFile("equivalent.txt")
	if err != nil {
		t.Fatal(err)
	}
	known, err := ParseKnown(string(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range Stale(known, func(file string) ([]byte, error) { return os.ReadFile(filepath.Join(top, file)) }) {
		t.Errorf("equivalent.txt: %s no longer has this guard in %s: take the entry away, or change it with the code\n%s", k.File, k.Func, k.Source)
	}
}

func TestAnEntryWhoseGuardHasGoneIsStale(t *testing.T) {
	known, err := ParseKnown("# a comment\n\nx.go f\nnever: if a {\nNothing looks at it,\neither way.\n\nx.go f\nalways: if a {\nIt has no else.\n\ny.go f\nnever: if a {\nThere is no such file.\n")
	if err != nil {
		t.Fatal(err)
	}
	read := func(file string) ([]byte, error) {
		if file != "x.go" {
			return nil, os.ErrNotExist
		}
		return []byte("package x\nfunc f(a bool) {\n\tif a {\n\t}\n}\n"), nil
	}
	if diff := cmp.Diff(known[1:], Stale(known, read)); diff != "" || known[0].Why != "Nothing looks at it, either way." {
		t.Errorf("stale (-want +got):\n%s", diff)
	}
	for _, bad := range []string{"x.go f\nnever: if a {", "x.go\nnever: if a {\nwhy", "x.go f\nsometimes: if a {\nwhy"} {
		if _, err := ParseKnown(bad); err == nil {
			t.Errorf("%q is read as an entry", bad)
		}
	}
}

func TestAMutantThatIsKilledIsNotEquivalent(t *testing.T) {
	m := &Mutant{Site: Site{File: "x.go", Func: "f", Source: "if a {"}, State: Killed, By: "TestX"}
	r := &Result{Mutants: []*Mutant{m}}
	if err := r.settle([]Known{{File: "x.go", Func: "f", Source: "if a {", Why: "it is not"}}); err == nil || !strings.Contains(err.Error(), "TestX notices it") {
		t.Errorf("the wrong entry is answered with %v", err)
	}
}
