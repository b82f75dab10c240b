package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// BenchmarkPaidToLive measures from the webhook of an order to its hosting at the panel, at
// the usual rates, while other things are under way. It prints the median and the 95th
// percentile of -benchtime=20x orders. 50 ms pass on the way to each side, 500 ms in creates.
func BenchmarkPaidToLive(b *testing.B) {
	for _, meanwhile := range []struct {
		name    string
		latency time.Duration
		prepare func(*service)
		do      func(*service, context.Context) // until the context ends
	}{
		{"idle", 50 * time.Millisecond, nil, nil},
		{"others", 50 * time.Millisecond, nil, (*service).othersOrder},
		{"sweep", 50 * time.Millisecond, func(s *service) {
			s.world.Populate(20_000, simulator.Mix{Plain: true, Statuses: map[string]int{"canceled": 1}})
		}, (*service).sweepAgainAndAgain},
		{"creates", 500 * time.Millisecond, nil, (*service).manyOrder},
		{"hanging", 50 * time.Millisecond, nil, (*service).oneOrgHangs},
	} {
		b.Run(meanwhile.name, func(b *testing.B) {
			s := serveHere(b, serving{world: simulator.Options{Latency: meanwhile.latency}, prepare: meanwhile.prepare,
				environ: []string{"LOG_LEVEL=ERROR", "STRIPE_RPS=20", "ENHANCE_RPS=10", "BRAKE_CREATE=1000"}})
			ctx, end := context.WithCancel(b.Context())
			defer end()
			if meanwhile.do != nil {
				go meanwhile.do(s, ctx)
			}
			var all []time.Duration
			for i := range b.N {
				time.Sleep(2 * time.Second)
				all = append(all, s.paidToLive(fmt.Sprintf("buyer%d", i)))
			}
			s.world.SetFault(nil) // so that the service can end
			slices.Sort(all)
			b.ReportMetric(float64(all[len(all)/2].Milliseconds()), "median-ms")
			b.ReportMetric(float64(all[len(all)*95/100].Milliseconds()), "p95-ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// paidToLive orders, and returns how long it took from the webhook to the hosting.
func (s *service) paidToLive(who string) time.Duration {
	s.tb.Helper()
	order := s.signUp(who, "price_basic_monthly")
	began := time.Now()
	s.ordered(order)
	for time.Since(began) < 5*time.Minute {
		effects := s.world.Effects()
		for _, e := range slices.Backward(effects) {
			if e.Kind == "create_subscription" && e.Subscription == order.Subscription {
				return time.Since(began)
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	s.tb.Fatalf("%s has no hosting", who)
	return 0
}

// ordered delivers the webhook of an order.
func (s *service) ordered(order simulator.SignedUp) {
	s.tb.Helper()
	if got := s.hook(subscriptionEvent("evt_"+order.Subscription, order.Subscription)); got.status != http.StatusOK {
		s.tb.Errorf("webhook: %d %s", got.status, got.body)
	}
}

func (s *service) othersOrder(ctx context.Context) {
	for i := 0; ctx.Err() == nil; i++ {
		s.ordered(s.signUp(fmt.Sprintf("other%d", i), "price_pro_monthly"))
		time.Sleep(time.Second)
	}
}

func (s *service) sweepAgainAndAgain(ctx context.Context) {
	for ctx.Err() == nil {
		s.call(http.MethodPost, "/api/admin/sync", "{}", "Authorization: Bearer "+adminKey)
		time.Sleep(100 * time.Millisecond)
	}
}

func (s *service) manyOrder(context.Context) {
	for i := range 300 {
		s.ordered(s.signUp(fmt.Sprintf("other%d", i), "price_pro_monthly"))
	}
}

// oneOrgHangs has one customer order more and more, whose org gives no answer.
func (s *service) oneOrgHangs(ctx context.Context) {
	first := s.signUp("hangs", "price_basic_monthly")
	s.ordered(first)
	s.until("it is served", func() bool { return len(s.world.Hostings()) > 0 })
	org := s.world.Hostings()[0].Org
	s.world.SetFault(func(c simulator.Call) simulator.Fault {
		hangs := strings.Contains(c.Path, org)
		return simulator.Fault{Honest: !hangs, Hang: hangs}
	})
	for i := 0; ctx.Err() == nil; i++ {
		price := []string{"price_pro_monthly", "price_basic_monthly"}[i%2]
		if err := s.world.ChangePrice(first.Subscription, "", price); err != nil {
			s.tb.Error(err)
			return
		}
		s.hook(subscriptionEvent(fmt.Sprintf("evt_hangs%d", i), first.Subscription))
		time.Sleep(time.Second)
	}
}

// BenchmarkNewcomerAfterBurst sends 10,000 webhooks that name 10,000 known subscriptions,
// and then a new customer orders. It gives the time from that webhook to the hosting, and
// from the first webhook until all are followed, with the requests to Stripe. One by one
// they would take 10,000 requests; a sweep of them takes 100.
func BenchmarkNewcomerAfterBurst(b *testing.B) {
	const others = 10_000
	for range b.N {
		s := serveHere(b, serving{world: simulator.Options{Latency: 50 * time.Millisecond},
			environ: []string{"LOG_LEVEL=ERROR", "STRIPE_RPS=20", "ENHANCE_RPS=10"},
			prepare: func(s *service) {
				s.world.Populate(others, simulator.Mix{Plain: true, Statuses: map[string]int{"canceled": 1}})
			}})
		var subscriptions []string
		for _, sub := range s.world.Subscriptions() {
			subscriptions = append(subscriptions, sub.ID)
		}
		sent, began, before := newBurst(others, subscriptions), time.Now(), s.world.Total(simulator.Stripe)
		sent.fire(s.url)
		if n := sent.answered.Load(); n != others {
			b.Fatalf("%d of %d webhooks answered", n, others)
		}
		fired := time.Since(began)
		live := s.paidToLive("buyer")
		s.settle()
		b.ReportMetric(float64(fired.Milliseconds()), "fired-ms")
		b.ReportMetric(float64(live.Milliseconds()), "live-ms")
		b.ReportMetric(float64(time.Since(began).Milliseconds()), "followed-ms")
		b.ReportMetric(float64(s.world.Total(simulator.Stripe)-before), "stripe-requests")
		b.ReportMetric(0, "ns/op")
		s.stop()
	}
}
