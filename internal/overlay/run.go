package overlay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Binary is a compiled set of tests.
type Binary struct {
	path  string
	dir   string   // where its tests run
	flags []string // that keep a failing test short
}

// Run is one process of tests.
type Run struct {
	Args   []string      // as -test.run=…
	Choice string        // what its function of [Choice] returns
	Env    []string      // beside the environment of this process
	Limit  time.Duration // after which it hangs
}

// Outcome is how a process of tests ended.
type Outcome struct {
	Output []byte
	Hangs  bool
	Err    error // why it did not end well; nil: it did
}

var failure = regexp.MustCompile(`(?m)^--- FAIL: (\w+)`)

// Failures are the tests that failed, but none within another, as often as they did.
func (o Outcome) Failures() (names []string) {
	for _, m := range failure.FindAllSubmatch(o.Output, -1) {
		names = append(names, string(m[1]))
	}
	return names
}

// Tests are the names of all tests.
func (b *Binary) Tests() ([]string, error) {
	c := exec.Command(b.path, "-test.list", "^(Test|Fuzz|Example)")
	c.Dir = b.dir
	out, err := c.Output()
	return strings.Fields(string(out)), err
}

// Run runs tests in their folder, with a directory of their own for what they write.
func (b *Binary) Run(r Run) Outcome {
	tmp, err := os.MkdirTemp(scratch(filepath.Dir(b.path)), "overlay-run-")
	if err != nil {
		return Outcome{Err: err}
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil { //nolint:gosec // a PostgreSQL that tests start runs as another user
		return Outcome{Err: err}
	}
	env := append(slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, choiceEnv) }), "TMPDIR="+tmp)
	program := b.path
	if r.Choice != "" {
		env = append(env, choiceEnv+"="+r.Choice)
		program = filepath.Join(tmp, filepath.Base(b.path))
		if err := errors.Join(write(filepath.Join(tmp, choiceFile), r.Choice), link(b.path, program)); err != nil {
			return Outcome{Err: err}
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), r.Limit+10*time.Second)
	defer cancel()
	args := append([]string{"-test.paniconexit0", "-test.timeout=" + r.Limit.String()}, r.Args...)
	c := exec.CommandContext(ctx, program, append(args, b.flags...)...)
	c.Dir, c.Env = b.dir, append(env, r.Env...)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	c.WaitDelay = 5 * time.Second // a child may hold the output open
	apart(c)
	err = c.Run()
	hangs := ctx.Err() != nil || bytes.Contains(out.Bytes(), []byte("panic: test timed out"))
	return Outcome{Output: out.Bytes(), Hangs: hangs, Err: err}
}

// write writes a file that every user can read, because a test may start the program as
// another one.
func write(path, text string) error {
	return errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, 0o644)) //nolint:gosec // as it says
}

// link puts a program at another place too, as a copy if that is on another disk.
func link(from, to string) error {
	if os.Link(from, to) == nil {
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	// A process that is started meanwhile would hold the program open for writing, and then
	// it cannot be run.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755) //nolint:gosec // a program
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// scratch is where tests keep their files: in memory where there is a place for that.
func scratch(dir string) string {
	const memory = "/dev/shm"
	if info, err := os.Stat(memory); err == nil && info.IsDir() {
		return memory
	}
	return dir
}

// Parallel calls f for each of all, some at a time.
func Parallel[T any](jobs int, all []T, f func(T)) {
	next := make(chan T)
	var wait sync.WaitGroup
	for range jobs {
		wait.Go(func() {
			for x := range next {
				f(x)
			}
		})
	}
	for _, x := range all {
		next <- x
	}
	close(next)
	wait.Wait()
}
