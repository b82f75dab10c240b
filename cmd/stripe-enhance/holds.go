package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stripe-enhance/stripe-enhance/internal/app"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

const holdsLong = `A hold is "hands off", said by a person, for one customer or one subscription:

  no-suspend       nothing is taken away, whatever Stripe says
  keep-suspended   a suspension of ours is not lifted
  ignore           nothing is done at all

It wins over everything else until it is removed or its time has come, and every
run tells what it withholds, with its reason and its author. Whoever is not known
here yet may be held as well: it stands from the first run that sees them.`

func (p *program) holdsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "holds",
		Short:   "Hands off a customer or a subscription",
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
	return p.list(&t, "nobody has set a hold", outside)
}

// newHold is a hold as the flags of holds add ask for it.
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
				return &usageError{errors.New("--email says whom, and so does --customer or --subscription: leave one out"), c.CommandPath()}
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
	f.StringVar(&n.Customer, "customer", "", "a customer's id at Stripe (cus_…): all that this customer has")
	f.StringVar(&n.email, "email", "", "the e-mail of a customer who is known here, instead of the id")
	f.StringVar(&n.Subscription, "subscription", "", "a subscription's id (sub_…): only that one")
	f.StringVar(&n.kind, "kind", "", "no-suspend, keep-suspended or ignore")
	f.StringVar(&n.until, "until", "", "a day (2030-01-31), a time (2030-01-31T12:00:00Z) or a span (72h); left out: until it is removed")
	f.StringVar(&n.Reason, "reason", "", "why, in words for whoever finds the hold later (may be left out)")
	f.StringVar(&n.Author, "author", "", "who says so (left out: the user of this process)")
	return c
}

// onlyBuyer is the Stripe customer with an e-mail. An e-mail decides nothing, because
// anybody can type one: where several have it, a person chooses.
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
		return "", fmt.Errorf("no customer has the e-mail %s here: give the id, --customer cus_…, which may also be one that is not known yet", email)
	case 1:
		return ids[0], nil
	}
	return "", fmt.Errorf("%d customers have the e-mail %s: %s. Say which with --customer; nothing was set", len(ids), email, strings.Join(ids, ", "))
}

// manualHold reads the flags.
func (p *program) manualHold(n newHold) (reconcile.ManualHold, error) {
	h := n.ManualHold
	h.Customer, h.Subscription = strings.TrimSpace(h.Customer), strings.TrimSpace(h.Subscription)
	h.Reason, h.Author = strings.TrimSpace(h.Reason), cmp.Or(strings.TrimSpace(h.Author), p.person())
	h.Kind, h.Created = reconcile.ParseManualKind(n.kind), p.now().UTC()
	h.ID = "hold_" + strings.ToLower(rand.Text()[:16])
	var err error
	if n.until != "" {
		h.Until, err = p.moment(n.until)
	}
	if problem := h.Problem(p.now()); err == nil && problem != "" {
		err = errors.New(problem)
	}
	return h, err
}

// moment reads a time to come: a day begins at midnight UTC, a span begins now.
func (p *program) moment(text string) (time.Time, error) {
	if span, err := time.ParseDuration(text); err == nil {
		return p.now().Add(span).UTC(), nil
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("--until %s is neither a day like 2030-01-31, nor a time like 2030-01-31T12:00:00Z, nor a span like 72h", text)
}

func (p *program) addHold(ctx context.Context, a *app.App, h reconcile.ManualHold) error {
	known, err := a.Store.AddManualHold(ctx, h)
	if err != nil {
		return err
	}
	if !known {
		p.sayf("%s%s is not known here yet; the hold stands from the moment a run sees it", h.Customer, h.Subscription)
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
		Long:    "Removes a hold. What it withheld is planned again in the next run.",
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
