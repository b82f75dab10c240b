package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/metrics"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

const demoServeLong = `

With --serve the real service (see serve -h) runs in front of the simulated company
instead, time moving five minutes a second, until Ctrl-C: customers come, fail to
pay, pay, upgrade and leave, and every address of the API can be tried.`

// The demo's credentials open nothing but the demo.
const (
	demoAdminKey      = "demo-admin-key-that-opens-only-the-demo"
	demoWebhookSecret = "whsec_demo0signing0secret0of0the0demo" //nolint:gosec // of a simulator on loopback
	demoListenAddr    = "127.0.0.1:8080"
	demoControlAddr   = "127.0.0.1:12111"
)

// demoLease is longer than any demo: its clock jumps, and nobody else is there.
const demoLease = 20 * 365 * 24 * time.Hour

// withServe adds --serve to the demo.
func (p *program) withServe(c *cobra.Command) *cobra.Command {
	d := &servedDemo{program: p}
	var serve bool
	play := c.RunE
	c.Flags().BoolVar(&serve, "serve", false, "run the real service in front of the simulated company, to try the API against")
	c.Flags().StringVar(&d.control, "control-addr", demoControlAddr, "with --serve: where the controls of the simulated company listen")
	c.Flags().DurationVar(&d.step, "step", 5*time.Minute, "with --serve: how far the simulated clock moves each second")
	c.Long += demoServeLong
	c.Example += "\n  stripe-enhance demo --serve"
	c.RunE = func(c *cobra.Command, args []string) error {
		if !serve {
			return play(c, args)
		}
		d.command = c.CommandPath()
		return d.run(c.Context())
	}
	return c
}

// servedDemo is the simulated company behind the real service.
type servedDemo struct {
	*program
	control string
	step    time.Duration
	command string

	world *simulator.World
	tale  tale
}

func (d *servedDemo) run(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "stripe-enhance-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	d.world = simulator.New(simulator.Options{Seed: 1, Follow: time.Now})
	servers, err := d.world.Listen(ctx, d.control, "")
	if err != nil {
		return fmt.Errorf("--control-addr: %w", err)
	}
	defer func() { _ = servers.Close() }() // nothing is lost: it keeps nothing
	a, err := d.parts(ctx, servers, filepath.Join(dir, "demo.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	d.tale = tale{world: d.world, customers: map[string]simulator.SignedUp{}}
	if err := d.tale.begin(); err != nil {
		return err
	}
	d.sayf("controls of the simulated company: curl %s/_sim/", servers.StripeURL)
	d.sayf("admin key: %s", demoAdminKey)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(guarded(func() error { return d.serve(ctx, a) }))
	g.Go(guarded(func() error { return d.live(ctx, "http://"+reachable(string(a.config.ListenAddr))+"/api/webhook") }))
	if err := g.Wait(); ctx.Err() == nil || !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// parts are those of serve, on the demo's settings. Of the real settings only
// where to listen and how to log are taken.
func (d *servedDemo) parts(ctx context.Context, servers *simulator.Servers, database string) (*serviceParts, error) {
	environ := []string{
		"STRIPE_API_URL=" + servers.StripeURL, "STRIPE_SECRET_KEY=" + d.world.StripeKey(), "STRIPE_WEBHOOK_SECRET=" + demoWebhookSecret,
		"ENHANCE_API_URL=" + servers.EnhanceURL, "ENHANCE_API_TOKEN=" + d.world.EnhanceToken(), "ENHANCE_ORG_ID=" + d.world.OrgID(),
		"DATABASE_URL=sqlite:" + database, "ADMIN_API_KEY=" + demoAdminKey, "LISTEN_ADDR=" + demoListenAddr,
		"STRIPE_RPS=1000", "ENHANCE_RPS=1000", "GRACE_PERIOD=12h",
	}
	for _, kv := range d.environ {
		if name, _, _ := strings.Cut(kv, "="); name == "LISTEN_ADDR" || name == "METRICS_ADDR" || name == "LOG_LEVEL" || name == "LOG_FORMAT" {
			environ = append(environ, kv)
		}
	}
	c, _, err := config.Load(config.Sources{Environ: environ, Flags: d.servable()}, config.NeedStripe|config.NeedEnhance)
	if err != nil {
		return nil, err
	}
	if host, _, err := net.SplitHostPort(string(c.ListenAddr)); err != nil || !loopbackHost(host) {
		return nil, &usageError{fmt.Errorf("LISTEN_ADDR=%s: the demo's key is known to everybody, so it listens on loopback only", c.ListenAddr), d.command}
	}
	a := &serviceParts{parts: parts{config: c, log: d.logger(c)}, now: d.world.Now, owner: "demo", leaseTTL: demoLease, version: versionOf().Version}
	a.metrics = metrics.New(a.version)
	if err := a.connect(); err != nil {
		return nil, err
	}
	if a.store, err = d.openStore(ctx, c); err != nil {
		return nil, err
	}
	for price, plan := range d.world.Offer() {
		m := reconcile.Mapping{BillingID: price, Plan: strconv.Itoa(plan)}
		if err := a.store.SetMapping(ctx, m, "demo", d.world.Now()); err != nil {
			return nil, errors.Join(err, a.close())
		}
	}
	return a, nil
}

// servable are the flags that mean something to the demo.
func (d *servedDemo) servable() map[string]string {
	flags := map[string]string{}
	for _, name := range []string{"LISTEN_ADDR", "METRICS_ADDR", "LOG_LEVEL", "LOG_FORMAT"} {
		if value, ok := d.flags[name]; ok {
			flags[name] = value
		}
	}
	return flags
}

func loopbackHost(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// live lets a simulated life pass: every second the clock moves, something
// happens, and Stripe tells of it by webhook.
func (d *servedDemo) live(ctx context.Context, url string) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		d.world.Advance(d.step)
		if said, err := d.tale.next(n); err != nil {
			return err
		} else if said != "" {
			d.sayf("%s  %s", d.world.Now().Format("Mon 15:04"), said)
		}
		if _, err := d.world.DeliverWebhooks(ctx, url, demoWebhookSecret, nil); err != nil {
			return err
		}
	}
}
