package guards

import (
	"fmt"
	"strings"
)

// Known is a mutant that no test can kill, and why.
type Known struct {
	File, Func, Source string
	Value              bool
	Why                string
}

// ParseKnown reads a list of equivalent mutants. Each is a paragraph: the file and
// the function, then "never:" or "always:" and the line of the guard, then the reason
// in one or more lines. Lines that begin with # are comments.
func ParseKnown(text string) ([]Known, error) {
	var all []Known
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		var lines []string
		for line := range strings.Lines(paragraph) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				lines = append(lines, line)
			}
		}
		if len(lines) == 0 {
			continue
		}
		if len(lines) < 3 {
			return nil, fmt.Errorf("%q is not a place, a guard and a reason", lines)
		}
		file, fn, hasFunc := strings.Cut(lines[0], " ")
		value, source, hasValue := strings.Cut(lines[1], ": ")
		if !hasFunc || !hasValue || value != "never" && value != "always" {
			return nil, fmt.Errorf("%q does not begin with FILE FUNCTION and never: or always: GUARD", lines)
		}
		all = append(all, Known{File: file, Func: fn, Source: source, Value: value == "always", Why: strings.Join(lines[2:], " ")})
	}
	return all, nil
}

func (k Known) is(m *Mutant) bool {
	return k.File == m.File && k.Func == m.Func && k.Source == m.Source && k.Value == m.Value && m.Class != Operand
}

// Stale returns the entries whose guard does not stand in its function any more. read
// returns the text of a file.
func Stale(known []Known, read func(file string) ([]byte, error)) (stale []Known) {
	sites := map[string][]Site{}
	for _, k := range known {
		if _, ok := sites[k.File]; !ok {
			sites[k.File] = nil
			if text, err := read(k.File); err == nil {
				// A file that cannot be parsed has no guards: its entries are stale.
				sites[k.File], _ = find(k.File, text, false)
			}
		}
		if !k.among(sites[k.File]) {
			stale = append(stale, k)
		}
	}
	return stale
}

func (k Known) among(sites []Site) bool {
	for _, s := range sites {
		for _, v := range s.Values {
			if k.is(&Mutant{Site: s, Value: v}) {
				return true
			}
		}
	}
	return false
}
