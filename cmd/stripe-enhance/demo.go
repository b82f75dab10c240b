package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"

	"github.com/stripe-enhance/stripe-enhance/clients/enhance"
	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
	"github.com/stripe-enhance/stripe-enhance/clients/stripe"
	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
	"github.com/stripe-enhance/stripe-enhance/store"
)

const demoLong = `Plays the week of a hosting company: customers sign up, fail to pay, come back,
upgrade, cancel; the panel loses an answer; somebody makes a mistake with many at
once. Everything is real but Stripe and Enhance, which are simulated in this
process, and the clock, which runs faster: no key, no network, no server.

After each step the story is compared with what the simulators really did. Exit
code 0: all of it is true. 1: it is not.`

func (p *program) demoCommand() *cobra.Command {
	var d demo
	c := &cobra.Command{
		Use:     "demo",
		Short:   "A hosting company's week in seconds, without keys, network or server",
		Long:    demoLong,
		GroupID: groupTry,
		Example: "  stripe-enhance demo\n" +
			"  stripe-enhance demo --speed 1s\n" +
			"  stripe-enhance demo --keep /tmp/demo && sqlite3 /tmp/demo/demo.db 'SELECT * FROM actions'",
		RunE: func(c *cobra.Command, _ []string) error {
			d.program = p
			return d.run(c.Context())
		},
	}
	c.Flags().DurationVar(&d.speed, "speed", 0, "pause between the scenes, for reading along on a terminal")
	c.Flags().StringVar(&d.keep, "keep", "", "keep the database in this directory")
	c.Flags().Uint64Var(&d.seed, "seed", 1, "chooses the ids and delays of the simulated world")
	return c
}

// demo is the command. What it plays on is a stage.
type demo struct {
	*program
	speed time.Duration
	keep  string
	seed  uint64
}

func (d *demo) run(ctx context.Context) (err error) {
	dir, remove, err := d.directory()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	s, err := d.stage(ctx, filepath.Join(dir, "demo.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.store.Close()) }()
	told := &telling{demo: d}
	if err := told.open(); err != nil {
		return err
	}
	for _, scene := range story() {
		if err := s.play(ctx, scene, told); err != nil {
			return fmt.Errorf("scene %q: %w", scene.says, err)
		}
		if err := d.pause(ctx); err != nil {
			return err
		}
	}
	return told.close(s)
}

// directory is where the database is: the one to keep, or one that is removed.
func (d *demo) directory() (dir string, remove func() error, err error) {
	if d.keep == "" {
		dir, err = os.MkdirTemp("", "stripe-enhance-demo-")
		return dir, func() error { return os.RemoveAll(dir) }, err
	}
	if err := os.MkdirAll(d.keep, 0o700); err != nil {
		return "", nil, err
	}
	if _, err := os.Stat(filepath.Join(d.keep, "demo.db")); err == nil {
		return "", nil, fmt.Errorf("%s holds the database of an earlier demo: remove it, or choose another directory with --keep", d.keep)
	}
	return d.keep, func() error { return nil }, nil
}

// pause is for readers; a pipe never waits.
func (d *demo) pause(ctx context.Context) error {
	if d.speed <= 0 || !d.terminalOut {
		return ctx.Err()
	}
	t := time.NewTimer(d.speed)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stage is the simulated company with the real program beside it.
type stage struct {
	world  *simulator.World
	store  *store.Store
	engine *engine.Engine
	orders map[string]simulator.SignedUp // by the customer's word in the story
	lose   map[string]bool               // routes whose next answer is lost
	runs   int
}

// demoGrace and the other settings are the defaults, apart from the waits that
// would be real time.
func (d *demo) stage(ctx context.Context, path string) (*stage, error) {
	s := &stage{
		world:  simulator.New(simulator.Options{Seed: d.seed}),
		orders: map[string]simulator.SignedUp{},
		lose:   map[string]bool{},
	}
	s.world.SetFault(s.fault)
	billing, panel, err := s.clients()
	if err != nil {
		return nil, err
	}
	if s.store, err = store.Open(ctx, store.Options{URL: secret.New("sqlite:" + path)}); err != nil {
		return nil, err
	}
	if _, err := s.store.Migrate(ctx, false); err != nil {
		return nil, errors.Join(err, s.store.Close())
	}
	defaults, _, err := config.Load(config.Sources{}, 0)
	if err != nil {
		return nil, errors.Join(err, s.store.Close())
	}
	p := parts{stripe: billing, enhance: panel, store: s.store, config: defaults, log: silent()}
	s.engine, err = engine.New(engine.Options{
		Policy: defaults.Policy(), Brakes: defaults.Brakes(), Settle: defaults.SettleTime,
		RetryMin: defaults.RetryMin, RetryMax: defaults.RetryMax, LeaseTTL: defaults.LeaseTTL,
		DriftInterval: defaults.DriftInterval, Concurrency: 1, Owner: "demo", Now: s.world.Now, Log: p.log,
	}, p.ports(false))
	if err != nil {
		return nil, errors.Join(err, s.store.Close())
	}
	return s, nil
}

// clients speak to the simulators in this process. Their waits are real time, so
// they are as short as they can be; nothing else differs from production.
func (s *stage) clients() (*stripe.Client, *enhance.Client, error) {
	unlimited := func() *ratelimit.Limiter { return ratelimit.New(ratelimit.Options{RPS: math.Inf(1)}) }
	billing, err := stripe.New(stripe.Options{
		Key: secret.New(s.world.StripeKey()), BaseURL: "http://" + simulator.StripeHost, Transport: s.world.Transport(),
		Limiter: unlimited(), RetryMin: time.Millisecond, RetryMax: time.Millisecond, Now: s.world.Now,
	})
	if err != nil {
		return nil, nil, err
	}
	panel, err := enhance.New(enhance.Options{
		BaseURL: "http://" + simulator.EnhanceHost + "/api", Token: secret.New(s.world.EnhanceToken()), Org: s.world.OrgID(),
		Transport: s.world.Transport(), Limiter: unlimited(), ReadBackoff: time.Millisecond, Now: s.world.Now,
	})
	return billing, panel, err
}

func silent() *logrus.Logger {
	log := logrus.New()
	log.SetLevel(logrus.PanicLevel)
	return log
}

// fault replaces the world's own faults by those of the story, so that the story
// is the same each time. Late events, small pages and strange fields stay.
func (s *stage) fault(c simulator.Call) simulator.Fault {
	if s.lose[c.Route] {
		delete(s.lose, c.Route)
		return simulator.Unheard(502)
	}
	return simulator.Fault{Honest: true}
}

// between is how far the clock moves between two runs of a scene: past the delay
// with which events become visible, and past the settling time of a lost answer.
const between = 2 * time.Minute

// mostRuns bounds a scene; the longest takes five.
const mostRuns = 12

// play lets something happen, lets the program work until nothing is left to do,
// and compares.
func (s *stage) play(ctx context.Context, sc scene, told *telling) error {
	s.world.Advance(sc.after)
	if err := told.begin(s.world.Now(), sc.says); err != nil {
		return err
	}
	if sc.do != nil {
		if err := sc.do(ctx, s); err != nil {
			return err
		}
	}
	for n := 0; ; n++ {
		if n == mostRuns {
			return fmt.Errorf("not at rest after %d runs", mostRuns)
		}
		s.world.Advance(between)
		r, err := s.engine.Run(ctx, engine.Request{Trigger: "demo"})
		if err != nil {
			return err
		}
		s.runs++
		if err := told.run(s, r); err != nil {
			return err
		}
		rest, err := s.atRest(ctx, r)
		if err != nil {
			return err
		}
		if rest {
			break
		}
	}
	return told.end(s, sc.then)
}

// atRest reports whether the next run would do nothing that this one did not:
// all that is left waits for a person.
func (s *stage) atRest(ctx context.Context, r reconcile.Report) (bool, error) {
	waiting := map[string]bool{}
	for _, p := range r.Plans {
		for _, a := range p.Actions {
			waiting[a.ID] = p.Approved.IsZero()
		}
	}
	for _, a := range r.Actions {
		if a.State != reconcile.ActionSuperseded && !waiting[a.ID] {
			return false, nil
		}
	}
	counts, err := s.store.Counts(ctx)
	return counts.Ambiguous == 0, err
}

var errUntrue = errors.New("the story and what the simulators really did disagree; see the lines marked ✗")

// tryYourself is the last screen.
const tryYourself = `
Try it with your own Stripe test key and panel. It only looks, until you set MODE:

  export STRIPE_SECRET_KEY=rk_test_…        # Stripe › Developers › API keys, test mode
  export ENHANCE_API_URL=https://panel.example.com
  export ENHANCE_API_TOKEN=…                # of the organisation that sells
  export ENHANCE_ORG_ID=…                   # its UUID
  export MODE=observe

  stripe-enhance check                      # is everything there? what is missing?
  stripe-enhance mappings suggest           # which price buys which plan?
  stripe-enhance plan                       # what would happen, and why
  MODE=enforce stripe-enhance reconcile     # do it

Without a panel: stripe-enhance simulate
`
