package config

import (
	"fmt"
	"slices"
	"strings"
)

// Problem is one mistake in the configuration.
type Problem struct {
	Name    string // the variable, or the file
	Wrong   string // the mistake, without the value of a secret
	Meaning string // the purpose of the variable
	Example string // NAME=value, as it could be right

	about string // the variable that a line of a file means; "": none
}

// Problems has all mistakes in the configuration. It is an error whose text is written
// for a terminal, with one paragraph for each.
type Problems []Problem

// Error shows all of them.
func (p Problems) Error() string {
	var b strings.Builder
	noun := "problems"
	if len(p) == 1 {
		noun = "problem"
	}
	fmt.Fprintf(&b, "the configuration has %d %s (nothing was contacted or changed):\n", len(p), noun)
	for _, one := range p {
		fmt.Fprintf(&b, "\n  %s: %s\n", one.Name, one.Wrong)
		if one.Meaning != "" {
			fmt.Fprintf(&b, "      means:   %s\n", one.Meaning)
		}
		if one.Example != "" {
			fmt.Fprintf(&b, "      example: %s\n", one.Example)
		}
	}
	return b.String()
}

// add records a problem with a variable. Meaning and example come from its tags.
func (p *Problems) add(name, wrong string) {
	one := Problem{Name: name, Wrong: wrong}
	if v, ok := known(name); ok {
		one.Meaning, one.Example = v.Usage, v.Name+"="+v.Example
	}
	*p = append(*p, one)
}

func (p *Problems) addf(name, format string, args ...any) {
	p.add(name, fmt.Sprintf(format, args...))
}

// Names reports whether one of the settings is among them.
func (p Problems) Names(settings ...string) bool { return slices.ContainsFunc(settings, p.has) }

// has reports whether a variable was already found wrong, so that one mistake is not
// reported twice in different words.
func (p Problems) has(name string) bool {
	return slices.ContainsFunc(p, func(one Problem) bool { return one.Name == name || one.about == name })
}

// sorted brings problems into the order of the manual; files and misspelt names come
// first.
func (p Problems) sorted() Problems {
	place := make(map[string]int, len(variables))
	for i, v := range variables {
		place[v.Name], place[v.File()] = i+1, i+1
	}
	slices.SortStableFunc(p, func(a, b Problem) int {
		if d := place[a.Name] - place[b.Name]; d != 0 {
			return d
		}
		return strings.Compare(a.Name, b.Name)
	})
	return p
}
