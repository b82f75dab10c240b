package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stripe-enhance/stripe-enhance/internal/app"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/server"
	"github.com/stripe-enhance/stripe-enhance/store"
)

func (p *program) plansCommand() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use:   "plans [PLAN_ID]",
		Short: "Changes that the brake holds for approval; with an id, every change in that plan",
		Long: "Lists the held plans that wait for approval, at most one for each kind of change. A held\n" +
			"plan is the changes of one kind that the brake holds. It waits until you approve it, or\n" +
			"until no change in it is due any more. Changes that are held later join it: its id stays\n" +
			"the same, and its version rises.",
		GroupID: groupRun,
		Args:    atMostOne("PLAN_ID"),
		Example: "  stripe-enhance plans\n" +
			"  stripe-enhance plans e716f6d98bf6d2b7\n" +
			"  stripe-enhance plans --all -o csv > plans.csv",
		RunE: func(c *cobra.Command, args []string) error {
			return p.withStore(c.Context(), func(ctx context.Context, a *app.App) error {
				if len(args) == 1 {
					return p.showPlan(ctx, a, args[0])
				}
				return p.listPlans(ctx, a, all)
			})
		},
	}
	c.Flags().BoolVar(&all, "all", false, "also those that are approved or no longer due")
	return withCSV(c)
}

func (p *program) listPlans(ctx context.Context, a *app.App, all bool) error {
	plans, err := a.Store.HeldPlans(ctx, p.now(), all)
	if err != nil {
		return err
	}
	t := report.Table{Head: []string{"id", "kind", "changes", "created", "expires", "state", "reason", "version"}}
	outside := []report.Plan{}
	for _, one := range plans {
		t.Add(one.ID, one.Kind.String(), fmt.Sprint(len(one.Actions)), instant(one.Created), instant(one.Expires), p.stateOf(one), one.Reason, fmt.Sprint(one.Version))
		outside = append(outside, report.PlanOf(one))
	}
	return p.list(&t, "no held plan waits for approval", outside)
}

func (p *program) stateOf(one reconcile.HeldPlan) string {
	switch report.PlanState(one) {
	case report.PlanApproved:
		return "approved by " + one.By
	case report.PlanUnwanted:
		if by, _, is := report.PlanRejection(one); is {
			return "rejected by " + by
		}
		return "no longer wanted"
	}
	return "waits"
}

func (p *program) showPlan(ctx context.Context, a *app.App, id string) error {
	one, err := a.Store.HeldPlan(ctx, id)
	if err != nil {
		return planError(id, err)
	}
	t := report.Table{Head: []string{"kind", "e-mail", "customer", "subscription", "hosting", "plan", "reason", "since version"}}
	for i, x := range one.Actions {
		t.Add(x.Kind.String(), x.Email, x.Customer, x.Subscription, number(x.Hosting), x.PlanName, x.Reason, fmt.Sprint(one.Joined[i]))
	}
	if p.format == formatText {
		s := p.style()
		until := ""
		if !one.Expires.IsZero() {
			until = " until " + instant(one.Expires)
		}
		if err := p.printf("%s  %s\nversion %d, %s, %s%s\n\n", s.Bold(one.ID), report.Plain(one.Reason), one.Version,
			report.Count(len(one.Actions), "change"), report.Plain(p.stateOf(one)), until); err != nil {
			return err
		}
	}
	if err := p.list(&t, "the held plan is empty", report.PlanOf(one)); err != nil || p.format != formatText || p.stateOf(one) != "waits" {
		return err
	}
	return p.printf("\nRelease exactly this: stripe-enhance approve %s --version %d\nDo none of it:        stripe-enhance reject %s --version %d --reason 'WHY'\n",
		one.ID, one.Version, one.ID, one.Version)
}

// planError adds the next step to an id that names no held plan, or several.
func planError(id string, err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return fault.Errorf(fault.NotFound, "no held plan begins with %q: one that stripe-enhance plan showed is stored by the next stripe-enhance reconcile, "+
			"and a held plan may have been replaced by a newer one; see stripe-enhance plans", id)
	}
	if errors.Is(err, fault.Conflict) { // the person knows which command they gave
		text := strings.TrimPrefix(err.Error(), "store: ")
		return fault.Wrap(fault.Conflict, errors.New(strings.TrimPrefix(strings.TrimPrefix(text, "approving "), "rejecting ")))
	}
	return err
}

func (p *program) approveCommand() *cobra.Command {
	var version int
	c := &cobra.Command{
		Use:   "approve PLAN_ID",
		Short: "Release a held plan, exactly as shown, and apply it",
		Long: "Releases exactly the changes of a held plan, and then does a run. The run plans each of\n" +
			"them again first: a change that is no longer due is dropped, and nothing is added.\n" +
			"Changes that are held later wait in another held plan, and so does an approved change\n" +
			"that has become another one, such as an invitation to another address. With --version\n" +
			"the plan is released only if it still has the version that you looked at. The first\n" +
			"eight characters of the id are enough. An approval lasts 24 hours; changes that are not\n" +
			"done by then are held again.\n\n" +
			"Exit code 0: every change is done, or no longer due. 1: some are not.",
		GroupID: groupRun,
		Args:    arguments("PLAN_ID"),
		Example: "  stripe-enhance plans e716f6d98bf6d2b7\n  stripe-enhance approve e716f6d98bf6d2b7 --version 3",
		RunE: func(c *cobra.Command, args []string) error {
			return p.withEngine(c.Context(), func(ctx context.Context, a *app.App, e *engine.Engine) error {
				return p.approve(ctx, a, e, args[0], version)
			})
		},
	}
	c.Flags().IntVar(&version, "version", 0, "release this version and no other (0: the present one)")
	return c
}

func (p *program) approve(ctx context.Context, a *app.App, e *engine.Engine, id string, version int) error {
	if len(id) < reconcile.MinHeldPlanID {
		return errors.New(reconcile.HeldPlanIDTooShort(id))
	}
	one, err := a.Store.Approve(ctx, id, version, p.person(), p.now())
	if err != nil {
		return planError(id, err)
	}
	p.sayf("approved %s, version %d: %s of kind %s", one.ID, one.Version, report.Count(len(one.Actions), "change"), one.Kind)
	r, err := e.Run(ctx, engine.Request{Trigger: "approve"})
	var held *reconcile.LeaseTaken
	if errors.As(err, &held) {
		if err := a.Store.Nudge(ctx, nil, "plan "+one.ID+" was approved", p.now()); err != nil {
			return err
		}
		if p.format == formatJSON {
			return report.WriteJSON(p.out, report.PlanOf(one))
		}
		return p.printf("%s is at work and will apply it.\n", report.Plain(held.Owner))
	}
	a.NotifyOfRun(ctx, r, err)
	for _, other := range r.Plans {
		if other.Kind == one.Kind && other.ID != one.ID {
			p.sayf("held plan %s has %s of kind %s that joined after that version, or changed since", other.ID, report.Count(other.Size(), "change"), other.Kind)
		}
	}
	if err := p.finish(r, err); err != nil && !errors.Is(err, leftError{}) {
		return err
	}
	return undone(one, r)
}

// undone is nil if every released change is done or no longer wanted. Other changes that the
// run left for a person do not matter here, because the exit code is about the held plan.
func undone(one reconcile.HeldPlan, r reconcile.Report) error {
	ours, left := map[string]bool{}, map[string]bool{}
	for _, a := range one.Actions {
		ours[a.ID] = true
	}
	for _, a := range r.Actions {
		switch a.State {
		case reconcile.ActionApplied, reconcile.ActionAdopted, reconcile.ActionSuperseded:
		case reconcile.ActionPlanned, reconcile.ActionHeld, reconcile.ActionSent, reconcile.ActionAmbiguous, reconcile.ActionFailed:
			left[a.ID] = ours[a.ID]
		}
	}
	for _, h := range r.Holds {
		if h.Kind != reconcile.HoldBrake && h.ActionID != "" {
			left[h.ActionID] = ours[h.ActionID]
		}
	}
	maps.DeleteFunc(left, func(_ string, ours bool) bool { return !ours })
	if len(left) == 0 {
		return nil
	}
	return fmt.Errorf("%d of %s approved in %s were not done in this run; the approval lasts until %s, and the next runs continue",
		len(left), report.Count(len(one.Actions), "change"), one.ID, one.Expires.UTC().Format(time.RFC3339))
}

// rejection are the flags of reject.
type rejection struct {
	version int
	reason  string
}

func (p *program) rejectCommand() *cobra.Command {
	var n rejection
	c := &cobra.Command{
		Use:   "reject PLAN_ID",
		Short: "End a held plan, so that none of it is done",
		Long: "Ends a held plan whose changes you do not want. Each subscription in it gets a hold with\n" +
			"your reason, so that no run plans those changes again: no-suspend where it would have\n" +
			"been suspended or deleted, keep-suspended where it would have come back, and ignore for\n" +
			"everything else. When you remove such a hold and the change is still due, it is held in\n" +
			"a new plan. With --version the plan is ended only if it still has the version that you\n" +
			"looked at. The first eight characters of the id are enough.",
		GroupID: groupRun,
		Args:    arguments("PLAN_ID"),
		Example: "  stripe-enhance plans e716f6d98bf6d2b7\n" +
			"  stripe-enhance reject e716f6d98bf6d2b7 --version 3 --reason 'the bank was down'",
		RunE: func(c *cobra.Command, args []string) error {
			if n.reason = strings.TrimSpace(n.reason); n.reason == "" {
				return &usageError{errors.New("--reason is missing: write why, for the people who find the holds later"), c.CommandPath()}
			}
			return p.withStore(c.Context(), func(ctx context.Context, a *app.App) error { return p.reject(ctx, a, args[0], n) })
		},
	}
	c.Flags().IntVar(&n.version, "version", 0, "reject this version and no other (0: the present one)")
	c.Flags().StringVar(&n.reason, "reason", "", "the reason, for the people who find the holds later; required")
	return c
}

func (p *program) reject(ctx context.Context, a *app.App, id string, n rejection) error {
	if len(id) < reconcile.MinHeldPlanID {
		return errors.New(reconcile.HeldPlanIDTooShort(id))
	}
	one, err := a.Store.Reject(ctx, id, n.version, p.person(), n.reason, server.NewHoldID, p.now())
	if err != nil {
		return planError(id, err)
	}
	if err := a.Store.Nudge(ctx, nil, "plan "+one.ID+" was rejected", p.now()); err != nil {
		return err
	}
	if p.format == formatJSON {
		return report.WriteJSON(p.out, report.PlanOf(one))
	}
	return p.printf("rejected %s, version %d: %s of kind %s will not be made\nThe holds that see to it: stripe-enhance holds list\n",
		one.ID, one.Version, report.Count(len(one.Actions), "change"), one.Kind)
}

func atMostOne(name string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > 1 {
			return &usageError{fmt.Errorf("one %s at most; %q is too much", name, args[1]), c.CommandPath()}
		}
		return nil
	}
}

// instant is a time for tables; "" if it is zero.
func instant(t time.Time) string {
	if s := report.Time(t); s != nil {
		return *s
	}
	return ""
}

// number is an id for tables; "" for none.
func number(n int64) string {
	if n == 0 {
		return ""
	}
	return strings.TrimSpace(fmt.Sprint(n))
}
