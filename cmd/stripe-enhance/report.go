package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/stripe-enhance/stripe-enhance/internal/app"
	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
)

const reportLong = `Compares the subscriptions at Stripe with the hostings at the panel, and lists each
difference with its worth a month:

  paid_not_provisioned     a subscription is active, and its hosting is not there
  paid_but_unpaid_status   its invoices are paid, and Stripe still calls it unpaid
  wrong_plan               the hosting is on another plan than the one paid for
  provisioned_not_paid     a hosting is up, and no subscription pays for it
  duplicate                a hosting or an organisation was made twice
  kept_too_long            suspended for longer than RETENTION_PERIOD
  empty_org                an organisation without hostings was left behind

The rows come from the database, as the last runs read both sides. Amounts are read at
Stripe, only for the subscriptions in rows: price, quantity, tiers and lasting discounts,
without taxes. A month is the twelfth part of a year. Where an amount cannot be known it
is left empty, and the reason names the cause. Currencies are never added together. A customer
with the hold ignore is left out.`

func (p *program) reportCommand() *cobra.Command {
	c := withCSV(&cobra.Command{
		Use:     "report",
		Short:   "Paid but not provisioned, provisioned but not paid, and what it is worth",
		Long:    reportLong,
		GroupID: groupLook,
		Args:    arguments(),
		Example: "  stripe-enhance report\n" +
			"  stripe-enhance report -o csv > report.csv",
		RunE: func(c *cobra.Command, _ []string) error {
			return p.with(c.Context(), config.NeedStripe, p.report)
		},
	})
	c.Flags().BoolVar(&p.shown.All, "all", false, "show every line of long lists")
	return c
}

func (p *program) report(ctx context.Context, a *app.App) error {
	show, finish := p.watch()
	d, err := a.Discrepancies(ctx, show)
	finish()
	if err != nil {
		return err
	}
	for _, note := range d.Notes {
		p.sayf("%s", note)
	}
	outside := report.DiscrepanciesOf(p.now(), d.Rows, d.Notes)
	switch p.format {
	case formatJSON:
		err = report.WriteJSON(p.out, outside)
	case formatCSV:
		err = outside.Table().CSV(p.out)
	default:
		err = outside.Text(p.out, d.Rows, p.view())
	}
	if err == nil && len(d.Rows) > 0 {
		return leftError{}
	}
	return err
}
