package preflight

import (
	"cmp"
	"context"
	"fmt"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
	"slices"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/internal/report"
)

// namedPrices is how many unmapped prices get a line of their own.
const namedPrices = 20

// unserved counts the subscriptions that pay for nothing but unmapped prices.
type unserved struct {
	catalog *planner.Catalog
	ignored map[string]bool   // customers and subscriptions with the manual hold ignore
	seen    int               // subscriptions looked at
	missing int               // of those, the ones without a mapped price
	prices  map[string]int    // price → how many of those have it
	names   map[string]string // price → its lookup key, which is what people know
	product map[string]string // price → its product
}

func (u *unserved) add(s reconcile.Subscription) {
	u.seen++
	if u.ignored[s.ID] || u.ignored[s.StripeCustomer] {
		return
	}
	items := u.catalog.Unserved(s.Items)
	if len(items) == 0 {
		return
	}
	u.missing++
	had := map[string]bool{}
	for _, it := range items {
		if !had[it.Price] {
			had[it.Price] = true
			u.prices[it.Price]++
			u.names[it.Price], u.product[it.Price] = it.LookupKey, it.Product
		}
	}
}

// payers lists the prices that customers pay for and that are not mapped. Each of those
// customers waits until an operator maps the price.
func (x *check) payers(ctx context.Context) {
	if x.Store == nil {
		return
	}
	mappings, err := x.Store.Mappings(ctx)
	if err == nil && len(mappings) == 0 {
		return // there is a line about that
	}
	var features []reconcile.ProductFeatures
	if err == nil {
		features, err = x.Store.Features(ctx)
	}
	u := &unserved{catalog: planner.NewCatalog(mappings, x.plans).WithFeatures(features...), ignored: map[string]bool{}, prices: map[string]int{},
		names: map[string]string{}, product: map[string]string{}}
	if err == nil {
		err = x.countPayers(ctx, u)
	}
	switch {
	case err != nil:
		x.fail("payers", err.Error(), seeMessage)
	case u.missing > 0:
		x.listUnserved(ctx, u)
	case u.seen > 0:
		x.ok("payers", "%s that may be served, each with a price that is mapped", report.Count(u.seen, "subscription"))
	}
}

// countPayers reads the database or, before the first run, the account itself.
func (x *check) countPayers(ctx context.Context, u *unserved) error {
	holds, err := x.Store.ManualHolds(ctx, x.Now())
	if err != nil {
		return err
	}
	for _, h := range holds {
		if h.Kind == reconcile.Ignore {
			u.ignored[cmp.Or(h.Subscription, h.Customer)] = true
		}
	}
	if !x.billingUp {
		return x.Store.Payers(ctx, func(s reconcile.Subscription) error { u.add(s); return nil })
	}
	partly, err := x.EachPayer(ctx, u.add)
	if partly > 0 && err == nil {
		x.warn("payers", fmt.Sprintf("no run has read this account yet, and only its newest %s were looked at", report.Count(partly, "subscription")),
			"stripe-enhance plan reads all of them, and changes nothing")
	}
	return err
}

func (x *check) listUnserved(ctx context.Context, u *unserved) {
	ids := make([]string, 0, len(u.prices))
	for id := range u.prices {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b string) int { return cmp.Or(u.prices[b]-u.prices[a], strings.Compare(a, b)) })
	features := x.featuresOf(ctx, u, ids)
	for i, id := range ids {
		if i == namedPrices {
			x.fail("payers", fmt.Sprintf("%s not mapped either", otherPrices(len(ids)-i)), "stripe-enhance mappings suggest")
			return
		}
		named := id
		if name := u.names[id]; name != "" {
			named += " (" + name + ")"
		}
		if keys := features[u.product[id]]; len(keys) > 0 {
			named += ", whose product has the features " + strings.Join(keys, ", ") + ","
		}
		x.fail("payers", fmt.Sprintf("%s is not mapped, and %s for nothing else", named, pay(u.prices[id])),
			"stripe-enhance mappings set "+id+" PLAN; until then nothing is created for them")
	}
}

// featuresOf reads the features of the products of the prices that get a line, as far as the
// key may: they are what such a product may be mapped by.
func (x *check) featuresOf(ctx context.Context, u *unserved, prices []string) map[string][]string {
	of := map[string][]string{}
	if !x.billingUp {
		return of
	}
	for _, id := range prices[:min(len(prices), namedPrices)] {
		product := u.product[id]
		if _, read := of[product]; read || product == "" {
			continue
		}
		keys, err := x.Stripe.ProductFeatures(ctx, product)
		if err != nil {
			return of // there is a line about the permission; the others would fail in the same way
		}
		of[product] = keys
	}
	return of
}

func pay(n int) string {
	if n == 1 {
		return "1 subscription pays"
	}
	return report.Number(n) + " subscriptions pay"
}

func otherPrices(n int) string {
	if n == 1 {
		return "1 other price that customers pay for is"
	}
	return report.Number(n) + " other prices that customers pay for are"
}
