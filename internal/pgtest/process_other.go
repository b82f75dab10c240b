//go:build !linux

package pgtest

import (
	"os/exec"
	"syscall"
)

// attributes: no death signal here; a test binary that is killed leaves its
// server behind.
func attributes() *syscall.SysProcAttr { return nil }

func own(string) error { return nil }

// children: here they are left to notice by themselves.
func children(int) []int { return nil }

func end(int) {}

func startOnOwnThread(cmd *exec.Cmd, exited chan<- error) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() { exited <- cmd.Wait() }()
	return nil
}
