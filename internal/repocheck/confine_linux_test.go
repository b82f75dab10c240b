package repocheck

import (
	"os/exec"
	"syscall"
)

// confine runs a command in a root directory of its own, as the image's user, and ends
// it when the test ends, even if the test panics.
func confine(cmd *exec.Cmd, dir string) {
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Chroot:     dir,
		Credential: &syscall.Credential{Uid: imageUser, Gid: imageUser},
		Pdeathsig:  syscall.SIGKILL,
	}
}
