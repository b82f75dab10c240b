package main

import "syscall"

// setDumpable is PR_SET_DUMPABLE of prctl(2).
const setDumpable = 4

// withoutCore prevents a core file when the process dies, because the memory holds the keys
// of both sides. The limit is for kernels that write the file themselves. A kernel that
// pipes a core to a collector ignores the limit and respects only the mark. If the mark is
// set, other processes of the same user can neither attach a debugger nor read our
// environment in /proc.
//
// Only the core is lost: a panic still prints its stack. If a system refuses either, the
// program runs without it.
func withoutCore() {
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, setDumpable, 0, 0)
}
