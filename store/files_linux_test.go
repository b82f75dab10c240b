package store

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

// stranger is a user without a name and without rights.
const stranger = 54321

// asStranger runs a function as that user. It is on a thread of its own, which ends with
// it, because the rights of a thread cannot be had back.
func asStranger(t *testing.T, do func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	done := make(chan syscall.Errno)
	go func() {
		runtime.LockOSThread()
		_, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, stranger, stranger, stranger)
		if errno == 0 {
			do()
		}
		done <- errno
	}()
	if errno := <-done; errno != 0 {
		t.Skipf("this root cannot become another user: %v", errno)
	}
}

// shared is a file in a directory that every user may enter, with these modes.
func shared(t *testing.T, dir, file os.FileMode) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "x.db")
	for parent := filepath.Dir(path); parent != "/"; parent = filepath.Dir(parent) {
		if strings.HasPrefix(parent, os.TempDir()+"/") {
			if err := os.Chmod(parent, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if info, err := os.Stat(parent); err != nil || info.Mode()&1 == 0 {
			t.Skipf("other users may not enter %s (%v)", parent, err)
		}
	}
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chmod(path, file), os.Chmod(filepath.Dir(path), dir)); err != nil {
		t.Fatal(err)
	}
	return path
}

// A service works for hours before it needs the last of its files, so all of them are tried
// before it begins.
func TestFilesThatThisUserMayNotWriteAreNamedWithTheCommandsThatMendIt(t *testing.T) {
	path, wal := shared(t, 0o777, 0o644), ""
	wal = path + "-wal"
	asStranger(t, func() {
		err := refuseUnwritable(path)
		refused(t, "a file of root", err, path+" belongs to root (mode 0644)", "as '#54321'", "sudo chown 54321 "+path)
		if strings.Contains(err.Error(), "chmod") {
			t.Errorf("%v advises to change the mode of another's file", err)
		}
	})
	for _, mine := range []string{path, wal} {
		if err := errors.Join(os.WriteFile(mine, nil, 0o600), os.Chown(mine, stranger, -1), os.Chmod(mine, 0o400)); err != nil {
			t.Fatal(err)
		}
	}
	asStranger(t, func() {
		err := refuseUnwritable(path)
		refused(t, "files of this user", err, "belongs to '#54321' (mode 0400)", "chmod u+rwX "+path+" "+wal)
		if strings.Contains(err.Error(), "chown") {
			t.Errorf("%v advises to change the owner of one's own file", err)
		}
	})
	if err := errors.Join(os.Chmod(path, 0o600), os.Chmod(wal, 0o600)); err != nil {
		t.Fatal(err)
	}
	asStranger(t, func() {
		if err := refuseUnwritable(path); err != nil {
			t.Errorf("files that may be written are refused: %v", err)
		}
		if err := refuseAsRoot(path); err != nil {
			t.Errorf("a user who is not root is refused as root: %v", err)
		}
	})
	if err := os.Chmod(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	asStranger(t, func() {
		refused(t, "a directory of root", refuseUnwritable(path), filepath.Dir(path)+" belongs to root (mode 0755)")
		_, err := Open(t.Context(), Options{URL: secret.New("sqlite:" + path)})
		refused(t, "opening", err, filepath.Dir(path)+" belongs to root")
		_, err = Open(t.Context(), Options{Look: true, URL: secret.New("sqlite:" + path + ".new")})
		refused(t, "looking where nothing can be made", err, path+".new cannot be made: permission denied")
	})
}

// Files that root leaves beside another user's database keep that user's service from
// working.
func TestRootMakesNothingInTheDirectoryOfAnother(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("this is about root")
	}
	path := filepath.Join(t.TempDir(), "x.db")
	for _, owned := range []string{filepath.Dir(path), path, path + "-wal"} {
		if owned != filepath.Dir(path) {
			if err := os.WriteFile(owned, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chown(owned, stranger, -1); err != nil {
			t.Fatal(err)
		}
		_, err := Open(t.Context(), Options{URL: secret.New("sqlite:" + path)})
		says(t, owned, err, fault.Permanent, owned+" belongs to '#54321'", "nothing was made")
		var owner *OwnerError
		if !errors.As(err, &owner) || owner.Path != owned || owner.User != "'#54321'" {
			t.Errorf("%v names %+v", err, owner)
		}
		if err := os.Chown(owned, 0, -1); err != nil {
			t.Fatal(err)
		}
	}
	same(t, "the user with a name", "root", userOf(0))
}

func TestTheFileSystemIsKnownByItsNumber(t *testing.T) {
	for magic, want := range map[uint32]string{0x6969: "NFS", 0x517b: "SMB", 0xff534d42: "SMB", 0xfe534d42: "SMB", 0xef53: "", 0: ""} {
		same(t, "file system", want, kindOfFS(magic))
	}
	same(t, "of a directory that is not there", "", networkFS(filepath.Join(t.TempDir(), "none")))
}

func TestALockOnAFileThatIsClosedIsAnError(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "lock"))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := lockFile(f, false); got || err == nil || !strings.Contains(err.Error(), "flock") {
		t.Errorf("locked: %v, %v", got, err)
	}
}

// The name of a new database is made durable in its directory, which needs a directory that
// this user may read. An existing one has its name already.
func TestTheNameOfANewDatabaseIsMadeDurable(t *testing.T) {
	path := shared(t, 0o733, 0o666)
	asStranger(t, func() {
		if err := prepareFile(t.Context(), path); err != nil {
			t.Errorf("an existing file: %v", err)
		}
		refused(t, "a new file", prepareFile(t.Context(), path+".new"), "the directory of the database must be readable by this user")
	})
}
