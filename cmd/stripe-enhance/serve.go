package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/stripe-enhance/stripe-enhance/internal/adoption"
	"github.com/stripe-enhance/stripe-enhance/internal/app"
	"github.com/stripe-enhance/stripe-enhance/internal/config"
)

const serveLong = `Runs the reconciler as a service: the changes on POLL_SCHEDULE, everything on
FULL_SCHEDULE, and immediately when a webhook, the admin API or another replica asks
for it. Several replicas may share one PostgreSQL: one of them works, the others
answer HTTP and take over when it dies.

It answers on LISTEN_ADDR: /api/health, /metrics, /api/webhook when
STRIPE_WEBHOOK_SECRET is set, and /api/admin/… when ADMIN_API_KEY is set; all of it
is described by /api/openapi.json.

SIGTERM or Ctrl-C ends it: it begins nothing new, finishes and records the action in
hand, and releases the lease. A second one ends it immediately. Exit code 0: it ended
in this way. 1: it could not start or go on. 2: usage or configuration.`

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
			a, err := p.service(c.Context())
			if err != nil {
				return err
			}
			return errors.Join(a.Serve(c.Context()), a.Close())
		},
	}
}

// service makes every part that the service needs.
func (p *program) service(ctx context.Context) (*app.App, error) {
	c, err := p.settings(config.NeedStripe | config.NeedEnhance)
	if err != nil {
		return nil, err
	}
	a := p.newApp(c)
	a.Adoption = adoption.NewService
	if err := a.ConnectService(); err != nil {
		return nil, err
	}
	return a, a.Open(ctx, p.place())
}
