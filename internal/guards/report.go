package guards

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// Result is the outcome of examining one package.
type Result struct {
	Folder  string        `json:"package"`
	Mutants []*Mutant     `json:"mutants"`
	Took    time.Duration `json:"-"`
	// Broken are tests that fail without any mutant, and were not used.
	Broken []string `json:"broken,omitempty"`
}

// Count is how many mutants of a class came to each end.
type Count struct {
	Mutants    int `json:"mutants"`
	Killed     int `json:"killed"`
	Survived   int `json:"survived"`
	NotReached int `json:"not_reached"`
	Equivalent int `json:"equivalent"`
}

// String is the guard with its place and the value that it was given.
func (m *Mutant) String() string {
	value := "never"
	if m.Value {
		value = "always"
	}
	return fmt.Sprintf("%s:%d %s: %s: %s", m.File, m.Line, m.Func, value, m.Source)
}

// open are the mutants that no test has killed yet.
func (r *Result) open() []*Mutant {
	return slices.DeleteFunc(slices.Clone(r.Mutants), func(m *Mutant) bool { return m.State == Killed })
}

// Count counts the mutants of a class; an empty class is all of them.
func (r *Result) Count(class Class) (n Count) {
	for _, m := range r.Mutants {
		if class != "" && m.Class != class {
			continue
		}
		n.Mutants++
		switch m.State {
		case Killed:
			n.Killed++
		case Survived:
			n.Survived++
		case NotReached:
			n.NotReached++
		case Equivalent:
			n.Equivalent++
		}
	}
	return n
}

// settle gives the mutants that are known to be equivalent their reason. One that a
// test has killed is not equivalent, and an error.
func (r *Result) settle(known []Known) error {
	for _, k := range known {
		for _, m := range r.Mutants {
			if !k.is(m) {
				continue
			}
			if m.State == Killed {
				return fmt.Errorf("%s is listed as equivalent, and %s notices it: take it from the list", m, m.By)
			}
			m.State, m.Why = Equivalent, k.Why
		}
	}
	return nil
}

// classes in the order of a report.
var classes = []Class{Decision, Operand, Propagation}

// Text writes the results for people: a table, then every mutant that is left.
func Text(w io.Writer, commit string, results []*Result) error {
	fmt.Fprintf(w, "guards taken away at %s\n\n", commit)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "package\tclass\tmutants\tkilled\tsurvived\tnot reached\tequivalent\ttook\t\n")
	for _, r := range results {
		for _, c := range classes {
			if n := r.Count(c); n.Mutants > 0 {
				fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%s\t\n", r.Folder, c, n.Mutants, n.Killed, n.Survived, n.NotReached, n.Equivalent, r.Took)
			}
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, r := range results {
		for _, b := range r.Broken {
			fmt.Fprintf(w, "\nfails without any mutant and was not used: %s\n", b)
		}
		for _, c := range classes {
			for _, s := range []State{Survived, NotReached} {
				r.list(w, c, s)
			}
		}
	}
	return nil
}

func (r *Result) list(w io.Writer, class Class, state State) {
	first := true
	for _, m := range r.Mutants {
		if m.Class != class || m.State != state {
			continue
		}
		if first {
			fmt.Fprintf(w, "\n%s, %s, %s:\n", r.Folder, class, state)
			first = false
		}
		fmt.Fprintf(w, "  %s\n", m)
	}
}

// JSON writes the results for programs.
func JSON(w io.Writer, commit string, results []*Result) error {
	type row struct {
		*Result
		Counts  map[Class]Count `json:"counts"`
		Seconds int             `json:"seconds"`
	}
	all := struct {
		Commit   string `json:"commit"`
		Packages []row  `json:"packages"`
	}{Commit: commit}
	for _, r := range results {
		one := row{Result: r, Counts: map[Class]Count{}, Seconds: int(r.Took.Seconds())}
		for _, c := range classes {
			one.Counts[c] = r.Count(c)
		}
		all.Packages = append(all.Packages, one)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(all)
}
