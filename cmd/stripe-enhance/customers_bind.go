package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stripe-enhance/stripe-enhance/internal/app"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

const bindLong = `Records which hosting at the panel serves a subscription or, with "new", that the order
is new and gets a hosting of its own. The hosting is read at the panel first: it must
exist, and must not serve another subscription. It replaces the hosting that is bound
already; if there are several, name the unit as sub_…/2. The replaced hosting stays at
the panel as it is, and no run binds it again by itself.

Nothing is sent to Enhance. The next run acts on it, and --dry-run shows how.`

const unbindLong = `Records that a hosting does not serve a subscription. The hosting stays at the panel as it
is: it is not suspended, and no marker and no metadata binds it again. Nothing is created
for the subscription until customers bind names another hosting, or "new".`

const moveLong = `Records that a hosting serves this subscription and no other. It is bind for a hosting that
serves another subscription, which may be paid for: that one loses it, and nothing is
created for it until customers bind names another hosting, or "new". The hosting stays
where it is at the panel: in another organisation than the customer's with --other-org.

Nothing is sent to Enhance. The next run acts on it, and --dry-run shows how.`

// instructionFlags are the flags of bind and unbind.
type instructionFlags struct {
	reconcile.Instruction
	org string
	dry bool
}

func (p *program) customersBind() *cobra.Command {
	var w instructionFlags
	c := &cobra.Command{
		Use:   "bind SUBSCRIPTION[/UNIT] HOSTING|new",
		Short: "Record which hosting serves a subscription, or that the order is new",
		Long:  bindLong,
		Args:  arguments("SUBSCRIPTION", "HOSTING"),
		Example: "  stripe-enhance customers bind sub_1NqAbCdEf 42 --reason 'it is its hosting' --dry-run\n" +
			"  stripe-enhance customers bind sub_1NqAbCdEf/2 42 --reason 'confirmed by the customer'\n" +
			"  stripe-enhance customers bind sub_1NqAbCdEf new --reason 'the order is new'",
		RunE: func(c *cobra.Command, args []string) error {
			w.Kind = reconcile.InstructBind
			if args[1] == "new" {
				w.Kind = reconcile.InstructNew
			}
			return p.instruct(c, &w, args)
		},
	}
	w.register(c)
	w.registerOther(c)
	return c
}

func (p *program) customersUnbind() *cobra.Command {
	var w instructionFlags
	c := &cobra.Command{
		Use:   "unbind SUBSCRIPTION[/UNIT] [HOSTING]",
		Short: "Record that a hosting does not serve a subscription",
		Long:  unbindLong,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 2 {
				return nil
			}
			return arguments("SUBSCRIPTION")(c, args)
		},
		Example: "  stripe-enhance customers unbind sub_1NqAbCdEf --reason 'another customer uses it' --dry-run\n" +
			"  stripe-enhance customers unbind sub_1NqAbCdEf 42 --reason 'it is not its hosting'",
		RunE: func(c *cobra.Command, args []string) error {
			w.Kind = reconcile.InstructUnbind
			return p.instruct(c, &w, args)
		},
	}
	w.register(c)
	return c
}

func (p *program) customersMove() *cobra.Command {
	var w instructionFlags
	c := &cobra.Command{
		Use:   "move HOSTING SUBSCRIPTION[/UNIT]",
		Short: "Record that a hosting serves this subscription, and no longer another one",
		Long:  moveLong,
		Args:  arguments("HOSTING", "SUBSCRIPTION"),
		Example: "  stripe-enhance customers move 42 sub_1NqAbCdEf --reason 'they ordered it again' --dry-run\n" +
			"  stripe-enhance customers move 42 sub_1NqAbCdEf/2 --other-org --reason 'the agency pays for it now'",
		RunE: func(c *cobra.Command, args []string) error {
			w.Kind, w.Move = reconcile.InstructBind, true
			return p.instruct(c, &w, []string{args[1], args[0]})
		},
	}
	w.register(c)
	w.registerOther(c)
	return c
}

// registerOther adds the flags by which a person accepts a hosting that looks like another
// customer's.
func (w *instructionFlags) registerOther(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&w.org, "org", "", "the organisation of the hosting, if the database does not know it")
	f.BoolVar(&w.OtherOrg, "other-org", false, "also if the hosting is in another organisation than the customer's")
	f.BoolVar(&w.OtherMarker, "other-marker", false, "also if its name shows that it was created for another subscription, or by another installation")
}

func (w *instructionFlags) register(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&w.Reason, "reason", "", "the reason, for the people who read it later; required")
	f.StringVar(&w.Author, "author", "", "who decided it (default: the user of this process)")
	f.BoolVar(&w.dry, "dry-run", false, "show what would change and what the next run would do, and change nothing")
}

// instruct reads an instruction from the command line, and gives it.
func (p *program) instruct(c *cobra.Command, w *instructionFlags, args []string) error {
	if err := w.parse(args); err != nil {
		return &usageError{err, c.CommandPath()}
	}
	w.Author, w.At = cmp.Or(strings.TrimSpace(w.Author), p.person()), p.now().UTC()
	return p.withEngine(c.Context(), func(ctx context.Context, a *app.App, e *engine.Engine) error { return p.giveInstruction(ctx, a, e, w) })
}

func (w *instructionFlags) parse(args []string) error {
	sub, unit, some := strings.Cut(args[0], "/")
	if !reconcile.ValidID("sub_", sub) {
		return fmt.Errorf("%q is not the id of a subscription, which begins with sub_", sub)
	}
	w.Subscription = sub
	if some {
		n, err := strconv.Atoi(unit)
		if err != nil || n < 1 || w.Kind == reconcile.InstructNew {
			return fmt.Errorf("%q is not a unit of a subscription, such as %s/2; an order is new as a whole", args[0], sub)
		}
		w.Slot = n
	}
	if len(args) > 1 && w.Kind != reconcile.InstructNew {
		id, err := strconv.ParseInt(args[1], 10, 64)
		if err != nil || id < 1 {
			return fmt.Errorf("%q is not the id of a hosting, which is the number of the subscription at the panel", args[1])
		}
		w.Hosting.ID = id
	}
	w.Reason = strings.TrimSpace(w.Reason)
	if w.Reason == "" {
		return errors.New("--reason is missing: write why, for the people who read it later")
	}
	return nil
}

func (p *program) giveInstruction(ctx context.Context, a *app.App, e *engine.Engine, w *instructionFlags) error {
	customers, err := a.Store.CustomersOf(ctx, []string{w.Subscription})
	if err != nil {
		return err
	}
	if len(customers) == 0 {
		return reconcile.SubscriptionNotKnown(w.Subscription)
	}
	if w.Kind == reconcile.InstructBind {
		if w.Hosting, err = a.ReadHosting(ctx, w.Hosting.ID, w.org, customers); err != nil {
			return err
		}
		w.Hosting.ObservedAt = w.At
	}
	cat, err := a.Catalog(ctx)
	if err != nil {
		return err
	}
	do := a.Store.RecordInstruction
	if w.dry {
		do = a.Store.PreviewInstruction
	}
	ch, err := do(ctx, w.Instruction, planner.Instruct(w.Instruction, cat, string(a.Config.Instance)))
	if no := reconcile.InstructionRefused(""); errors.As(err, &no) {
		return no
	}
	if err != nil {
		return err
	}
	out := instructed{Subscription: w.Subscription, Changes: ch.Describe(), Before: ch.Before, Already: ch.None(), DryRun: w.dry}
	if !w.dry || ch.None() {
		return p.printInstructed(out, nil)
	}
	r, err := a.DryRun(ctx, e, engine.Request{Subscriptions: ch.Subscriptions(), Trigger: "cli", Suppose: ch.Apply})
	if err != nil {
		return err
	}
	r.Holds = slices.DeleteFunc(r.Holds, func(h reconcile.Hold) bool { return !slices.Contains(ch.Customers(), h.Customer) })
	return p.printInstructed(out, &r)
}

// instructed is the JSON of bind and unbind.
type instructed struct {
	Subscription string           `json:"subscription"`
	Changes      []string         `json:"changes"`
	Before       string           `json:"before"`
	Already      bool             `json:"already"`
	DryRun       bool             `json:"dry_run"`
	Plan         *report.Document `json:"plan,omitempty"`
}

func (p *program) printInstructed(s instructed, r *reconcile.Report) error {
	if p.format == formatJSON {
		if r != nil {
			d := report.Of(*r)
			s.Plan = &d
		}
		return report.WriteJSON(p.out, s)
	}
	return p.printStatement(s.Changes, s.Already, s.DryRun, r)
}

// printStatement shows people what a person's statement changes. r is the dry run of the
// next run; nil: there was none.
func (p *program) printStatement(changes []string, already, dry bool, r *reconcile.Report) error {
	for _, text := range changes {
		if err := p.printf("%s\n", report.Plain(text)); err != nil {
			return err
		}
	}
	switch {
	case r != nil:
		if err := p.printf("Nothing was changed. The next run would do this:\n\n"); err != nil {
			return err
		}
		return report.Text(p.out, *r, p.view())
	case already:
		return nil
	case dry:
		return p.printf("Nothing was changed.\n")
	}
	return p.printf("The next run acts on it.\n")
}
