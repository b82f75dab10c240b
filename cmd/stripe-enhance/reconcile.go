package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
)

const reconcileLong = `Looks at Stripe and Enhance, and changes at Enhance exactly what differs from what
is paid for. Without flags it reads what changed since the last run, or everything
when there was none.

Exit code 0: everything is as it should be. 1: the run failed. 2: usage or
configuration. 3: finished, but something is held, parked or failed; the report
says what and what to do.`

// scope is what a run looks at, as flags say it.
type scope struct {
	full          bool
	accept        bool
	subscriptions []string
}

func (s *scope) flags(p *program, c *cobra.Command) {
	p.viewFlags(c)
	c.Flags().BoolVar(&s.full, "full", false, "read every subscription, not only what changed")
	c.Flags().StringSliceVar(&s.subscriptions, "subscription", nil, "look at this subscription only (repeatable)")
}

func (s *scope) check(command string) error {
	if s.full && len(s.subscriptions) > 0 {
		return &usageError{errors.New("--full and --subscription contradict each other"), command}
	}
	if s.accept && !s.full {
		return &usageError{errors.New("--accept-listing is about a whole listing: it needs --full"), command}
	}
	for _, id := range s.subscriptions {
		if !reconcile.ValidID("sub_", id) {
			return &usageError{fmt.Errorf("--subscription %q: an id of a subscription begins with sub_", id), command}
		}
	}
	return nil
}

func (p *program) reconcileCommand() *cobra.Command {
	var s scope
	c := &cobra.Command{
		Use:     "reconcile",
		Short:   "One run: make Enhance what is paid for at Stripe",
		Long:    reconcileLong,
		GroupID: groupRun,
		Example: "  stripe-enhance reconcile\n" +
			"  stripe-enhance reconcile --full -o json\n" +
			"  stripe-enhance reconcile --subscription sub_1NqAbCdEf",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := s.check(c.CommandPath()); err != nil {
				return err
			}
			request := engine.Request{Full: s.full, Accept: s.accept, Subscriptions: s.subscriptions, Trigger: "cli"}
			return p.withEngine(c.Context(), func(ctx context.Context, a *parts, e *engine.Engine) error {
				r, err := p.runPatiently(ctx, a, e, request)
				var busy *busyError
				if errors.As(err, &busy) && !request.Accept { // which nobody does for another
					return p.tellBusy(busy)
				}
				p.tellPeople(ctx, a, r, err)
				return p.finish(r, err)
			})
		},
	}
	s.flags(p, c)
	c.Flags().BoolVar(&s.accept, "accept-listing", false, "with --full: what Stripe lists is true, even where known subscriptions are missing")
	return c
}

func (p *program) planCommand() *cobra.Command {
	var s scope
	c := &cobra.Command{
		Use:   "plan",
		Short: "The same run without effects: every change and every hold, with its reason",
		Long: "Shows what reconcile would do, and does none of it: nothing is sent to Stripe or\n" +
			"Enhance but reads. While another process holds the lease, the plan is made from\n" +
			"what that process stored last. What it saw at Stripe and Enhance is stored in the\n" +
			"database, which the next run then need not read again; where there is no\n" +
			"database yet, it makes none.\n\n" +
			"Exit code 0: nothing to do. 3: there are changes or holds.",
		GroupID: groupRun,
		Example: "  stripe-enhance plan\n" +
			"  stripe-enhance plan --full -o json | jq '.actions[] | select(.kind == \"suspend\")'\n" +
			"  stripe-enhance plan --subscription sub_1NqAbCdEf",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := s.check(c.CommandPath()); err != nil {
				return err
			}
			request := engine.Request{Full: s.full, Subscriptions: s.subscriptions, Trigger: "cli", Dry: true}
			return p.withEngine(c.Context(), func(ctx context.Context, _ *parts, e *engine.Engine) error {
				return p.finish(p.planAnyway(ctx, e, request))
			})
		},
	}
	s.flags(p, c)
	return c
}

// withEngine assembles everything, shows progress while do runs, and closes.
func (p *program) withEngine(ctx context.Context, do func(context.Context, *parts, *engine.Engine) error) (err error) {
	a, err := p.assemble(ctx, config.NeedStripe|config.NeedEnhance)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.close()) }()
	tell, finish := p.watch()
	e, err := a.engine(p, tell)
	if err != nil {
		return err
	}
	defer finish()
	return do(ctx, a, e)
}

// finish prints a report and turns it into the exit code. A run that failed still
// tells what it did.
func (p *program) finish(r reconcile.Report, err error) error {
	if r.Run.ID != "" && r.Run.Mode != "" {
		if printed := p.printReport(r); printed != nil {
			return errors.Join(err, printed)
		}
	}
	switch {
	case err != nil:
		return err
	case !r.Converged():
		return leftError{}
	}
	return nil
}

func (p *program) printReport(r reconcile.Report) error {
	if p.format == formatJSON {
		return report.WriteJSON(p.out, report.Of(r))
	}
	return report.Text(p.out, r, p.view())
}

// planAnyway plans from the stored mirror when another process is at work.
func (p *program) planAnyway(ctx context.Context, e *engine.Engine, request engine.Request) (reconcile.Report, error) {
	r, err := e.Run(ctx, request)
	var held *reconcile.LeaseTaken
	if errors.As(err, &held) {
		p.sayf("%s is at work, so this plan is made from what it stored last", held.Owner)
		request.Stored = true
		r, err = e.Run(ctx, request)
	}
	return r, err
}

// leaseSlack is added to the lease's length when waiting for a dead writer's to
// run out: clocks of two machines differ by a little.
const leaseSlack = 5 * time.Second

// leaseLook is how often a held lease is looked at again.
const leaseLook = time.Second

// runPatiently leaves word with the writer and waits: until the writer takes the
// word, which shows that it is alive and works, or until its lease runs out, which
// shows that it died. Then this process does the run.
func (p *program) runPatiently(ctx context.Context, a *parts, e *engine.Engine, request engine.Request) (reconcile.Report, error) {
	var held *reconcile.LeaseTaken
	r, err := e.Run(ctx, request)
	if !errors.As(err, &held) {
		return r, err
	}
	if err := a.store.Nudge(ctx, reconcile.NudgeTargets(request.Full, request.Subscriptions), "asked for by "+p.person(), p.now()); err != nil {
		return r, err
	}
	patience := a.config.LeaseTTL + leaseSlack
	p.sayf("%s holds the lease; waiting up to %s in case it died", held.Owner, patience)
	deadline := p.now().Add(patience)
	tick := time.NewTicker(leaseLook)
	defer tick.Stop()
	for p.now().Before(deadline) {
		select {
		case <-ctx.Done():
			return r, ctx.Err()
		case <-tick.C:
		}
		if r, err = e.Run(ctx, request); !errors.As(err, &held) {
			return r, err
		}
		if waiting, err := a.store.NudgesWaiting(ctx); err == nil && !waiting {
			return r, &busyError{held: held, taken: true, request: request}
		}
	}
	return r, &busyError{held: held, request: request}
}

// tellBusy ends a command that has left its wish: it is stored, and whoever works
// fulfils it.
func (p *program) tellBusy(e *busyError) error {
	if p.format == formatJSON {
		return report.WriteJSON(p.out, map[string]any{"asked": true, "taken": e.taken, "at_work": e.held.Owner})
	}
	p.sayf("%s", e.Error())
	return nil
}

// busyError is a run that another process does instead.
type busyError struct {
	held    *reconcile.LeaseTaken
	taken   bool // it has begun to look
	request engine.Request
}

func (e *busyError) Error() string {
	text := fmt.Sprintf("%s is at work and renews its lease (until %s); it was asked to look", e.held.Owner, e.held.Until.UTC().Format(time.RFC3339))
	if e.taken {
		text = e.held.Owner + " is at work; it was asked to look, and looks now"
	}
	if e.request.Full {
		text += " at everything"
	}
	if e.request.Accept { // which nobody does for another
		text += ", and has not accepted its listing: ask again when it is idle, or stop it first"
	}
	return text + ". Nothing was done here"
}

func (e *busyError) Unwrap() error { return e.held }
