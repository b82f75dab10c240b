// Package mutation holds the mistakes that the tests must find.
//
// It is one half of a pair. This package has the seeded mistakes: a person wrote
// each of them down, with the tests that must find it. Package guards has the
// conditions of the program, which it finds by itself and removes one at a time. The
// names differ because the answers do: a mistake here that no test finds is a hole
// in the tests, and a guard that no test misses may also be code to remove.
//
// Each file in testdata is one mistake: a few lines of the program, and the lines
// that they become when an engineer makes it. Most of them were made, in one
// integration of a billing system or another, and cost a customer a site; those
// named guard_ remove one guard. `make mutants` makes one mistake at a time, runs the
// tests that should find it, three times over, and prints which did; every line of them
// has to. A mistake that is found in two of three runs was found by luck. MUTANT=REGEXP
// takes some mistakes alone, MUTANTS=1 tries each once, JOBS=1 runs one process at a
// time instead of one per processor.
//
// # How it stays affordable
//
// Each package is compiled once, with all of its mistakes. Every function that has one
// gets a copy with the mistake, and begins with the question whether that mistake is
// chosen; if it is, the function leaves everything to the copy. The choice is made when
// the tests start, as package overlay describes.
//
// This does not work for a mistake outside of functions (a table, a constant, SQL in a
// file), for one that changes how a function is called or needs another import, for a
// function that recovers from a panic of its caller or looks at its callers, and for a
// mistake that does not compile beside the original. These get a build of their own; the
// run prints which they are, and why. APART=1 does that with every mistake.
//
// The ordinary tests only check that every mistake can still be made: that its lines
// stand in the program, once. If you change those lines, change the mistake with them.
//
// A file looks like this:
//
//	The sentence that names what goes wrong, and for which customers.
//	-- where --
//	reconcile/entitle.go
//	-- tests --
//	./reconcile -run TestThePolicyTable
//	-- was --
//	the lines as they are
//	-- becomes --
//	the lines with the mistake
//
// Decisions: the test that builds the mistakes is behind the build tag mutants, so
// that an ordinary run has nothing to leave out. The mistakes are put in by the overlay
// of the go command, so that no file of the tree is touched and nothing is left
// behind when a run is cut short. Without a choice, the tests have to pass in the same
// program that has all mistakes: this also shows that the questions change nothing. If a
// mistake makes the program panic outside of a test's goroutine, the process ends without
// the name of a test, and the panic counts as its failure.
package mutation
