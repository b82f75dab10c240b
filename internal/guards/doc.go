// Package guards removes the guards of the program, one at a time, and reports those that
// no test misses.
//
// A guard is the condition of an `if`, or of a case in a switch without a tag. Removed, it
// counts as false: its operands are evaluated as before, and its branch is never taken. If
// an `if` has an else, the condition is also made to count as true once. If a test fails
// without the guard, the test has killed that mutant; if no test kills a mutant, then a
// test is missing, or the code can be removed.
//
// `make guards` does this for all packages, `make guards PKG=reconcile` for one. LIMIT=20
// takes only about that many, spread over the package. OPERANDS=1 also removes the single
// operands of && and ||, which are three times as many. LONGEST=20s leaves out tests that
// take longer, which finds fewer survivors, sooner. REPORT=FILE writes the same report as
// JSON, FILES=REGEXP takes only guards in such files. On two cores the planner takes about
// five minutes, as does each client and the server, the store half an hour and the engine
// two hours.
//
// # How it stays affordable
//
// Nothing is compiled for a single mutant. Each package is compiled once, with every guard
// wrapped in a call that looks up whether it is the one to remove; the choice is made when
// the tests start, as package overlay describes. The go command's overlay puts the wrapped
// sources in place of the real ones, so no file of the tree is touched.
//
// Each test is run once by itself while the calls record which guards it saw true and which
// false. If a guard is never true in a test, the test cannot miss it, so a mutant is tried
// only with the tests that can notice it: the fastest first, until one fails. If the tests
// of the engine leave a survivor, the drills try it.
//
// # The states
//
//   - killed: a test failed, panicked, or ran far beyond its usual time.
//   - survived: tests took the branch, and all of them passed without it.
//   - not reached: the condition was never true (or, for an else, never false) in any
//     test.
//   - equivalent: listed in equivalent.txt, with the reason why no test can fail.
//
// If an `if err != nil` only returns that error, it is counted in a class of its own,
// propagation, because there are many and each of them protects little.
//
// Decisions: the conditions are wrapped by inserting text, so that line numbers and
// comments stay as they are. A mutant that was killed is not tried again: if a test is red
// for another reason, such as a machine under load, it can hide a survivor, which the next
// full run shows.
package guards
