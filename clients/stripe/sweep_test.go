package stripe

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/clients/ratelimit"
	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/priority"
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

// The bound is pages ÷ rate. The limiter's savings pay for the requests that find out how
// the account is spread over time.
func TestASweepThatIsHeldByTheRateTakesItsTimeAlone(t *testing.T) {
	const rps = 20
	for _, name := range []string{"uniform over a year", "growing", "bursts", "a campaign in one second", "all in one second"} {
		for _, pages := range []int{10, 30, 100, 200} {
			t.Run(fmt.Sprintf("%s, %d pages", name, pages), func(t *testing.T) {
				t.Parallel()
				f := newFleet(distributions[name](rand.New(rand.NewPCG(3, 4)), 100*pages))
				f.latency = 50 * time.Millisecond
				synctest.Test(t, func(t *testing.T) {
					listing, _, took := swept(t, f.client(t, rps, 8))
					ideal := time.Duration(pages) * time.Second / rps
					t.Logf("%.2f × the bound, %d requests", float64(took)/float64(ideal), listing.Requests)
					if took > ideal*105/100 {
						t.Errorf("took %v where the rate alone needs %v", took, ideal)
					}
				})
			})
		}
	}
}

// TestASweepWhoseCallerHasLeftStagesNothingMore, not even a page that came in time.
func TestASweepWhoseCallerHasLeftStagesNothingMore(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := &stub{answer: func(int, *http.Request) reply {
		cancel()
		return reply{body: page(false, goodSubscription)}
	}}
	listing, err := s.client(t).Sweep(ctx, func([]reconcile.SubscriptionFacts) error {
		t.Error("a page was staged")
		return nil
	})
	if fault.Of(err) != fault.Canceled || !errors.Is(err, context.Canceled) || listing.Count != 0 {
		t.Errorf("listing %+v, error %v (%v), want canceled", listing, err, fault.Of(err))
	}
}

// TestASweepHasAsManyWorkersAsTheRateKeepsBusy, and one more.
func TestASweepHasAsManyWorkersAsTheRateKeepsBusy(t *testing.T) {
	for _, tt := range []struct {
		rps  float64
		took time.Duration
		want int
	}{{20, 0, 1}, {20, 49 * time.Millisecond, 1}, {20, 50 * time.Millisecond, 2}, {20, time.Minute, 9}, {math.Inf(1), 0, 8}, {math.Inf(1), time.Second, 8}} {
		if got := newFleet(same(1, newest)).client(t, tt.rps, 8).busy(tt.took); got != tt.want {
			t.Errorf("at %v requests a second and %v a page: %d workers, want %d", tt.rps, tt.took, got, tt.want)
		}
	}
}

// TestASweepIsAsOfItsFirstPageByStripesClock: what came later is in the events since then. If
// the time were that of a later page, or of a clock that is ahead, they would be missed.
func TestASweepIsAsOfItsFirstPageByStripesClock(t *testing.T) {
	ours, first := time.Date(2026, time.March, 2, 12, 0, 0, 0, time.UTC), time.Date(2026, time.March, 2, 9, 0, 0, 0, time.UTC)
	dated := func(date time.Time) map[string]string { return map[string]string{"Date": date.Format(http.TimeFormat)} }
	for name, tt := range map[string]struct {
		headers []map[string]string // of the first page and of the second
		want    time.Time
	}{
		"both dated":     {[]map[string]string{dated(first), dated(first.Add(time.Minute))}, first},
		"none dated":     {[]map[string]string{nil, nil}, ours},
		"only the later": {[]map[string]string{nil, dated(first.Add(time.Minute))}, ours},
	} {
		s := inTurn(reply{body: page(true, createdAt("sub_1", 1750000000)), header: tt.headers[0]}, reply{body: page(false), header: tt.headers[1]})
		listing, err := s.client(t, func(o *Options) {
			o.Concurrency, o.Now = 1, func() time.Time { return ours }
		}).Sweep(t.Context(), nothing)
		if err != nil || !listing.AsOf.Equal(tt.want) {
			t.Errorf("%s: as of %v, %v, want %v", name, listing.AsOf, err, tt.want)
		}
	}
}

func TestASweepIsBulkUnlessItsCallerIsOfAnotherClass(t *testing.T) {
	for _, tt := range []struct {
		name string
		ctx  context.Context
		want map[priority.Class]int
	}{
		{"a sweep", t.Context(), map[priority.Class]int{priority.Bulk: 1}},
		{"a sweep that a customer waits for", priority.With(t.Context(), priority.Urgent), map[priority.Class]int{priority.Urgent: 1}},
	} {
		limiter := ratelimit.New(ratelimit.Options{RPS: 1e6})
		f := newFleet(same(60, newest))
		c := newClient(t, Options{Transport: f, Limiter: limiter})
		if _, err := c.Sweep(tt.ctx, func([]reconcile.SubscriptionFacts) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, granted(limiter)); diff != "" {
			t.Errorf("%s: requests by class (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestOtherCallsAreOfTheClassOfTheirContext(t *testing.T) {
	for _, class := range priority.Classes {
		limiter := ratelimit.New(ratelimit.Options{RPS: 1e6})
		s := byPath(map[string]reply{
			"/v1/events": {status: 200, body: page(false)},
			"/v1/prices": {status: 200, body: page(false)},
		})
		c := s.client(t, func(o *Options) { o.Limiter = limiter })
		ctx := priority.With(t.Context(), class)
		if _, err := c.Events(ctx, hookTime); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Prices(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Subscription(ctx, "sub_1"); !errors.Is(err, fault.NotFound) {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[priority.Class]int{class: 3}, granted(limiter)); diff != "" {
			t.Errorf("%v: requests by class (-want +got):\n%s", class, diff)
		}
	}
}

// granted is the requests of a limiter by class, without the classes that have none.
func granted(l *ratelimit.Limiter) map[priority.Class]int {
	all := map[priority.Class]int{}
	for _, c := range priority.Classes {
		if n := l.Granted(c); n > 0 {
			all[c] = n
		}
	}
	return all
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
