package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stripe-enhance/stripe-enhance/clients/stripe"
	"github.com/stripe-enhance/stripe-enhance/internal/report"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

const (
	// firstPayers is how many subscriptions of an account that no run has read are
	// looked through: enough to see a price that many pay for, in a few requests.
	firstPayers = 1000
	// namedPrices is how many unmapped prices get a line of their own.
	namedPrices = 20
)

// errEnoughPayers ends the look at an account that no run has read.
var errEnoughPayers = errors.New("enough")

// unserved counts who pays for nothing but unmapped prices.
type unserved struct {
	catalog *planner.Catalog
	ignored map[string]bool   // customers and subscriptions that a person holds
	seen    int               // subscriptions looked at
	missing int               // of those, the ones that no price serves
	prices  map[string]int    // price → how many of those have it
	names   map[string]string // price → how people call it: its lookup key
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
			u.names[it.Price] = it.LookupKey
		}
	}
}

// payers names the prices that somebody pays for and that buy nothing: each of those
// customers waits, and no run can help it.
func (x *examination) payers(ctx context.Context) {
	if x.parts.store == nil {
		return
	}
	mappings, err := x.parts.store.Mappings(ctx)
	if err == nil && len(mappings) == 0 {
		return // said already
	}
	u := &unserved{catalog: planner.NewCatalog(mappings, x.plans), ignored: map[string]bool{}, prices: map[string]int{}, names: map[string]string{}}
	if err == nil {
		err = x.countPayers(ctx, u)
	}
	switch {
	case err != nil:
		x.fail("payers", err.Error(), "mend what the message says")
	case u.missing > 0:
		x.tellUnserved(u)
	case u.seen > 0:
		x.ok("payers", "%s that may be served, each with a price that is mapped", report.Count(u.seen, "subscription"))
	}
}

// countPayers reads the mirror, or, before the first run, the account itself.
func (x *examination) countPayers(ctx context.Context, u *unserved) error {
	holds, err := x.parts.store.ManualHolds(ctx, x.now())
	if err != nil {
		return err
	}
	for _, h := range holds {
		if h.Kind == reconcile.Ignore {
			u.ignored[cmp.Or(h.Subscription, h.Customer)] = true
		}
	}
	if !x.billingUp {
		return x.parts.store.Payers(ctx, func(s reconcile.Subscription) error { u.add(s); return nil })
	}
	partly, err := x.parts.eachPayer(ctx, x.stripe, u.add)
	if partly > 0 && err == nil {
		x.warn("payers", fmt.Sprintf("no run has read this account yet, and only its newest %s were looked at", report.Count(partly, "subscription")),
			"stripe-enhance plan reads all of them, and changes nothing")
	}
	return err
}

// eachPayer hands over every subscription that may be served: those of the mirror, or,
// before the first run, of the account itself. partly is not 0 when only so many of the
// account were looked through.
func (a *parts) eachPayer(ctx context.Context, billing *stripe.Client, each func(reconcile.Subscription)) (partly int, err error) {
	stored := false
	err = a.store.Payers(ctx, func(s reconcile.Subscription) error {
		stored = true
		each(s)
		return nil
	})
	if err != nil || stored {
		return 0, err
	}
	read := 0
	_, err = billing.Sweep(ctx, func(page []reconcile.SubscriptionFacts) error {
		for _, f := range page {
			if f.Status == reconcile.StatusActive || f.Status == reconcile.StatusTrialing || f.Status == reconcile.StatusPastDue {
				each(f.Subscription)
			}
		}
		if read += len(page); read >= firstPayers {
			return errEnoughPayers
		}
		return nil
	})
	if errors.Is(err, errEnoughPayers) {
		return read, nil
	}
	return 0, err
}

func (x *examination) tellUnserved(u *unserved) {
	ids := make([]string, 0, len(u.prices))
	for id := range u.prices {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b string) int { return cmp.Or(u.prices[b]-u.prices[a], strings.Compare(a, b)) })
	for i, id := range ids {
		if i == namedPrices {
			x.fail("payers", fmt.Sprintf("%s more pay for is mapped to nothing", report.Count(len(ids)-i, "price that customers")), "stripe-enhance mappings suggest")
			return
		}
		named := id
		if name := u.names[id]; name != "" {
			named += " (" + name + ")"
		}
		x.fail("payers", fmt.Sprintf("%s is mapped to nothing, and %s for nothing else", named, pay(u.prices[id])),
			"stripe-enhance mappings set "+id+" PLAN; until then nothing is made for them")
	}
}

func pay(n int) string {
	if n == 1 {
		return "1 subscription pays"
	}
	return report.Number(n) + " subscriptions pay"
}

// waiting tells what the last runs left for a person.
func (x *examination) waiting(ctx context.Context) {
	if x.parts.store == nil {
		return
	}
	plans, err := x.parts.store.Waiting(ctx)
	if err != nil {
		x.fail("plans", err.Error(), "mend what the message says")
		return
	}
	for _, p := range plans {
		x.warn("plans", fmt.Sprintf("%s × %s held for approval since %s: %s", report.Number(p.Size()), p.Kind, *report.Time(p.Created), p.Reason),
			"look: stripe-enhance plans "+p.ID+"; release exactly that: stripe-enhance approve "+p.ID)
	}
	runs, err := x.parts.store.Runs(ctx, 1)
	if err != nil {
		x.fail("last run", err.Error(), "mend what the message says")
		return
	}
	if len(runs) == 0 {
		return
	}
	switch last := runs[0]; {
	case last.Error != "":
		x.warn("last run", last.ID+" failed: "+last.Error, "stripe-enhance reconcile tries again")
	case len(last.Gates) > 0:
		x.warn("last run", last.ID+" did not believe all it saw: "+strings.Join(last.Gates, "; "), "stripe-enhance plan shows what is withheld for it")
	case last.Held > 0:
		x.warn("last run", last.ID+" left "+report.Count(last.Held, "thing")+" withheld", "stripe-enhance plan shows each with its reason")
	}
}
