// Package crashtest kills the real binary, and its database, at every point where that may
// do harm, and checks the result. It holds tests only.
//
// A world of the simulators listens on loopback in the test process; the program is a
// process of its own, built once with the tag failpoint, on SQLite and on PostgreSQL.
// simulator.World.Effects shows the changes that were really made; the program's own record
// is never trusted. The tests, one file each:
//
//   - actions_test.go: every kind of action × every step at which a process can die, and
//     at which the other side can have the call: not done, done, done late.
//   - commits_test.go: before and after every single commit of a run.
//   - random_test.go: at random moments, again and again, in a hostile world.
//   - outage_test.go, full_linux_test.go: the database is full, read-only, locked,
//     restarted, gone, or the connection is lost around a COMMIT (wire_test.go).
//   - frozen_linux_test.go: SIGSTOP past the lease, with a second process taking over.
//   - secrets_linux_test.go: who may read the files, and what a dead process leaves.
//
// `make kills` repeats all of it, KILLS times with other seeds.
//
// Decisions:
//
//   - No test waits for time to pass. The program and the simulators go by one clock, a
//     file that the test moves; only the binary with the tag reads it.
//   - A cell has a world and a database of its own. If they were shared, the tests would
//     be faster, but one failure could look like another.
//   - Convergence is counted in runs of the plain command, without help from a person: at
//     most three after a death, and the run after those finds nothing to do.
package crashtest
