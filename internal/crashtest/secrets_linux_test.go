package crashtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// shell starts a process through a shell, which first runs the given commands.
func shell(first string) func(*exec.Cmd) {
	return func(p *exec.Cmd) {
		p.Args = append([]string{"sh", "-c", first + ` && exec "$0" "$@"`, p.Path}, p.Args[1:]...)
		p.Path = "/bin/sh"
	}
}

// unprivileged is a user without rights over the system: ourselves or, if that is root, the
// user nobody, who then gets the company's directory.
func (c *company) unprivileged() func(*exec.Cmd) {
	c.Helper()
	if os.Geteuid() != 0 {
		return func(*exec.Cmd) {}
	}
	const nobody = 65534
	err := filepath.WalkDir(c.dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(path, nobody, nobody)
	})
	c.must(err)
	return func(p *exec.Cmd) {
		p.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
}

func toEnhance(call simulator.Call) bool { return call.Side == simulator.Enhance }

// The test fails if withoutCore() is removed, or either half of it.
func TestAProcessThatCrashesWritesNoCore(t *testing.T) {
	c := bare(t, "sqlite", simulator.Options{Calm: true})
	c.furnish()
	c.signUp(ada)
	unprivileged := c.unprivileged()
	// Everything is done to have a core: no limit, and Go asked to abort for one.
	r := c.inCall(func() *process {
		return c.launch(func(p *exec.Cmd) {
			unprivileged(p)
			shell("ulimit -c $(ulimit -H -c)")(p)
		}, map[string]string{"GOTRACEBACK": "crash"}, "reconcile")
	}, toEnhance, simulator.Fault{Apply: simulator.Skip}, func(p *process) {
		proc := fmt.Sprintf("/proc/%d/", p.Process.Pid)
		limits, err := os.ReadFile(proc + "limits")
		if err != nil {
			t.Error(err)
		}
		for line := range strings.Lines(string(limits)) {
			if f := strings.Fields(line); strings.HasPrefix(line, "Max core file size") && f[4] != "0" {
				t.Errorf("a core may be written: %s", line)
			}
		}
		info, err := os.Stat(proc + "environ")
		if err != nil {
			t.Error(err)
		} else if uid := info.Sys().(*syscall.Stat_t).Uid; uid != 0 {
			t.Errorf("user %d may read the environment of the process, with the keys in it", uid)
		}
		if err := p.Process.Signal(syscall.SIGABRT); err != nil {
			t.Error(err)
		}
		<-p.ended
	})
	if r.signal != syscall.SIGABRT {
		t.Errorf("it ended otherwise than asked: exit code %d, signal %v", r.code, r.signal)
	}
	cores, _ := filepath.Glob(filepath.Join(c.dir, "core*")) // the pattern is sound
	c.clean(cores, r.stderr)
}

// clean fails the test if there is a core file, or a key in the output of a crash.
func (c *company) clean(cores []string, printed string) {
	c.Helper()
	if len(cores) > 0 {
		c.Errorf("there is a core: %q", cores)
	}
	for _, name := range []string{"STRIPE_SECRET_KEY", "ENHANCE_API_TOKEN"} {
		if strings.Contains(printed, c.env[name]) {
			c.Errorf("the crash printed the %s", name)
		}
	}
}

func TestTheFilesOfTheDatabaseAreTheOwnersAlone(t *testing.T) {
	c := bare(t, "sqlite", simulator.Options{Calm: true})
	c.signUp(ada)
	seen := map[string]os.FileMode{}
	c.inCall(func() *process {
		return c.launch(shell("umask 000"), nil, "reconcile")
	}, toEnhance, simulator.Fault{Apply: simulator.Skip}, func(*process) {
		files, err := os.ReadDir(c.dir)
		if err != nil {
			t.Error(err)
		}
		for _, f := range files {
			if info, err := f.Info(); err == nil && strings.HasPrefix(f.Name(), "state.db") {
				seen[f.Name()] = info.Mode().Perm()
			}
		}
	})
	for _, name := range []string{"state.db", "state.db-wal", "state.db-shm", "state.db.lock"} {
		if _, ok := seen[name]; !ok {
			t.Errorf("%s is not there while the program runs, only %v", name, seen)
		}
	}
	for name, mode := range seen {
		if mode != 0o600 {
			t.Errorf("%s has the mode %o, want 600", name, mode)
		}
	}
}
