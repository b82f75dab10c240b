package main

import "syscall"

// setDumpable is PR_SET_DUMPABLE of prctl(2).
const setDumpable = 4

// withoutCore keeps what is in memory, the keys of both sides among it, from being
// written to a file when the process dies: the limit is for kernels that write
// the file themselves; a kernel that pipes a core to a collector pays no heed to
// that, and only to the mark. With it, others of the same user may neither attach
// a debugger nor read our environment in /proc.
//
// Nothing is lost by it but the core: a panic prints its stack all the same. A
// system that refuses either runs us as it runs everything else.
func withoutCore() {
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, setDumpable, 0, 0)
}
