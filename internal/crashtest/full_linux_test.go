package crashtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// TestAFullDiskIsToldAndCaughtUpWith lets the file system refuse to grow a file beyond ever
// larger limits, so that another write fails each time: none at all, the lease, the sweep,
// an intent, an outcome.
func TestAFullDiskIsToldAndCaughtUpWith(t *testing.T) {
	felt := 0
	for _, blocks := range []int{0, 100, 200, 300, 400, 600, 800} { // of 512 bytes
		t.Run(fmt.Sprintf("%d blocks", blocks), func(t *testing.T) {
			c := busy(t, "sqlite", uint64(blocks))
			intended := c.watchIntents()
			r := c.limited(fmt.Sprintf("ulimit -f %d", blocks))
			felt += c.failsWell(r, "disk")
			c.clock.move(t, afterTheLease)
			c.recover()
			intended()
			c.sound()
		})
	}
	if felt < 3 {
		t.Errorf("only %d of the limits were felt", felt)
	}
}

// limited is a run that is started by a shell with a limit.
func (c *company) limited(limit string) result {
	c.Helper()
	atOnce <- struct{}{}
	defer func() { <-atOnce }()
	return c.wait(c.launch(shell(limit), nil, "reconcile", "-o", "json"))
}

// failsWell checks that a run either went well or failed with an error that names the cause
// and the remedy; it returns 1 if it failed.
func (c *company) failsWell(r result, cause string) int {
	c.Helper()
	switch {
	case r.code == 0:
		return 0
	case r.code != 1 || !strings.Contains(r.stderr, cause) || !strings.Contains(r.stderr, "run this again"):
		c.Errorf("exit code %d, signal %v; want 1, a word about the %s and what to do:\n%s", r.code, r.signal, cause, r.stderr)
	}
	return 1
}

// TestASmallDiskThatIsReallyFull needs the right to mount; the test above does not.
func TestASmallDiskThatIsReallyFull(t *testing.T) {
	for _, kilobytes := range []int{500, 600, 700} {
		t.Run(fmt.Sprintf("%d KiB", kilobytes), func(t *testing.T) {
			c := bare(t, "postgres", simulator.Options{Calm: true})
			disk := filepath.Join(c.dir, "disk")
			c.must(os.Mkdir(disk, 0o755))
			if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=8m", "none", disk).CombinedOutput(); err != nil {
				t.Skipf("mounting is not allowed here: %s", out)
			}
			t.Cleanup(func() { _ = exec.Command("umount", "-l", disk).Run() })
			c.moveTo("sqlite:" + filepath.Join(disk, "state.db"))
			c.furnish()
			c.signUp(ada)
			for i := range 20 {
				c.signUp(simulator.SignUp{Email: fmt.Sprintf("c%d@example.com", i), Name: fmt.Sprintf("C%d", i)})
			}
			remount := func(size int) {
				if out, err := exec.Command("mount", "-o", fmt.Sprintf("remount,size=%dk", size), disk).CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
			}
			intended := c.watchIntents()
			remount(kilobytes)
			if c.failsWell(c.reconcile(nil), "room") == 0 {
				t.Errorf("the disk was not full")
			}
			remount(8 << 10)
			c.clock.move(t, afterTheLease)
			c.recover()
			intended()
			c.sound()
		})
	}
}

func TestADatabaseThatMayNotBeWrittenIsToldAndCaughtUpWith(t *testing.T) {
	for _, what := range []string{"the file", "the directory"} {
		t.Run(what, func(t *testing.T) {
			c := bare(t, "sqlite", simulator.Options{Calm: true})
			c.must(os.Mkdir(filepath.Join(c.dir, "data"), 0o755))
			path := filepath.Join(c.dir, "data", "state.db")
			c.moveTo("sqlite:" + path)
			c.furnish()
			c.signUp(ada)
			unprivileged := c.unprivileged()
			as := func() result { return c.wait(c.launch(unprivileged, nil, "reconcile", "-o", "json")) }
			shut := path
			if what == "the directory" {
				shut = filepath.Dir(path)
			}
			info, err := os.Stat(shut)
			c.must(err)
			c.must(os.Chmod(shut, info.Mode().Perm()&^0o222))
			r := as()
			if r.code != 1 || !strings.Contains(r.stderr, "may not write there: chmod u+rwX "+shut) || strings.Contains(r.stderr, "chown") {
				t.Errorf("exit code %d, want 1, the path and what to do:\n%s", r.code, r.stderr)
			}
			if n := len(c.Effects()); n > 0 {
				t.Errorf("%d things were done", n)
			}
			c.must(os.Chmod(shut, info.Mode().Perm()))
			if r := as(); r.code != 0 {
				t.Errorf("writable again: exit code %d\n%s", r.code, r.stderr)
			}
			c.sound()
		})
	}
}
