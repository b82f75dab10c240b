package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// held is the lease as this process believes it to be.
type held struct {
	mu    sync.Mutex // guards all below
	tok   reconcile.Token
	owner string    // who has it when we do not
	until time.Time // until when that one has it
	// trust is when we stop believing that it is ours. It counts from before the
	// renewal was asked for, less a margin for a call that is slow to leave. See
	// believed for the clocks.
	trust time.Time
	// lost ends the run at work; nil between runs.
	lost context.CancelCauseFunc
}

// leastAsk keeps a lease of milliseconds, which only tests have, from being asked
// for in no time at all.
const leastAsk = time.Second

// believed reports whether the lease is ours, as far as this process can know. Two
// clocks are asked, the one that people set and the one that only runs: the first
// may be set back, the second stands still while the machine sleeps, and either
// mistake alone would make an old lease look young. The caller holds mu.
func (h *held) believed(now time.Time) bool {
	return h.tok != 0 && !now.After(h.trust) && !now.Round(0).After(h.trust.Round(0))
}

// ask takes or renews the lease and notes the answer. A run at work under a token
// that is gone is ended at once.
//
// It is given up after a part of the lease's life: a connection that is dead and
// does not know it must not use up the time in which another one would do.
func (e *Engine) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, max(e.LeaseTTL/2, leastAsk))
	defer cancel()
	began := e.Now()
	tok, owner, until, err := e.Leases.Acquire(ctx, e.Owner, began, e.LeaseTTL)
	if err != nil {
		return fmt.Errorf("asking for the lease: %w", err)
	}
	e.lease.mu.Lock()
	defer e.lease.mu.Unlock()
	if e.lease.tok != 0 && tok != e.lease.tok {
		e.lease.lose("the lease went to " + owner)
	}
	e.lease.tok, e.lease.owner, e.lease.until = tok, owner, until
	e.lease.trust = began.Add(e.LeaseTTL - e.LeaseTTL/6)
	return nil
}

// lose ends the run at work. The caller holds mu.
func (h *held) lose(why string) {
	if h.lost != nil {
		h.lost(fault.Errorf(fault.Fenced, "%s", why))
	}
}

// outlived ends the run at work when the lease could not be renewed in its time:
// what is read and planned from here on, another process does as well.
func (e *Engine) outlived() {
	e.lease.mu.Lock()
	defer e.lease.mu.Unlock()
	if e.lease.tok != 0 && !e.lease.believed(e.Now()) {
		e.lease.lose("the lease could not be renewed in time")
	}
}

// Renew asks for the lease now. Lead and Run do so by themselves, three times in
// the life of a lease of real time; it is for callers whose time is another one.
func (e *Engine) Renew(ctx context.Context) error { return e.ask(ctx) }

// giveBack releases the lease, so that nobody has to wait for it to run out.
func (e *Engine) giveBack(ctx context.Context) error {
	e.lease.mu.Lock()
	tok := e.lease.tok
	e.lease.tok = 0
	e.lease.mu.Unlock()
	if tok == 0 {
		return nil
	}
	err := e.Leases.Release(context.WithoutCancel(ctx), tok)
	if errors.Is(err, fault.Fenced) {
		return nil
	}
	return err
}

// renewing asks three times in the life of a lease until ctx ends. Only real
// time paces it: a simulated clock that jumps must not starve the lease.
func (e *Engine) renewing(ctx context.Context) {
	tick := time.NewTicker(max(e.LeaseTTL/3, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			// Guarded: whoever stops asking loses the lease while it works.
			if err := fault.Guard(func() error { return e.ask(ctx) }); err != nil && ctx.Err() == nil {
				e.Log.WithError(err).Warn("lease not renewed")
				e.outlived()
			}
		}
	}
}

// Lead takes the lease when it is free and keeps it until ctx ends, then waits
// for the run at work, gives the lease back and returns. For services with
// KeepLease; Run fails with *reconcile.LeaseTaken while another process leads.
func (e *Engine) Lead(ctx context.Context) error {
	if err := e.ask(ctx); err != nil {
		e.Log.WithError(err).Warn("lease not taken")
	}
	e.renewing(ctx)
	e.busy.Lock()
	defer e.busy.Unlock()
	return e.giveBack(ctx)
}

// Leading reports whether this process is the writer, as far as it knows.
func (e *Engine) Leading() bool {
	e.lease.mu.Lock()
	defer e.lease.mu.Unlock()
	return e.lease.believed(e.Now())
}

// hold makes sure of the lease for one run. The returned context ends when the
// lease is lost; done must be called when the run has ended.
func (r *run) hold(ctx context.Context) (context.Context, func(), error) {
	if !r.KeepLease || !r.Leading() {
		if err := r.ask(ctx); err != nil {
			return nil, nil, err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	r.lease.mu.Lock()
	tok, owner, until := r.lease.tok, r.lease.owner, r.lease.until
	r.lease.lost = cancel
	r.lease.mu.Unlock()
	if tok == 0 {
		cancel(nil)
		return nil, nil, &reconcile.LeaseTaken{Owner: owner, Until: until}
	}
	r.tok = tok
	var renewer sync.WaitGroup
	if !r.KeepLease {
		renewer.Go(func() { r.renewing(ctx) })
	}
	return ctx, func() {
		r.lease.mu.Lock()
		r.lease.lost = nil
		r.lease.mu.Unlock()
		cancel(nil)
		renewer.Wait()
		if r.KeepLease {
			return
		}
		if err := r.giveBack(ctx); err != nil {
			r.log.WithError(err).Warn("lease not released")
		}
	}, nil
}

// trusted is asked before every write to the outside, and by package fence once
// more when the write leaves: a process that was frozen past its lease must not
// finish what it had in mind.
func (r *run) trusted() error {
	r.lease.mu.Lock()
	defer r.lease.mu.Unlock()
	if r.lease.tok != r.tok || !r.lease.believed(r.Now()) {
		return fault.Errorf(fault.Fenced, "the lease was not renewed in time: this process was slow or frozen, and writes nothing more")
	}
	return nil
}
