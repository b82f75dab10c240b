//go:build !linux

package store

// networkFS does not know it here; the settings read back after opening still refuse
// a file system on which WAL does not work.
func networkFS(string) string { return "" }

// Room is not known here.
func (*Store) Room() (int64, bool) { return 0, false }
