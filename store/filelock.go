package store

import (
	"errors"
	"io/fs"
	"os"
	"sync"
)

// fileLock is an advisory lock on a file of its own beside the database. The
// kernel drops it when the process ends, however it ends, which is what makes it
// better evidence of life than any time-out. The file itself stays: removing it
// would let two processes lock two files of one name. A nil *fileLock is a lock
// that nobody ever gets: databases without a file have none.
type fileLock struct {
	path string
	mu   sync.Mutex // guards file
	file *os.File   // nil while the lock is not held
}

func newFileLock(path string) *fileLock { return &fileLock{path: path} }

// try takes the lock if it is free and reports whether it is held afterwards, and
// whether this call took it.
func (l *fileLock) try() (held, fresh bool, err error) {
	if l == nil {
		return false, false, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		return true, false, nil
	}
	f, err := os.OpenFile(l.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return false, false, err
	}
	got, err := lockFile(f, false)
	if err != nil || !got {
		return false, false, errors.Join(err, f.Close())
	}
	l.file = f
	return true, true, nil
}

// wait takes the lock, waiting for whoever has it.
func (l *fileLock) wait() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	f, err := os.OpenFile(l.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if _, err := lockFile(f, true); err != nil {
		return errors.Join(err, f.Close())
	}
	l.file = f
	return nil
}

// close gives the lock back. Closing the file is what unlocks it.
func (l *fileLock) close() error {
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	err := l.file.Close()
	l.file = nil
	if errors.Is(err, fs.ErrClosed) {
		return nil
	}
	return err
}
