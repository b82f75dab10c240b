package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"syscall"
	"time"

	"github.com/robfig/cron/v3"
	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"

	"github.com/stripe-enhance/stripe-enhance/clients/stripe"
	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/metrics"
	"github.com/stripe-enhance/stripe-enhance/internal/notify"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/server"
)

// ConnectService makes both clients, and counts their requests for the metrics.
func (a *App) ConnectService() error {
	a.metrics = metrics.New(a.Version)
	return a.Connect(config.NeedStripe | config.NeedEnhance)
}

// Serve runs the service until ctx ends. It needs the database and ConnectService.
func (a *App) Serve(ctx context.Context) error {
	messages, err := notify.New(a.Config.NotifyURLs, a.Log)
	if err != nil {
		return config.Problems{{Name: "NOTIFY_URLS", Wrong: err.Error()}}
	}
	defer messages.Close()
	o := &observer{App: a, messages: messages}
	loop, err := a.loop(o)
	if err != nil {
		return err
	}
	s, err := a.server(loop, o)
	if err != nil {
		return err
	}
	a.watchState(loop)
	return a.listen(ctx, loop, s)
}

// loop is the engine with its schedules.
func (a *App) loop(o *observer) (*server.Loop, error) {
	poll, err := cron.ParseStandard(string(a.Config.PollSchedule))
	if err != nil {
		return nil, fmt.Errorf("POLL_SCHEDULE: %w", err)
	}
	full, err := cron.ParseStandard(string(a.Config.FullSchedule))
	if err != nil {
		return nil, fmt.Errorf("FULL_SCHEDULE: %w", err)
	}
	r := &runner{}
	options := a.engineOptions()
	ports, err := a.ports()
	if err != nil {
		return nil, err
	}
	options.KeepLease = true
	ports.History = &beginnings{History: ports.History, runner: r}
	ports.Inventory = &driftCounter{Inventory: ports.Inventory, found: a.metrics.Drift}
	var loop *server.Loop
	options.Ready = func() { loop.Serve() }
	if r.engine, err = engine.New(options, ports); err != nil {
		return nil, err
	}
	flows := a.Config.Concurrency
	if a.Config.Policy().Mode == reconcile.Observe {
		flows = 0 // nothing is done for anybody
	}
	loop = server.NewLoop(server.LoopOptions{Poll: poll, Full: full, Flows: flows, Now: a.Now, Log: a.Log, Observer: o}, r, a.Store, a.Store)
	return loop, nil
}

func (a *App) server(loop *server.Loop, o *observer) (*server.Server, error) {
	options := server.Options{
		Loop: loop, Nudges: a.Store, History: a.Store, Plans: a.Store, Holds: a.Store,
		Mappings: storedMappings{a}, Journal: a.Store, Customers: storedCustomers{a}, Overview: storedOverview{a.Store},
		Stripe: a.askStripe, Enhance: a.askEnhance, Answered: a.answered,
		AdminKeys: a.Config.AdminKeys, SupportKeys: a.Config.SupportKeys, TrustedProxies: a.Config.TrustedProxies, Observer: o, Version: a.Version, Now: a.Now, Log: a.Log,
	}
	if secrets := []secret.Text(a.Config.WebhookSecrets); len(secrets) > 0 {
		options.Verify = func(body []byte, signature string, now time.Time) (reconcile.Event, error) {
			return stripe.VerifyWebhook(body, signature, secrets, now)
		}
	}
	if a.Config.MetricsAddr == "" {
		options.Metrics = a.metrics.Handler()
	}
	return server.New(options)
}

// listen opens the sockets, prints their addresses, and works until ctx ends or one part
// fails. Then the other parts end too.
func (a *App) listen(ctx context.Context, loop *server.Loop, s *server.Server) error {
	var lc net.ListenConfig
	main, err := lc.Listen(ctx, "tcp", string(a.Config.ListenAddr))
	if err != nil {
		return cannotListen("LISTEN_ADDR", string(a.Config.ListenAddr), err)
	}
	var side net.Listener
	if a.Config.MetricsAddr != "" {
		if side, err = lc.Listen(ctx, "tcp", string(a.Config.MetricsAddr)); err != nil {
			return errors.Join(cannotListen("METRICS_ADDR", string(a.Config.MetricsAddr), err), main.Close())
		}
	}
	a.announce(main, side)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(guarded(func() error { return loop.Work(ctx) }))
	g.Go(guarded(func() error { return s.Serve(ctx, main) }))
	g.Go(guarded(func() error { a.watchQuota(ctx); return nil }))
	if side != nil {
		g.Go(guarded(func() error { return server.ServeMetrics(ctx, side, a.metrics.Handler(), a.Log) }))
	}
	err = g.Wait()
	a.Log.Info("stopped")
	return err
}

// guarded is f for a goroutine. A panic in it ends the service like any error of f, and
// not with the runtime's message, which shows the value of the panic.
func guarded(f func() error) func() error {
	return func() error { return fault.Guard(f) }
}

// announce prints where the service listens, and which parts of it are off because they
// are not configured.
func (a *App) announce(main, side net.Listener) {
	fields := logrus.Fields{"listen": main.Addr().String(), "mode": a.Config.Mode.String(), "version": a.Version,
		"webhook": len(a.Config.WebhookSecrets) > 0, "admin": len(a.Config.AdminKeys) > 0, "support": len(a.Config.SupportKeys) > 0}
	if side != nil {
		fields["metrics"] = side.Addr().String()
	}
	a.Log.WithFields(fields).Info("serving")
	a.Printf("serving on http://%s", main.Addr())
	if len(a.Config.WebhookSecrets) == 0 {
		a.Printf("no STRIPE_WEBHOOK_SECRET: changes are found by polling (%s)", a.Config.PollSchedule)
	}
	if len(a.Config.AdminKeys)+len(a.Config.SupportKeys) == 0 {
		a.Printf("no ADMIN_API_KEY: there is no admin API")
	}
}

// watchState adds the metrics that are read at each scrape.
func (a *App) watchState(loop *server.Loop) {
	a.metrics.Watch(metrics.Sources{
		State:   a.state,
		Rates:   map[string]func() float64{metrics.Stripe: a.stripeSide.limiter.Rate, metrics.Enhance: a.enhanceSide.limiter.Rate},
		Granted: map[string]map[string]func() float64{metrics.Stripe: a.stripeSide.granted(), metrics.Enhance: a.enhanceSide.granted()},
		Open:    map[string]func() error{metrics.Stripe: a.stripeSide.breaker.Open, metrics.Enhance: a.enhanceSide.breaker.Open},
		Leading: loop.Leading,
		Now:     a.Now,
	})
}

// cannotListen adds what to do if this process cannot listen at an address.
func cannotListen(setting, address string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s: another process listens at %s (ss -ltnp shows which): end that one, or choose another address", setting, address)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: this user may not listen at %s: choose a port from 1024 on, with a proxy in front", setting, address)
	}
	return fmt.Errorf("%s: %w", setting, err)
}

// Reachable is where a listening address can be called from the same machine.
func Reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return address
}
