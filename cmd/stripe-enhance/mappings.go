package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stripe-enhance/stripe-enhance/internal/app"
	"github.com/stripe-enhance/stripe-enhance/internal/mapping"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

const mappingsLong = `A mapping is a price and the plan that it buys. The billing id is a price id, a lookup
key, a product id, or the lookup key of a feature (Stripe Entitlements) that the product
has; if several match, the price wins over its lookup key, that over the product, and the
product over its features. The plan is Enhance's number or the exact name, or "none"
for a price that does not buy hosting, such as a newsletter: nothing is created for it,
and nothing is held. Map a plan that is called none by its number.`

func (p *program) mappingsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:     "mappings",
		Short:   "Which price buys which plan",
		Long:    mappingsLong,
		GroupID: groupSetUp,
		Example: "  stripe-enhance mappings suggest\n" +
			"  stripe-enhance mappings set price_1NqAbCdEf 2\n" +
			"  stripe-enhance mappings list -o csv > mappings.csv",
	}
	c.AddCommand(p.mappingsList(), p.mappingsSet(), p.mappingsDelete(), p.mappingsSuggest(), p.mappingsImport(), p.mappingsExport())
	return c
}

func (p *program) mappingsList() *cobra.Command {
	return withCSV(&cobra.Command{
		Use:     "list",
		Short:   "All mappings",
		Example: "  stripe-enhance mappings list\n  stripe-enhance mappings list -o csv",
		RunE: func(c *cobra.Command, _ []string) error {
			return p.withStore(c.Context(), func(ctx context.Context, a *app.App) error { return p.listMappings(ctx, a) })
		},
	})
}

func (p *program) listMappings(ctx context.Context, a *app.App) error {
	all, err := a.Store.Mappings(ctx)
	if err != nil {
		return err
	}
	rows := mapping.Rows(all)
	return p.list(mapping.Table(rows), "no price is mapped yet: stripe-enhance mappings suggest", rows)
}

func (p *program) mappingsSet() *cobra.Command {
	var unchecked bool
	var options optionFlags
	c := &cobra.Command{
		Use:   "set BILLING_ID PLAN",
		Short: "Map a price, a lookup key or a product to a plan",
		Long: mappingsLong + "\n\nIf keys are configured, both sides are asked whether they know it. If one cannot be\n" +
			"asked, the mapping is saved with a warning. --unchecked skips both checks.\n\n" + optionsLong,
		Args: arguments("BILLING_ID", "PLAN"),
		Example: "  stripe-enhance mappings set price_1NqAbCdEf 2\n" +
			"  stripe-enhance mappings set pro_monthly 'Pro hosting'\n" +
			"  stripe-enhance mappings set prod_AbCdEf 3 --unchecked\n" +
			"  stripe-enhance mappings set price_newsletter none\n" +
			"  stripe-enhance mappings set price_1NqAbCdEf 2 --grace 7d --websites none --owner none",
		RunE: func(c *cobra.Command, args []string) error {
			m := reconcile.Mapping{BillingID: strings.TrimSpace(args[0]), Plan: strings.TrimSpace(args[1])}
			if m.BillingID == "" || m.Plan == "" {
				return &usageError{errors.New("neither BILLING_ID nor PLAN may be empty"), c.CommandPath()}
			}
			return p.withSides(c.Context(), unchecked, func(ctx context.Context, a *app.App) error {
				stands, err := a.Store.Mappings(ctx)
				if err != nil {
					return err
				}
				if m.MappingOptions, err = options.given(c).Over(mapping.Standing(stands, m.BillingID), m.Plan); err != nil {
					return &usageError{err, c.CommandPath()}
				}
				if err := a.VerifyMappings(ctx, m); err != nil {
					return err
				}
				if err := a.Store.SetMapping(ctx, m, p.person(), p.now()); err != nil {
					return err
				}
				return p.printSet(m)
			})
		},
	}
	c.Flags().BoolVar(&unchecked, "unchecked", false, "skip the checks at Stripe and Enhance")
	options.add(c)
	return c
}

func (p *program) printSet(m reconcile.Mapping) error {
	if p.format == formatJSON {
		return report.WriteJSON(p.out, mapping.RowOf(m))
	}
	if m.Plan == reconcile.NotHosting {
		return p.printf("%s is not hosting: nothing is created for it. Hostings that were created for it before stay as they are, and the next run names them\n", report.Plain(m.BillingID))
	}
	return p.printf("%s buys plan %s%s\n", report.Plain(m.BillingID), report.Plain(m.Plan), optionsText(m))
}

// withSides opens the database, and connects each side that is configured.
func (p *program) withSides(ctx context.Context, unchecked bool, do func(context.Context, *app.App) error) error {
	return p.withStore(ctx, func(ctx context.Context, a *app.App) error {
		if !unchecked {
			missing, err := a.ConnectConfigured()
			if err != nil {
				return err
			}
			if len(missing) > 0 {
				p.sayf("not verified at %s: no key is configured", strings.Join(missing, " and "))
			}
		}
		return do(ctx, a)
	})
}

func (p *program) mappingsDelete() *cobra.Command {
	return &cobra.Command{
		Use:     "delete BILLING_ID",
		Short:   "Remove a mapping",
		Long:    "Removes a mapping. No customer loses a hosting by it: subscriptions whose price is\nnot mapped are held, and their hostings stay as they are.",
		Args:    arguments("BILLING_ID"),
		Example: "  stripe-enhance mappings delete price_1NqAbCdEf",
		RunE: func(c *cobra.Command, args []string) error {
			return p.withStore(c.Context(), func(ctx context.Context, a *app.App) error {
				found, err := a.Store.DeleteMapping(ctx, args[0])
				switch {
				case err != nil:
					return err
				case !found:
					return fmt.Errorf("%s is not mapped; see stripe-enhance mappings list", args[0])
				case p.format == formatJSON:
					return report.WriteJSON(p.out, map[string]string{"deleted": args[0]})
				}
				return p.printf("%s is no longer mapped\n", report.Plain(args[0]))
			})
		},
	}
}
