package engine

import (
	"context"
	"slices"
	"strconv"
	"sync"
)

// turns keep reads and writes of one object apart: who reads it and stores the answer
// shares it with other readers, who writes it has it alone. So no answer that took long
// replaces what a write of ours has stored meanwhile. Those who wait come in their order,
// so neither side waits for good. Safe for concurrent use.
type turns struct {
	waits func() // called when a caller begins to wait; nil: not called

	mu sync.Mutex // guards at and all that is in it
	at map[string]*turn
}

// turn is who has one object, and who waits for it. It exists while there are any.
type turn struct {
	readers int
	writing bool
	queue   []*waiter
}

type waiter struct {
	alone bool
	ready chan struct{} // closed when the object is the waiter's
}

// orgKey, subscriptionKey, productKey and founderKey name what turns are about. Hostings are read and
// written in their org. Customers with the same e-mail make an org one after the other, so
// that the second one finds the org of the first.
func orgKey(id string) string          { return "org " + id }
func subscriptionKey(id string) string { return "subscription " + id }
func productKey(id string) string      { return "product " + id }
func founderKey(email uint64) string   { return "founder " + strconv.FormatUint(email, 36) }

func newTurns() *turns { return &turns{at: map[string]*turn{}} }

// take waits for an object, to have it alone or to share it. done gives it back, and must
// be called once. The error is the context's.
func (t *turns) take(ctx context.Context, object string, alone bool) (done func(), err error) {
	w := &waiter{alone: alone, ready: make(chan struct{})}
	t.mu.Lock()
	at := t.at[object]
	if at == nil {
		at = &turn{}
		t.at[object] = at
	}
	at.queue = append(at.queue, w)
	at.next()
	t.mu.Unlock()
	select {
	case <-w.ready:
	default:
		if t.waits != nil {
			t.waits()
		}
	}
	select {
	case <-w.ready:
		return func() { t.giveBack(object, w) }, nil
	case <-ctx.Done():
		t.giveBack(object, w)
		return nil, context.Cause(ctx)
	}
}

// alone calls use while the caller has an object alone.
func (t *turns) alone(ctx context.Context, object string, use func() error) error {
	done, err := t.take(ctx, object, true)
	if err != nil {
		return err
	}
	defer done()
	return use()
}

// next lets those at the head of the queue pass, as far as they may.
func (at *turn) next() {
	for len(at.queue) > 0 {
		w := at.queue[0]
		if at.writing || w.alone && at.readers > 0 {
			return
		}
		at.queue = at.queue[1:]
		at.writing = w.alone
		if !w.alone {
			at.readers++
		}
		close(w.ready)
	}
}

// giveBack ends the use of an object, or the wait for it.
func (t *turns) giveBack(object string, w *waiter) {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := t.at[object]
	select {
	case <-w.ready:
		if w.alone {
			at.writing = false
		} else {
			at.readers--
		}
	default:
		at.queue = slices.DeleteFunc(at.queue, func(other *waiter) bool { return other == w })
	}
	at.next()
	if at.readers == 0 && !at.writing && len(at.queue) == 0 {
		delete(t.at, object)
	}
}
