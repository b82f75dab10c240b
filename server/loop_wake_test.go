package server

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
)

// logged makes a loop write to a log of the test.
func logged() (*logtest.Hook, func(*LoopOptions)) {
	logger, hook := logtest.NewNullLogger()
	return hook, func(o *LoopOptions) { o.Log = logger }
}

// lines are the entries of a level or a worse one.
func lines(hook *logtest.Hook, level logrus.Level) (all []string) {
	for _, e := range hook.AllEntries() {
		if e.Level <= level {
			all = append(all, e.Message)
		}
	}
	return all
}

// TestARunBeginsWhenItMayAndNotWithTheNextLook: the gap after a nudged run ends between two
// looks, and the run still has the trigger of its nudge, though that is stored too.
func TestARunBeginsWhenItMayAndNotWithTheNextLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &company{leading: true, last: t0, listed: t0}
		w := work(t, c, never, never)
		pass(time.Minute)
		nudge := func(why string) {
			_ = c.Nudge(t.Context(), []string{"sub_1"}, why, time.Now())
			w.loop.Wake(why)
		}
		nudge("webhook")
		pass(300 * time.Millisecond)
		nudge("approve")
		pass(10 * time.Second)
		want := []ran{{time.Minute, Request{Trigger: "webhook"}, []string{"sub_1"}}, {time.Minute + leastGap, Request{Trigger: "approve"}, []string{"sub_1"}}}
		if diff := cmp.Diff(want, w.end(t)); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
	})
}

// TestAWakeUpIsARunThoughNoNudgeIsStored: what an operator changes takes effect even if its
// nudge was lost. A request that waits for its own run asks for no other.
func TestAWakeUpIsARunThoughNoNudgeIsStored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := work(t, &company{leading: true, last: t0, listed: t0}, never, never)
		pass(time.Minute)
		w.loop.Wake("approve")
		pass(time.Minute)
		<-w.loop.Ask(Request{Subscriptions: []string{"sub_1"}, Trigger: "admin"}).done
		pass(time.Minute)
		want := []ran{{At: time.Minute, Request: Request{Trigger: "approve"}}, {At: 2 * time.Minute, Request: Request{Subscriptions: []string{"sub_1"}, Trigger: "admin"}}}
		if diff := cmp.Diff(want, w.end(t)); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
	})
}

// TestAfterAQuietWhileTheFirstNudgesAreFollowedSoonAgain: the gap of a burst does not stay.
func TestAfterAQuietWhileTheFirstNudgesAreFollowedSoonAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &company{leading: true, last: t0, listed: t0}
		w := work(t, c, never, never)
		nudge := func() {
			_ = c.Nudge(t.Context(), []string{"sub_1"}, "webhook", time.Now())
			w.loop.Wake("webhook")
		}
		for range 30 {
			nudge()
			pass(time.Second)
		}
		pass(time.Minute)
		burst, quiet := len(c.runs), time.Since(t0)
		nudge()
		pass(100 * time.Millisecond)
		nudge()
		pass(time.Minute)
		runs := w.end(t)
		var at []time.Duration
		for _, r := range runs[burst:] {
			at = append(at, r.At-quiet)
		}
		if diff := cmp.Diff([]time.Duration{0, leastGap}, at); diff != "" {
			t.Errorf("after the quiet while (-want +got):\n%s", diff)
		}
	})
}

// TestAClockSetBackForADayPutsNoTickOffForADay: the last run is in the future by now.
func TestAClockSetBackForADayPutsNoTickOffForADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := work(t, &company{leading: true, last: t0.Add(24 * time.Hour), listed: t0.Add(48 * time.Hour)}, "@every 1h", "@every 3h")
		pass(3*time.Hour + time.Minute)
		full := ran{At: 3 * time.Hour, Request: Request{Full: true, Trigger: "cron"}}
		if diff := cmp.Diff([]ran{cronRun(time.Hour), cronRun(2 * time.Hour), full}, w.end(t), cmp.Comparer(about)); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
	})
}

// TestRunsDoNotPutOffTheFullSweep, neither good ones nor failed ones: its schedule counts
// from the last full sweep.
func TestRunsDoNotPutOffTheFullSweep(t *testing.T) {
	for _, fail := range []error{nil, fault.Wrap(fault.Transient, errors.New("stripe: 502"))} {
		synctest.Test(t, func(t *testing.T) {
			c := &company{leading: true, last: t0, listed: t0, fail: fail}
			w := work(t, c, "@every 10m", "@every 1h")
			pass(time.Hour + 30*time.Second)
			var full []time.Duration
			for _, r := range w.end(t) {
				if r.Full {
					full = append(full, r.At)
				}
			}
			if diff := cmp.Diff([]time.Duration{time.Hour}, full, cmp.Comparer(about)); diff != "" {
				t.Errorf("runs end with %v: full sweeps (-want +got):\n%s", fail, diff)
			}
		})
	}
}

// TestAHistoryThatCannotBeReadMeansThatTheTickWasMissed, and the log has one line about it.
// Nudges that cannot be read are a line each time it begins, not one a second.
func TestAHistoryThatCannotBeReadMeansThatTheTickWasMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hook, log := logged()
		c := &company{leading: true, last: t0, listed: t0, outage: errors.New("store: no")}
		w := work(t, c, "@every 1h", never, log)
		pass(10 * time.Second)
		c.set(func() { c.outage = nil })
		pass(10 * time.Second)
		c.set(func() { c.outage = errors.New("store: no") })
		pass(10 * time.Second)
		if diff := cmp.Diff([]ran{cronRun(0)}, w.end(t)); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
		want := []string{"history not read; running now", "nudges not read", "nudges not read"}
		if diff := cmp.Diff(want, lines(hook, logrus.WarnLevel)); diff != "" {
			t.Errorf("logged (-want +got):\n%s", diff)
		}
	})
}

func TestALoopNeedsNoObserver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hook, log := logged()
		w := work(t, &company{leading: true}, "@every 1m", never, log)
		pass(time.Minute + time.Second)
		if runs := w.end(t); len(runs) != 2 {
			t.Errorf("%d runs, want 2", len(runs))
		}
		if got := lines(hook, logrus.WarnLevel); got != nil {
			t.Errorf("logged %q", got)
		}
	})
}

// TestARunThatLosesTheLeaseIsNoRun: who waits for it learns that another process is the
// writer, and when this one leads again it reads the history of the other.
func TestARunThatLosesTheLeaseIsNoRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hook, log := logged()
		c := &company{leading: true, last: t0, listed: t0, taken: true}
		w := work(t, c, "@every 1h", never, log)
		pass(time.Minute)
		if o := <-w.loop.Ask(Request{Full: true, Trigger: "admin"}).done; !errors.Is(o.err, errFollower) {
			t.Errorf("the request got %v", o.err)
		}
		c.set(func() { c.taken, c.last = false, time.Now().Add(30*time.Minute) })
		pass(90 * time.Minute)
		if diff := cmp.Diff([]ran{cronRun(61 * time.Minute)}, w.end(t), cmp.Comparer(about)); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
		if leading := strings.Count(strings.Join(lines(hook, logrus.InfoLevel), "\n"), "leading"); leading != 2 || len(c.results) != 1 {
			t.Errorf("it began to lead %d times, want 2; results of webhooks %v", leading, c.results)
		}
	})
}
