// Package tiny has the functions in which the tests of package mutation make mistakes.
package tiny

import (
	"runtime"
	"strings"
)

const limit = 3

// Count is a kind of function of its own.
type Count int

// Add has a receiver, named results and a variable number of numbers.
func (c *Count) Add(_ string, numbers ...int) (sum int, err error) {
	for _, n := range numbers {
		*c += Count(n)
	}
	return int(*c), nil
}

// Word has neither names nor a result that is named.
func (Count) Word(string, int) string { return strings.Repeat("x", limit) }

// Mark has no result.
func Mark(into *[]string) {
	*into = append(*into, "marked")
}

// Twice is of any type.
func Twice[A any, B comparable](a A, _ B) []A { return []A{a, a} }

// Rescue ends a panic of its caller.
func Rescue(err *error) {
	if r := recover(); r != nil {
		*err = r.(error)
	}
}

// Rescued ends its own.
func Rescued(f func()) (ended bool) {
	defer func() { ended = recover() != nil }()
	f()
	return false
}

// Where looks at its caller.
func Where() string {
	_, file, _, _ := runtime.Caller(1)
	return file
}
