// Package mutants keeps the mistakes that the tests must find.
//
// Each file in testdata is one: a few lines of the program, and what they become
// when somebody makes the mistake. Most of them were made, in one integration of a
// billing system or another, and cost somebody a site; those named guard_ take one
// guard away. `make mutants` builds the program with one mistake at a time, runs
// the tests that are to find it, three times over, and tells which did; every line
// of them has to. A mistake that nobody finds is a hole in the tests; one that is
// found in two of three runs was found by luck.
//
// The ordinary tests only make sure that every mistake can still be made: that its
// lines stand in the program, once. Whoever changes those lines changes the mutant.
//
// A file looks like this:
//
//	The sentence that says what goes wrong, and for whom.
//	-- where --
//	reconcile/entitle.go
//	-- tests --
//	./reconcile -run TestThePolicyTable
//	-- was --
//	the lines as they are
//	-- becomes --
//	the lines with the mistake
//
// Decisions: what builds them is behind the build tag mutants, so that an ordinary
// run has nothing to leave out. The mistake is put in by the overlay of the go command, so that no
// file of the tree is touched and nothing is left behind when a run is cut short.
package mutants
