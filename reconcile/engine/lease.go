package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// lease makes this process the writer. It is a state that moves like this:
//
//	          acquire              trustedUntil passes
//	free ──────────────▶ valid ──────────────────────────▶ expired
//	 ▲                     │  ▲                               │
//	 │       release       │  └──────── acquire (renews) ─────┤
//	 └─────────────────────┘                                  ▼
//	                                    another process has it: revoked
//
// A run that holds a token keeps it until it ends. Each write checks the token
// again, and a token that was revoked ends the run.
type lease struct {
	port  Leases
	owner string // the name of this process
	ttl   time.Duration
	now   func() time.Time
	log   *logrus.Logger

	mu      sync.Mutex // guards all below
	tok     reconcile.Token
	holder  string    // who has the lease, if this process does not
	expires time.Time // when that holder's lease ends
	// trustedUntil is when this process stops relying on the lease. It counts from
	// before the renewal was sent, less a margin for a call that leaves late. Two
	// clocks are compared with it, see valid.
	trustedUntil time.Time
	// endRuns ends the runs that use the lease; empty between runs.
	endRuns map[int]context.CancelCauseFunc
	used    int // numbers the runs
}

// minRenewal is the shortest time-out of a renewal. Only tests have a lease so
// short that a part of its life would be less.
const minRenewal = time.Second

// valid reports whether the lease is ours, as far as this process can know. It
// asks the wall clock and the process clock: the wall clock may be set back, the
// process clock stands still while the machine sleeps, and either mistake alone
// would make an old lease look young. The caller holds mu.
func (l *lease) valid() bool {
	now := l.now()
	return l.tok != 0 && !now.After(l.trustedUntil) && !now.Round(0).After(l.trustedUntil.Round(0))
}

// acquire takes or renews the lease and keeps the answer. If the token changed, it
// ends the run that used the old one.
//
// It times out early, so that a dead connection leaves time to renew on another.
func (l *lease) acquire(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, max(l.ttl/2, minRenewal))
	defer cancel()
	began := l.now()
	tok, holder, expires, err := l.port.Acquire(ctx, l.owner, began, l.ttl)
	if err != nil {
		return fmt.Errorf("asking for the lease: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tok != 0 && tok != l.tok {
		l.revoke("the lease went to " + holder)
	}
	l.tok, l.holder, l.expires = tok, holder, expires
	l.trustedUntil = began.Add(l.ttl - l.ttl/6)
	return nil
}

// revoke ends the runs at work. The caller holds mu.
func (l *lease) revoke(why string) {
	for _, end := range l.endRuns {
		end(fault.Errorf(fault.Fenced, "%s", why))
	}
}

// revokeExpired ends the run at work if the lease was not renewed in time: another
// process reads and plans the same from here on.
func (l *lease) revokeExpired() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tok != 0 && !l.valid() {
		l.revoke("the lease could not be renewed in time")
	}
}

// release gives the lease back, so that other processes need not wait until it ends.
func (l *lease) release(ctx context.Context) error {
	l.mu.Lock()
	tok := l.tok
	l.tok = 0
	l.mu.Unlock()
	if tok == 0 {
		return nil
	}
	err := l.port.Release(context.WithoutCancel(ctx), tok)
	if errors.Is(err, fault.Fenced) {
		return nil
	}
	return err
}

// renew acquires the lease three times in its life until ctx ends. Real time paces
// it: a simulated clock that jumps must not starve the lease.
func (l *lease) renew(ctx context.Context) {
	tick := time.NewTicker(max(l.ttl/3, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			// Guarded: a panic here must not stop the renewals while a run is at work.
			if err := fault.Guard(func() error { return l.acquire(ctx) }); err != nil && ctx.Err() == nil {
				l.log.WithError(err).Warn("lease not renewed")
				l.revokeExpired()
			}
		}
	}
}

// held reports whether this process has the lease, as far as it knows.
func (l *lease) held() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.valid()
}

// use returns the token for a run, which cancel ends if the lease is revoked, or
// *reconcile.LeaseTaken. free must be called when the run has ended.
func (l *lease) use(cancel context.CancelCauseFunc) (tok reconcile.Token, free func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tok == 0 {
		return 0, nil, &reconcile.LeaseTaken{Owner: l.holder, Until: l.expires}
	}
	if l.endRuns == nil {
		l.endRuns = map[int]context.CancelCauseFunc{}
	}
	l.used++
	n := l.used
	l.endRuns[n] = cancel
	return l.tok, func() {
		l.mu.Lock()
		delete(l.endRuns, n)
		l.mu.Unlock()
	}, nil
}

// check fails with fault.Fenced unless the lease is still held with this token. It
// is asked before every write to the outside, and by package fence again when the
// write leaves: a process that was frozen past its lease must not send a prepared
// request.
func (l *lease) check(tok reconcile.Token) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tok != tok || !l.valid() {
		return fault.Errorf(fault.Fenced, "the lease was not renewed in time: this process was slow or frozen, and writes nothing more")
	}
	return nil
}

// Renew renews the lease now. Lead and Run renew it by themselves, three times in
// the life of a lease of real time; Renew is for callers with another clock.
func (e *Engine) Renew(ctx context.Context) error { return e.lease.acquire(ctx) }

// Lead acquires the lease as soon as it is free and keeps it until ctx ends. Then it
// waits for the runs at work, releases the lease and returns. It is for services
// with KeepLease; Run fails with *reconcile.LeaseTaken while another process leads.
func (e *Engine) Lead(ctx context.Context) error {
	if err := e.lease.acquire(ctx); err != nil {
		e.Log.WithError(err).Warn("lease not taken")
	}
	e.lease.renew(ctx)
	e.atWork.Lock() // waits for the runs at work
	defer e.atWork.Unlock()
	return e.lease.release(ctx)
}

// Leading reports whether this process is the writer, as far as it knows.
func (e *Engine) Leading() bool { return e.lease.held() }

// acquireLease takes the lease for one run. The context that it returns ends if the
// lease is lost; done must be called when the run has ended.
func (r *run) acquireLease(ctx context.Context) (context.Context, func(), error) {
	if !r.KeepLease || !r.Leading() {
		if err := r.lease.acquire(ctx); err != nil {
			return nil, nil, err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	tok, free, err := r.lease.use(cancel)
	if err != nil {
		cancel(nil)
		return nil, nil, err
	}
	r.tok = tok
	ctx = r.pinned(ctx, cancel)
	cursors, drop := r.together.cursors.use(r.Engine.Cursors, tok)
	r.Cursors = cursors
	var renewer sync.WaitGroup
	if !r.KeepLease {
		renewer.Go(func() { r.lease.renew(ctx) })
	}
	return ctx, func() {
		r.together.orders.end(r.rec.ID)
		drop()
		free()
		cancel(nil)
		renewer.Wait()
		if r.KeepLease {
			return
		}
		if err := r.lease.release(ctx); err != nil {
			r.log.WithError(err).Warn("lease not released")
		}
	}, nil
}

// checkLease fails if this run may not write any more.
func (r *run) checkLease() error { return r.lease.check(r.tok) }
