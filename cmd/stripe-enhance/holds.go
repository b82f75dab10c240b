package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stripe-enhance/stripe-enhance/internal/app"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/server"
)

const holdsLong = `A manual hold keeps the program from changing one customer or one subscription:

  no-suspend       nothing is suspended or deleted, even if it is not paid for
  keep-suspended   a suspension of ours is not lifted
  ignore           nothing is changed

It wins over everything else until it is removed or its time has come, and every run
lists the changes that it withholds, with its reason and its author. It can be set for
a customer that the database does not know yet: it counts from the first run that sees
them.`

func (p *program) holdsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "holds",
		Short:   "Manual holds: leave a customer or a subscription alone",
		Long:    holdsLong,
		GroupID: groupSetUp,
		Example: "  stripe-enhance holds add --customer cus_AbCdEf --kind no-suspend --until 336h --reason 'invoice in dispute'\n" +
			"  stripe-enhance holds list",
	}
	c.AddCommand(p.holdsList(), p.holdsAdd(), p.holdsRemove())
	return c
}

func (p *program) holdsList() *cobra.Command {
	return withCSV(&cobra.Command{
		Use:     "list",
		Short:   "All holds in force, the oldest first",
		Example: "  stripe-enhance holds list\n  stripe-enhance holds list -o csv > holds.csv",
		Args:    arguments(),
		RunE: func(c *cobra.Command, _ []string) error {
			return p.withStore(c.Context(), p.listHolds)
		},
	})
}

func (p *program) listHolds(ctx context.Context, a *app.App) error {
	all, err := a.Store.ManualHolds(ctx, p.now())
	if err != nil {
		return err
	}
	t := report.Table{Head: []string{"id", "kind", "customer", "subscription", "until", "reason", "author", "created"}}
	outside := []report.ManualHold{}
	for _, h := range all {
		t.Add(h.ID, h.Kind.String(), h.Customer, h.Subscription, instant(h.Until), h.Reason, h.Author, instant(h.Created))
		outside = append(outside, report.ManualHoldOf(h))
	}
	return p.list(&t, "there is no manual hold", outside)
}

// newHold are the flags of holds add.
type newHold struct {
	reconcile.ManualHold
	kind, until, email string
}

func (p *program) holdsAdd() *cobra.Command {
	var n newHold
	c := &cobra.Command{
		Use:   "add",
		Short: "Set a hold",
		Long:  holdsLong,
		Args:  arguments(),
		Example: "  stripe-enhance holds add --customer cus_AbCdEf --kind no-suspend --until 2030-01-31 --reason 'invoice in dispute'\n" +
			"  stripe-enhance holds add --email bakery@example.com --kind no-suspend --until 72h\n" +
			"  stripe-enhance holds add --subscription sub_1NqAbCdEf --kind keep-suspended --reason 'sends spam'",
		RunE: func(c *cobra.Command, _ []string) error {
			if n.email == "" {
				h, err := p.manualHold(n)
				if err != nil {
					return &usageError{err, c.CommandPath()}
				}
				return p.withStore(c.Context(), func(ctx context.Context, a *app.App) error { return p.addHold(ctx, a, h) })
			}
			if n.Customer != "" || n.Subscription != "" {
				return &usageError{errors.New("--email names the customer, and so does --customer or --subscription: leave one out"), c.CommandPath()}
			}
			return p.withStore(c.Context(), func(ctx context.Context, a *app.App) error {
				var err error
				if n.Customer, err = p.onlyBuyer(ctx, a, n.email); err != nil {
					return err
				}
				h, err := p.manualHold(n)
				if err != nil {
					return &usageError{err, c.CommandPath()}
				}
				return p.addHold(ctx, a, h)
			})
		},
	}
	f := c.Flags()
	f.StringVar(&n.Customer, "customer", "", "a customer's id at Stripe (cus_…), with all its subscriptions")
	f.StringVar(&n.email, "email", "", "the e-mail of a customer in the database, instead of the id")
	f.StringVar(&n.Subscription, "subscription", "", "a subscription's id (sub_…): only that one")
	f.StringVar(&n.kind, "kind", "", "no-suspend, keep-suspended or ignore")
	f.StringVar(&n.until, "until", "", "a day (2030-01-31), a time (2030-01-31T12:00:00Z) or a duration (72h); default: until it is removed")
	f.StringVar(&n.Reason, "reason", "", "the reason, for the people who find the hold later (optional)")
	f.StringVar(&n.Author, "author", "", "who decided it (default: the user of this process)")
	return c
}

// onlyBuyer is the Stripe customer with an e-mail. If several have it, a person must choose,
// because a customer can type any e-mail at checkout.
func (p *program) onlyBuyer(ctx context.Context, a *app.App, email string) (string, error) {
	found, err := a.Store.FindCustomers(ctx, reconcile.CustomerLookup{Email: email}, 0)
	if err != nil {
		return "", err
	}
	var ids []string
	for _, c := range found {
		for _, b := range c.Buyers {
			if reconcile.EmailKey(b.Email) == reconcile.EmailKey(email) && !b.Deleted {
				ids = append(ids, b.ID)
			}
		}
	}
	switch len(ids) {
	case 0:
		return "", fmt.Errorf("the database has no customer with the e-mail %s: give the id, --customer cus_…, which also works before the first run", email)
	case 1:
		return ids[0], nil
	}
	return "", fmt.Errorf("%d customers have the e-mail %s: %s. Choose one with --customer; nothing was set", len(ids), email, strings.Join(ids, ", "))
}

// manualHold reads the flags.
func (p *program) manualHold(n newHold) (reconcile.ManualHold, error) {
	h := n.ManualHold
	h.Customer, h.Subscription = strings.TrimSpace(h.Customer), strings.TrimSpace(h.Subscription)
	h.Reason, h.Author = strings.TrimSpace(h.Reason), cmp.Or(strings.TrimSpace(h.Author), p.person())
	h.Kind, h.Created = reconcile.ParseManualKind(n.kind), p.now().UTC()
	h.ID = server.NewHoldID()
	var err error
	if n.until != "" {
		h.Until, err = p.moment(n.until)
	}
	if problem := h.Problem(p.now()); err == nil && problem != "" {
		err = errors.New(problem)
	}
	return h, err
}

// moment reads a time in the future: a day begins at midnight UTC, a duration now.
func (p *program) moment(text string) (time.Time, error) {
	if span, err := time.ParseDuration(text); err == nil {
		return p.now().Add(span).UTC(), nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("--until %s is neither a day like 2030-01-31, nor a time like 2030-01-31T12:00:00Z, nor a duration like 72h", text)
}

func (p *program) addHold(ctx context.Context, a *app.App, h reconcile.ManualHold) error {
	known, err := a.Store.AddManualHold(ctx, h)
	if err != nil {
		return err
	}
	if !known {
		p.sayf("the database does not know %s%s yet; the hold counts from the first run that sees it", h.Customer, h.Subscription)
	}
	if err := a.Store.Nudge(ctx, nil, "a hold was set", p.now()); err != nil {
		return err
	}
	if p.format == formatJSON {
		return report.WriteJSON(p.out, report.ManualHoldOf(h))
	}
	return p.printf("%s: %s for %s%s, %s\n", h.ID, h.Kind, h.Customer, h.Subscription, lasting(h))
}

func lasting(h reconcile.ManualHold) string {
	if h.Until.IsZero() {
		return "until it is removed"
	}
	return "until " + instant(h.Until)
}

func (p *program) holdsRemove() *cobra.Command {
	return &cobra.Command{
		Use:     "remove HOLD_ID",
		Short:   "Remove a hold",
		Long:    "Removes a hold. The next run plans the changes that it withheld.",
		Args:    arguments("HOLD_ID"),
		Example: "  stripe-enhance holds list\n  stripe-enhance holds remove hold_k3v9x2m7q4w8z1t5",
		RunE: func(c *cobra.Command, args []string) error {
			return p.withStore(c.Context(), func(ctx context.Context, a *app.App) error { return p.removeHold(ctx, a, args[0]) })
		},
	}
}

func (p *program) removeHold(ctx context.Context, a *app.App, id string) error {
	found, err := a.Store.RemoveManualHold(ctx, id, p.now())
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("there is no hold %s, or it was removed before: see stripe-enhance holds list", id)
	}
	if err := a.Store.Nudge(ctx, nil, "a hold was removed", p.now()); err != nil {
		return err
	}
	if p.format == formatJSON {
		return report.WriteJSON(p.out, map[string]string{"removed": id})
	}
	return p.printf("removed %s\n", report.Plain(id))
}
