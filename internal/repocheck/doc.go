// Package repocheck holds what is true of the repository as a whole, as tests: which
// package may import which, that the README says what the code does and that its
// commands work, that the image's binary runs where there is nothing else.
//
// Decisions:
//
//   - Sources are read and parsed here, not listed by the go command: a test that
//     runs `go list` is answered from the cache when the sources have changed,
//     since the cache follows the files that a test opens and not those that its
//     child processes open. For the same reason the tests that build the binary
//     read the sources first.
//   - A rule about the code names the exception in the code, beside its reason. A
//     list of exceptions over here would be forgotten when the code moves.
//   - The README's commands run in the order in which they stand there, in one
//     directory, as somebody would paste them, against simulators on loopback.
package repocheck
