package crashtest

import (
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// stopped waits until a process is stopped (true) or has ended. It leaves the exit status
// to the code that waits for it.
func (c *company) stopped(p *process) bool {
	c.Helper()
	const byPID, nowait, exited, halted = 1, 0x1000000, 4, 2 // waitid(2)
	var info struct {
		Signo, Errno, Code int32
		_                  [116]byte
	}
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, byPID, uintptr(p.Process.Pid), uintptr(unsafe.Pointer(&info)), halted|exited|nowait, 0, 0)
		switch errno {
		case syscall.EINTR:
			continue
		case 0:
			return info.Code == 5 // CLD_STOPPED
		default:
			return false // ECHILD: it is gone
		}
	}
}

// TestAProcessThatSleptPastItsLeaseWritesNothingMore stops a process in the middle of
// an action for longer than its lease, lets a second one take over and finish, and
// wakes it. On SQLite the sleeper still holds the lock file, so the row in the database
// decides, as it does on PostgreSQL.
//
// To try it, trusted() was made to accept everything and the store not to compare the
// token. The test failed, because a customer who had paid was suspended.
func TestAProcessThatSleptPastItsLeaseWritesNothingMore(t *testing.T) {
	for _, database := range databases {
		for _, step := range []string{"before-intent", "after-intent", "after-call"} {
			for _, kind := range []string{"create_org", "create_subscription", "suspend"} {
				t.Run(database+"/"+step+"/"+kind, func(t *testing.T) {
					t.Parallel()
					sleepAt(t, database, step, kind)
				})
			}
		}
	}
}

func sleepAt(t *testing.T, database, step, kind string) {
	c := found(t, database, simulator.Options{Calm: true})
	if kind == "suspend" {
		c.signUp(ada)
		c.settled()
		c.must(c.MarkUnpaid(c.only().ID))
	} else {
		c.signUp(ada)
	}
	sleeper := c.start(map[string]string{"STRIPE_ENHANCE_FAILPOINT": "stop:" + step + ":" + kind + ":1"}, "reconcile", "-o", "json")
	if !c.stopped(sleeper) {
		t.Fatalf("it did not stop: %s", sleeper.err.String())
	}
	c.clock.move(t, time.Minute) // its lease runs out
	c.recover()
	if kind == "suspend" {
		// The customer pays again: now the change that the frozen process has decided on
		// would do the greatest harm.
		c.must(c.Pay(c.only().ID))
		c.clock.move(t, 2*time.Minute)
		c.recover()
	}
	before := len(c.Effects())
	if err := sleeper.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	r := c.wait(sleeper)
	if after := c.Effects()[before:]; len(after) > 0 {
		t.Errorf("the sleeper woke up and did %+v", after)
	}
	if r.code != 1 || !strings.Contains(r.stderr, "lease") {
		t.Errorf("the sleeper ended with code %d, want 1 and a word about the lease:\n%s", r.code, r.stderr)
	}
	c.clock.move(t, 2*time.Minute)
	if r := c.reconcile(nil); r.code != 0 || len(r.report.Actions) > 0 {
		t.Errorf("the sleeper left something to do: exit code %d, %+v\n%s", r.code, r.report.Actions, r.stderr)
	}
	c.sound()
}
