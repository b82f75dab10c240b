package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stripe-enhance/stripe-enhance/internal/app"
	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/mapping"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
)

func (p *program) mappingsSuggest() *cobra.Command {
	return withCSV(&cobra.Command{
		Use:   "suggest",
		Short: "Propose pairs of Stripe prices and Enhance plans by their names",
		Long: "Compares the names of products and prices with those of the plans, and proposes\n" +
			"the mappings that are missing. It saves nothing: copy the lines that are right. A\n" +
			"price without a proposal matches no plan, or several equally well. A price that is\n" +
			"archived at Stripe is listed while a subscription has it.",
		Example: "  stripe-enhance mappings suggest\n" +
			"  stripe-enhance mappings suggest -o csv > mappings.csv   # look through it, then import",
		RunE: func(c *cobra.Command, _ []string) error {
			return p.with(c.Context(), config.NeedStripe|config.NeedEnhance, p.suggest)
		},
	})
}

func (p *program) suggest(ctx context.Context, a *app.App) error {
	all, err := a.SuggestMappings(ctx)
	if err != nil {
		return err
	}
	if p.format == formatText {
		return p.printSuggestions(all)
	}
	var rows []mapping.Row
	for _, s := range all {
		if s.Plan != "" {
			rows = append(rows, mapping.Row{Provider: mapping.Provider, Billing: s.Price, Plan: s.Plan})
		}
	}
	return p.list(mapping.Table(rows), "", all)
}

func (p *program) printSuggestions(all []mapping.Suggestion) error {
	if len(all) == 0 {
		p.sayf("every active price is mapped, and every price that a subscription has")
		return nil
	}
	t := report.Table{Head: []string{"price", "product", "amount", "plan"}}
	featured := slices.ContainsFunc(all, func(s mapping.Suggestion) bool { return len(s.Features) > 0 })
	if featured {
		t.Head = append(t.Head, "features of the product")
	}
	for _, s := range all {
		plan := s.PlanName
		if s.Plan == "" {
			plan = "?"
		}
		amount := s.Amount
		if s.Archived {
			amount = strings.TrimPrefix(amount+", archived", ", ")
		}
		row := []string{s.Price, s.Product, amount, plan}
		if featured {
			row = append(row, strings.Join(s.Features, ", "))
		}
		t.Add(row...)
	}
	if err := t.Text(p.out, "", p.style()); err != nil {
		return err
	}
	var b strings.Builder
	for _, s := range all {
		if s.Plan != "" {
			fmt.Fprintf(&b, "stripe-enhance mappings set %s %s\n", s.Price, s.Plan)
		}
	}
	if b.Len() == 0 {
		return nil
	}
	return p.printf("\nIf that is right:\n%s", b.String())
}
