package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
)

// OwnerError is a database in the directory of another user, opened by root: what root
// leaves there (the file, -wal, -shm, .lock) the service of that user cannot open.
type OwnerError struct {
	Path string // what belongs to the other user
	User string // as sudo -u takes it in a shell: a name, or '#1000' in quotes
}

func (e *OwnerError) Error() string {
	return fmt.Sprintf("%s belongs to %s, and this is root: files that root leaves there would keep that user's service from working; nothing was made", e.Path, e.User)
}

// besideDatabase are the files that may lie beside a database, itself included.
func besideDatabase(path string) []string {
	return []string{path, path + "-wal", path + "-shm", path + ".lock", path + ".migrate.lock"}
}

// refuseAsRoot is an error when root opens what is another user's.
func refuseAsRoot(path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	for _, one := range append([]string{filepath.Dir(path)}, besideDatabase(path)...) {
		info, err := os.Stat(one)
		if err != nil {
			continue // what is not there is nobody's
		}
		if uid, ok := ownerOf(info); ok && uid != 0 {
			return fault.Wrap(fault.Permanent, &OwnerError{Path: one, User: userOf(uid)})
		}
	}
	return nil
}

// refuseUnwritable says what this user may not write, whose it is, and the commands that
// mend it. Each file counts: a service works for hours before it needs the last one.
func refuseUnwritable(path string) error {
	var wrong, ours, others []string
	for _, one := range append([]string{filepath.Dir(path)}, besideDatabase(path)...) {
		err := writable(one)
		switch {
		case err == nil, errors.Is(err, fs.ErrNotExist):
			continue
		case errors.Is(err, syscall.EROFS):
			return permanent("the disk of %s is mounted read-only: mount it for writing (mount -o remount,rw …), or choose another place in DATABASE_URL", one)
		}
		whose, of := "", &others
		if info, err := os.Stat(one); err == nil {
			if uid, ok := ownerOf(info); ok {
				whose = fmt.Sprintf(" belongs to %s (mode %04o)", userOf(uid), info.Mode().Perm())
				if uid == os.Geteuid() {
					of = &ours
				}
			}
		}
		*of = append(*of, one)
		wrong = append(wrong, one+whose)
	}
	if len(wrong) == 0 {
		return nil
	}
	me, ways := userOf(os.Geteuid()), []string{}
	if len(others) > 0 {
		ways = append(ways, "sudo chown "+strings.Trim(me, "'#")+" "+strings.Join(others, " "))
	}
	if len(ours) > 0 {
		ways = append(ways, "chmod u+rwX "+strings.Join(ours, " "))
	}
	return permanent("%s, and this process runs as %s, which may not write there: %s", strings.Join(wrong, ", "), me, strings.Join(ways, "; "))
}

// userOf is the name of a user as sudo -u takes it in a shell.
func userOf(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil && u.Username != "" {
		return u.Username
	}
	return "'#" + strconv.Itoa(uid) + "'"
}
