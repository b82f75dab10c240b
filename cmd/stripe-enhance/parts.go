package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"

	"github.com/stripe-enhance/stripe-enhance/internal/app"
	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
)

// ifMissing lists the commands that do not refuse if there is no database. A command that
// is not here only reads, or changes rows that exist.
var ifMissing = map[string]app.IfMissing{
	"stripe-enhance serve":                 app.Create,
	"stripe-enhance reconcile":             app.Create,
	"stripe-enhance migrate":               app.Create,
	"stripe-enhance mappings set":          app.CreateHere,
	"stripe-enhance mappings import":       app.CreateHere,
	"stripe-enhance holds add":             app.CreateHere,
	"stripe-enhance plan":                  app.Suppose,
	"stripe-enhance adopt":                 app.Suppose,
	"stripe-enhance migrate import-legacy": app.Suppose,
}

// place is where the command at work was given.
func (p *program) place() app.Place {
	missing := ifMissing[p.command]
	if p.decides {
		missing = app.CreateHere
	}
	return app.Place{Command: p.command, DotEnvs: p.dotEnvs, IfMissing: missing}
}

// newApp has the settings and no part yet.
func (p *program) newApp(c *config.Config) *app.App {
	return app.New(c, app.Process{
		Now: p.now, Log: p.logger(c), Owner: p.owner(), Person: p.person(), Version: versionOf().Version,
		Printf: p.sayf, Failpoint: p.failpoint,
	})
}

// assemble makes what a command needs, the database always. The configuration is checked
// as a whole before the first file or connection is opened.
func (p *program) assemble(ctx context.Context, need config.Need) (*app.App, error) {
	c, err := p.settings(need)
	if err != nil {
		return nil, err
	}
	a := p.newApp(c)
	if err := a.Connect(need); err != nil {
		return nil, err
	}
	return a, a.Open(ctx, p.place())
}

// with assembles, calls do, and closes the database.
func (p *program) with(ctx context.Context, need config.Need, do func(context.Context, *app.App) error) (err error) {
	a, err := p.assemble(ctx, need)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.Close()) }()
	return do(ctx, a)
}

// withStore is with for a command that needs only the database.
func (p *program) withStore(ctx context.Context, do func(context.Context, *app.App) error) error {
	return p.with(ctx, 0, do)
}

// withEngine is with for a run. It shows progress while do works.
func (p *program) withEngine(ctx context.Context, do func(context.Context, *app.App, *engine.Engine) error) error {
	return p.with(ctx, config.NeedStripe|config.NeedEnhance, func(ctx context.Context, a *app.App) error {
		show, finish := p.watch()
		e, err := a.Engine(show)
		if err != nil {
			return err
		}
		defer finish()
		return do(ctx, a, e)
	})
}

// owner names this process in the lease: readable first, unique second.
func (p *program) owner() string {
	return fmt.Sprintf("%s (pid %d, %06x)", p.person(), os.Getpid(), rand.Uint32()&0xffffff)
}
