package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
)

// DryRun plans without effects. If another process holds the lease, it plans from the state
// that this process stored last.
func (a *App) DryRun(ctx context.Context, e *engine.Engine, request engine.Request) (reconcile.Report, error) {
	request.Dry = true
	r, err := e.Run(ctx, request)
	var held *reconcile.LeaseTaken
	if errors.As(err, &held) {
		a.Printf("%s is at work, so this plan is made from the state that it stored last", held.Owner)
		request.Stored = true
		r, err = e.Run(ctx, request)
	}
	return r, err
}

// leaseSlack is added to the lease's length when waiting for a dead writer's lease to run
// out, because the clocks of two machines differ a little.
const leaseSlack = 5 * time.Second

// leaseLook is how often a lease is tried again that another process holds.
const leaseLook = time.Second

// Run does one run. If another process holds the lease, it leaves a nudge and waits: until
// the writer takes the nudge, which shows that it is alive and works, or until the lease
// runs out, which shows that the writer died. Then this process does the run. The error is
// *BusyError if the other process does it instead.
func (a *App) Run(ctx context.Context, e *engine.Engine, request engine.Request) (reconcile.Report, error) {
	var held *reconcile.LeaseTaken
	r, err := e.Run(ctx, request)
	if !errors.As(err, &held) {
		return r, err
	}
	if err := a.Store.Nudge(ctx, reconcile.NudgeTargets(request.Full, request.Subscriptions), "asked for by "+a.Person, a.Now()); err != nil {
		return r, err
	}
	patience := a.Config.LeaseTTL + leaseSlack
	a.Printf("%s holds the lease; waiting up to %s in case it died", held.Owner, patience)
	deadline := a.Now().Add(patience)
	tick := time.NewTicker(leaseLook)
	defer tick.Stop()
	for a.Now().Before(deadline) {
		select {
		case <-ctx.Done():
			return r, ctx.Err()
		case <-tick.C:
		}
		if r, err = e.Run(ctx, request); !errors.As(err, &held) {
			return r, err
		}
		if waiting, err := a.Store.NudgesWaiting(ctx); err == nil && !waiting {
			return r, &BusyError{Held: held, Taken: true, Request: request}
		}
	}
	return r, &BusyError{Held: held, Request: request}
}

// BusyError is a run that another process does instead. The nudge for it is stored.
type BusyError struct {
	Held    *reconcile.LeaseTaken
	Taken   bool // the other process has taken the nudge
	Request engine.Request
}

func (e *BusyError) Error() string {
	text := fmt.Sprintf("%s is at work and renews its lease (until %s); it was asked to look", e.Held.Owner, e.Held.Until.UTC().Format(time.RFC3339))
	if e.Taken {
		text = e.Held.Owner + " is at work; it was asked to look, and looks now"
	}
	if e.Request.Full {
		text += " at everything"
	}
	if e.Request.Accept { // a nudge cannot pass that on
		text += ", but without --accept-listing: repeat the command when it is idle, or stop it first"
	}
	return text + ". Nothing was done here"
}

func (e *BusyError) Unwrap() error { return e.Held }
