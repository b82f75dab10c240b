package ratelimit

import (
	"context"
	"math"
	"sync"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/internal/priority"
)

// BenchmarkAcquire is the cost of a request that need not wait.
func BenchmarkAcquire(b *testing.B) {
	l := New(Options{RPS: math.Inf(1)})
	for b.Loop() {
		release, err := l.Acquire(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		release()
	}
}

// BenchmarkAcquireBehindACrowd is the same for an urgent request while ten thousand
// others wait for a slot: the figure should be the same.
func BenchmarkAcquireBehindACrowd(b *testing.B) {
	l := New(Options{RPS: math.Inf(1), Concurrency: 8})
	ctx, cancel := context.WithCancel(priority.With(b.Context(), priority.Bulk))
	var crowd sync.WaitGroup
	for range 10_000 {
		crowd.Go(func() {
			if _, err := l.Acquire(ctx); err == nil {
				<-ctx.Done()
			}
		})
	}
	customer := priority.With(b.Context(), priority.Urgent)
	for b.Loop() {
		release, err := l.Acquire(customer)
		if err != nil {
			b.Fatal(err)
		}
		release()
	}
	cancel()
	crowd.Wait()
}
