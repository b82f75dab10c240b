//go:build !linux

package store

// networkFS cannot tell here; the settings read back after opening still refuse
// a file system on which WAL does not work.
func networkFS(string) string { return "" }
