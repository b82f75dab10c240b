package server

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
)

// cached is a value that is made at most once in age. If it is being made, other callers
// wait for it instead of making it too.
type cached[T any] struct {
	age  time.Duration
	make func(context.Context) T

	mu   sync.Mutex // guards value and at; held while the value is made
	at   time.Time  // by the process clock; zero: never made
	last T

	shown atomic.Pointer[shownValue[T]] // the same for peek, which waits for nobody
	begun atomic.Bool                   // peek has one made at present
}

type shownValue[T any] struct {
	value T
	at    time.Time
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
		c.shown.Store(&shownValue[T]{c.last, c.at})
	}
	return c.last
}

// peek returns the last value, and has a new one made in the background if it is too old. So
// a page never waits for the other side. ok is false if there is none yet.
func (c *cached[T]) peek(ctx context.Context) (value T, ok bool) {
	shown := c.shown.Load()
	if (shown == nil || time.Since(shown.at) >= c.age) && c.begun.CompareAndSwap(false, true) {
		ctx := context.WithoutCancel(ctx)
		go func() {
			defer c.begun.Store(false)
			_ = fault.Guard(func() error { c.get(ctx); return nil }) // the next peek tries again
		}()
	}
	if shown == nil {
		return value, false
	}
	return shown.value, true
}
