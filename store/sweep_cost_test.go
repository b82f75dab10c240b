//go:build unix

package store

import (
	"fmt"
	"math"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
	"github.com/stripe-enhance/stripe-enhance/clients/stripe"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// BenchmarkSweepCost prints the CPU that this process spends on a sweep, in microseconds
// a subscription: on listing alone, on a first sweep and on one that finds nothing
// changed, both with listing, staging and merging. The cost of making the pages, which
// is the server's, is printed too and subtracted from the others. SWEEP is the number of
// subscriptions:
//
//	SWEEP=1000000 go test ./store -run '^$' -bench SweepCost -benchtime 1x
func BenchmarkSweepCost(b *testing.B) {
	n := 100_000
	if text := os.Getenv("SWEEP"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			b.Fatal(err)
		}
	}
	account := newAccount(b, n)
	client, err := stripe.New(stripe.Options{Key: secret.New("sk_test_benchmark"), Transport: account,
		Limiter: ratelimit.New(ratelimit.Options{RPS: math.Inf(1)})})
	if err != nil {
		b.Fatal(err)
	}
	both(b, func(b *testing.B, f *fixture) {
		each := func(what string, minus float64, do func() error) float64 {
			begin, before := time.Now(), cpuTime(b)
			f.must(do())
			used := float64((cpuTime(b)-before).Microseconds())/float64(n) - minus
			b.ReportMetric(used, what+"_µs/sub")
			b.ReportMetric(time.Since(begin).Seconds(), what+"_s")
			return used
		}
		list := func(stage func([]reconcile.SubscriptionFacts) error) error {
			listing, err := client.Sweep(b.Context(), stage)
			if err == nil && listing.Count != n {
				err = fmt.Errorf("listed %d of %d", listing.Count, n)
			}
			return err
		}
		sweep := func() error {
			if err := f.BeginSweep(b.Context(), f.tok); err != nil {
				return err
			}
			err := list(func(page []reconcile.SubscriptionFacts) error { return f.Stage(b.Context(), f.tok, page) })
			if err != nil {
				return err
			}
			_, err = f.MergeSweep(b.Context(), f.tok, t0)
			return err
		}
		pages := each("pages", 0, account.makeAll)
		each("list", pages, func() error { return list(func([]reconcile.SubscriptionFacts) error { return nil }) })
		each("first", pages, sweep)
		each("again", pages, sweep)
		b.ReportMetric(peakMemory(b), "peak_MB")
		b.ReportMetric(0, "ns/op")
	})
}

// cpuTime is how long this process has computed so far.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
