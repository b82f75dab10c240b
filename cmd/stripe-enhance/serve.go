package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/robfig/cron/v3"
	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/metrics"
	"github.com/stripe-enhance/stripe-enhance/internal/notify"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/server"
)

const serveLong = `Runs the reconciler as a service: on POLL_SCHEDULE what changed, on FULL_SCHEDULE
everything, and at once when a webhook, the admin API or another replica asks for
it. Several replicas may share one PostgreSQL: one of them works, the others answer
HTTP and take over when it dies.

It answers on LISTEN_ADDR: /api/health, /metrics, /api/webhook when
STRIPE_WEBHOOK_SECRET is set, and /api/admin/… when ADMIN_API_KEY is set; all of it
is described by /api/openapi.json.

SIGTERM or Ctrl-C ends it: nothing new is begun, the action in hand is finished and
recorded, the lease is given back. A second one ends it at once. Exit code 0: ended
so. 1: it could not start or go on. 2: usage or configuration.`

func (p *program) serveCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "serve",
		Short:   "The service: schedules, webhook, admin API, metrics",
		Long:    serveLong,
		GroupID: groupRun,
		Example: "  stripe-enhance serve\n" +
			"  ADMIN_API_KEY=\"$(openssl rand -hex 32)\" STRIPE_WEBHOOK_SECRET=whsec_… stripe-enhance serve\n" +
			"  stripe-enhance serve --listen-addr 127.0.0.1:8080 --poll-schedule '@every 5m' --trusted-proxies 10.0.0.0/8",
		RunE: func(c *cobra.Command, _ []string) error {
			a, err := p.serviceParts(c.Context())
			if err != nil {
				return err
			}
			return errors.Join(p.serve(c.Context(), a), a.close())
		},
	}
}

// serve puts the service together and runs it until ctx ends.
func (p *program) serve(ctx context.Context, a *serviceParts) error {
	messages, err := notify.New(a.config.NotifyURLs, a.log)
	if err != nil {
		return &usageError{err, "stripe-enhance serve"}
	}
	defer messages.Close()
	w := &watcher{serviceParts: a, messages: messages}
	loop, err := a.loop(w)
	if err != nil {
		return err
	}
	s, err := a.server(loop, w)
	if err != nil {
		return err
	}
	a.watchState(loop)
	return a.listen(ctx, p.sayf, loop, s)
}

// loop is the engine with its schedules.
func (a *serviceParts) loop(w *watcher) (*server.Loop, error) {
	poll, err := cron.ParseStandard(string(a.config.PollSchedule))
	if err != nil {
		return nil, fmt.Errorf("POLL_SCHEDULE: %w", err)
	}
	full, err := cron.ParseStandard(string(a.config.FullSchedule))
	if err != nil {
		return nil, fmt.Errorf("FULL_SCHEDULE: %w", err)
	}
	r := &runner{}
	ports := a.ports(a.terminates())
	ports.History = &beginnings{History: ports.History, runner: r}
	ports.Inventory = &driftCounter{Inventory: ports.Inventory, found: a.metrics.Drift}
	if r.engine, err = engine.New(a.engineOptions(), ports); err != nil {
		return nil, err
	}
	return server.NewLoop(server.LoopOptions{Poll: poll, Full: full, Now: a.now, Log: a.log, Observer: w}, r, a.store, a.store), nil
}

func (a *serviceParts) server(loop *server.Loop, w *watcher) (*server.Server, error) {
	o := server.Options{
		Loop: loop, Nudges: a.store, History: a.store, Plans: a.store, Holds: a.store,
		Mappings: storedMappings{a}, Journal: a.store, Customers: storedCustomers{a}, Overview: storedOverview{a.store},
		Stripe: a.askStripe, Enhance: a.askEnhance, Answered: a.answered,
		AdminKeys: a.config.AdminKeys, TrustedProxies: a.config.TrustedProxies, Observer: w, Version: a.version, Now: a.now, Log: a.log,
	}
	if secrets := []secret.Text(a.config.WebhookSecrets); len(secrets) > 0 {
		o.Verify = verifier(secrets)
	}
	if a.config.MetricsAddr == "" {
		o.Metrics = a.metrics.Handler()
	}
	return server.New(o)
}

// listen opens the sockets, says where, and works until ctx ends or one part
// fails; then the others end too.
func (a *serviceParts) listen(ctx context.Context, say func(string, ...any), loop *server.Loop, s *server.Server) error {
	var lc net.ListenConfig
	main, err := lc.Listen(ctx, "tcp", string(a.config.ListenAddr))
	if err != nil {
		return unheard("LISTEN_ADDR", string(a.config.ListenAddr), err)
	}
	var side net.Listener
	if a.config.MetricsAddr != "" {
		if side, err = lc.Listen(ctx, "tcp", string(a.config.MetricsAddr)); err != nil {
			return errors.Join(unheard("METRICS_ADDR", string(a.config.MetricsAddr), err), main.Close())
		}
	}
	a.announce(say, main, side)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(guarded(func() error { return loop.Work(ctx) }))
	g.Go(guarded(func() error { return s.Serve(ctx, main) }))
	if side != nil {
		g.Go(guarded(func() error { return server.ServeMetrics(ctx, side, a.metrics.Handler(), a.log) }))
	}
	err = g.Wait()
	a.log.Info("stopped")
	return err
}

// guarded is f for a goroutine. A panic ends the service like any error of f, and not
// with the runtime's own words, which show the value.
func guarded(f func() error) func() error {
	return func() error { return fault.Guard(f) }
}

// announce says where the service is to be found, and what of it is not there
// because nothing was configured.
func (a *serviceParts) announce(say func(string, ...any), main, side net.Listener) {
	fields := logrus.Fields{"listen": main.Addr().String(), "mode": a.config.Mode.String(), "version": a.version,
		"webhook": len(a.config.WebhookSecrets) > 0, "admin": len(a.config.AdminKeys) > 0}
	if side != nil {
		fields["metrics"] = side.Addr().String()
	}
	a.log.WithFields(fields).Info("serving")
	say("serving on http://%s", main.Addr())
	if len(a.config.WebhookSecrets) == 0 {
		say("no STRIPE_WEBHOOK_SECRET: changes are found by polling (%s)", a.config.PollSchedule)
	}
	if len(a.config.AdminKeys) == 0 {
		say("no ADMIN_API_KEY: there is no admin API")
	}
}

// watchState adds to the metrics what is read at each scrape.
func (a *serviceParts) watchState(loop *server.Loop) {
	a.metrics.Watch(metrics.Sources{
		State:   a.state,
		Rates:   map[string]func() float64{metrics.Stripe: a.stripeLimiter.Rate, metrics.Enhance: a.enhanceLimiter.Rate},
		Open:    map[string]func() error{metrics.Stripe: a.stripeBreaker.Open, metrics.Enhance: a.enhanceBreaker.Open},
		Leading: loop.Leading,
		Now:     a.now,
	})
}

// serviceParts assembles everything that the service needs.
func (p *program) serviceParts(ctx context.Context) (*serviceParts, error) {
	c, err := p.settings(config.NeedStripe | config.NeedEnhance)
	if err != nil {
		return nil, err
	}
	a := &serviceParts{parts: parts{config: c, log: p.logger(c)}, now: p.now, owner: p.owner(), leaseTTL: c.LeaseTTL, version: versionOf().Version}
	if c.AppVersion != "" {
		a.version = c.AppVersion
	}
	a.metrics = metrics.New(a.version)
	if err := a.connect(); err != nil {
		return nil, err
	}
	if a.store, err = p.openStore(ctx, c); err != nil {
		return nil, err
	}
	return a, nil
}
