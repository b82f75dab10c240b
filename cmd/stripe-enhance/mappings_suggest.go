package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/stripe-enhance/stripe-enhance/clients/stripe"
	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

func (p *program) mappingsSuggest() *cobra.Command {
	return withCSV(&cobra.Command{
		Use:   "suggest",
		Short: "Propose pairs of Stripe prices and Enhance plans by their names",
		Long: "Compares the names of products and prices with those of the plans, and proposes\n" +
			"the mappings that are not there yet. It sets nothing: copy the lines that are\n" +
			"right. A price without a proposal matches no plan, or several equally well.\n" +
			"A price that is archived at Stripe is listed while a subscription has it.",
		Example: "  stripe-enhance mappings suggest\n" +
			"  stripe-enhance mappings suggest -o csv > mappings.csv   # look through it, then import",
		RunE: func(c *cobra.Command, _ []string) error {
			a, err := p.assemble(c.Context(), config.NeedStripe|config.NeedEnhance)
			if err != nil {
				return err
			}
			return joined(p.suggest(c.Context(), a), a.close())
		},
	})
}

// suggestion is a price that is not mapped, and the plan that is meant by it.
type suggestion struct {
	Price    string `json:"billing_plan_id"`
	Product  string `json:"product_name"`
	Amount   string `json:"amount"`
	Plan     string `json:"enhance_plan_id"` // "" when no plan stands out
	PlanName string `json:"plan_name"`
	Archived bool   `json:"archived"` // off sale, or its product is
}

func (p *program) suggest(ctx context.Context, a *parts) error {
	prices, err := a.stripe.Prices(ctx)
	if err != nil {
		return err
	}
	plans, err := a.enhance.Plans(ctx)
	if err != nil {
		return err
	}
	mapped, err := a.store.Mappings(ctx)
	if err != nil {
		return err
	}
	kept, err := p.pricesOffSale(ctx, a, prices, mapped)
	if err != nil {
		return err
	}
	prices = append(prices, kept...)
	all := suggestions(prices, plans, mapped)
	if p.format == formatText {
		return p.tellSuggestions(all)
	}
	t, _ := mappingTable(nil)
	for _, s := range all {
		if s.Plan != "" {
			t.Add(provider, s.Price, s.Plan)
		}
	}
	return p.list(t, "", all)
}

// maxPricesByID is how many prices are read one by one, so that a shop with a price for
// each customer does not use up the rate of its key.
const maxPricesByID = 25

// pricesOffSale are the prices that a subscription has and Stripe does not list, because
// they were archived: who has one waits for a mapping like everybody else. Their names are
// read by id; of those that cannot be read, or are too many, there is what stands in the
// subscription.
func (p *program) pricesOffSale(ctx context.Context, a *parts, listed []stripe.Price, mapped []reconcile.Mapping) ([]stripe.Price, error) {
	seen := map[string]bool{}
	for i := range listed {
		seen[listed[i].ID] = true
	}
	for _, m := range mapped {
		seen[m.BillingID] = true
	}
	var all []stripe.Price
	partly, err := a.eachPayer(ctx, a.stripe, func(s reconcile.Subscription) {
		for i := range s.Items {
			it := &s.Items[i]
			if it.Price != "" && !seen[it.Price] && !seen[it.Product] && !(it.LookupKey != "" && seen[it.LookupKey]) {
				seen[it.Price] = true
				all = append(all, stripe.Price{ID: it.Price, LookupKey: it.LookupKey, Product: it.Product, Archived: true})
			}
		}
	})
	switch {
	case errors.Is(err, fault.Denied):
		p.sayf("archived prices that a subscription has are not listed: %v", err)
	case err != nil:
		return nil, err
	case partly > 0:
		p.sayf("no run has read this account yet: archived prices are those of its newest %s", report.Count(partly, "subscription"))
	}
	return all, p.nameByID(ctx, a.stripe, all)
}

// nameByID reads the names of prices. Those that cannot be read stay as they are.
func (p *program) nameByID(ctx context.Context, billing *stripe.Client, all []stripe.Price) error {
	for i := range all {
		if i == maxPricesByID {
			p.sayf("%s more that subscriptions have are listed without their names", report.Count(len(all)-i, "archived price"))
			break
		}
		price, err := billing.Price(ctx, all[i].ID)
		if ctx.Err() != nil {
			return err
		}
		if err != nil {
			p.sayf("archived prices are listed without their names: %v", err)
			break // the others would only say the same, slowly
		}
		all[i] = price
	}
	return nil
}

func (p *program) tellSuggestions(all []suggestion) error {
	if len(all) == 0 {
		p.sayf("every active price is mapped, and every price that a subscription has")
		return nil
	}
	t := report.Table{Head: []string{"price", "product", "amount", "plan"}}
	for _, s := range all {
		plan := s.PlanName
		if s.Plan == "" {
			plan = "?"
		}
		amount := s.Amount
		if s.Archived {
			amount = strings.TrimPrefix(amount+", archived", ", ")
		}
		t.Add(s.Price, s.Product, amount, plan)
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

// suggestions pairs by words: the plan that shares most of them with product,
// nickname and lookup key, when no other shares as many.
func suggestions(prices []stripe.Price, plans []reconcile.EnhancePlan, mapped []reconcile.Mapping) []suggestion {
	known := map[string]bool{}
	for _, m := range mapped {
		known[m.BillingID] = true
	}
	all := []suggestion{}
	for _, price := range prices {
		if known[price.ID] || known[price.Product] || price.LookupKey != "" && known[price.LookupKey] {
			continue
		}
		s := suggestion{Price: price.ID, Product: price.ProductName, Amount: amount(price), Archived: price.Archived}
		if plan, ok := likeliest(price, plans); ok {
			s.Plan, s.PlanName = strconv.Itoa(plan.ID), plan.Name
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b suggestion) int {
		return strings.Compare(a.Product+"\x00"+a.Price, b.Product+"\x00"+b.Price)
	})
	return all
}

func likeliest(price stripe.Price, plans []reconcile.EnhancePlan) (best reconcile.EnhancePlan, ok bool) {
	words := wordsOf(price.ProductName + " " + price.Nickname + " " + price.LookupKey)
	most := 0.0
	for _, plan := range plans {
		switch score := likeness(words, wordsOf(plan.Name)); {
		case score > most:
			best, most, ok = plan, score, true
		case score == most:
			ok = false
		}
	}
	return best, ok && most >= 0.5
}

// likeness is the share of a plan's words that the price has too.
func likeness(price, plan []string) float64 {
	if len(plan) == 0 {
		return 0
	}
	shared := 0
	for _, w := range plan {
		if slices.Contains(price, w) {
			shared++
		}
	}
	return float64(shared) / float64(len(plan))
}

// common are words that every product of a hosting company has in its name, and
// how often one pays: they tell no two plans apart.
var common = []string{"hosting", "web", "plan", "package", "monthly", "yearly", "annual", "month", "year", "the"}

func wordsOf(text string) []string {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	if rest := slices.DeleteFunc(slices.Clone(words), func(w string) bool { return slices.Contains(common, w) }); len(rest) > 0 {
		return rest
	}
	return words
}

// amount is what a person recognises a price by: "15.00 eur / month".
func amount(price stripe.Price) string {
	if price.Currency == "" {
		return "" // it was not read
	}
	interval := price.Interval
	if price.IntervalCount > 1 {
		interval = fmt.Sprintf("%d %ss", price.IntervalCount, interval)
	}
	if !price.HasAmount {
		return "tiered / " + interval
	}
	if slices.Contains(undivided, price.Currency) {
		return fmt.Sprintf("%d %s / %s", price.UnitAmount, price.Currency, interval)
	}
	return fmt.Sprintf("%d.%02d %s / %s", price.UnitAmount/100, price.UnitAmount%100, price.Currency, interval)
}

// undivided are the currencies that Stripe counts in whole units
// (docs.stripe.com/currencies, "zero-decimal currencies").
var undivided = []string{"bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "ugx", "vnd", "vuv", "xaf", "xof", "xpf"}
