package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stripe-enhance/stripe-enhance/internal/app"
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
			return p.withEngine(c.Context(), func(ctx context.Context, a *app.App, e *engine.Engine) error {
				r, err := a.Run(ctx, e, request)
				var busy *app.BusyError
				if errors.As(err, &busy) && !request.Accept { // another process does not accept a listing for this one
					return p.printBusy(busy)
				}
				a.NotifyOfRun(ctx, r, err)
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
			request := engine.Request{Full: s.full, Subscriptions: s.subscriptions, Trigger: "cli"}
			return p.withEngine(c.Context(), func(ctx context.Context, a *app.App, e *engine.Engine) error {
				return p.finish(a.DryRun(ctx, e, request))
			})
		},
	}
	s.flags(p, c)
	return c
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

// printBusy ends a command that has left a nudge for the process at work.
func (p *program) printBusy(e *app.BusyError) error {
	if p.format == formatJSON {
		return report.WriteJSON(p.out, map[string]any{"asked": true, "taken": e.Taken, "at_work": e.Held.Owner})
	}
	p.sayf("%s", e.Error())
	return nil
}
