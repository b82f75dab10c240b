//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package store

import "os"

// lockFile never gets a lock where there is no flock: the lease then goes by its
// expiry alone, as on PostgreSQL, and migrations rely on SQLite's own lock.
func lockFile(*os.File, bool) (bool, error) { return false, nil }
