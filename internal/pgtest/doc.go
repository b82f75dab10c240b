// Package pgtest gives tests a PostgreSQL of their own: a throwaway server that starts in
// half a second, listens on loopback alone and cannot outlive the test process, and in it
// one database for each test, copied from a migrated template.
//
// It needs the server's programs (initdb, postgres) on the machine and nothing else. If
// they are missing, tests skip with that reason, except under CI=true, where a skipped
// database would be a hole in the tests that goes unnoticed.
package pgtest
