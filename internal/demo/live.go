package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/sync/errgroup"

	"github.com/stripe-enhance/stripe-enhance/internal/adoption"
	"github.com/stripe-enhance/stripe-enhance/internal/app"
	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// The demo's credentials open nothing but the demo.
const (
	adminKey      = "demo-admin-key-that-opens-only-the-demo"
	webhookSecret = "whsec_demo0signing0secret0of0the0demo"
	listenAddr    = "127.0.0.1:8080"
	// ControlAddr is where the controls of the simulated company listen by default.
	ControlAddr = "127.0.0.1:12111"
)

// lease is longer than any demo, because its clock jumps and no other process takes part.
const lease = 20 * 365 * 24 * time.Hour

// LiveOptions are how the service is shown.
type LiveOptions struct {
	Control string        // where the controls of the simulated company listen
	Step    time.Duration // how far the simulated clock moves each second
	// Environ and Flags are the settings of the process. The demo takes only the listening
	// addresses and the log settings from them, because it has its own keys.
	Environ []string
	Flags   map[string]string
	Version string
	Printf  func(format string, args ...any)
	Log     func(*config.Config) *logrus.Logger
}

// taken are the settings that the demo takes from its process.
var taken = []string{"LISTEN_ADDR", "METRICS_ADDR", "LOG_LEVEL", "LOG_FORMAT"}

// AddressError is an address at which the demo does not listen.
type AddressError struct{ Addr string }

func (e *AddressError) Error() string {
	return "LISTEN_ADDR=" + e.Addr + ": the demo listens on loopback only, because its admin key is public"
}

// Live runs the real service in front of the simulated company until ctx ends.
func Live(ctx context.Context, o LiveOptions) (err error) {
	dir, err := os.MkdirTemp("", "stripe-enhance-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	world := simulator.New(simulator.Options{Seed: 1, Follow: time.Now})
	servers, err := world.Listen(ctx, o.Control, "")
	if err != nil {
		return fmt.Errorf("--control-addr: %w", err)
	}
	defer func() { _ = servers.Close() }() // nothing is lost: it keeps nothing
	a, err := o.service(ctx, world, servers, filepath.Join(dir, "demo.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	t := timeline{world: world, customers: map[string]simulator.SignedUp{}}
	if err := errors.Join(t.begin(), t.oddities(), t.hold(ctx, a)); err != nil {
		return err
	}
	world.SetFault(refuses)
	o.Printf("controls of the simulated company: curl %s/_sim/", servers.StripeURL)
	o.Printf("admin key: %s", adminKey)
	o.Printf("the page, to be entered with one click: http://%s/", app.Reachable(string(a.Config.ListenAddr)))
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return fault.Guard(func() error { return a.Serve(ctx) }) })
	g.Go(func() error {
		return fault.Guard(func() error {
			return o.live(ctx, &t, "http://"+app.Reachable(string(a.Config.ListenAddr))+"/api/webhook")
		})
	})
	if err := g.Wait(); ctx.Err() == nil || !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// service is the same as that of the command serve, with the demo's settings.
func (o LiveOptions) service(ctx context.Context, world *simulator.World, servers *simulator.Servers, database string) (*app.App, error) {
	environ := []string{
		"STRIPE_API_URL=" + servers.StripeURL, "STRIPE_SECRET_KEY=" + world.StripeKey(), "STRIPE_WEBHOOK_SECRET=" + webhookSecret,
		"ENHANCE_API_URL=" + servers.EnhanceURL, "ENHANCE_API_TOKEN=" + world.EnhanceToken(), "ENHANCE_ORG_ID=" + world.OrgID(),
		"DATABASE_URL=sqlite:" + database, "ADMIN_API_KEY=" + adminKey, "LISTEN_ADDR=" + listenAddr,
		"STRIPE_RPS=1000", "ENHANCE_RPS=1000", "GRACE_PERIOD=12h",
		"NEW_CUSTOMERS_ONLY_AFTER=" + world.Now().Add(-opened).UTC().Format(time.RFC3339), // the library was there before
	}
	for _, kv := range o.Environ {
		if name, _, _ := strings.Cut(kv, "="); slices.Contains(taken, name) {
			environ = append(environ, kv)
		}
	}
	flags := map[string]string{}
	for _, name := range taken {
		if value, ok := o.Flags[name]; ok {
			flags[name] = value
		}
	}
	c, _, err := config.Load(config.Sources{Environ: environ, Flags: flags}, config.NeedStripe|config.NeedEnhance)
	if err != nil {
		return nil, err
	}
	if host, _, err := net.SplitHostPort(string(c.ListenAddr)); err != nil || !loopback(host) {
		return nil, &AddressError{string(c.ListenAddr)}
	}
	c.LeaseTTL = lease
	a := app.New(c, app.Process{Now: world.Now, Log: o.Log(c), Owner: "demo", Person: "demo", Version: o.Version, Printf: o.Printf})
	a.Adoption, a.OpenKey = adoption.NewService, adminKey
	if err := a.ConnectService(); err != nil {
		return nil, err
	}
	if err := a.Open(ctx, app.Place{IfMissing: app.Create}); err != nil {
		return nil, err
	}
	for price, plan := range world.Offer() {
		m := reconcile.Mapping{BillingID: price, Plan: strconv.Itoa(plan)}
		if err := a.Store.SetMapping(ctx, m, "demo", world.Now()); err != nil {
			return nil, errors.Join(err, a.Close())
		}
	}
	return a, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// live moves the clock every second, starts the next event, and delivers Stripe's webhooks.
func (o LiveOptions) live(ctx context.Context, t *timeline, url string) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		t.world.Advance(o.Step)
		line, err := t.next(n)
		if err != nil {
			return err
		}
		if line != "" {
			o.Printf("%s  %s", t.world.Now().Format("Mon 15:04"), line)
		}
		if _, err := t.world.DeliverWebhooks(ctx, url, webhookSecret, nil); err != nil {
			return err
		}
	}
}
