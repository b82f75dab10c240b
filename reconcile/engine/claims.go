package engine

import (
	"context"
	"sync"
)

// claims let one run at a time work for a customer, when several are under way in this
// process: see flow. A run that has claimed a customer reads, plans and applies it, and
// releases it. Safe for concurrent use.
type claims struct {
	mu    sync.Mutex // guards all below
	taken map[string]*claim
	// freed is when a customer was last released, as a number of that release. A customer
	// that was loaded before it may have changed since.
	freed map[string]int64
	n     int64 // releases so far
	floor int64 // everything that was loaded before this release counts as changed
}

// claim is one customer at work.
type claim struct {
	free    chan struct{} // closed when the customer is released
	waiting []string      // subscriptions that a flow run is to serve after that
}

// maxFreed bounds the memory of past releases.
const maxFreed = 10_000

func newClaims() *claims { return &claims{taken: map[string]*claim{}, freed: map[string]int64{}} }

// mark is the moment to compare with in changedSince; it is asked before a customer is
// loaded.
func (c *claims) mark() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// try claims a customer, if it is free.
func (c *claims) try(customer string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.taken[customer] != nil {
		return false
	}
	c.taken[customer] = &claim{free: make(chan struct{})}
	return true
}

// wait claims a customer as soon as it is free. The error is the context's.
func (c *claims) wait(ctx context.Context, customer string) error {
	for {
		c.mu.Lock()
		at := c.taken[customer]
		if at == nil {
			c.taken[customer] = &claim{free: make(chan struct{})}
		}
		c.mu.Unlock()
		if at == nil {
			return nil
		}
		select {
		case <-at.free:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// leave leaves subscriptions to the run that has claimed the customer; false: the
// customer is free.
func (c *claims) leave(customer string, subscriptions []string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.taken[customer]
	if at == nil {
		return false
	}
	at.waiting = append(at.waiting, subscriptions...)
	return true
}

// release lets others work for a customer. It returns the subscriptions that wait for
// that.
func (c *claims) release(customer string) (waiting []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.taken[customer]
	if at == nil {
		return nil
	}
	delete(c.taken, customer)
	c.n++
	if len(c.freed) >= maxFreed {
		c.freed, c.floor = map[string]int64{}, c.n
	}
	c.freed[customer] = c.n
	close(at.free)
	return at.waiting
}

// changedSince reports whether a customer was released after a mark, so that what was
// loaded at the mark may be old.
func (c *claims) changedSince(customer string, mark int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return mark < c.floor || c.freed[customer] > mark
}
