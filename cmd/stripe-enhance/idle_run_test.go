package main

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/pgtest"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/store"
)

// BenchmarkIdleRun measures the CPU time of a command `reconcile` that finds nothing to do,
// as a process of its own with its start and its report, beside few and many stored
// customers of whom few and many have a hold. The figures of a row should be the same for
// every size. `go test -run ^$ -bench IdleRun -benchtime 20x ./cmd/stripe-enhance` prints
// the table; the databases take a few minutes to fill.
func BenchmarkIdleRun(b *testing.B) {
	program := benchmarked(b)
	for _, database := range []string{"sqlite", "postgres"} {
		for _, size := range []struct{ customers, held int }{{1_000, 0}, {20_000, 0}, {20_000, 10_000}, {200_000, 0}, {200_000, 10_000}, {200_000, 200_000}} {
			b.Run(fmt.Sprintf("%s/customers=%d/held=%d", database, size.customers, size.held), func(b *testing.B) {
				url := "sqlite:" + filepath.Join(b.TempDir(), "state.db")
				if database == "postgres" {
					url = pgtest.Empty(b)
				}
				s := newSite(b, url)
				s.signUp(several("customer", 20)...)
				s.mapPrices()
				s.run("reconcile")
				fillStore(b, url, size.customers, size.held)
				s.run("reconcile")
				var spent time.Duration
				for b.Loop() {
					cmd := s.command(b.Context(), nil, "reconcile")
					cmd.Path = program
					out, err := cmd.CombinedOutput()
					var exit *exec.ExitError
					if err != nil && !errors.As(err, &exit) || cmd.ProcessState.ExitCode() != idleCode(size.held) {
						b.Fatalf("%v: %.2000s", err, out)
					}
					spent += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
				}
				b.ReportMetric(float64(spent.Microseconds())/1000/float64(b.N), "cpu-ms")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// idleCode is the exit code of a run that had nothing to do.
func idleCode(held int) int {
	if held > 0 {
		return exitLeft
	}
	return exitOK
}

// fillStore adds customers to the database, of whom the first ones are held because their
// price is not mapped. None of them is due.
func fillStore(b *testing.B, url string, customers, held int) {
	b.Helper()
	ctx := b.Context()
	s, err := store.Open(ctx, store.Options{URL: secret.New(url)})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	now := time.Now()
	token, owner, _, err := s.Acquire(ctx, "filling", now, time.Hour)
	if err != nil || token == 0 {
		b.Fatalf("the lease is %q's: %v", owner, err)
	}
	const part = 1000
	for from := 0; from < customers; from += part {
		facts := make([]reconcile.SubscriptionFacts, min(part, customers-from))
		planned := make([]reconcile.Planned, len(facts))
		for i := range facts {
			customer, subscription := fmt.Sprintf("cus_filled%07d", from+i), fmt.Sprintf("sub_1Filled%07d", from+i)
			email := fmt.Sprintf("filled%d@example.com", from+i)
			facts[i] = reconcile.SubscriptionFacts{
				Subscription: reconcile.Subscription{ID: subscription, StripeCustomer: customer, Status: reconcile.StatusActive, StatusText: "active",
					Created: now.Add(-24 * time.Hour), CurrentPeriodEnd: now.Add(24 * time.Hour), ReadAt: now,
					Items: []reconcile.Item{{ID: fmt.Sprintf("si_Filled%07d", from+i), Price: "price_newsletter", Product: "prod_newsletter", Quantity: 1, Created: now}}},
				Buyer: reconcile.StripeCustomer{ID: customer, Email: email, Name: "Filled"},
			}
			planned[i] = reconcile.Planned{Customer: customer}
			if from+i < held {
				planned[i].Holds = []reconcile.Hold{{Kind: reconcile.HoldUnmapped, Customer: customer, Subscription: subscription, Email: email, Order: true,
					Reason: "price price_newsletter of product prod_newsletter has no mapping: map it to a plan with `stripe-enhance mappings set price_newsletter PLAN`, or to none if it is not hosting"}}
			}
		}
		if err := s.SaveFacts(ctx, token, facts, false, now); err != nil {
			b.Fatal(err)
		}
		ids := make([]string, len(planned))
		for i := range planned {
			ids[i] = planned[i].Customer
		}
		versions, err := s.Versions(ctx, ids)
		if err != nil {
			b.Fatal(err)
		}
		for i := range planned {
			planned[i].Version = versions[planned[i].Customer]
		}
		if err := s.SavePlanned(ctx, token, "filling", planned, now); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Release(ctx, token); err != nil {
		b.Fatal(err)
	}
}
