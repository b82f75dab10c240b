package server

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
)

func TestAMachineThatSleptMakesUpAMissedTickOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var slept time.Duration // how far the wall clock is ahead of the process
		c := &company{leading: true, last: t0, listed: t0}
		w := work(t, c, "@every 1h", never, func(o *LoopOptions) {
			o.Now = func() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return time.Now().Add(slept) }
		})
		pass(10 * time.Minute)
		c.set(func() { slept = 9 * time.Hour })
		pass(10 * time.Minute)
		if diff := cmp.Diff([]ran{cronRun(10*time.Minute + time.Second)}, w.end(t), cmp.Comparer(about)); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
	})
}

func TestAClockSetBackDoesNotPutOffTheNextTick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var back time.Duration
		c := &company{leading: true, last: t0, listed: t0}
		w := work(t, c, "@every 1h", never, func(o *LoopOptions) {
			o.Now = func() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return time.Now().Add(-back) }
		})
		pass(time.Minute)
		c.set(func() { back = 1000 * time.Hour })
		pass(2 * time.Hour)
		if n := len(w.end(t)); n == 0 {
			t.Error("no run within two hours of a clock that was set back")
		}
	})
}

// The test fails if schedules are compared with time.Now as it comes, because its monotonic
// clock stands still while a laptop sleeps: opened in the morning, it waited another hour.
func TestTheProcessClockThatStandsStillInSleepIsNotWhatCounts(t *testing.T) {
	evening := time.Now()
	if morning := testenv.AfterSleep(evening, 9*time.Hour); morning.Sub(evening) != 0 || morning.Round(0).Sub(evening.Round(0)) != 9*time.Hour {
		t.Fatalf("nine hours of sleep are %s by the process clock and %s by the wall clock", morning.Sub(evening), morning.Round(0).Sub(evening.Round(0)))
	}
	now := evening
	c := &company{leading: true, last: evening, listed: evening}
	l := NewLoop(LoopOptions{Poll: schedule(t, "@every 1h"), Full: schedule(t, "@every 8h"), Now: func() time.Time { return now }}, c, c, history{c})
	l.takeOver(t.Context(), l.o.Now())
	if j, due := l.nextJob(l.o.Now()); due {
		t.Fatalf("in the evening %+v is due", j.Request)
	}
	now = testenv.AfterSleep(evening, 9*time.Hour)
	j, due := l.nextJob(l.o.Now())
	if !due || !j.Full {
		t.Errorf("in the morning %+v is due (%v), want the full sweep of the night", j.Request, due)
	}
}
