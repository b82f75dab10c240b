package stripe

import (
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// swept runs a sweep and returns how long it took and how often it listed each
// subscription.
func swept(t testing.TB, c *Client) (reconcile.Listing, map[string]int, time.Duration) {
	t.Helper()
	seen := map[string]int{}
	begin := time.Now()
	listing, err := c.Sweep(t.Context(), func(page []reconcile.SubscriptionFacts) error {
		for i := range page {
			seen[page[i].ID]++
		}
		return nil
	})
	if err != nil {
		t.Fatalf("sweep: %v", err)
	}
	return listing, seen, time.Since(begin)
}

// TestASweepOfAnyDistributionIsCompleteFastAndSparing runs in virtual time: latency is
// exact and computing is free, so the figures are those of the algorithm.
func TestASweepOfAnyDistributionIsCompleteFastAndSparing(t *testing.T) {
	const subscriptions, latency = 20_000, 50 * time.Millisecond
	const pages = subscriptions / 100
	for name, distribute := range distributions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(distribute(rand.New(rand.NewPCG(1, 2)), subscriptions))
			f.latency = latency
			synctest.Test(t, func(t *testing.T) {
				listing, seen, took := swept(t, f.client(t, math.Inf(1), 8))
				for i := range f.created {
					if seen[fleetID(i)] != 1 {
						t.Fatalf("%s was listed %d times", fleetID(i), seen[fleetID(i)])
					}
				}
				want := reconcile.Listing{Count: subscriptions, Requests: int(f.requests.Load()), AsOf: f.now.UTC()}
				if diff := cmp.Diff(want, listing); diff != "" {
					t.Errorf("listing (-want +got):\n%s", diff)
				}
				if listing.Requests > pages*5/4 {
					t.Errorf("%d requests for %d pages", listing.Requests, pages)
				}
				if f.most.Load() > 8 {
					t.Errorf("%d requests in flight, want at most 8", f.most.Load())
				}
				// A second cannot be cut, so subscriptions that share one are read page
				// by page. That weighs more in these 200 pages than in the 1000 of the
				// benchmarks. Which goroutine goes first at one instant is the scheduler's
				// choice, so each bound stands well below the least of 40 runs.
				least := map[string]float64{"all in one second": 0.9, "bursts": 4, "a campaign in one second": 4.5, "imported in one hour": 5}[name]
				if least == 0 {
					least = 5.5
				}
				ratio := float64(pages*latency) / float64(took)
				if ratio < least {
					t.Errorf("%.1f times faster than one page after another, want %v", ratio, least)
				}
				t.Logf("%d requests for %d pages, %.1f times faster than one page after another", listing.Requests, pages, ratio)
			})
		})
	}
}

func TestASweepThatIsHeldByTheRateWastesLittleOfIt(t *testing.T) {
	const subscriptions, rps = 20_000, 20
	for _, name := range []string{"uniform over a year", "bursts", "a campaign in one second"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFleet(distributions[name](rand.New(rand.NewPCG(3, 4)), subscriptions))
			f.latency = 50 * time.Millisecond
			synctest.Test(t, func(t *testing.T) {
				_, _, took := swept(t, f.client(t, rps, 8))
				ideal := time.Duration(subscriptions/100) * time.Second / rps
				if took > ideal*13/10 {
					t.Errorf("took %v where the rate alone needs %v", took, ideal)
				}
			})
		})
	}
}

func TestASmallAccountTakesFewRequests(t *testing.T) {
	for _, tt := range []struct {
		name        string
		created     []int64
		most, count int
	}{
		{"one page", spread(rand.New(rand.NewPCG(1, 1)), 60, newest-90*day, newest), 1, 60},
		{"a full page and no more", spread(rand.New(rand.NewPCG(1, 1)), 100, newest-90*day, newest), 1, 100},
		{"a page and one more", spread(rand.New(rand.NewPCG(1, 1)), 101, newest-300*day, newest), 10, 101},
		{"three pages", spread(rand.New(rand.NewPCG(1, 1)), 250, newest-900*day, newest), 10, 250},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFleet(tt.created)
			listing, seen, _ := swept(t, f.client(t, math.Inf(1), 8))
			if diff := cmp.Diff(tt.count, len(seen)); diff != "" {
				t.Errorf("subscriptions (-want +got):\n%s", diff)
			}
			if listing.Requests > tt.most {
				t.Errorf("%d requests, want at most %d", listing.Requests, tt.most)
			}
		})
	}
}
