package testenv

import (
	"strings"
	"time"
	"unsafe"
)

// AfterSleep returns the result of time.Now, which was t, on a machine that has slept for d
// since: the wall clock has gone on, and the process clock, which a time carries along, has
// not. The only other way to get such a time is to sleep.
func AfterSleep(t time.Time, d time.Duration) time.Time {
	t = t.Add(d)
	if s := t.String(); !strings.Contains(s, " m=") {
		panic("no process clock in " + s)
	}
	(*struct { // as package time lays it out
		wall uint64
		ext  int64 // nanoseconds of the process clock
	})(unsafe.Pointer(&t)).ext -= int64(d)
	return t
}
