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
		Limiter: ratelimit.New(ratelimit.Options{RPS: rps, Concurrency: workers})})
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

// BenchmarkSweepAtRate compares a sweep that the rate holds back with what the
// rate alone would take: pages ÷ rate.
func BenchmarkSweepAtRate(b *testing.B) {
	const subscriptions, rps = 100_000, 50
	w, url := account(b, subscriptions)
	for b.Loop() {
		took, requests := sweep(b, w, url, rps, 8, subscriptions)
		b.ReportMetric(took.Seconds()/(subscriptions/100.0/rps), "x-of-ideal")
		b.ReportMetric(float64(requests), "requests")
	}
}
