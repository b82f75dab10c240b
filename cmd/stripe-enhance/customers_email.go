package main

import (
	"context"
	"errors"
	"fmt"
	"net/mail"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stripe-enhance/stripe-enhance/internal/app"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
)

const emailLong = `Invites the owner of the customer's organisation at another address, and takes back the
invitation at the old one, because that was a mistake or is no longer read. The address is
stored, and a run does it: this command does one for the customer, or, if another process
is at work, that does. Nothing changes at Stripe. If the invitation was accepted, this is
refused: Enhance lets only its holder change the e-mail of a login.`

func (p *program) customersEmail() *cobra.Command {
	var w personFlags
	c := &cobra.Command{
		Use:   "email CUSTOMER NEW_EMAIL",
		Short: "Invite the owner at another address, while the invitation is open",
		Long:  emailLong,
		Args:  arguments("CUSTOMER", "NEW_EMAIL"),
		Example: "  stripe-enhance customers email cus_AbCdEf bakery@example.com --reason 'a typing mistake' --dry-run\n" +
			"  stripe-enhance customers email bakery@exmaple.com bakery@example.com --reason 'a typing mistake'",
		RunE: func(c *cobra.Command, args []string) error {
			var l reconcile.CustomerLookup
			email := strings.TrimSpace(args[1])
			if err := errors.Join(parseLookup(&l, args[:1]), w.check(p), checkEmail(email)); err != nil {
				return &usageError{err, c.CommandPath()}
			}
			return p.withEngine(c.Context(), func(ctx context.Context, a *app.App, e *engine.Engine) error {
				return p.inviteAt(ctx, a, e, l, email, &w)
			})
		},
	}
	w.register(c, "show what the next run would do, and change nothing")
	return c
}

func checkEmail(email string) error {
	if parsed, err := mail.ParseAddress(email); err != nil || parsed.Address != email {
		return fmt.Errorf("%q is not an e-mail address", email)
	}
	return nil
}

// invitedAt is the JSON of email.
type invitedAt struct {
	Customer string           `json:"customer"`
	Org      string           `json:"org"`
	Before   string           `json:"before"`
	Email    string           `json:"email"`
	Done     bool             `json:"done"` // the owner is invited there
	DryRun   bool             `json:"dry_run"`
	Plan     *report.Document `json:"plan,omitempty"`
}

func (p *program) inviteAt(ctx context.Context, a *app.App, e *engine.Engine, l reconcile.CustomerLookup, email string, w *personFlags) error {
	c, err := p.oneCustomer(ctx, a, l)
	if err != nil {
		return err
	}
	do := a.Store.WantInvite
	if w.dry {
		do = a.Store.PreviewInvite
	}
	changed, err := do(ctx, c.ID, email, w.why(), p.now())
	if no := reconcile.InstructionRefused(""); errors.As(err, &no) {
		return no
	}
	if err != nil {
		return err
	}
	key := reconcile.EmailKey(email)
	out := invitedAt{Customer: c.ID, Org: c.Org.ID, Before: c.InvitedEmail, Email: key, Done: !changed && c.InvitedEmail == key, DryRun: w.dry}
	request := engine.Request{Trigger: "cli"}
	for i := range c.Subscriptions {
		request.Subscriptions = append(request.Subscriptions, c.Subscriptions[i].ID)
	}
	switch {
	case out.Done:
		return p.printInvitedAt(out, nil)
	case w.dry:
		request.Suppose = func(one *reconcile.Customer) {
			if one.ID == c.ID {
				one.InviteWanted, one.InviteWhy = key, w.why()
			}
		}
		r, err := a.DryRun(ctx, e, request)
		if err != nil {
			return err
		}
		return p.printInvitedAt(out, &r)
	}
	if err := a.Store.Nudge(ctx, request.Subscriptions, "a person changed the address of the invitation", p.now()); err != nil {
		return err
	}
	_, err = e.Run(ctx, request)
	if held := new(reconcile.LeaseTaken); errors.As(err, &held) {
		err = nil // the process at work follows the nudge
	}
	if err != nil {
		return fmt.Errorf("the address is stored, and the next run invites there; this one failed: %w", err)
	}
	now, err := p.oneCustomer(ctx, a, reconcile.CustomerLookup{StripeCustomer: c.ID})
	if err != nil {
		return err
	}
	out.Done = now.InvitedEmail == key && now.InviteWanted == ""
	return p.printInvitedAt(out, nil)
}

func (p *program) printInvitedAt(out invitedAt, r *reconcile.Report) error {
	if p.format == formatJSON {
		if r != nil {
			d := report.Of(*r)
			out.Plan = &d
		}
		return report.WriteJSON(p.out, out)
	}
	was, is := report.Plain(out.Before), report.Plain(out.Email)
	switch {
	case r != nil:
		if err := p.printf("The owner of organisation %s is invited at %s now, and would be invited at %s.\nNothing was changed. The next run would do this:\n\n", out.Org, was, is); err != nil {
			return err
		}
		return report.Text(p.out, *r, p.view())
	case out.Done:
		return p.printf("The owner of organisation %s is invited at %s.\n", out.Org, is)
	}
	return p.printf("The address %s is stored for the owner of organisation %s; the next run invites there, if the invitation is still open.\n", is, out.Org)
}
