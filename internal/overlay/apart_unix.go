//go:build unix

package overlay

import (
	"os/exec"
	"syscall"
)

// apart gives a process a group of its own, which ends with it: a test that hangs
// may have started others.
func apart(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
}
