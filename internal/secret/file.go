package secret

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// MaxFile is the largest file that is read as a secret. The longest secret in use, a
	// list of URLs, has a few hundred bytes.
	MaxFile = 64 << 10
	// settleTime is how old a change of a file must be before it counts, unless the path
	// leads to another file since: a program that writes into the file may not be done.
	settleTime = 2 * time.Second
)

// File is a secret in a file. Each use looks at the file, so that a rotated secret counts
// from the next request on. If a change cannot be used, the last good value stays: a file
// that is missing, empty or half-written for a moment must not stop anything. It is safe
// for concurrent use.
type File struct {
	name string // of the setting, for messages
	path string
	// usable is what is wrong with a new value, as a clause; "": nothing.
	usable func(string) string
	now    func() time.Time
	last   atomic.Pointer[string] // the value in use

	mu      sync.Mutex // guards all below
	target  string     // where the path led when the value in use was read
	seen    os.FileInfo
	since   time.Time // when seen was seen first
	decided bool      // what seen means is decided
	trouble string    // the last trouble that was noted; "": none
	note    func(trouble bool, message string)
	untold  []message
}

type message struct {
	trouble bool
	text    string
}

// Follow reads a secret from a file for the first time. The error is a clause about the
// path, with the next step. usable judges later values; it may be nil.
func Follow(name, path string, usable func(string) string) (*File, error) {
	if usable == nil {
		usable = func(string) string { return "" }
	}
	f := &File{name: name, path: path, usable: usable, now: time.Now, target: resolved(path)}
	info, err := os.Stat(path)
	if err != nil {
		return nil, errors.New(cannotRead(path, err))
	}
	value, err := ReadFile(path)
	if err != nil {
		return nil, err
	}
	f.seen, f.since, f.decided = info, f.now(), f.now().Sub(info.ModTime()) >= settleTime
	f.last.Store(&value)
	return f, nil
}

// ReadFile reads a secret. White space around it is cut, because most files end in a
// newline.
func ReadFile(path string) (string, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return "", errors.New(cannotRead(path, err))
	case info.IsDir():
		return "", fmt.Errorf("%s is a directory: name the file in it", path)
	case !info.Mode().IsRegular(): // reading a pipe or a device might never end
		return "", fmt.Errorf("%s is not a regular file: write the secret into one", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return "", errors.New(cannotRead(path, err))
	}
	text, err := io.ReadAll(io.LimitReader(file, MaxFile+1))
	if err = errors.Join(err, file.Close()); err != nil {
		return "", errors.New(cannotRead(path, err))
	}
	value := strings.TrimSpace(string(text))
	switch {
	case len(text) > MaxFile:
		return "", fmt.Errorf("%s is larger than %d KiB, so it is not a secret: is it the right file?", path, MaxFile>>10)
	case value == "":
		return "", fmt.Errorf("%s is empty: write the secret into it", path)
	case strings.ContainsRune(value, 0):
		return "", fmt.Errorf("%s is not text: is it the right file?", path)
	}
	return value, nil
}

// cannotRead is a clause for a file that cannot be read, with the next step.
func cannotRead(path string, err error) string {
	var p *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return path + " does not exist: create it, or correct the path"
	case errors.Is(err, fs.ErrPermission):
		return path + " may not be read by the user of this process: chown or chmod it"
	case errors.As(err, &p):
		err = p.Err
	}
	return fmt.Sprintf("%s cannot be read: %v", path, err)
}

// resolved is where a path leads: a volume of Kubernetes changes it in one step.
func resolved(path string) string {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		return target
	}
	return ""
}

// Name is the name of the setting.
func (f *File) Name() string { return f.name }

// Path is where the secret is.
func (f *File) Path() string { return f.path }

// Last is the value in use, without a look at the file.
func (f *File) Last() string { return *f.last.Load() }

// Note has told called with each change, and once with each trouble. It never gets a value.
func (f *File) Note(note func(trouble bool, message string)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.note = note
	for _, m := range f.untold {
		note(m.trouble, m.text)
	}
	f.untold = nil
}

// current looks at the file and returns the value that counts.
func (f *File) current() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.path)
	if err != nil {
		f.seen = nil
		f.troubled(cannotRead(f.path, err))
		return f.Last()
	}
	if !same(f.seen, info) {
		f.seen, f.since, f.decided = info, f.now(), false
	}
	if !f.decided && f.settled(info) {
		f.decided = f.read() // else again with the next use: a right that was missing changes no time of the file
	}
	return f.Last()
}

// settled reports whether a change of the file is complete, as far as that can be known.
func (f *File) settled(info os.FileInfo) bool {
	now := f.now()
	if at := info.ModTime(); !at.After(now) && now.Sub(at) >= settleTime || now.Sub(f.since) >= settleTime {
		return true
	}
	target := resolved(f.path)
	return target != "" && target != f.target
}

// read takes the value of a file that has changed, and reports whether it can be used.
func (f *File) read() bool {
	value, err := ReadFile(f.path)
	if err != nil {
		f.troubled(err.Error())
		return false
	}
	if value != f.Last() {
		if wrong := f.usable(value); wrong != "" {
			f.troubled(f.path + ": the new value " + wrong)
			return false
		}
		f.last.Store(&value)
		f.tell(false, f.name+" was read again from "+f.path+", which has changed")
	}
	f.target = resolved(f.path)
	if f.trouble != "" {
		f.trouble = ""
		f.tell(false, f.name+": "+f.path+" can be used again")
	}
	return true
}

// troubled notes a trouble, once.
func (f *File) troubled(what string) {
	if f.trouble == what {
		return
	}
	f.trouble = what
	f.tell(true, f.name+" keeps its last value: "+what)
}

func (f *File) tell(trouble bool, text string) {
	if f.note == nil {
		f.untold = append(f.untold, message{trouble, text})
		return
	}
	f.note(trouble, text)
}

// same reports whether a file is as it was seen before.
func same(before, now os.FileInfo) bool {
	return before != nil && os.SameFile(before, now) && before.Size() == now.Size() && before.ModTime().Equal(now.ModTime())
}

// In is the secret in a file, as it is at each use.
func In(f *File) Text { return Text{file: f} }

// Split separates credentials at commas and lines; empty parts are dropped.
func Split(text string) (all []Text) {
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == '\n' || r == '\r' }) {
		if part = strings.TrimSpace(part); part != "" {
			all = append(all, New(part))
		}
	}
	return all
}
