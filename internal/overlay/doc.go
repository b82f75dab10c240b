// Package overlay builds tests from changed sources, without a change to any file of the
// tree, and runs them. It is what packages guards and mutation have in common.
//
// Both put many mutants into one test binary, because compiling one for each of them takes
// hours. Which mutant a process is, the process asks with a function that [Choice] adds to
// the changed package: the answer is in the environment, or in a file in a directory above
// the program. The file is there because a test may start the program again, as a copy and
// with another environment: testscript does both.
package overlay
