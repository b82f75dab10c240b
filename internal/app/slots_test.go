package app

import (
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/priority"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

// In the service a sweep whose requests all hang leaves slots to who has just paid. A command
// has no one else to serve.
func TestASweepLeavesSlotsFreeOnlyInTheService(t *testing.T) {
	for want, connect := range map[int]func(*App) error{
		6: (*App).ConnectService,
		8: func(a *App) error { return a.Connect(config.NeedStripe | config.NeedEnhance) },
	} {
		synctest.Test(t, func(t *testing.T) {
			at := &url.URL{Scheme: "https", Host: "127.0.0.1"}
			c := &config.Config{StripeKey: secret.New("sk_test_1"), EnhanceToken: secret.New("token"), EnhanceOrg: "4d3b6f6e-1111-4222-8333-444455556666",
				StripeURL: at, EnhanceURL: at, StripeRPS: 1000, EnhanceRPS: 1000, Concurrency: 8}
			a := New(c, Process{Now: time.Now})
			if err := connect(a); err != nil {
				t.Fatal(err)
			}
			for name, s := range map[string]*side{"Stripe": a.stripeSide, "Enhance": a.enhanceSide} {
				for range 20 {
					go func() { _, _ = s.limiter.Acquire(priority.With(t.Context(), priority.Bulk)) }()
				}
				synctest.Wait()
				if got := s.limiter.Inflight(); got != want {
					t.Errorf("%s: a sweep has %d slots of 8, want %d", name, got, want)
				}
			}
		})
	}
}
