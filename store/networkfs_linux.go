package store

import (
	"path/filepath"
	"syscall"
)

// networkFS names the kind of network file system that holds dir; "" when it is
// local or not known.
func networkFS(dir string) string {
	var st syscall.Statfs_t
	_ = syscall.Statfs(dir, &st) // then the type is 0, which is not known
	return kindOfFS(uint32(st.Type))
}

// Room is how many bytes an ordinary user may still write to the disk of the SQLite file;
// false if there is no such file, or it is not known.
func (s *Store) Room() (int64, bool) {
	var st syscall.Statfs_t
	if s.path == "" || syscall.Statfs(filepath.Dir(s.path), &st) != nil {
		return 0, false
	}
	return int64(st.Bavail) * int64(st.Bsize), true //nolint:unconvert // 32 bits on other processors
}

// kindOfFS goes by the magic numbers of statfs(2).
func kindOfFS(magic uint32) string {
	switch magic {
	case 0x6969:
		return "NFS"
	case 0x517b, 0xff534d42, 0xfe534d42:
		return "SMB"
	}
	return ""
}
