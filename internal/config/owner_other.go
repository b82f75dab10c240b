//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package config

// Ours returns true, because files have no such owner on this system.
func Ours(string) bool { return true }
