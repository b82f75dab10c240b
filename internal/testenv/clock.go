package testenv

import (
	"strings"
	"time"
	"unsafe"
)

// AfterSleep is what time.Now, which returned t, returns on a machine that has slept for
// d since: the wall clock has gone on, the process clock, which a time carries
// along, has not. There is no other way to get such a time but to sleep.
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
