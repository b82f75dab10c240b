package server

import (
	"context"
	"sync"
	"time"
)

// cached is a value that is made at most once in age. If it is being made, other callers
// wait for it instead of making it too.
type cached[T any] struct {
	age  time.Duration
	make func(context.Context) T

	mu   sync.Mutex // guards value and at; held while the value is made
	at   time.Time  // by the process clock; zero: never made
	last T
}

func newCached[T any](age time.Duration, produce func(context.Context) T) *cached[T] {
	return &cached[T]{age: age, make: produce}
}

// get returns the value, and makes it anew if it is too old. The caller's own deadline
// does not count, because the next caller needs the value, too.
func (c *cached[T]) get(ctx context.Context) T {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at.IsZero() || time.Since(c.at) >= c.age {
		c.last = c.make(context.WithoutCancel(ctx))
		c.at = time.Now()
	}
	return c.last
}
