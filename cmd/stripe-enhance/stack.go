package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/clients/breaker"
	"github.com/stripe-enhance/stripe-enhance/clients/enhance"
	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
	"github.com/stripe-enhance/stripe-enhance/clients/stripe"
	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/store"
)

// parts are what a command is put together from. A field is nil when the command
// did not ask for it.
type parts struct {
	config  *config.Config
	log     *logrus.Logger
	store   *store.Store
	stripe  *stripe.Client
	enhance *enhance.Client
}

// database opens the store and brings it up to date.
func (p *program) database(ctx context.Context) (*parts, error) { return p.assemble(ctx, 0) }

// assemble builds what is needed, the database always. Configuration is checked
// as a whole before the first file or connection is opened.
func (p *program) assemble(ctx context.Context, need config.Need) (*parts, error) {
	c, err := p.settings(need)
	if err != nil {
		return nil, err
	}
	a := &parts{config: c, log: p.logger(c)}
	if err := a.clients(p, need); err != nil {
		return nil, err
	}
	if a.store, err = p.openStore(ctx, c); err != nil {
		return nil, err
	}
	return a, nil
}

// clients makes a client for each side that is needed. Making one contacts nobody.
func (a *parts) clients(p *program, need config.Need) (err error) {
	if need&config.NeedStripe != 0 {
		if a.stripe, err = a.newStripe(p.now); err != nil {
			return err
		}
	}
	if need&config.NeedEnhance != 0 {
		a.enhance, err = a.newEnhance(p.now)
	}
	return err
}

func (a *parts) newStripe(now func() time.Time) (*stripe.Client, error) {
	return stripe.New(stripe.Options{
		Key:         a.config.StripeKey,
		BaseURL:     a.config.StripeURL.String(),
		Limiter:     ratelimit.New(ratelimit.Options{RPS: float64(a.config.StripeRPS), Concurrency: a.config.Concurrency}),
		Breaker:     breaker.New("Stripe", now),
		Concurrency: a.config.Concurrency,
		Log:         a.log,
		Now:         now,
	})
}

func (a *parts) newEnhance(now func() time.Time) (*enhance.Client, error) {
	return enhance.New(enhance.Options{
		BaseURL: a.config.EnhanceURL.String(),
		Token:   a.config.EnhanceToken,
		Org:     string(a.config.EnhanceOrg),
		Limiter: ratelimit.New(ratelimit.Options{RPS: float64(a.config.EnhanceRPS), Concurrency: a.config.Concurrency}),
		Breaker: breaker.New("Enhance", now),
		Log:     a.log,
		Now:     now,
	})
}

// openStore opens the database and, where that is allowed, makes and migrates it.
func (p *program) openStore(ctx context.Context, c *config.Config) (*store.Store, error) {
	s, err := p.openExisting(ctx, c)
	if err != nil || s == nil {
		return p.standIn(ctx, c, err)
	}
	if err := migrated(ctx, s, c.AutoMigrate); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	risks, err := s.Durability(ctx)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	for _, r := range risks {
		p.sayf("warning: the database's server has %s: %s; %s", r.Setting, r.Harm, r.Remedy)
	}
	return s, nil
}

func migrated(ctx context.Context, s *store.Store, auto bool) error {
	if auto {
		_, err := s.Migrate(ctx, false)
		return err
	}
	pending, err := s.Pending(ctx)
	if err == nil && len(pending) > 0 {
		err = fmt.Errorf("the database lacks %d migrations and AUTO_MIGRATE is false: run `stripe-enhance migrate` (with --dry-run to see them first)", len(pending))
	}
	return err
}

func (a *parts) close() error {
	if a.store == nil {
		return nil
	}
	return a.store.Close()
}

// engine puts the parts together. Without a retention period, or in any mode but
// enforce, there is no wire by which anything could be deleted.
func (a *parts) engine(p *program, progress func(reconcile.Progress)) (*engine.Engine, error) {
	c := a.config
	options := engine.Options{
		Policy:        c.Policy(),
		Brakes:        c.Brakes(),
		Settle:        c.SettleTime,
		RetryMin:      c.RetryMin,
		RetryMax:      c.RetryMax,
		LeaseTTL:      c.LeaseTTL,
		DriftInterval: c.DriftInterval,
		Concurrency:   c.Concurrency,
		Owner:         p.owner(),
		Now:           p.now,
		Log:           a.log,
		Progress:      progress,
		Failpoint:     p.failpoint,
	}
	return engine.New(options, a.ports(c.Mode == reconcile.Enforce && c.Retention > 0))
}

func (a *parts) ports(terminates bool) engine.Ports {
	ports := engine.Ports{
		Billing: a.stripe, Account: a.stripe,
		Panel: a.enhance, OrgLister: a.enhance, Owners: a.enhance, Provisioner: a.enhance, Websites: a.enhance, Contents: a.enhance,
		Mirror: a.store, Cursors: a.store, Queue: a.store, Timetable: a.store, Journal: a.store, Plans: a.store, Inventory: a.store, ContentStore: a.store,
		PlanStore: a.store, History: a.store, Evidence: a.store, Withheld: a.store, Existing: a.store, Leases: a.store,
	}
	if terminates {
		ports.Terminator = a.enhance
	}
	return ports
}

// owner names this process in the lease: for people first, unique second.
func (p *program) owner() string {
	return fmt.Sprintf("%s (pid %d, %06x)", p.person(), os.Getpid(), rand.Uint32()&0xffffff)
}
