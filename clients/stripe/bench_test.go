package stripe_test

import (
	"math"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
	"github.com/stripe-enhance/stripe-enhance/clients/stripe"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// account is a Stripe on loopback sockets with 50 ms of latency.
func account(b *testing.B, subscriptions int) (w *simulator.World, url string) {
	b.Helper()
	w = simulator.New(simulator.Options{Calm: true, Latency: 50 * time.Millisecond})
	w.Populate(subscriptions, simulator.Mix{})
	servers, err := w.Listen(b.Context(), "127.0.0.1:0", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = servers.Close() })
	return w, servers.StripeURL
}

// sweep lists the account once and returns how long it took.
func sweep(b *testing.B, w *simulator.World, url string, rps float64, workers, want int) (time.Duration, int) {
	b.Helper()
	client, err := stripe.New(stripe.Options{Key: secret.New(w.StripeKey()), BaseURL: url, Concurrency: workers,
		Limiter: ratelimit.New(ratelimit.Options{RPS: rps, Concurrency: 2 * workers})}) // so that Bulk has a slot for each worker
	if err != nil {
		b.Fatal(err)
	}
	begin := time.Now()
	listing, err := client.Sweep(b.Context(), func([]reconcile.SubscriptionFacts) error { return nil })
	if err != nil || listing.Count != want {
		b.Fatalf("listed %d of %d: %v", listing.Count, want, err)
	}
	return time.Since(begin), client.Requests()
}

// BenchmarkSweepOpened compares eight slices at a time with one page after
// another, in one run: the figure is the ratio. It takes about a minute.
func BenchmarkSweepOpened(b *testing.B) {
	const subscriptions = 100_000
	w, url := account(b, subscriptions)
	for b.Loop() {
		serial, _ := sweep(b, w, url, math.Inf(1), 1, subscriptions)
		parallel, requests := sweep(b, w, url, math.Inf(1), 8, subscriptions)
		b.ReportMetric(float64(serial)/float64(parallel), "x-faster")
		b.ReportMetric(float64(requests), "requests")
		b.ReportMetric(serial.Seconds(), "s-serial")
		b.ReportMetric(parallel.Seconds(), "s-parallel")
	}
}

// BenchmarkSweepAtRate compares a sweep that the rate holds back with the time that the
// rate alone would need: pages ÷ rate. It prints a table; below 1 the sweep began with
// what the limiter had saved up. It takes about a minute.
func BenchmarkSweepAtRate(b *testing.B) {
	for b.Loop() {
		for _, at := range []struct {
			subscriptions int
			rps           float64
		}{{100, 20}, {1_000, 20}, {1_000, 50}, {10_000, 20}, {10_000, 50}, {100_000, 50}} {
			w, url := account(b, at.subscriptions)
			took, requests := sweep(b, w, url, at.rps, 8, at.subscriptions)
			pages := float64(at.subscriptions) / 100
			b.Logf("%7d subscriptions at %2.0f/s: %5.2f s, %.2f × the bound, %d requests for %.0f pages",
				at.subscriptions, at.rps, took.Seconds(), took.Seconds()/(pages/at.rps), requests, pages)
		}
	}
}
