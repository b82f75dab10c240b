package server

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
)

// A page never waits for a side: it shows the last answer, and asks in the background.
func TestAPageDoesNotWaitForASide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		asked := 0
		h := newHouse(t, func(o *Options) {
			o.Stripe = func(context.Context) error { asked++; <-hang; return nil }
			o.Enhance = func(context.Context) error { return fault.Denied }
			o.Latency = map[string]func() time.Duration{"stripe": func() time.Duration { return time.Second }}
			o.Rates = map[string]func() float64{"stripe": func() float64 { return 12.5 }}
		})
		first := h.server.Sides(t.Context())
		for _, s := range first {
			if s.Known {
				t.Errorf("%s is known before it was asked", s.Name)
			}
		}
		h.server.Sides(t.Context()) // while it hangs it is not asked again
		synctest.Wait()
		got := map[string]Side{}
		for _, s := range h.server.Sides(t.Context()) {
			got[s.Name] = s
		}
		if s := got["stripe"]; s.Known || s.Rate != 12.5 || s.Took != time.Second || asked != 1 {
			t.Errorf("a side that hangs: %+v, asked %d times", s, asked)
		}
		if s := got["enhance"]; !s.Known || s.Healthy || s.Problem != "the credential was refused" {
			t.Errorf("a side that refuses: %+v", s)
		}
		if s := got["database"]; !s.Known || !s.Healthy || s.Problem != "" {
			t.Errorf("the database: %+v", s)
		}
		close(hang)
		synctest.Wait()
		for _, s := range h.server.Sides(t.Context()) {
			if s.Name == "stripe" && (!s.Known || !s.Healthy) {
				t.Errorf("after its answer: %+v", s)
			}
		}
	})
}

func TestTheMoneyAtRiskIsReadInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fail error
		reads := 0
		want := Risk{Month: []Sum{{"12.50", "eur"}}, Subscriptions: 1}
		h := newHouse(t, func(o *Options) {
			o.Risk = func(context.Context) (Risk, error) { reads++; return want, fail }
		})
		look := func() (Risk, bool) {
			r, ok := h.server.Risk(t.Context())
			synctest.Wait()
			return r, ok
		}
		if _, ok := look(); ok {
			t.Error("it is known before it was read")
		}
		for range 3 {
			if got, ok := look(); !ok || !cmp.Equal(got, want) {
				t.Errorf("%+v %t", got, ok)
			}
		}
		if reads != 1 {
			t.Errorf("it was read %d times within a minute", reads)
		}
		fail = errors.New("no answer")
		time.Sleep(riskAge)
		look()
		if _, ok := look(); ok || reads != 2 {
			t.Errorf("after an error it is known: %t, after %d reads", ok, reads)
		}
	})
	if _, ok := newHouse(t).server.Risk(t.Context()); ok {
		t.Error("it is known where nothing reads it")
	}
}

func TestTheNextRunIsKnownToTheWriterAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &company{leading: true, last: t0, listed: t0}
		w := work(t, c, "@every 1h", never)
		pass(90 * time.Minute)
		if got := w.loop.Next(); !about(got.Sub(t0), 2*time.Hour) {
			t.Errorf("the next run is after %s", got.Sub(t0))
		}
		c.set(func() { c.leading = false })
		pass(2 * time.Second)
		if got := w.loop.Next(); !got.IsZero() {
			t.Errorf("a process that is not the writer runs at %s", got)
		}
		w.end(t)
	})
}

func TestLookNowStoresANudgeAndWakesTheLoop(t *testing.T) {
	h := newHouse(t)
	if err := h.server.LookNow(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Nudge admin []"}, h.called("Nudge")); diff != "" || h.woken() != "admin" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	h.fail["Nudge"] = errors.New("no database")
	if err := h.server.LookNow(t.Context()); err == nil || h.woken() != "" {
		t.Errorf("without a database: %v", err)
	}
}
