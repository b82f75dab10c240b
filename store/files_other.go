//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package store

import (
	"io/fs"
	"os"
)

// lockFile never gets a lock where there is no flock: the lease then goes by its
// expiry alone, as on PostgreSQL, and migrations rely on SQLite's own lock.
func lockFile(*os.File, bool) (bool, error) { return false, nil }

// ownerOf knows nothing where files have no owner of this kind.
func ownerOf(fs.FileInfo) (uid int, ok bool) { return 0, false }

// writable leaves it to the opening of the file.
func writable(string) error { return nil }
