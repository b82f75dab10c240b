package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stripe-enhance/stripe-enhance/internal/app"
	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

func (p *program) customersCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "customers",
		Short:   "What is known about a customer, and what serves it",
		GroupID: groupLook,
		Example: "  stripe-enhance customers show --email bakery@example.com",
	}
	c.AddCommand(p.customersShow(), p.customersBind(), p.customersUnbind())
	return c
}

func (p *program) customersShow() *cobra.Command {
	var l reconcile.CustomerLookup
	var refresh bool
	c := &cobra.Command{
		Use:   "show [E-MAIL|cus_…|sub_…]",
		Short: "One customer: subscriptions, hosting, holds, history",
		Long: "Shows what the database knows, without asking Stripe or Enhance, and when each\n" +
			"hosting was last looked at. Several customers with one e-mail are all shown.\n" +
			"--refresh asks both sides now, shows what they say, and stores nothing: the next\n" +
			"run looks by itself, and `stripe-enhance reconcile --subscription` does at once.",
		Args: atMostOne("customer"),
		Example: "  stripe-enhance customers show bakery@example.com\n" +
			"  stripe-enhance customers show --email bakery@example.com\n" +
			"  stripe-enhance customers show --customer cus_AbCdEf -o json",
		RunE: func(c *cobra.Command, args []string) error {
			if err := whom(&l, args); err != nil {
				return &usageError{err, c.CommandPath()}
			}
			need := config.Need(0)
			if refresh {
				need = config.NeedStripe | config.NeedEnhance
			}
			return p.with(c.Context(), need, func(ctx context.Context, a *app.App) error {
				return p.showCustomers(ctx, a, l, refresh)
			})
		},
	}
	c.Flags().StringVar(&l.Email, "email", "", "the customer's e-mail, without regard to case")
	c.Flags().StringVar(&l.StripeCustomer, "customer", "", "the customer's id at Stripe (cus_…)")
	c.Flags().BoolVar(&refresh, "refresh", false, "look at Stripe and Enhance now; stores nothing")
	return c
}

// whom reads who is meant: by one flag or by one word.
func whom(l *reconcile.CustomerLookup, args []string) error {
	switch {
	case len(args) > 0 && (l.Email != "" || l.StripeCustomer != ""):
		return fmt.Errorf("%q and a flag both say whom: leave one out", args[0])
	case l.Email != "" && l.StripeCustomer != "":
		return errors.New("--email and --customer both say whom: leave one out")
	case l.Email != "" || l.StripeCustomer != "":
		return nil
	case len(args) == 0:
		return errors.New("whom? Name an e-mail, a customer (cus_…) or a subscription (sub_…)")
	}
	switch word := strings.TrimSpace(args[0]); {
	case strings.Contains(word, "@"):
		l.Email = word
	case reconcile.ValidID("cus_", word):
		l.StripeCustomer = word
	case reconcile.ValidID("sub_", word):
		l.Subscription = word
	default:
		return fmt.Errorf("%q is no e-mail, no id of a customer (cus_…) and none of a subscription (sub_…)", args[0])
	}
	return nil
}

func (p *program) showCustomers(ctx context.Context, a *app.App, l reconcile.CustomerLookup, refresh bool) error {
	found, err := a.Store.FindCustomers(ctx, l, app.HistoryRows)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return fmt.Errorf("no customer %s%s%s is known here; a full run reads all of them: stripe-enhance reconcile --full", l.Email, l.StripeCustomer, l.Subscription)
	}
	cat, err := a.Catalog(ctx)
	if err != nil {
		return err
	}
	all := make([]report.Customer, 0, len(found))
	for _, one := range found {
		var now app.Refreshed
		if refresh {
			now = a.Refresh(ctx, &one)
		}
		c := report.CustomerOf(one, p.now())
		c.Refreshed, c.RefreshProblems, c.RefreshChanges = refresh, now.Problems, now.Changes
		c.Ahead = report.AheadOf(planner.Decide(&one.Customer, cat, a.Config.Policy(), p.now()).Forecast)
		all = append(all, c)
	}
	if p.format == formatJSON {
		return report.WriteJSON(p.out, map[string]any{"customers": all})
	}
	for i, one := range all {
		if i > 0 {
			if err := p.printf("\n"); err != nil {
				return err
			}
		}
		if err := one.Text(p.out, p.view()); err != nil {
			return err
		}
	}
	return nil
}
