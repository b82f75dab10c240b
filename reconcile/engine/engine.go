package engine

import (
	"context"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Ports are the outside that the engine works with. All are required but
// Terminator, without which nothing is ever deleted.
type Ports struct {
	Billing     Billing
	Account     Account
	Panel       Panel
	Owners      Owners
	Provisioner Provisioner
	Terminator  Terminator

	Mirror    Mirror
	Cursors   Cursors
	Queue     Queue
	Timetable Timetable
	Journal   Journal
	Inventory Inventory
	Catalogue Catalogue
	History   History
	Withheld  Withheld
	Leases    Leases
}

// Request says what one run shall look at.
type Request struct {
	// Full forces a full sweep. Otherwise the run is incremental when a usable
	// cursor exists, and full when not.
	Full bool
	// Subscriptions makes the run targeted: only these are read and planned.
	Subscriptions []string
	// Customers makes the run targeted at these parties as they are stored.
	Customers []string
	// Trigger is who asked: cli, cron, webhook, admin, approve, demo.
	Trigger string
	// Dry plans and sends nothing; the stored mirror is still brought up to date.
	Dry bool
}

// Engine runs reconciliations. One at a time per Engine; Run waits for none and
// may be called from any goroutine: a second call while one is at work fails
// with *reconcile.LeaseHeld.
type Engine struct{}

// Run does one run. The report is valid also when the error is not nil: it tells
// what had been done until then.
func (e *Engine) Run(ctx context.Context, r Request) (reconcile.Report, error) {
	return reconcile.Report{}, ctx.Err()
}

// Options of the engine; see the fields.
type Options struct {
	Now func() time.Time
}
