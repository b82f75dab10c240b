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

const reconcileLong = `Reads Stripe and Enhance, and changes at Enhance exactly the hostings that differ from
what customers pay for. Without flags it reads the changes since the last run, or
everything if there was none.

Exit code 0: everything is as it should be. 1: the run failed. 2: usage or
configuration. 3: finished, but something is held, parked or failed; the report
lists it with the next step.`

// scope are the flags that choose which subscriptions a run reads.
type scope struct {
	full          bool
	accept        bool
	subscriptions []string
}

func (s *scope) flags(p *program, c *cobra.Command) {
	p.viewFlags(c)
	c.Flags().BoolVar(&s.full, "full", false, "read every subscription, not only those that changed")
	c.Flags().StringSliceVar(&s.subscriptions, "subscription", nil, "read only this subscription (repeatable)")
}

func (s *scope) check(command string) error {
	if s.full && len(s.subscriptions) > 0 {
		return &usageError{errors.New("--full and --subscription contradict each other"), command}
	}
	if s.accept && !s.full {
		return &usageError{errors.New("--accept-listing concerns a whole listing: it needs --full"), command}
	}
	for _, id := range s.subscriptions {
		if !reconcile.ValidID("sub_", id) {
			return &usageError{fmt.Errorf("--subscription %q: the id of a subscription begins with sub_", id), command}
		}
	}
	return nil
}

func (p *program) reconcileCommand() *cobra.Command {
	var s scope
	c := &cobra.Command{
		Use:     "reconcile",
		Short:   "One run: change hosting at Enhance to what customers pay for at Stripe",
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
	c.Flags().BoolVar(&s.accept, "accept-listing", false, "with --full: trust Stripe's listing even if known subscriptions are missing from it")
	return c
}

func (p *program) planCommand() *cobra.Command {
	var s scope
	c := &cobra.Command{
		Use:   "plan",
		Short: "A dry run: every change and every hold, with its reason",
		Long: "Shows the changes that reconcile would make, and makes none: it only reads from Stripe\n" +
			"and Enhance. If another process holds the lease, it plans from the state that this\n" +
			"process stored last. It stores the state that it reads, so that the next run need not\n" +
			"read it again; if there is no database yet, it creates none.\n\n" +
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

// finish prints a report and returns the error of the exit code. It also prints what a run
// did before it failed.
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
