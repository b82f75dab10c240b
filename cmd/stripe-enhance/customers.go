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
)

func (p *program) customersCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "customers",
		Short:   "A customer as the database knows it, and what a person decides about it",
		GroupID: groupLook,
		Example: "  stripe-enhance customers show --email bakery@example.com",
	}
	c.AddCommand(p.customersShow(), p.customersBind(), p.customersUnbind(), p.customersMove(), p.customersMerge(), p.customersSplit(),
		p.customersRename(), p.customersEmail(), p.customersLogin(), p.customersExport(), p.customersErase())
	return c
}

func (p *program) customersShow() *cobra.Command {
	var l reconcile.CustomerLookup
	var refresh bool
	c := &cobra.Command{
		Use:   "show [E-MAIL|cus_…|sub_…|DOMAIN|ORG|HOSTING]",
		Short: "One customer: answers for support, subscriptions, hosting, holds, history",
		Long: "Shows the state in the database, without asking Stripe or Enhance, and when each\n" +
			"hosting was last read. It begins with what support staff are asked: why a site is down,\n" +
			"who suspended it, which payment is missing, and what follows from a payment. The customer\n" +
			"is named by e-mail, by an id at Stripe, by the domain of a website, or by the id of an\n" +
			"organisation or hosting at the panel. If several customers fit, all of them are shown.\n" +
			"--refresh reads both sides now, with the subscription schedules at Stripe, shows the\n" +
			"result, and stores nothing. To store it, wait for the next run, or use\n" +
			"`stripe-enhance reconcile --subscription`.",
		Args: atMostOne("customer"),
		Example: "  stripe-enhance customers show bakery@example.com\n" +
			"  stripe-enhance customers show --email bakery@example.com\n" +
			"  stripe-enhance customers show --customer cus_AbCdEf -o json",
		RunE: func(c *cobra.Command, args []string) error {
			if err := parseLookup(&l, args); err != nil {
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
	c.Flags().BoolVar(&refresh, "refresh", false, "read Stripe and Enhance now; stores nothing")
	return c
}

// parseLookup reads which customer is meant, from one flag or one argument.
func parseLookup(l *reconcile.CustomerLookup, args []string) error {
	switch {
	case len(args) > 0 && (l.Email != "" || l.StripeCustomer != ""):
		return fmt.Errorf("%q and a flag both name the customer: leave one out", args[0])
	case l.Email != "" && l.StripeCustomer != "":
		return errors.New("--email and --customer both name the customer: leave one out")
	case l.Email != "" || l.StripeCustomer != "":
		return nil
	case len(args) == 0:
		return errors.New("name the customer: an e-mail, a customer (cus_…), a subscription (sub_…), a domain, an organisation or a hosting")
	}
	word := strings.TrimSpace(args[0])
	org, _ := reconcile.ParseOrgID(word)
	hosting, notHosting := reconcile.ParseHostingID(word)
	switch {
	case strings.Contains(word, "@") && !strings.Contains(word, "/"):
		l.Email = word
	case reconcile.ValidID("cus_", word):
		l.StripeCustomer = word
	case reconcile.ValidID("sub_", word):
		l.Subscription = word
	case org != "":
		l.Org = org
	case hosting != 0 && notHosting == "":
		l.Hosting = hosting
	case reconcile.DomainKey(word) != "":
		l.Domain = reconcile.DomainKey(word)
	default:
		return fmt.Errorf("%q is not an e-mail, a customer (cus_…), a subscription (sub_…), a domain, an organisation or a hosting", args[0])
	}
	return nil
}

func (p *program) showCustomers(ctx context.Context, a *app.App, l reconcile.CustomerLookup, refresh bool) error {
	found, err := a.Store.FindCustomers(ctx, l, app.HistoryRows)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return fmt.Errorf("the database has no customer %s; a full run reads all of them: stripe-enhance reconcile --full", l.Word())
	}
	all, err := a.Stories(ctx, found, refresh)
	if err != nil {
		return err
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
