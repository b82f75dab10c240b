package mapping

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/stripe-enhance/stripe-enhance/clients/stripe"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// Prices are the prices of a Stripe account.
type Prices interface {
	// Prices returns all that are on sale, with the names of their products.
	Prices(ctx context.Context) ([]stripe.Price, error)
	// Price returns one, archived or not; fault.NotFound, fault.Denied.
	Price(ctx context.Context, id string) (stripe.Price, error)
	// ProductFeatures returns the lookup keys of the features of a product; fault.Denied.
	ProductFeatures(ctx context.Context, product string) ([]string, error)
}

// Plans are the plans of a panel.
type Plans interface {
	// Plans returns all of them.
	Plans(ctx context.Context) ([]reconcile.EnhancePlan, error)
}

// Suggestion is a price that is not mapped, with the plan that its name suggests.
type Suggestion struct {
	Price    string `json:"billing_plan_id"`
	Product  string `json:"product_name"`
	Amount   string `json:"amount"`
	Plan     string `json:"enhance_plan_id"` // "" if no plan stands out
	PlanName string `json:"plan_name"`
	Archived bool   `json:"archived"` // the price or its product is off sale
	// Features are the lookup keys of the features of its product, by which it may be mapped
	// too, with all prices of all products that have the feature.
	Features []string `json:"features,omitempty"`
	product  string
}

// Sources are what suggestions are made from.
type Sources struct {
	Stripe  Prices
	Enhance Plans
	Mapped  []reconcile.Mapping
	// EachPayer passes on every subscription that may be served. partly is their number if
	// the account has more than were read; else 0.
	EachPayer func(ctx context.Context, each func(reconcile.Subscription)) (partly int, err error)
	// Printf writes one line to the person at the terminal.
	Printf func(format string, args ...any)
}

// Suggest lists the prices that are not mapped: those on sale, and those that are archived
// while a subscription has them.
func Suggest(ctx context.Context, s Sources) ([]Suggestion, error) {
	prices, err := s.Stripe.Prices(ctx)
	if err != nil {
		return nil, err
	}
	plans, err := s.Enhance.Plans(ctx)
	if err != nil {
		return nil, err
	}
	archived, err := s.archived(ctx, prices)
	if err != nil {
		return nil, err
	}
	prices = append(prices, archived...)
	return s.withFeatures(ctx, suggestions(prices, plans, s.Mapped))
}

// withFeatures adds the features of products, and drops the prices that are mapped by one.
// If they cannot be read, or there are too many products, the rest is shown without.
func (s Sources) withFeatures(ctx context.Context, all []Suggestion) ([]Suggestion, error) {
	of := map[string][]string{}
	for i := range all {
		product := all[i].product
		if _, read := of[product]; product == "" || read || len(of) == maxPricesByID {
			continue
		}
		keys, err := s.Stripe.ProductFeatures(ctx, product)
		if ctx.Err() != nil {
			return nil, err
		}
		if err != nil {
			if !errors.Is(err, fault.Denied) {
				s.Printf("the features of products are not shown: %v", err)
			}
			break // the others would fail in the same way, slowly
		}
		of[product] = keys
	}
	mapped := func(key string) bool {
		return reconcile.MayBeFeature(key) && slices.ContainsFunc(s.Mapped, func(m reconcile.Mapping) bool { return m.BillingID == key })
	}
	for i := range all {
		all[i].Features = of[all[i].product]
	}
	return slices.DeleteFunc(all, func(one Suggestion) bool { return slices.ContainsFunc(one.Features, mapped) }), nil
}

// maxPricesByID is how many prices are read one by one, so that a shop with a price for
// each customer does not use up the rate of its key.
const maxPricesByID = 25

// archived are the prices that a subscription has and Stripe does not list, because they
// are off sale. A customer with such a price waits for a mapping like any other. Their
// names are read by id; if they cannot be read, or there are too many, the subscription's
// item is all that is known.
func (s Sources) archived(ctx context.Context, listed []stripe.Price) ([]stripe.Price, error) {
	seen := map[string]bool{}
	for i := range listed {
		seen[listed[i].ID] = true
	}
	for _, m := range s.Mapped {
		seen[m.BillingID] = true
	}
	var all []stripe.Price
	partly, err := s.EachPayer(ctx, func(sub reconcile.Subscription) {
		for i := range sub.Items {
			it := &sub.Items[i]
			if it.Price != "" && !seen[it.Price] && !seen[it.Product] && !(it.LookupKey != "" && seen[it.LookupKey]) {
				seen[it.Price] = true
				all = append(all, stripe.Price{ID: it.Price, LookupKey: it.LookupKey, Product: it.Product, Archived: true})
			}
		}
	})
	switch {
	case errors.Is(err, fault.Denied):
		s.Printf("archived prices that a subscription has are not listed: %v", err)
	case err != nil:
		return nil, err
	case partly > 0:
		s.Printf("no run has read this account yet: archived prices are those of its newest %s", report.Count(partly, "subscription"))
	}
	return all, s.readByID(ctx, all)
}

// readByID reads prices with their names. Those that cannot be read stay as they are.
func (s Sources) readByID(ctx context.Context, all []stripe.Price) error {
	for i := range all {
		if i == maxPricesByID {
			s.Printf("%s more that subscriptions have are listed without their names", report.Count(len(all)-i, "archived price"))
			break
		}
		price, err := s.Stripe.Price(ctx, all[i].ID)
		if ctx.Err() != nil {
			return err
		}
		if err != nil {
			s.Printf("archived prices are listed without their names: %v", err)
			break // the others would fail in the same way, slowly
		}
		all[i] = price
	}
	return nil
}

// suggestions pairs by words: a price gets the plan that shares most words with its
// product, nickname and lookup key, if no other plan shares as many.
func suggestions(prices []stripe.Price, plans []reconcile.EnhancePlan, mapped []reconcile.Mapping) []Suggestion {
	known := map[string]bool{}
	for _, m := range mapped {
		known[m.BillingID] = true
	}
	all := []Suggestion{}
	for _, price := range prices {
		if known[price.ID] || known[price.Product] || price.LookupKey != "" && known[price.LookupKey] {
			continue
		}
		s := Suggestion{Price: price.ID, Product: price.ProductName, Amount: amount(price), Archived: price.Archived, product: price.Product}
		if plan, ok := likeliest(price, plans); ok {
			s.Plan, s.PlanName = strconv.Itoa(plan.ID), plan.Name
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b Suggestion) int {
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

// common are words that any product of a hosting company may have in its name, and words
// for the interval of payment. They do not distinguish two plans.
var common = []string{"hosting", "web", "plan", "package", "monthly", "yearly", "annual", "month", "year", "the"}

func wordsOf(text string) []string {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	if rest := slices.DeleteFunc(slices.Clone(words), func(w string) bool { return slices.Contains(common, w) }); len(rest) > 0 {
		return rest
	}
	return words
}

// amount is the amount of a price as people know it: "15.00 eur / month".
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
