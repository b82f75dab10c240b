package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stripe-enhance/stripe-enhance/internal/app"
	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
)

// personFlags are the flags of what a person decides about one customer.
type personFlags struct {
	reason, author string
	dry            bool
}

func (w *personFlags) register(c *cobra.Command, dry string) {
	f := c.Flags()
	f.StringVar(&w.reason, "reason", "", "the reason, for the people who read it later; required")
	f.StringVar(&w.author, "author", "", "who decided it (default: the user of this process)")
	f.BoolVar(&w.dry, "dry-run", false, dry)
}

// check completes the flags.
func (w *personFlags) check(p *program) error {
	w.reason, w.author = strings.TrimSpace(w.reason), cmp.Or(strings.TrimSpace(w.author), p.person())
	if w.reason == "" {
		return errors.New("--reason is missing: write why, for the people who read it later")
	}
	return nil
}

// why is who decided it, and the reason.
func (w *personFlags) why() string { return w.author + ": " + w.reason }

// oneCustomer finds the customer that an argument names. If several have its e-mail or
// domain, a person must choose, because what follows is about one.
func (p *program) oneCustomer(ctx context.Context, a *app.App, l reconcile.CustomerLookup) (*reconcile.CustomerRecord, error) {
	found, err := a.Store.FindCustomers(ctx, l, 0)
	if err != nil {
		return nil, err
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("the database has no customer %s; a full run reads all of them: stripe-enhance reconcile --full", l.Word())
	case 1:
		return &found[0], nil
	}
	ids := make([]string, len(found))
	for i := range found {
		ids[i] = found[i].ID
	}
	return nil, fmt.Errorf("%d customers fit %s: %s. Name one by its id; nothing was changed", len(found), l.Word(), strings.Join(ids, ", "))
}

const renameLong = `Gives the customer's organisation at Enhance another name. The name is stored, and a run
gives it to the organisation: this command does one for the customer, or, if another
process is at work, that does. The name stays until a person changes it again. It is the
same name as that of PATCH /api/admin/customers.`

func (p *program) customersRename() *cobra.Command {
	var w personFlags
	c := &cobra.Command{
		Use:   "rename CUSTOMER NAME",
		Short: "Rename the customer's organisation at Enhance",
		Long:  renameLong,
		Args:  arguments("CUSTOMER", "NAME"),
		Example: "  stripe-enhance customers rename cus_AbCdEf 'Café Zürich' --reason 'asked for it' --dry-run\n" +
			"  stripe-enhance customers rename bakery@example.com 'The Bakery' --reason 'its name at Stripe'",
		RunE: func(c *cobra.Command, args []string) error {
			var l reconcile.CustomerLookup
			name := strings.TrimSpace(args[1])
			err := errors.Join(parseLookup(&l, args[:1]), w.check(p), checkOrgName(name))
			if err != nil {
				return &usageError{err, c.CommandPath()}
			}
			return p.withEngine(c.Context(), func(ctx context.Context, a *app.App, e *engine.Engine) error {
				return p.rename(ctx, a, e, l, name, &w)
			})
		},
	}
	w.register(c, "show what the next run would do, and change nothing")
	return c
}

// checkOrgName refuses what cannot be the name of an organisation.
func checkOrgName(name string) error {
	if name == "" || name != reconcile.CleanName(name) {
		return fmt.Errorf("%q is not a name: it must be a short text without control characters, and not end like a marker of this program", name)
	}
	return nil
}

// renamed is the JSON of rename.
type renamed struct {
	Customer string           `json:"customer"`
	Org      string           `json:"org"`
	Before   string           `json:"before"`
	Name     string           `json:"name"`
	Done     bool             `json:"done"` // the organisation has the name
	DryRun   bool             `json:"dry_run"`
	Plan     *report.Document `json:"plan,omitempty"`
}

func (p *program) rename(ctx context.Context, a *app.App, e *engine.Engine, l reconcile.CustomerLookup, name string, w *personFlags) error {
	c, err := p.oneCustomer(ctx, a, l)
	if err != nil {
		return err
	}
	do := a.Store.WantName
	if w.dry {
		do = a.Store.PreviewName
	}
	changed, err := do(ctx, c.ID, name, w.why(), p.now())
	if no := reconcile.InstructionRefused(""); errors.As(err, &no) {
		return no
	}
	if err != nil {
		return err
	}
	out := renamed{Customer: c.ID, Org: c.Org.ID, Before: c.Org.Name, Name: name, Done: !changed && c.Org.Name == name, DryRun: w.dry}
	var subs []string
	for i := range c.Subscriptions {
		subs = append(subs, c.Subscriptions[i].ID)
	}
	switch {
	case out.Done:
		return p.printRenamed(out, nil)
	case w.dry:
		r, err := a.DryRun(ctx, e, engine.Request{Subscriptions: subs, Trigger: "cli", Suppose: func(one *reconcile.Customer) {
			if one.ID == c.ID {
				one.NameWanted, one.NameWhy = name, w.why()
			}
		}})
		if err != nil {
			return err
		}
		return p.printRenamed(out, &r)
	}
	if err := a.Store.Nudge(ctx, subs, "a person renamed the organisation", p.now()); err != nil {
		return err
	}
	_, err = e.Run(ctx, engine.Request{Subscriptions: subs, Trigger: "cli"})
	if held := new(reconcile.LeaseTaken); errors.As(err, &held) {
		err = nil // the process at work follows the nudge
	}
	if err != nil {
		return fmt.Errorf("the name is stored, and the next run gives it to the organisation; this one failed: %w", err)
	}
	now, err := p.oneCustomer(ctx, a, reconcile.CustomerLookup{StripeCustomer: c.ID})
	if err != nil {
		return err
	}
	out.Done = now.Org != nil && now.Org.Name == name && now.NameWanted == ""
	return p.printRenamed(out, nil)
}

func (p *program) printRenamed(out renamed, r *reconcile.Report) error {
	if p.format == formatJSON {
		if r != nil {
			d := report.Of(*r)
			out.Plan = &d
		}
		return report.WriteJSON(p.out, out)
	}
	was, is := report.Plain(out.Before), report.Plain(out.Name)
	switch {
	case r != nil:
		if err := p.printf("Organisation %s is named %q now, and would be named %q.\nNothing was changed. The next run would do this:\n\n", out.Org, was, is); err != nil {
			return err
		}
		return report.Text(p.out, *r, p.view())
	case out.Done:
		return p.printf("Organisation %s is named %q.\n", out.Org, is)
	}
	return p.printf("The name %q is stored for organisation %s, and the next run gives it that name.\n", is, out.Org)
}

const loginLong = `Prints the panel's short-lived link by which you are logged in once as the owner of the
customer's organisation, as the customer sees it. The link is a credential: it goes to
stdout once, and neither to the log nor to the database. The journal keeps who made it,
and why. The token needs the role Owner, SuperAdmin or Sysadmin in the customer's
organisation, or in the master organisation.`

func (p *program) customersLogin() *cobra.Command {
	var w personFlags
	var email string
	c := &cobra.Command{
		Use:   "login CUSTOMER",
		Short: "A one-time link to log in as the owner of the customer's organisation",
		Long:  loginLong,
		Args:  arguments("CUSTOMER"),
		Example: "  stripe-enhance customers login bakery@example.com --reason 'the site shows an error'\n" +
			"  stripe-enhance customers login cus_AbCdEf --reason 'the site shows an error' --dry-run",
		RunE: func(c *cobra.Command, args []string) error {
			var l reconcile.CustomerLookup
			if err := errors.Join(parseLookup(&l, args), w.check(p)); err != nil {
				return &usageError{err, c.CommandPath()}
			}
			return p.with(c.Context(), config.NeedEnhance, func(ctx context.Context, a *app.App) error {
				return p.login(ctx, a, l, email, &w)
			})
		},
	}
	w.register(c, "show as whom the link would log in, and make none")
	c.Flags().StringVar(&email, "owner", "", "the e-mail of the owner, if the organisation has several")
	return c
}

func (p *program) login(ctx context.Context, a *app.App, l reconcile.CustomerLookup, email string, w *personFlags) error {
	c, err := p.oneCustomer(ctx, a, l)
	if err != nil {
		return err
	}
	done, err := a.Login(ctx, c, reconcile.LoginRequest{Owner: email, Author: w.author, Reason: w.reason}, w.dry)
	if err != nil {
		return err
	}
	return p.printLogin(done, w.dry)
}

func (p *program) printLogin(l reconcile.Login, dry bool) error {
	if p.format == formatJSON {
		return report.WriteJSON(p.out, map[string]any{"customer": l.Customer, "org": l.Org, "owner": l.Owner, "link": l.Link, "dry_run": dry})
	}
	if dry {
		return p.printf("The link would log in as %s, owner of organisation %s. None was made.\n", report.Plain(l.Owner), l.Org)
	}
	p.sayf("this link logs in once as %s; it is shown only now", report.Plain(l.Owner))
	return p.printf("%s\n", report.Plain(l.Link))
}
