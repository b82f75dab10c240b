package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// healthOf asks a new house for its health.
func healthOf(t *testing.T, change func(*house, *Options)) (status int, d healthDocument) {
	t.Helper()
	var h *house
	h = newHouse(t, func(o *Options) {
		h = &house{ports: o.History.(*ports), runner: o.Loop.runner.(*company)}
		change(h, o)
	})
	got := h.send("GET", "/api/health", "")
	if err := json.Unmarshal(got.Body.Bytes(), &d); err != nil || strings.Contains(got.Body.String(), "CANARY") {
		t.Errorf("%v: %s", err, got.Body)
	}
	return got.Code, d
}

// TestHealthNamesWhatIsWrongInFixedSentences, and is 503 if a person has to act. Health needs
// no key, so it has nothing of the error itself.
func TestHealthNamesWhatIsWrongInFixedSentences(t *testing.T) {
	ends := func(err error) func(context.Context) error { return func(context.Context) error { return err } }
	for name, c := range map[string]struct {
		database, stripe, enhance error
		status                    int
		overall, sentence         string
	}{
		"all is well":           {nil, nil, nil, 200, healthy, ""},
		"the database is out":   {errors.New("CANARY"), nil, nil, 503, unhealthy, "it cannot be reached, or answers with an error"},
		"a refused key":         {nil, fault.Errorf(fault.Denied, "CANARY"), nil, 503, unhealthy, "the credential was refused"},
		"a refused token":       {nil, nil, fault.Errorf(fault.Denied, "CANARY"), 503, unhealthy, "the credential was refused"},
		"too many requests":     {nil, nil, fault.Errorf(fault.Throttled, "CANARY"), 200, degraded, "it asks for fewer requests"},
		"silence":               {nil, fmt.Errorf("CANARY: %w", context.DeadlineExceeded), nil, 200, degraded, "no answer in time"},
		"nonsense":              {nil, fault.Errorf(fault.Malformed, "CANARY"), nil, 200, degraded, "the answer was not the documented one"},
		"an outage":             {nil, nil, fault.Errorf(fault.Transient, "CANARY"), 200, degraded, "it cannot be reached, or answers with an error"},
		"an outage and refused": {nil, fault.Errorf(fault.Denied, "CANARY"), fault.Errorf(fault.Transient, "CANARY"), 503, unhealthy, "the credential was refused"},
		"an outage of all":      {errors.New("CANARY"), fault.Errorf(fault.Transient, "CANARY"), fault.Errorf(fault.Transient, "CANARY"), 503, unhealthy, "it cannot be reached, or answers with an error"},
	} {
		status, d := healthOf(t, func(h *house, o *Options) {
			h.fail["Ping"], o.Stripe, o.Enhance = c.database, ends(c.stripe), ends(c.enhance)
		})
		var sentences []string
		for _, s := range d.Services {
			if s.Error != nil {
				sentences = append(sentences, *s.Error)
			}
		}
		if status != c.status || d.Status != c.overall || (c.sentence == "") != (len(sentences) == 0) || c.sentence != "" && !contains(sentences, c.sentence) {
			t.Errorf("%s: %d %s %q, want %d %s %q", name, status, d.Status, sentences, c.status, c.overall, c.sentence)
		}
		if measured := d.Metrics.FailedWebhooks > 0; measured != (c.database == nil) {
			t.Errorf("%s: numbers %+v", name, d.Metrics)
		}
	}
}

func TestHealthHasTheNumbersAndTheLastRun(t *testing.T) {
	gates := []string{"the clock is off"}
	ended := func(id string, ago time.Duration, problem string, gates ...string) reconcile.RunRecord {
		return reconcile.RunRecord{ID: id, Started: t0.Add(-ago), Finished: t0.Add(time.Second - ago), Error: problem, Gates: gates}
	}
	running := reconcile.RunRecord{ID: "now", Started: t0}
	for name, c := range map[string]struct {
		runs            []reconcile.RunRecord
		overall, result string
		errors          int
	}{
		"no run yet":                 {nil, healthy, "", 0},
		"a good run":                 {[]reconcile.RunRecord{ended("a", time.Minute, "")}, healthy, "ok", 0},
		"a failed run":               {[]reconcile.RunRecord{ended("a", time.Minute, "502")}, degraded, "failed", 1},
		"a run at work":              {[]reconcile.RunRecord{running}, healthy, "running", 0},
		"at work after a failed":     {[]reconcile.RunRecord{running, ended("a", time.Minute, "502")}, degraded, "running", 1},
		"at work after a refused":    {[]reconcile.RunRecord{running, ended("a", time.Minute, "another account", gates...)}, unhealthy, "running", 1},
		"good after two that failed": {[]reconcile.RunRecord{ended("a", time.Minute, ""), ended("b", 59*time.Minute, "502"), ended("c", time.Hour, "502")}, healthy, "ok", 1},
	} {
		_, d := healthOf(t, func(h *house, _ *Options) {
			h.records, h.totals = c.runs, reconcile.Totals{Counts: reconcile.Counts{Subscriptions: 7, Active: 5}}
			h.runner.leading = true
		})
		result := ""
		if d.LastRun != nil {
			result = d.LastRun.Result
		}
		if d.Status != c.overall || result != c.result || !d.Leader {
			t.Errorf("%s: %s, last run %q, leader %t; want %s and %q", name, d.Status, result, d.Leader, c.overall, c.result)
		}
		want := healthMetrics{TotalSubscriptions: 7, ActiveSubscriptions: 5, FailedWebhooks: 3, RecentErrors: c.errors}
		if diff := cmp.Diff(want, d.Metrics); diff != "" {
			t.Errorf("%s: numbers (-want +got):\n%s", name, diff)
		}
	}
}

// TestHealthThatCannotBeMeasuredIsUnhealthy: the database answers a ping and no query.
func TestHealthThatCannotBeMeasuredIsUnhealthy(t *testing.T) {
	for _, call := range []string{"Totals", "FailedWebhooks", "Runs"} {
		status, d := healthOf(t, func(h *house, _ *Options) {
			h.records = []reconcile.RunRecord{{ID: "a"}}
			h.fail[call] = errors.New("CANARY")
		})
		if diff := cmp.Diff(healthMetrics{}, d.Metrics); diff != "" || status != 503 || d.Status != unhealthy || d.LastRun != nil {
			t.Errorf("without %s: %d %s, last run %v, numbers (-want +got):\n%s", call, status, d.Status, d.LastRun, diff)
		}
	}
}

// TestACuriousMonitorCostsTheSidesNothing: the database is looked at once in five seconds,
// each side once in fifteen.
func TestACuriousMonitorCostsTheSidesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sides := 0
		h := newHouse(t, func(o *Options) { o.Stripe = func(context.Context) error { sides++; return nil } })
		for range 600 { // a minute
			h.send("GET", "/api/health", "")
			time.Sleep(100 * time.Millisecond)
		}
		if pings := len(h.called("Ping")); pings != 12 || sides != 4 {
			t.Errorf("in a minute the database was asked %d times and Stripe %d times, want 12 and 4", pings, sides)
		}
	})
}

func TestAServiceThatStopsOrHasNoDatabaseIsNotReady(t *testing.T) {
	h := newHouse(t)
	answer := func(what string, status int, part string) {
		t.Helper()
		got := h.send("GET", "/readyz", "")
		if got.Code != status || !strings.Contains(got.Body.String(), part) {
			t.Errorf("%s: %d %s", what, got.Code, got.Body)
		}
	}
	answer("at first", 200, `"ok"`)
	h.server.leave()
	answer("while it stops", 503, "stopping")
	if got := h.send("GET", "/healthz", ""); got.Code != 200 {
		t.Errorf("it is alive while it stops: %d", got.Code)
	}
	h = newHouse(t)
	h.fail["Ping"] = errors.New("CANARY")
	answer("without a database", 503, "the database does not answer")
}
