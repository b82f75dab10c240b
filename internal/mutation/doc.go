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
// named guard_ remove one guard. `make mutants` builds the program with one mistake
// at a time, runs the tests that should find it, three times over, and prints which
// did; every line of them has to. A mistake that is found in two of three runs was
// found by luck.
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
// that an ordinary run has nothing to leave out. The mistake is put in by the overlay
// of the go command, so that no file of the tree is touched and nothing is left
// behind when a run is cut short.
package mutation
