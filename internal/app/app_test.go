package app

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/config"
	"github.com/stripe-enhance/stripe-enhance/internal/secret"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// parts have both clients and a database in memory; nothing answers them.
func parts(t testing.TB, p Process, change func(*config.Config)) *App {
	t.Helper()
	c, _, err := config.Load(config.Sources{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	c.StripeURL, c.StripeKey = &url.URL{Scheme: "http", Host: "127.0.0.1:1"}, secret.New("sk_test_0123456789")
	c.EnhanceURL, c.EnhanceToken = &url.URL{Scheme: "http", Host: "127.0.0.1:1", Path: "/api"}, secret.New("0123456789")
	c.EnhanceOrg = "6f1c1c5e-52c3-4f0e-9a53-6f5d8f0b7a11"
	c.DatabaseURL = secret.New("sqlite::memory:")
	if change != nil {
		change(c)
	}
	p.Now = time.Now
	a := New(c, p)
	if err := errors.Join(a.ConnectService(), a.Open(t.Context(), Place{IfMissing: Create})); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

// One function builds the options of every engine, so that a failpoint ends the service as
// it ends a run by hand.
func TestEveryEngineGetsTheFailpointsOfTheProcess(t *testing.T) {
	passed := ""
	a := parts(t, Process{Failpoint: func(step, _ string) { passed = step }}, nil)
	a.engineOptions().Failpoint("after-call", "suspend")
	if passed != "after-call" {
		t.Error("the engine of the service does not pass the failpoint")
	}
}

func TestNothingCanBeDeletedWithoutARetentionPeriodAndEnforce(t *testing.T) {
	for _, c := range []struct {
		name      string
		mode      reconcile.Mode
		retention time.Duration
		want      bool
	}{
		{"enforce without a retention period", reconcile.Enforce, 0, false},
		{"enforce with one", reconcile.Enforce, 30 * 24 * time.Hour, true},
		{"provision with one", reconcile.Provision, 30 * 24 * time.Hour, false},
		{"observe with one", reconcile.Observe, 30 * 24 * time.Hour, false},
	} {
		a := parts(t, Process{}, func(s *config.Config) { s.Mode, s.Retention = c.mode, c.retention })
		ports, err := a.ports()
		if err != nil {
			t.Fatal(err)
		}
		if got := ports.Terminator != nil; got != c.want {
			t.Errorf("%s: the engine can delete: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestHealthAsksASideUnlessItGaveAGoodAnswerRecently(t *testing.T) {
	a := parts(t, Process{}, nil)
	if err := a.askStripe(t.Context()); err == nil {
		t.Error("a side that does not answer is healthy")
	}
	if !a.answered("stripe").IsZero() {
		t.Error("a side that did not answer has an answer")
	}
	a.stripeSide.note(http.StatusOK, time.Now())
	a.enhanceSide.note(http.StatusNotFound, time.Now())
	if err := errors.Join(a.askStripe(t.Context()), a.askEnhance(t.Context())); err != nil {
		t.Errorf("after a good answer: %v", err)
	}
	a.enhanceSide.note(http.StatusBadGateway, time.Now())
	if err := a.askEnhance(t.Context()); err == nil {
		t.Error("after a bad answer the side is healthy")
	}
	if a.answered("stripe").IsZero() || a.answered("enhance").IsZero() {
		t.Error("the answers were not recorded")
	}
}

func TestABusyErrorNamesTheProcessAtWorkAndTheRequest(t *testing.T) {
	held := &reconcile.LeaseTaken{Owner: "anna@shop", Until: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
	for _, c := range []struct {
		err  BusyError
		want string
	}{
		{BusyError{Held: held}, "anna@shop is at work and renews its lease (until 2026-03-02T09:00:00Z); it was asked to look. Nothing was done here"},
		{BusyError{Held: held, Taken: true}, "anna@shop is at work; it was asked to look, and looks now. Nothing was done here"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	full := BusyError{Held: held, Taken: true}
	full.Request.Full, full.Request.Accept = true, true
	if got := full.Error(); !strings.Contains(got, "looks now at everything, but without --accept-listing") {
		t.Errorf("%q", got)
	}
}
