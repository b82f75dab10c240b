package config

import (
	"slices"
	"strings"
)

// If a name is almost that of a variable, the mistake would show nowhere: the default
// would apply, and the operator would believe otherwise. GRACE_PERIODE=30d would suspend
// customers after three days.

// maxTypos is how many letters may differ if a name counts as misspelt. With three,
// STRIPE_API_KEY, which Stripe's own CLI reads, would count as STRIPE_API_URL.
const maxTypos = 2

// shared are first words that other programs use as well. A name that begins with one of
// them counts as misspelt only if the right one is unset.
var shared = []string{"DATABASE", "LOG", "LISTEN", "METRICS", "APP", "ADMIN", "AUTO", "FULL", "MAIL", "SMTP"}

// misspelt reports names that are meant for this program and would be ignored.
func misspelt(values map[string]string, problems *Problems) {
	for _, name := range sortedNames(values) {
		if _, ok := known(name); ok || name == port {
			continue
		}
		if _, ok := ofFile(name); ok {
			continue
		}
		right, ok := intended(name)
		if !ok {
			continue
		}
		first, _, _ := strings.Cut(name, "_")
		if _, set := values[right.Name]; set && slices.Contains(shared, first) {
			continue
		}
		one := Problem{Name: name, Wrong: "is not a setting of this program; did you mean " + right.Name + "?", Meaning: right.Usage, Example: right.Name + "=" + right.Example}
		if v, isFile := ofFile(right.Name); isFile {
			one.Meaning, one.Example = v.FileUsage(), right.Name+"="+v.FileExample()
		}
		*problems = append(*problems, one)
	}
}

// intended finds the variable that a name was probably meant to be.
func intended(name string) (Variable, bool) {
	const shortest = 7 // with two typos, a shorter word becomes any other
	if len(name) < shortest || !strings.Contains(name, "_") {
		return Variable{}, false
	}
	best, at := -1, maxTypos+1
	squeezed, upper := squeeze(name), strings.ToUpper(name)
	if v, ok := misspeltFile(upper); ok {
		return v, true
	}
	for i := range variables {
		v := &variables[i]
		if squeezed == v.squeezed || abbreviates(name, v.Name) {
			return *v, true
		}
		if d := typos(upper, v.Name); d < at {
			best, at = i, d
		}
	}
	if best < 0 {
		return Variable{}, false
	}
	return variables[best], true
}

// misspeltFile finds the file of a secret that a name was probably meant to be: with a slip
// in it, or the file of a setting that is read from none.
func misspeltFile(upper string) (Variable, bool) {
	for _, v := range variables {
		if v.Secret && typos(upper, v.File()) <= maxTypos {
			return Variable{Name: v.File()}, true
		}
		if first, _, _ := strings.Cut(v.Name, "_"); !v.Secret && upper == v.File() && !slices.Contains(shared, first) {
			return v, true
		}
	}
	return Variable{}, false
}

var separators = strings.NewReplacer("_", "", "-", "", ".", "")

// squeeze returns a name in upper case and without separators.
func squeeze(name string) string { return strings.ToUpper(separators.Replace(name)) }

// abbreviates reports whether a name is a variable of Enhance or the brake with a word
// left out: ENHANCE_URL, ENHANCE_TOKEN. No other program begins names with these words,
// but STRIPE_KEY may be another program's.
func abbreviates(name, full string) bool {
	if !strings.HasPrefix(name, "ENHANCE_") && !strings.HasPrefix(name, "BRAKE_") {
		return false
	}
	words, rest := strings.Split(name, "_"), strings.Split(full, "_")
	for _, w := range words {
		i := slices.Index(rest, w)
		if i < 0 {
			return false
		}
		rest = rest[i+1:]
	}
	return len(words) > 1
}

// typos counts the letters to insert, delete, replace or swap with a neighbour to get from
// a to b, both in upper case (optimal string alignment). If the lengths differ by more than
// maxTypos, it returns maxTypos + 1.
func typos(a, b string) int {
	if d := len(a) - len(b); d > maxTypos || d < -maxTypos {
		return maxTypos + 1
	}
	rows := make([]int, 3*(len(b)+1))
	before, last, row := rows[:len(b)+1], rows[len(b)+1:2*(len(b)+1)], rows[2*(len(b)+1):]
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}

func sortedNames(values map[string]string) []string {
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Typo reports whether two names differ by a slip of the fingers. It is for flags.
func Typo(a, b string) bool {
	const shortest = 4 // --full and --help are three letters apart, --set and --get one
	return len(a) >= shortest && typos(strings.ToUpper(a), strings.ToUpper(b)) <= maxTypos
}
