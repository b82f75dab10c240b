package engine

import (
	"context"
	"sync"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// loadedCursors are the cursors of one run: all are read with the first one. That is
// enough, because only the process with the lease moves them.
type loadedCursors struct {
	Cursors

	mu     sync.Mutex        // guards values
	values map[string]string // nil: not read yet
}

// Cursor returns a cursor as it was read or set in this run; "": there is none.
func (c *loadedCursors) Cursor(ctx context.Context, name string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.values == nil {
		all, err := c.AllCursors(ctx)
		if err != nil {
			return "", err
		}
		c.values = all
	}
	return c.values[name], nil
}

// SetCursor stores a cursor.
func (c *loadedCursors) SetCursor(ctx context.Context, tok reconcile.Token, name, value string) error {
	err := c.Cursors.SetCursor(ctx, tok, name, value)
	c.set(name, value, err)
	return err
}

// SawEvents stores the events that were followed, and moves their cursor.
func (c *loadedCursors) SawEvents(ctx context.Context, tok reconcile.Token, events []reconcile.Event, cursor string, forget time.Time) error {
	err := c.Cursors.SawEvents(ctx, tok, events, cursor, forget)
	c.set(cursorEvents, cursor, err)
	return err
}

// set keeps a value that was stored. After an error it is not known what is stored: all
// are read again.
func (c *loadedCursors) set(name, value string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err != nil:
		c.values = nil
	case c.values != nil:
		c.values[name] = value
	}
}
