//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package config

import (
	"os"
	"syscall"
)

// Ours reports whether a file belongs to the user of this process or to root. Where
// everybody may make files, as in /tmp, a file of settings may be anybody's, and it says
// where credentials are sent.
func Ours(path string) bool {
	info, err := os.Stat(path)
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && (stat.Uid == 0 || int64(stat.Uid) == int64(os.Geteuid()))
}
