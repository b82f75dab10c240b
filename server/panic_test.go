package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// alarmed is an observer that panics in every call.
type alarmed struct{ told chan string }

func (a alarmed) RunEnded(context.Context, reconcile.Report, error) {
	a.told <- "ended"
	panic("CANARY")
}
func (a alarmed) Served(context.Context, reconcile.Report) { panic("CANARY") }
func (a alarmed) Led(context.Context)                      { a.told <- "led"; panic("CANARY") }
func (a alarmed) WebhookAnswered(string)                   { panic("CANARY") }

// Metrics and notifications read texts of customers, so they may panic. If an observer is
// called without a guard, this ends the test's process.
func TestAnObserverThatPanicsStopsNoRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := make(chan string, 10)
		hook, log := logged()
		w := work(t, &company{leading: true}, "@every 1m", never, log, func(o *LoopOptions) { o.Observer = alarmed{told} })
		pass(30 * time.Second)
		asked := w.loop.Ask(Request{Full: true, Trigger: "admin"})
		synctest.Wait()
		if o := <-asked.done; o.err != nil {
			t.Errorf("the request got %v", o.err)
		}
		pass(time.Minute)
		if runs := w.end(t); len(runs) < 3 {
			t.Errorf("only %d runs were done", len(runs))
		}
		if got := lines(hook, logrus.ErrorLevel); len(got) < 4 || got[0] != "panic after a run" || hook.AllEntries()[0].Data["stack"] == "" {
			t.Errorf("logged %q", got)
		}
		close(told)
		heard := ""
		for word := range told {
			heard += word + " "
		}
		if !strings.HasPrefix(heard, "led ended ended ended") {
			t.Errorf("the observer got %q, so this shows nothing", heard)
		}
	})
}

// Health checks each side in a goroutine, where a panic would end the process.
func TestACheckThatPanicsIsAServiceThatIsNotWell(t *testing.T) {
	s := &Server{o: Options{Now: time.Now, Ports: Ports{Overview: broken{}}, Stripe: func(context.Context) error { panic("CANARY") },
		Enhance: func(context.Context) error { return nil }}}
	s.prepareChecks()
	services := s.services(t.Context())
	if got := services["stripe"]; got.Status != unhealthy || got.Error == nil || strings.Contains(*got.Error, "CANARY") {
		t.Errorf("stripe: %+v", got)
	}
	if got := services["enhance"].Status; got != healthy {
		t.Errorf("enhance: %s", got)
	}
}

// broken is an overview of a database that does not answer.
type broken struct{ Overview }

func (broken) Ping(context.Context) error { return errors.New("no") }

// When a handler panics, it releases its lock, because the next request needs it.
func TestAHandlerThatPanicsIsA500AndHoldsNothing(t *testing.T) {
	calls := 0
	value := newCached(time.Hour, func(context.Context) int {
		if calls++; calls == 1 {
			panic("CANARY")
		}
		return 42
	})
	s := &Server{o: Options{Log: logrus.New()}}
	s.o.Log.SetOutput(io.Discard)
	h := s.middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { respond(w, http.StatusOK, value.get(r.Context())) }))
	for i, want := range []int{http.StatusInternalServerError, http.StatusOK, http.StatusOK} {
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/api/health", nil))
		if answer.Code != want || strings.Contains(answer.Body.String(), "CANARY") {
			t.Errorf("request %d: %d %s, want %d", i, answer.Code, answer.Body, want)
		}
	}
}
