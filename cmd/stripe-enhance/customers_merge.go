package main

import (
	"context"
	"errors"
	"slices"

	"github.com/spf13/cobra"

	"github.com/stripe-enhance/stripe-enhance/internal/app"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

const mergeLong = `Records that the organisation of INTO is that of CUSTOMER as well. From then on the new
hostings of CUSTOMER are made there. It is a guest: INTO names the organisation and has its
owner, who has access to all hostings in it, and CUSTOMER is not invited. Each goes on paying
for its own subscriptions, and nothing of one is suspended because of the other.

The hostings that CUSTOMER has stay where they are. Nothing is sent to Enhance because of
this. The next run acts on it, and --dry-run shows how. The reverse is customers split.`

const splitLong = `Records that the organisation in which CUSTOMER is a guest is not its own. From then on its
new hostings are made in an organisation of its own: one that is there already and has its
e-mail as the only owner, else a new one, to which it is invited. No e-mail, marker or
metadata leads it back into the former one; customers merge does.

The hostings that CUSTOMER has stay where they are. Nothing is sent to Enhance because of
this. The next run acts on it, and --dry-run shows how.`

func (p *program) customersMerge() *cobra.Command {
	var w personFlags
	c := &cobra.Command{
		Use:   "merge CUSTOMER INTO",
		Short: "Record that a customer shares the organisation of another one",
		Long:  mergeLong,
		Args:  arguments("CUSTOMER", "INTO"),
		Example: "  stripe-enhance customers merge cus_AbCdEf cus_GhIjKl --reason 'the agency manages both' --dry-run\n" +
			"  stripe-enhance customers merge shop@example.com agency@example.com --reason 'the agency manages both'",
		RunE: func(c *cobra.Command, args []string) error {
			return p.instructOrg(c, reconcile.MergeOrgs, &w, args)
		},
	}
	w.register(c, "show what would change and what the next run would do, and change nothing")
	return c
}

func (p *program) customersSplit() *cobra.Command {
	var w personFlags
	c := &cobra.Command{
		Use:   "split CUSTOMER",
		Short: "Record that a customer no longer shares the organisation of another one",
		Long:  splitLong,
		Args:  arguments("CUSTOMER"),
		Example: "  stripe-enhance customers split cus_AbCdEf --reason 'the shop leaves the agency' --dry-run\n" +
			"  stripe-enhance customers split shop@example.com --reason 'the shop leaves the agency'",
		RunE: func(c *cobra.Command, args []string) error {
			return p.instructOrg(c, reconcile.SplitOrgs, &w, args)
		},
	}
	w.register(c, "show what would change and what the next run would do, and change nothing")
	return c
}

// instructOrg reads a statement about a customer's org from the command line, and gives it.
func (p *program) instructOrg(c *cobra.Command, kind reconcile.OrgInstructionKind, w *personFlags, args []string) error {
	lookups := make([]reconcile.CustomerLookup, len(args))
	err := w.check(p)
	for i := range args {
		err = errors.Join(err, parseLookup(&lookups[i], args[i:i+1]))
	}
	if err != nil {
		return &usageError{err, c.CommandPath()}
	}
	return p.withEngine(c.Context(), func(ctx context.Context, a *app.App, e *engine.Engine) error {
		word := reconcile.OrgInstruction{Kind: kind, Author: w.author, Reason: w.reason, At: p.now().UTC()}
		for i, to := range []*string{&word.Customer, &word.Into}[:len(lookups)] {
			found, err := p.oneCustomer(ctx, a, lookups[i])
			if err != nil {
				return err
			}
			*to = found.ID
		}
		return p.giveOrgInstruction(ctx, a, e, word, w.dry)
	})
}

// orgInstructed is the JSON of merge and split.
type orgInstructed struct {
	Customer string           `json:"customer"`
	Into     string           `json:"into,omitempty"`
	Org      string           `json:"org"` // that the customer comes into, or leaves
	Former   string           `json:"former_org,omitempty"`
	Changes  []string         `json:"changes"`
	Already  bool             `json:"already"`
	DryRun   bool             `json:"dry_run"`
	Plan     *report.Document `json:"plan,omitempty"`
}

func (p *program) giveOrgInstruction(ctx context.Context, a *app.App, e *engine.Engine, w reconcile.OrgInstruction, dry bool) error {
	do := a.Store.RecordOrgInstruction
	if dry {
		do = a.Store.PreviewOrgInstruction
	}
	ch, err := do(ctx, w, planner.InstructOrg(w))
	if no := reconcile.InstructionRefused(""); errors.As(err, &no) {
		return no
	}
	if err != nil {
		return err
	}
	out := orgInstructed{Customer: w.Customer, Into: w.Into, Org: ch.Org.ID, Former: ch.Former, Changes: ch.Describe(), Already: ch.Already, DryRun: dry}
	if !dry || ch.Already {
		return p.printOrgInstructed(out, nil)
	}
	subs, err := a.Store.SubscriptionsOf(ctx, []string{w.Customer})
	if err != nil {
		return err
	}
	if len(subs) == 0 {
		return p.printOrgInstructed(out, nil)
	}
	r, err := a.DryRun(ctx, e, engine.Request{Subscriptions: subs, Trigger: "cli", Suppose: ch.Apply})
	if err != nil {
		return err
	}
	r.Holds = slices.DeleteFunc(r.Holds, func(h reconcile.Hold) bool { return h.Customer != w.Customer })
	return p.printOrgInstructed(out, &r)
}

func (p *program) printOrgInstructed(s orgInstructed, r *reconcile.Report) error {
	if p.format == formatJSON {
		if r != nil {
			d := report.Of(*r)
			s.Plan = &d
		}
		return report.WriteJSON(p.out, s)
	}
	return p.printStatement(s.Changes, s.Already, s.DryRun, r)
}
