// Package logtest is for tests of what is said while it is still being said.
package logtest

import (
	"bytes"
	"sync"
)

// Buffer is what a log or a process has written, for one who reads it meanwhile. The
// zero value is empty. It may be used by many goroutines at once.
type Buffer struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

// Write implements io.Writer and cannot fail.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String is everything that was written so far.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
