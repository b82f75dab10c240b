package app

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Login makes the panel's one-time link for the owner of a customer's org. The link is
// returned only after its row in the journal is durable; it is a credential, and is kept and
// logged nowhere. With dry none is made. A reason for which none can be made is a
// [reconcile.InstructionRefused].
func (a *App) Login(ctx context.Context, c *reconcile.CustomerRecord, w reconcile.LoginRequest, dry bool) (reconcile.Login, error) {
	if c.Org == nil {
		return reconcile.Login{}, noLogin("customer %s has no organisation at Enhance yet", c.ID)
	}
	owners, err := a.Enhance.OrgOwners(ctx, c.Org.ID)
	if err != nil {
		return reconcile.Login{}, mayNotLogin(err)
	}
	who, err := chooseOwner(owners, w.Owner, c.Org.ID)
	if err != nil {
		return reconcile.Login{}, err
	}
	out := reconcile.Login{Customer: c.ID, Org: c.Org.ID, Owner: who.Email}
	if dry {
		return out, nil
	}
	link, err := a.Enhance.LoginLink(ctx, c.Org.ID, who.Member)
	row := reconcile.Action{ID: "login:" + c.ID, Kind: reconcile.Link, Customer: c.ID, Org: c.Org.ID, Email: who.Email,
		Reason: "a one-time login link as the owner was made by " + w.Author + ": " + w.Reason}
	if err != nil {
		row.Reason = "a one-time login link as the owner was asked for by " + w.Author + ": " + w.Reason
	}
	// Without a row there is no link: it is shown after the row is durable.
	if recorded := a.Store.RecordDeed(ctx, row, w.Author, err, a.Now()); recorded != nil {
		return reconcile.Login{}, errors.Join(mayNotLogin(err), recorded)
	}
	if err != nil {
		return reconcile.Login{}, mayNotLogin(err)
	}
	out.Link = link
	return out, nil
}

func noLogin(format string, args ...any) error {
	return reconcile.InstructionRefused(fmt.Sprintf(format, args...))
}

// chooseOwner is the owner that a link can be made for.
func chooseOwner(owners []reconcile.OwnerLogin, email, org string) (who reconcile.OwnerLogin, err error) {
	var ready []reconcile.OwnerLogin
	var emails []string
	for _, o := range owners {
		if email != "" && reconcile.EmailKey(o.Email) != reconcile.EmailKey(email) {
			continue
		}
		if emails = append(emails, o.Email); o.Accepted {
			ready = append(ready, o)
		}
	}
	switch {
	case len(ready) == 1:
		return ready[0], nil
	case len(ready) > 1:
		return who, noLogin("organisation %s has %d owners: choose one (--owner, or owner in the request): %s", org, len(ready), strings.Join(emails, ", "))
	case len(emails) > 0:
		return who, noLogin("the owner of organisation %s, %s, has not accepted the invitation yet, and has no login that a link could be for", org, strings.Join(emails, ", "))
	case email != "":
		return who, noLogin("organisation %s has no owner with the e-mail %s", org, email)
	}
	return who, noLogin("organisation %s has no owner", org)
}

// mayNotLogin explains a refusal.
func mayNotLogin(err error) error {
	if errors.Is(err, fault.Denied) {
		return fmt.Errorf("%w: the token ENHANCE_API_TOKEN may not do this. It needs the role Owner, SuperAdmin or Sysadmin in the customer's organisation, or in the master organisation", err)
	}
	return err
}
