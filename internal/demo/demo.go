// Package demo plays a simulated hosting company with the real program beside it. Play plays
// a week, and compares the simulators with the story after each scene. Live runs the real
// service in front of a company that goes on until ctx ends.
//
// Only Stripe, Enhance and the clock are simulated. The demo needs no key, no network and no
// server.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/internal/app"
	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// Options are how the week is played.
type Options struct {
	Out   io.Writer
	JSON  bool // one document at the end, instead of lines
	Style report.Style
	Pause time.Duration // between two scenes; 0: none
	Keep  string        // keeps the database in this directory; "": it is removed
	Seed  uint64        // chooses the ids and delays of the simulated world
}

// Play plays the week. The error is ErrUntrue if a scene did not end as it should.
func Play(ctx context.Context, o Options) (err error) {
	dir, remove, err := directory(o.Keep)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, remove()) }()
	s, err := newStage(ctx, filepath.Join(dir, "demo.db"), o.Seed)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.app.Close()) }()
	out := &output{Options: o}
	if err := out.open(); err != nil {
		return err
	}
	for _, scene := range story() {
		if err := s.play(ctx, scene, out); err != nil {
			return fmt.Errorf("scene %q: %w", scene.title, err)
		}
		if err := pause(ctx, o.Pause); err != nil {
			return err
		}
	}
	return out.close(s)
}

// directory is where the database is: the one to keep, or a new one that is removed.
func directory(keep string) (dir string, remove func() error, err error) {
	if keep == "" {
		dir, err = os.MkdirTemp("", "stripe-enhance-demo-")
		return dir, func() error { return os.RemoveAll(dir) }, err
	}
	if err := os.MkdirAll(keep, 0o700); err != nil {
		return "", nil, err
	}
	if _, err := os.Stat(filepath.Join(keep, "demo.db")); err == nil {
		return "", nil, fmt.Errorf("%s holds the database of an earlier demo: remove it, or choose another directory with --keep", keep)
	}
	return keep, func() error { return nil }, nil
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
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
	app    *app.App
	engine *engine.Engine
	orders map[string]simulator.SignedUp // by the customer's name in the story
	lose   map[string]bool               // routes whose next answer is lost
	mails  *postbox
	runs   int
}

// newStage takes the default settings, apart from the two sides, the database and the mail
// server, in whose place is a list.
func newStage(ctx context.Context, database string, seed uint64) (*stage, error) {
	s := &stage{
		world:  simulator.New(simulator.Options{Seed: seed}),
		orders: map[string]simulator.SignedUp{},
		lose:   map[string]bool{},
		mails:  &postbox{},
	}
	s.world.SetFault(s.fault)
	c, _, err := config.Load(config.Sources{}, 0)
	if err != nil {
		return nil, err
	}
	c.StripeURL, c.StripeKey = &url.URL{Scheme: "http", Host: simulator.StripeHost}, secret.New(s.world.StripeKey())
	c.EnhanceURL, c.EnhanceToken = &url.URL{Scheme: "http", Host: simulator.EnhanceHost, Path: "/api"}, secret.New(s.world.EnhanceToken())
	c.EnhanceOrg = config.OrgID(s.world.OrgID())
	c.DatabaseURL = secret.New("sqlite:" + database)
	c.SMTPServer, c.MailFrom = secret.New("smtp://mail.example.com"), "hosting@example.com"
	c.Concurrency = 1
	s.app = app.New(c, app.Process{Now: s.world.Now, Log: silent(), Owner: "demo", Simulated: s.world.Transport(), Post: s.mails})
	if err := s.app.Connect(config.NeedStripe | config.NeedEnhance); err != nil {
		return nil, err
	}
	if err := s.app.Open(ctx, app.Place{IfMissing: app.Create}); err != nil {
		return nil, err
	}
	if s.engine, err = s.app.Engine(nil); err != nil {
		return nil, errors.Join(err, s.app.Close())
	}
	return s, nil
}

func silent() *logrus.Logger {
	log := logrus.New()
	log.SetLevel(logrus.PanicLevel)
	return log
}

// fault replaces the world's own faults by those of the story, because the story must be the
// same each time. Late events, small pages and unknown fields stay.
func (s *stage) fault(c simulator.Call) simulator.Fault {
	if s.lose[c.Route] {
		delete(s.lose, c.Route)
		return simulator.DoneBut(502)
	}
	return simulator.Fault{Honest: true}
}

// between is how far the clock moves between two runs of a scene: past the delay with which
// events become visible, and past the settling time of a lost write.
const between = 2 * time.Minute

// mostRuns bounds a scene; the longest takes five. If a scene needs more, something is never
// finished.
const mostRuns = 12

// play starts a scene, runs the program until nothing is left to do, and compares.
func (s *stage) play(ctx context.Context, sc scene, out *output) error {
	s.world.Advance(sc.after)
	if err := out.begin(s.world.Now(), sc.title); err != nil {
		return err
	}
	if sc.do != nil {
		if err := sc.do(ctx, s); err != nil {
			return err
		}
	}
	if sc.show != nil {
		lines, err := sc.show(ctx, s)
		if err != nil {
			return err
		}
		if err := out.show(lines); err != nil {
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
		if err := out.run(s, r); err != nil {
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
	return out.end(s, sc.then)
}

// atRest reports whether the next run would do nothing more: everything that is left waits
// for a person.
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
	counts, err := s.app.Store.Counts(ctx)
	return counts.Ambiguous == 0, err
}

// ErrUntrue ends a demo in which a check failed.
var ErrUntrue = errors.New("the story differs from what the simulators did; see the lines marked ✗")

// tryYourself is the end of the output.
const tryYourself = `
Try it with your own Stripe test key and panel. It changes nothing until you set MODE=enforce:

  export STRIPE_SECRET_KEY=rk_test_…        # Stripe › Developers › API keys, test mode
  export ENHANCE_API_URL=https://panel.example.com
  export ENHANCE_API_TOKEN=…                # of the organisation that sells
  export ENHANCE_ORG_ID=…                   # its UUID
  export MODE=observe

  stripe-enhance check                      # are keys, plans and database right?
  stripe-enhance mappings suggest           # which price buys which plan?
  stripe-enhance plan                       # every change that is due, with its reason
  MODE=enforce stripe-enhance reconcile     # make the changes

Without a panel: stripe-enhance simulate
`
