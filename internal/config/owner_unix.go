//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package config

import (
	"os"
	"syscall"
)

// Ours reports whether a file belongs to the user of this process or to root. In a folder
// in which every user may make files, such as /tmp, a stranger may have put the file of
// settings, which decides where credentials are sent.
func Ours(path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && (stat.Uid == 0 || int64(stat.Uid) == int64(os.Geteuid()))
}
