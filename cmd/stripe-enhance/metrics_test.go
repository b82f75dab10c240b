package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// series are all series of the program itself, without their values.
func (s *service) series() (all []string) {
	s.tb.Helper()
	for line := range strings.Lines(s.call(http.MethodGet, "/metrics", "").body) {
		if name, ok := strings.CutPrefix(line, "stripe_enhance_"); ok {
			all = append(all, name[:strings.LastIndex(name, " ")])
		}
	}
	return all
}

// ids are in no label, because there are as many as customers.
var ids = regexp.MustCompile(`\b(cus|sub|evt|si|cs|in)_[0-9A-Za-z]{6}|@|[0-9a-f]{8}-[0-9a-f]{4}|/[0-9]+`)

// TestEveryMetricMovesWhenItsThingHappens drives the service through what each
// metric counts, and then lets five hundred customers come: not one series more.
func TestEveryMetricMovesWhenItsThingHappens(t *testing.T) {
	t.Parallel()
	s := serveHere(t, serving{environ: []string{"BRAKE_SUSPEND=1,1%", "BRAKE_CREATE=1000", "DRIFT_INTERVAL=1s", "LOG_LEVEL=INFO"}})
	moves := func(series string, least float64) {
		t.Helper()
		var v float64
		s.until(series, func() bool { v = s.metric(series); return v >= least })
	}
	for side, rate := range map[string]float64{"stripe": 1000, "enhance": 1000} {
		moves(fmt.Sprintf("request_rate{side=%q}", side), rate)
	}
	moves("lease_held", 1)
	moves("state_up", 1)
	moves(`runs_total{result="ok",trigger="cron"}`, 1)
	moves(`run_duration_seconds_count{mode="full"}`, 1)
	moves(`last_success_timestamp_seconds{side="stripe"}`, float64(time.Now().Add(-time.Hour).Unix()))
	moves(`last_success_timestamp_seconds{side="enhance"}`, float64(time.Now().Add(-time.Hour).Unix()))

	var club []simulator.SignedUp
	for i := range 3 {
		club = append(club, s.signUp(fmt.Sprint("club", i), "price_basic_monthly"))
	}
	s.hook(subscriptionEvent("evt_1", club[0].Subscription))
	s.hook(subscriptionEvent("evt_1", club[0].Subscription))
	s.hook(eventText("", "x", "{}")) // without an id
	moves(`runs_total{result="ok",trigger="webhook"}`, 1)
	moves(`run_duration_seconds_count{mode="incremental"}`, 1)
	if got := s.admin(http.MethodPost, "/sync", ""); got.status != 200 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	moves(`runs_total{result="ok",trigger="admin"}`, 1)
	moves(`actions_total{kind="create_subscription",state="applied"}`, 3)
	moves("paid_to_live_seconds_count", 3)
	moves(`webhooks_total{result="accepted"}`, 1)
	moves(`webhooks_total{result="duplicate"}`, 1)
	moves(`webhooks_total{result="refused"}`, 1)
	moves(`requests_total{code="200",route="GET /v1/events",side="stripe"}`, 1)
	moves(`stored{what="bound"}`, 3)

	if err := s.world.StaffSuspend(s.world.Hostings()[0].ID); err != nil {
		t.Fatal(err)
	}
	s.until("drift is found", func() bool {
		s.admin(http.MethodPost, "/sync", "")
		return s.metric("drift_found_total") >= 1
	})
	moves(`holds{kind="foreign_suspension"}`, 1)
	moves("last_run_timestamp_seconds", float64(time.Now().Add(-time.Hour).Unix()))
	moves("database_free_bytes", 1)
	moves("database_bytes", 100_000)
	if err := s.world.StaffResume(s.world.Hostings()[0].ID); err != nil {
		t.Fatal(err)
	}
	s.until("the hold is over", func() bool {
		s.admin(http.MethodPost, "/sync", "")
		return s.metric(`holds{kind="foreign_suspension"}`) < 1
	})
	for _, c := range club {
		if err := s.world.Cancel(c.Subscription); err != nil {
			t.Fatal(err)
		}
	}
	s.admin(http.MethodPost, "/sync", "")
	moves(`holds{kind="brake"}`, 3)
	s.settle()
	s.sql("UPDATE customers SET parked_at = due_at, due_at = 1000000 WHERE id IN (SELECT id FROM customers LIMIT 1)")
	moves("queue_due", 1)
	moves("queue_oldest_seconds", 1000)
	s.sql("UPDATE customers SET parked_at = 1000000 WHERE due_at = 1000000")
	moves("parked", 1)
	s.sql("UPDATE customers SET parked_at = NULL")
	s.sql("DELETE FROM plan_mappings WHERE billing_plan_id = 'price_pro_monthly'")
	s.signUp("unmapped", "price_pro_monthly")
	s.admin(http.MethodPost, "/sync", "")
	moves("orders_held", 1)
	s.sql(fmt.Sprintf("INSERT INTO plan_mappings (billing_provider, billing_plan_id, enhance_plan_id) VALUES ('stripe', 'price_pro_monthly', '%d')", s.plans["price_pro_monthly"]))
	s.world.SetFault(func(c simulator.Call) simulator.Fault {
		if c.Side == simulator.Stripe {
			return simulator.Fault{Apply: simulator.Skip, Status: http.StatusUnauthorized}
		}
		return simulator.Fault{}
	})
	if got := s.admin(http.MethodPost, "/sync", ""); got.status != http.StatusBadGateway {
		t.Errorf("a sync with a refused key: %d %s", got.status, got.body)
	}
	moves(`runs_total{result="failed",trigger="admin"}`, 1)
	s.refused(t)
	s.world.SetFault(nil)

	before := s.series()
	s.world.Populate(500, simulator.Mix{})
	if got := s.admin(http.MethodPost, "/sync", ""); got.status > 202 {
		t.Fatalf("%d %s", got.status, got.body)
	}
	s.settle()
	moves(`stored{what="customers"}`, 400)
	after := s.series()
	t.Logf("%d series before 500 customers, %d after", len(before), len(after))
	// Their statuses are more than one, and so are kinds of actions and holds.
	if grown := len(after) - len(before); grown > 40 {
		t.Errorf("%d series before 500 customers, %d after", len(before), len(after))
	}
	for _, one := range after {
		if ids.MatchString(one) {
			t.Errorf("a label grows with customers: %s", one)
		}
	}
	s.linesSayWhom(t)
}

// refused checks that a refused credential is reported in our own words, notifies a person,
// and stops nothing else.
func (s *service) refused(t *testing.T) {
	t.Helper()
	var got answer
	s.until("health has noticed", func() bool {
		got = s.call(http.MethodGet, "/api/health", "")
		return got.object(t)["status"] == "unhealthy"
	})
	stripe := got.object(t)["services"].(map[string]any)["stripe"].(map[string]any)
	if got.status != 503 || stripe["status"] != "unhealthy" || stripe["error"] != "the credential was refused" {
		t.Errorf("%d %s", got.status, got.body)
	}
	if enhance := got.object(t)["services"].(map[string]any)["enhance"].(map[string]any); enhance["status"] != "healthy" || enhance["error"] != nil {
		t.Errorf("the other side: %v", enhance)
	} else if _, told := enhance["error"]; !told {
		t.Errorf("a healthy side has no error, not even null: %v", enhance)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if got := s.call(http.MethodGet, path, ""); got.status != 200 {
			t.Errorf("%s because of a refused key: %d %s", path, got.status, got.body)
		}
	}
	for _, secret := range []string{canary, "127.0.0.1", "sqlite:", "http"} {
		if strings.Contains(got.body, secret) {
			t.Errorf("%q is in %s", secret, got.body)
		}
	}
	before := s.world.Total(simulator.Stripe) + s.world.Total(simulator.Enhance)
	for range 100 {
		s.call(http.MethodGet, "/api/health", "")
		s.call(http.MethodGet, "/healthz", "")
		s.call(http.MethodGet, "/readyz", "")
	}
	if asked := s.world.Total(simulator.Stripe) + s.world.Total(simulator.Enhance) - before; asked > 4 {
		t.Errorf("a hundred looks at health were %d requests to the two sides", asked)
	}
}

// linesSayWhom reads the log: JSON, with the run and the customer on what concerns
// one, and no secret.
func (s *service) linesSayWhom(t *testing.T) {
	t.Helper()
	applied := 0
	for line := range strings.Lines(s.said.String()) {
		if strings.Contains(line, canary) {
			t.Errorf("a secret is in the log: %s", line)
		}
		if !strings.HasPrefix(line, "{") {
			continue // for a person
		}
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Errorf("%v in %s", err, line)
			continue
		}
		if entry["action"] == nil {
			continue
		}
		applied++
		if entry["run"] == nil || entry["customer"] == nil {
			t.Errorf("no run or no customer in %s", line)
		}
	}
	if applied == 0 {
		t.Error("no action is in the log")
	}
}

func TestLivenessAsksNobody(t *testing.T) {
	t.Parallel()
	s := serveHere(t, serving{})
	s.broken.Store(true)
	if err := s.app.Store.Close(); err != nil {
		t.Fatal(err)
	}
	release := s.hang()
	defer release()
	ctx, cancel := context.WithTimeout(t.Context(), longEnough)
	defer cancel()
	before := s.world.Total(simulator.Stripe) + s.world.Total(simulator.Enhance)
	for range 20 {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/healthz", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != 200 {
			t.Errorf("liveness without a database and with sides that hang: %d", res.StatusCode)
		}
	}
	if n := s.world.Total(simulator.Stripe) + s.world.Total(simulator.Enhance) - before; n != 0 {
		t.Errorf("liveness sent %d requests", n)
	}
}
