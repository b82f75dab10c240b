package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// failedWebhooks are the counts in health and in the dashboard.
func (s *service) failedWebhooks() (health, dashboard, listed int) {
	s.tb.Helper()
	var h struct {
		Metrics struct{ FailedWebhooks int }
	}
	var d struct {
		Webhooks struct {
			Failed      []struct{ SubscriptionID string }
			FailedCount int
		}
	}
	if err := errors.Join(json.Unmarshal([]byte(s.call("GET", "/api/health", "").body), &h),
		json.Unmarshal([]byte(s.admin("GET", "/dashboard", "").body), &d)); err != nil {
		s.tb.Fatal(err)
	}
	return h.Metrics.FailedWebhooks, d.Webhooks.FailedCount, len(d.Webhooks.Failed)
}

// A failure that was repaired later is no longer one: neither health nor the dashboard
// shows it.
func TestAFailedWebhookIsToldUntilItIsMadeUpFor(t *testing.T) {
	onEachDatabase(t, func(t *testing.T, url string) {
		s := serveHere(t, serving{database: url, environ: []string{"RETRY_MIN=1s", "RETRY_MAX=1s"}})
		s.world.SetFault(func(c simulator.Call) simulator.Fault {
			if c.Side == simulator.Enhance && c.Write() && strings.HasSuffix(c.Route, "/subscriptions") { // the organisation is made
				return simulator.NotDone(400)
			}
			return simulator.Fault{}
		})
		done := s.signUp("bakery", "price_basic_monthly")
		s.hook(subscriptionEvent("evt_order", done.Subscription))
		s.until("the failure is shown", func() bool {
			health, dashboard, listed := s.failedWebhooks()
			return health == 1 && dashboard == 1 && listed == 1
		})
		s.world.SetFault(nil)
		s.until("it is repaired and no longer shown", func() bool {
			s.admin("POST", "/sync", `{"subscriptionId":"`+done.Subscription+`"}`)
			health, dashboard, listed := s.failedWebhooks()
			return len(s.world.Hostings()) == 1 && health == 0 && dashboard == 0 && listed == 0
		})
	})
}
