//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package store

import (
	"io/fs"
	"syscall"
)

// ownerOf is the user whose a file is.
func ownerOf(info fs.FileInfo) (uid int, ok bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(stat.Uid), true
}

// writable asks the system without opening: closing a file drops the locks that this
// process has on it, and SQLite keeps such ones.
func writable(path string) error {
	const write = 2 // W_OK
	return syscall.Access(path, write)
}
