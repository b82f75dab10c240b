//go:build failpoint && unix

package app

import (
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A program built with the tag failpoint ends itself where a test asks for it, and takes
// its time from a clock that the test moves; internal/crashtest is that test. No other
// program has any of this.
const (
	// failpointVariable is STEP:WHAT:N, as in after-call:create_subscription:2 for
	// the second time. WHAT may be the beginning of the word, or empty. The process
	// kills itself or, with "stop:" in front, stops until it is continued.
	failpointVariable = "STRIPE_ENHANCE_FAILPOINT"
	// clockVariable names a file with the number of nanoseconds that the clock is
	// ahead of this machine's. It is read each time.
	clockVariable = "STRIPE_ENHANCE_CLOCK"
)

// Arm reads the two variables. A value that cannot be read ends the process: it must not
// run on without dying where the test expects it.
func Arm(environ []string, clock func() time.Time) (failpoint func(step, what string), now func() time.Time) {
	now = clock
	for _, kv := range environ {
		switch name, value, _ := strings.Cut(kv, "="); name {
		case failpointVariable:
			failpoint = parseFailpoint(value).pass
		case clockVariable:
			now = func() time.Time { return time.Now().Add(ahead(value)) }
		}
	}
	return failpoint, now
}

func ahead(path string) time.Duration {
	text, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil {
		panic(err)
	}
	return time.Duration(n)
}

type failpoint struct {
	step, what string
	signal     syscall.Signal
	mu         sync.Mutex // guards left
	left       int        // how often the point is still passed
}

func parseFailpoint(text string) *failpoint {
	f := &failpoint{signal: syscall.SIGKILL}
	if rest, ok := strings.CutPrefix(text, "stop:"); ok {
		f.signal, text = syscall.SIGSTOP, rest
	}
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		panic(fmt.Sprintf("%s=%s: want STEP:WHAT:N", failpointVariable, text))
	}
	n, err := strconv.Atoi(parts[2])
	if err != nil {
		panic(err)
	}
	f.step, f.what, f.left = parts[0], parts[1], n
	return f
}

func (f *failpoint) pass(step, what string) {
	if step != f.step || !strings.HasPrefix(what, f.what) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left--; f.left != 0 {
		return
	}
	// Another thread may take the signal while this one goes on for a while. This one
	// must not come to the next step, which may lock the database.
	continued := make(chan os.Signal, 1)
	signal.Notify(continued, syscall.SIGCONT)
	_ = syscall.Kill(os.Getpid(), f.signal) // a process may always signal itself
	<-continued
}
