package pgtest

import (
	"bytes"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// attributes make the server die with this process, and run as the user postgres
// when this is root, because PostgreSQL refuses to run as root.
func attributes() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT, Setpgid: true}
	if uid, gid, ok := servant(); ok {
		a.Credential = &syscall.Credential{Uid: uid, Gid: gid}
	}
	return a
}

// own gives a path to the user that the server runs as.
func own(path string) error {
	if uid, gid, ok := servant(); ok {
		return os.Chown(path, int(uid), int(gid))
	}
	return nil
}

func servant() (uid, gid uint32, ok bool) {
	if os.Geteuid() != 0 {
		return 0, 0, false
	}
	name := "postgres"
	u, err := user.Lookup(name)
	if err != nil {
		if u, err = user.Lookup("nobody"); err != nil {
			return 0, 0, false
		}
	}
	n, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return 0, 0, false
	}
	g, err := strconv.ParseUint(u.Gid, 10, 32)
	return uint32(n), uint32(g), err == nil
}

// children are the processes that a process has started.
func children(pid int) (all []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is a good one
	for _, path := range stats {
		if child, state, parent := status(path); parent == pid && state != "Z" {
			all = append(all, child)
		}
	}
	return all
}

// status reads /proc/PID/stat (proc(5)): the id, the state and the parent's id. One
// that has ended is a zombie or nothing.
func status(path string) (pid int, state string, parent int) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, "Z", 0
	}
	id, _, _ := strings.Cut(string(text), " ")
	_, rest, _ := strings.Cut(string(text[bytes.LastIndexByte(text, ')')+1:]), " ") // the name before may hold anything
	fields := strings.Fields(rest)
	if pid, err = strconv.Atoi(id); err != nil || len(fields) < 2 {
		return 0, "Z", 0
	}
	parent, _ = strconv.Atoi(fields[1])
	return pid, fields[0], parent
}

// end kills a process and waits until it is no more.
func end(pid int) {
	const patience = 10 * time.Second
	_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by itself
	for began := time.Now(); time.Since(began) < patience; time.Sleep(probePause) {
		if _, state, _ := status("/proc/" + strconv.Itoa(pid) + "/stat"); state == "Z" {
			return
		}
	}
}

// startOnOwnThread starts the command from a thread that lives as long as it
// does: the kernel sends the death signal when the starting thread ends, and Go's
// threads come and go.
func startOnOwnThread(cmd *exec.Cmd, exited chan<- error) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			exited <- cmd.Wait()
		}
	}()
	return <-started
}
