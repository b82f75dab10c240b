package repocheck

import (
	"errors"
	"os/exec"
	"runtime"
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

// Numbers of prctl(2), which package syscall does not name.
const (
	dropBoundingCapability = 24
	noNewPrivileges        = 38
)

// inside runs a function on a thread that has a view of the file system of its own, in
// which dir is read-only but for data below it, and whose children can gain no capability:
// docker run --read-only --cap-drop ALL --security-opt no-new-privileges. The thread ends
// with the function, because nothing can give it back what it has lost.
func inside(dir, data string, do func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if err := readOnly(dir, data); err != nil {
			done <- err
			return
		}
		done <- do()
	}()
	return <-done
}

func readOnly(dir, data string) error {
	err := syscall.Unshare(syscall.CLONE_NEWNS)
	// The bind mount of data has to come before dir is read-only, or it would be too.
	for _, m := range []struct {
		source, target string
		flags          uintptr
	}{
		{"", "/", syscall.MS_REC | syscall.MS_PRIVATE},
		{dir, dir, syscall.MS_BIND},
		{data, data, syscall.MS_BIND},
		{"", dir, syscall.MS_BIND | syscall.MS_REMOUNT | syscall.MS_RDONLY},
	} {
		if err == nil {
			err = syscall.Mount(m.source, m.target, "", m.flags, "")
		}
	}
	if err != nil {
		return err
	}
	if _, _, no := syscall.RawSyscall6(syscall.SYS_PRCTL, noNewPrivileges, 1, 0, 0, 0, 0); no != 0 {
		return no
	}
	for capability := uintptr(0); ; capability++ {
		_, _, no := syscall.RawSyscall6(syscall.SYS_PRCTL, dropBoundingCapability, capability, 0, 0, 0, 0)
		if errors.Is(no, syscall.EINVAL) { // there are no more
			return nil
		}
		if no != 0 {
			return no
		}
	}
}
