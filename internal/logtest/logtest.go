// Package logtest is for tests that read a log while it is still being written.
package logtest

import (
	"bytes"
	"sync"
)

// Buffer collects the output of a log or a process, and can be read meanwhile. The zero
// value is empty. Many goroutines may use it concurrently.
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
