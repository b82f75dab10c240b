package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// another is a user of this machine who is not root and owns nothing else.
const another = 65534

// runAs gives a command as a user, in the directory of the database.
func (s *site) runAs(uid uint32, dir string, args ...string) (text string, code int) {
	s.tb.Helper()
	ctx, cancel := context.WithTimeout(s.tb.Context(), 20*time.Second) // a service that is not refused goes on
	defer cancel()
	cmd := s.command(ctx, nil, args...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		s.tb.Fatal(err)
	}
	return b.String(), cmd.ProcessState.ExitCode()
}

// ofAnother is a directory of another user, and the program where that user may run it.
func ofAnother(t *testing.T) (s *site, dir string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can run as another user")
	}
	dir = t.TempDir()
	for at := dir; at != os.TempDir() && at != "/"; at = filepath.Dir(at) {
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(dir, another, another); err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exec.Command("setpriv", "--reuid", "65534", "--clear-groups", "test", "-x", program).CombinedOutput(); err != nil {
		for at := filepath.Dir(program); at != os.TempDir() && at != "/"; at = filepath.Dir(at) {
			if err := os.Chmod(at, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	return newSite(t, "sqlite:"+filepath.Join(dir, "state.db")), dir
}

func names(t *testing.T, dir string) (all []string) {
	t.Helper()
	found, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		all = append(all, f.Name())
	}
	return all
}

// Root leaves nothing in another user's directory, whatever the command, before the first
// run and later. The message names the owner and the command to run.
func TestRootLeavesNothingInAnotherUsersDirectory(t *testing.T) {
	s, dir := ofAnother(t)
	commands := [][]string{{"reconcile"}, {"plans"}, {"mappings", "set", "price_1", "1", "--unchecked"}, {"migrate"}, {"check"}, {"serve"}}
	for _, day := range []string{"first", "second"} {
		if day == "second" {
			if text, code := s.runAs(another, dir, "mappings", "set", "price_basic_monthly", "1"); code != exitOK {
				t.Fatalf("as its own user: exit code %d: %s", code, text)
			}
		}
		before := names(t, dir)
		for _, args := range commands {
			text, code := s.runAs(0, dir, args...)
			if day == "first" && args[0] == "plans" { // which makes nothing anyway
				continue
			}
			if code == exitOK || !strings.Contains(text, " belongs to nobody, and this is root") || !strings.Contains(text, "sudo -u nobody stripe-enhance "+args[0]) {
				t.Errorf("%s day, %v as root: exit code %d: %s", day, args, code, text)
			}
		}
		if after := names(t, dir); len(after) != len(before) {
			t.Errorf("%s day: root left %v where there was %v", day, after, before)
		}
	}
	if text, code := s.runAs(another, dir, "plans"); code != exitOK {
		t.Errorf("the user is kept out afterwards: exit code %d: %s", code, text)
	}
}

// A service that meets a file of root names the owner, its own user, and the command that
// gives the file back. Each of the files is tried, and the directory.
func TestAFileOfRootIsNamedWithTheCommandThatMendsIt(t *testing.T) {
	for _, file := range []string{"", "-wal", "-shm", ".lock", ".migrate.lock", "/"} {
		t.Run("state.db"+file, func(t *testing.T) {
			s, dir := ofAnother(t)
			if text, code := s.runAs(another, dir, "mappings", "set", "price_basic_monthly", "1"); code != exitOK {
				t.Fatalf("exit code %d: %s", code, text)
			}
			path := filepath.Join(dir, "state.db") + file
			if file == "/" {
				path = dir
			} else if f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600); err != nil || f.Close() != nil {
				t.Fatal(err)
			}
			if err := os.Chown(path, 0, 0); err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{{"reconcile"}, {"plans"}, {"check"}} {
				text, code := s.runAs(another, dir, args...)
				for _, want := range []string{path + " belongs to root", "this process runs as nobody", "sudo chown nobody " + path} {
					if code != exitFailed || !strings.Contains(text, want) {
						t.Errorf("%v: exit code %d, and it does not say %q:\n%s", args, code, want, text)
					}
				}
			}
			if err := os.Chown(path, another, another); err != nil {
				t.Fatal(err)
			}
			if text, code := s.runAs(another, dir, "plans"); code != exitOK {
				t.Errorf("after the command: exit code %d: %s", code, text)
			}
		})
	}
}

// A disk that is mounted read-only is called that.
func TestAReadOnlyDiskIsCalledThat(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can mount one")
	}
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", syscall.MS_RDONLY, ""); err != nil {
		t.Skipf("none can be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	s := newSite(t, "sqlite:"+filepath.Join(dir, "state.db"))
	text, code := s.runAs(0, dir, "mappings", "set", "price_basic_monthly", "1")
	if want := "the disk of " + dir + " is mounted read-only"; code != exitFailed || !strings.Contains(text, want) {
		t.Errorf("exit code %d, and it does not say %q: %s", code, want, text)
	}
}

// A .env beside the program that belongs to another user is not read, because it could send
// the key anywhere.
func TestTheSettingsOfAnotherUserAreNotRead(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can run as another user")
	}
	opt, elsewhere := t.TempDir(), t.TempDir()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(opt, "stripe-enhance")
	if out, err := exec.Command("cp", program, path).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	settings := filepath.Join(opt, ".env")
	if err := os.WriteFile(settings, []byte("MODE=observe\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, owner := range []int{0, another} {
		if err := os.Chown(settings, owner, owner); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(path, "plans")
		cmd.Dir, cmd.Env = elsewhere, []string{"USER=operator"}
		out, _ := cmd.CombinedOutput() // its exit code is compared below
		read := cmd.ProcessState.ExitCode() == exitOK
		if read != (owner == 0) || !read && !strings.Contains(string(out), settings+", which belongs to another user and is not read") {
			t.Errorf("of user %d: read: %v: %s", owner, read, out)
		}
	}
}
