// Package repocheck tests the repository as a whole: which package may import which,
// whether the README and the pages of docs describe the code and their commands work, whether
// the pages make a site, whether the image's binary
// runs if there is nothing else.
//
// Decisions:
//
//   - Sources are read and parsed here, not listed by the go command. If a test runs
//     `go list`, its result is answered from the cache although the sources have changed,
//     because the cache follows the files that a test opens and not those that its child
//     processes open. For the same reason the tests that build the binary read the sources
//     first.
//   - A rule about the code has its exceptions in the code, beside their reasons, because
//     a list of exceptions over here would be forgotten when the code moves.
//   - The commands of the README and of the pages run in the order in which the README leads
//     to the pages, in one directory, as a reader would paste them, against simulators on
//     loopback. A page in Romanian has the same commands as the English one, word for word,
//     so they run once.
package repocheck
