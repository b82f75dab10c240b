//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package config

// Ours is true where files have no owner of this kind.
func Ours(string) bool { return true }
