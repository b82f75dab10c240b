// Package app puts the parts of the program together: database, clients, engine, HTTP
// server, notifications and metrics. The commands reconcile, plan, serve, check and demo
// all get their parts here, so that a setting means the same in each of them.
//
// Engine, store, clients and server do not import each other. Each declares the interfaces
// that it needs, and this package passes the store and the clients to them. Where their
// words differ, stored.go translates. Nothing here decides anything about a customer.
package app

import (
	"context"
	"net/http"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/clients/enhance"
	"github.com/stripe-enhance/stripe-enhance/clients/stripe"
	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/metrics"
	"github.com/stripe-enhance/stripe-enhance/internal/trace"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/server"
	"github.com/stripe-enhance/stripe-enhance/store"
)

// Process is what the parts get from the running process; everything else is in the
// configuration.
type Process struct {
	Now     func() time.Time
	Log     *logrus.Logger
	Owner   string // names this process in the lease, uniquely
	Person  string // names the person who gave the command, for the journal
	Version string
	// Printf writes one line to the person at the terminal, never to a script. nil: nowhere.
	Printf func(format string, args ...any)
	// Failpoint ends the process where a test asks for it; nil in every program that is
	// built without the tag failpoint.
	Failpoint func(step, what string)
	// Post takes the mails to customers in the place of the mail server that is set.
	// nil: nothing does.
	Post engine.Mailer
	// Simulated reaches both sides inside of this process. Requests then have no limit and
	// are repeated without waiting, because the simulated clock does not move meanwhile.
	// nil: the network.
	Simulated http.RoundTripper
}

// App is the parts. A field is nil if the command has not asked for that part.
type App struct {
	Process
	Config  *config.Config
	Store   *store.Store
	Stripe  *stripe.Client
	Enhance *enhance.Client

	// Adoption is for the page; nil: it has no view of it.
	Adoption func(*App) server.Adoption
	// OpenKey is that of server.Options.
	OpenKey string

	stripeSide, enhanceSide *side
	database                certificate      // of PostgreSQL
	metrics                 *metrics.Metrics // only in the service
	traces                  *trace.Traces    // nil: they are off
	progress                progress         // of the run at work, in the service
	tools                   *tools           // the same
}

// New holds the configuration and has no part yet: Connect and Open add them.
func New(c *config.Config, p Process) *App {
	if p.Printf == nil {
		p.Printf = func(string, ...any) {}
	}
	a := &App{Process: p, Config: c}
	a.noteSecrets()
	return a
}

// noteSecrets logs when the file of a secret has changed, and once when it cannot be used.
func (a *App) noteSecrets() {
	if a.Log == nil {
		return
	}
	for _, f := range a.Config.Files {
		f.Note(func(trouble bool, message string) {
			if level := a.Log.WithField("setting", f.Name()); trouble {
				level.Warn(message)
			} else {
				level.Info(message)
			}
		})
	}
}

// Connect makes a client for each side that is needed. It sends no request.
func (a *App) Connect(need config.Need) (err error) {
	if a.traces == nil {
		o := trace.Options{Endpoint: a.Config.TracesTo(), Headers: a.Config.CollectorHeaders, Version: a.Version, Log: a.Log}
		if a.traces, err = trace.New(context.Background(), o); err != nil {
			return err
		}
	}
	if need&config.NeedStripe != 0 {
		if err := a.connectStripe(); err != nil {
			return err
		}
	}
	if need&config.NeedEnhance != 0 {
		return a.connectEnhance()
	}
	return nil
}

// simulatedWait is the wait before a request is repeated in a simulated world.
const simulatedWait = time.Millisecond

func (a *App) connectStripe() (err error) {
	a.stripeSide = a.newSide("Stripe", float64(a.Config.StripeRPS))
	o := stripe.Options{
		Key:         a.Config.StripeKey,
		BaseURL:     a.Config.StripeURL.String(),
		Limiter:     a.stripeSide.limiter,
		Breaker:     a.stripeSide.breaker,
		Concurrency: a.Config.Concurrency,
		Log:         a.Log,
		Now:         a.Now,
		Observe:     a.observe(metrics.Stripe, a.stripeSide),
		Trace:       a.traces.Call(metrics.Stripe),
		Secured:     a.stripeSide.certificate.see,
		Took:        a.stripeSide.measure,
		Transport:   a.Simulated,
		ReadChanges: a.Config.UnpaidUpgrade == config.HoldUnpaidUpgrade,
	}
	if a.Simulated != nil {
		o.RetryMin, o.RetryMax = simulatedWait, simulatedWait
	}
	a.Stripe, err = stripe.New(o)
	return err
}

func (a *App) connectEnhance() (err error) {
	a.enhanceSide = a.newSide("Enhance", float64(a.Config.EnhanceRPS))
	o := enhance.Options{
		BaseURL:   a.Config.EnhanceURL.String(),
		Token:     a.Config.EnhanceToken,
		Org:       string(a.Config.EnhanceOrg),
		Limiter:   a.enhanceSide.limiter,
		Breaker:   a.enhanceSide.breaker,
		Log:       a.Log,
		Now:       a.Now,
		Observe:   a.observe(metrics.Enhance, a.enhanceSide),
		Trace:     a.traces.Call(metrics.Enhance),
		Secured:   a.enhanceSide.certificate.see,
		Took:      a.enhanceSide.measure,
		Transport: a.Simulated,
	}
	if a.Simulated != nil {
		o.ReadBackoff = simulatedWait
	}
	a.Enhance, err = enhance.New(o)
	return err
}

// Engine makes the engine for one run. progress is called as it goes on; it may be nil.
func (a *App) Engine(progress func(reconcile.Progress)) (*engine.Engine, error) {
	o := a.engineOptions()
	o.Progress = progress
	ports, err := a.ports()
	if err != nil {
		return nil, err
	}
	return engine.New(o, ports)
}

func (a *App) engineOptions() engine.Options {
	c := a.Config
	o := engine.Options{
		Policy:        c.Policy(),
		Brakes:        c.Brakes(),
		Settle:        c.SettleTime,
		RetryMin:      c.RetryMin,
		RetryMax:      c.RetryMax,
		LeaseTTL:      c.LeaseTTL,
		DriftInterval: c.DriftInterval,
		Concurrency:   c.Concurrency,
		Keep:          time.Duration(c.JournalKeep),
		Owner:         a.Owner,
		Now:           a.Now,
		Log:           a.Log,
		Failpoint:     a.Failpoint,
	}
	if a.traces != nil {
		o.Trace = a.traces
	}
	return o
}

// ports passes the store and the clients to the engine. Without a retention period, or in
// any mode but enforce, the engine has no Terminator, and so no means to delete anything.
func (a *App) ports() (engine.Ports, error) {
	ports := engine.Ports{
		Billing: a.Stripe, Account: a.Stripe,
		Panel: a.Enhance, OrgLister: a.Enhance, Owners: a.Enhance, Provisioner: a.Enhance, Websites: a.Enhance, Contents: a.Enhance, Backups: a.Enhance, Features: a.Stripe, Disputes: a.Stripe,
		Mirror: a.Store, Cursors: a.Store, Queue: a.Store, Timetable: a.Store, Journal: a.Store, Plans: a.Store, Inventory: a.Store, ContentStore: a.Store, BackupStore: a.Store,
		PlanStore: a.Store, FeatureStore: a.Store, DisputeStore: a.Store, History: a.Store, Evidence: a.Store, Withheld: a.Store, Existing: a.Store, Leases: a.Store, MailJournal: a.Store, Addressees: a.Stripe, Archive: a.Store,
	}
	if a.Config.Mode == reconcile.Enforce && a.Config.Retention > 0 {
		ports.Terminator = a.Enhance
	}
	m, err := a.Mailer()
	switch {
	case m != nil && a.Post != nil:
		ports.Mailer = a.Post
	case m != nil:
		ports.Mailer = mailer{m}
	}
	return ports, err
}

// Close sends the last spans and closes the database. The clients have nothing to close.
func (a *App) Close() error {
	a.traces.Close()
	if a.tools != nil {
		a.tools.close()
	}
	if a.Store == nil {
		return nil
	}
	return a.Store.Close()
}
