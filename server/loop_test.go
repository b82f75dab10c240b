package server

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/robfig/cron/v3"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

func schedule(t *testing.T, text string) cron.Schedule {
	t.Helper()
	s, err := cron.ParseStandard(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// workshop is a loop at work in a bubble whose time is the test's.
type workshop struct {
	*company
	loop *Loop
	stop context.CancelFunc
	done chan error
}

func work(t *testing.T, c *company, poll, full string, change ...func(*LoopOptions)) *workshop {
	t.Helper()
	o := LoopOptions{Poll: schedule(t, poll), Full: schedule(t, full)}
	for _, f := range change {
		f(&o)
	}
	w := &workshop{company: c, done: make(chan error, 1)}
	w.loop = NewLoop(o, c, c, history{c})
	ctx, stop := context.WithCancel(t.Context())
	w.stop = stop
	go func() { w.done <- w.loop.Work(ctx) }()
	return w
}

// pass lets time pass, and waits until every goroutine rests.
func pass(d time.Duration) {
	time.Sleep(d) // of the bubble: no real time passes
	synctest.Wait()
}

// end stops the loop and returns its runs.
func (w *workshop) end(t *testing.T) []ran {
	t.Helper()
	w.stop()
	if err := <-w.done; err != nil {
		t.Errorf("Work: %v", err)
	}
	if w.overlaps > 0 {
		t.Errorf("%d runs overlapped", w.overlaps)
	}
	if w.led != 1 {
		t.Errorf("the lease was given back %d times, want 1", w.led)
	}
	return w.runs
}

const never = "0 0 30 2 *" // the thirtieth of February

func cronRun(at time.Duration) ran { return ran{At: at, Request: Request{Trigger: "cron"}} }

func TestRunsFollowTheSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := work(t, &company{leading: true}, "@every 1m", "0 2 * * *")
		pass(2*time.Hour + 90*time.Second)
		runs := w.end(t)
		var full []time.Duration
		for _, r := range runs {
			if r.Full {
				full = append(full, r.At)
			}
		}
		if diff := cmp.Diff([]time.Duration{2 * time.Hour}, full); diff != "" {
			t.Errorf("full runs (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]ran{cronRun(0), cronRun(time.Minute), cronRun(2 * time.Minute)}, runs[:3]); diff != "" {
			t.Errorf("first runs (-want +got):\n%s", diff)
		}
		if got := len(runs); got < 119 || got > 123 {
			t.Errorf("%d runs in two hours, want one a minute", got)
		}
	})
}

func TestARestartMakesUpAMissedTickOnce(t *testing.T) {
	for _, test := range []struct {
		name         string
		last, listed time.Time
		want         []ran
	}{
		{"nothing was missed", t0.Add(-10 * time.Minute), t0.Add(-time.Hour), nil},
		{"a poll was missed", t0.Add(-70 * time.Minute), t0.Add(-time.Hour), []ran{cronRun(0)}},
		{"thirty polls were missed", t0.Add(-30 * time.Hour), t0.Add(-time.Hour), []ran{cronRun(0)}},
		{"a full sweep was missed", t0.Add(-10 * time.Minute), t0.Add(-25 * time.Hour), []ran{{Request: Request{Full: true, Trigger: "cron"}}}},
		{"there never was a run", time.Time{}, time.Time{}, []ran{cronRun(0)}},
		{"the last run is in the future: a clock was set back", t0.Add(99 * time.Hour), t0.Add(99 * time.Hour), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := work(t, &company{leading: true, last: test.last, listed: test.listed}, "@every 1h", "@every 24h")
				pass(40 * time.Minute)
				if diff := cmp.Diff(test.want, w.end(t)); diff != "" {
					t.Errorf("runs (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// about lets times differ by one look.
func about(a, b time.Duration) bool { return (a - b).Abs() <= time.Second }

func TestAnyNumberOfNudgesDuringARunAreOneRunAfterwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &company{leading: true, last: t0, listed: t0, takes: 10 * time.Second}
		w := work(t, c, never, never)
		pass(time.Minute)
		for i := range 1000 {
			_ = c.Nudge(t.Context(), []string{"sub_" + string(rune('a'+i%26))}, "webhook", time.Now())
			w.loop.Wake("webhook")
		}
		pass(5 * time.Second) // in the middle of the run
		for range 1000 {
			_ = c.Nudge(t.Context(), []string{"sub_during"}, "webhook", time.Now())
			w.loop.Wake("webhook")
		}
		pass(time.Minute)
		runs := w.end(t)
		if len(runs) != 2 {
			t.Fatalf("%d runs, want 2: %+v", len(runs), runs)
		}
		if diff := cmp.Diff(time.Minute, runs[0].At); diff != "" {
			t.Errorf("the first nudge waits for nothing (-want +got):\n%s", diff)
		}
		if n := len(runs[0].Nudged) + len(runs[1].Nudged); n != 2000 {
			t.Errorf("%d nudges taken, want 2000", n)
		}
	})
}

func TestNudgesInABurstAreSpacedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &company{leading: true, last: t0, listed: t0}
		w := work(t, c, never, never)
		for range 60_000 / 50 { // a minute of webhooks, one each 50 ms
			_ = c.Nudge(t.Context(), []string{"sub_1"}, "webhook", time.Now())
			w.loop.Wake("webhook")
			pass(50 * time.Millisecond)
		}
		pass(time.Minute)
		runs := w.end(t)
		if len(runs) < 12 || len(runs) > 20 {
			t.Errorf("%d runs for a minute of webhooks, want about one in five seconds", len(runs))
		}
		if last := runs[len(runs)-1]; last.At < time.Minute-50*time.Millisecond {
			t.Errorf("the last nudge came at 59.95 s and the last run began at %s", last.At)
		}
	})
}

func TestANudgeOfAnotherReplicaIsFoundWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &company{leading: true, last: t0, listed: t0}
		w := work(t, c, never, never)
		pass(90500 * time.Millisecond)
		_ = c.Nudge(t.Context(), []string{"sub_1"}, "admin", time.Now())
		pass(10 * time.Second)
		want := []ran{{At: 91 * time.Second, Request: Request{Trigger: "nudge"}, Nudged: []string{"sub_1"}}}
		if diff := cmp.Diff(want, w.end(t), cmp.Comparer(about)); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
	})
}

func TestAFailingRunIsTriedAgainWithPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &company{leading: true, last: t0, listed: t0, putBack: true, fail: fault.Wrap(fault.Transient, errors.New("stripe: 502"))}
		w := work(t, c, never, never)
		_ = c.Nudge(t.Context(), []string{"sub_1"}, "webhook", time.Now())
		w.loop.Wake("webhook")
		pass(10 * time.Minute)
		n := len(c.runs)
		if n < 10 || n > 16 {
			t.Errorf("%d runs in ten minutes of failure, want 5 s doubling to a minute", n)
		}
		c.set(func() { c.fail, c.putBack = nil, false })
		pass(time.Minute + time.Second)
		if runs := w.end(t); len(runs) != n+1 {
			t.Errorf("%d runs after recovery, want 1", len(runs)-n)
		}
	})
}

func TestAFullSweepThatFailedIsTriedAgainLongBeforeTomorrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &company{leading: true, last: t0, listed: t0, fail: fault.Wrap(fault.Transient, errors.New("stripe: 502"))}
		w := work(t, c, never, "0 1 * * *")
		pass(time.Hour + 3*time.Minute + time.Second)
		want := []time.Duration{time.Hour, time.Hour + time.Minute, time.Hour + 3*time.Minute}
		var got []time.Duration
		for _, r := range w.end(t) {
			got = append(got, r.At)
		}
		if diff := cmp.Diff(want, got, cmp.Comparer(about)); diff != "" {
			t.Errorf("full runs (-want +got):\n%s", diff)
		}
	})
}

func TestARunThatIsLongerThanItsIntervalIsNotFollowedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := work(t, &company{leading: true, takes: 150 * time.Second}, "@every 1m", never)
		pass(10 * time.Minute)
		var got []time.Duration
		for _, r := range w.end(t) {
			got = append(got, r.At)
		}
		if diff := cmp.Diff([]time.Duration{0, 210 * time.Second, 420 * time.Second}, got, cmp.Comparer(about)); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
	})
}

func TestAReplicaThatDoesNotLeadRunsNothingAndTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &company{}
		w := work(t, c, "@every 1m", never)
		_ = c.Nudge(t.Context(), []string{"sub_1"}, "webhook", time.Now())
		w.loop.Wake("webhook")
		pass(10 * time.Minute)
		if len(c.runs) > 0 {
			t.Errorf("%d runs without the lease", len(c.runs))
		}
		c.set(func() { c.leading, c.last, c.listed = true, time.Now().Add(-30*time.Second), time.Now() })
		pass(2 * time.Second)
		want := []ran{{At: 10*time.Minute + time.Second, Request: Request{Trigger: "nudge"}, Nudged: []string{"sub_1"}}}
		if diff := cmp.Diff(want, w.end(t), cmp.Comparer(about)); diff != "" {
			t.Errorf("runs after taking over (-want +got):\n%s", diff)
		}
	})
}

func TestAtTheEndTheRunAtWorkEndsBeforeTheLeaseIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &company{leading: true, takes: time.Hour}
		w := work(t, c, "@every 1m", never)
		pass(time.Minute)
		asked := w.loop.Ask(Request{Full: true, Trigger: "admin"})
		synctest.Wait()
		w.end(t) // Lead fails the test when a run is still at work
		if o := <-asked.done; !errors.Is(o.err, errStopping) {
			t.Errorf("the request before the end got %v", o.err)
		}
		if o := <-w.loop.Ask(Request{}).done; !errors.Is(o.err, errStopping) {
			t.Errorf("a request after the end got %v", o.err)
		}
	})
}

func TestEqualWishesAreOneRunForAllWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &company{leading: true, last: t0, listed: t0, takes: time.Second}
		w := work(t, c, never, never)
		pass(time.Second)
		one := Request{Subscriptions: []string{"sub_1"}, Trigger: "admin"}
		first := w.loop.Ask(one)
		synctest.Wait()
		asked := []*Asked{w.loop.Ask(one), w.loop.Ask(Request{Subscriptions: []string{"sub_2"}, Trigger: "admin"}), w.loop.Ask(one)}
		pass(10 * time.Second)
		for i, a := range append(asked, first) {
			if o := <-a.done; o.err != nil {
				t.Errorf("wish %d: %v", i, o.err)
			}
			if id := <-a.began; id != "run-1" {
				t.Errorf("wish %d learned the id %q", i, id)
			}
		}
		var got [][]string
		for _, r := range w.end(t) {
			got = append(got, r.Subscriptions)
		}
		if diff := cmp.Diff([][]string{{"sub_1"}, {"sub_1"}, {"sub_2"}}, got); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
	})
}

func TestWishesDoNotStarveTheSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &company{leading: true, takes: 10 * time.Second}
		w := work(t, c, "@every 1m", never)
		ctx, enough := context.WithCancel(t.Context())
		go func() {
			for i := 0; ctx.Err() == nil; i++ {
				w.loop.Ask(Request{Subscriptions: []string{string(rune('a' + i%26))}, Trigger: "admin"})
				time.Sleep(time.Second)
			}
		}()
		pass(10 * time.Minute)
		enough()
		polls := 0
		runs := w.end(t)
		pass(time.Second) // a request that comes now learns that the loop has ended
		for _, r := range runs {
			if r.Trigger == "cron" {
				polls++
			}
		}
		if polls < 7 {
			t.Errorf("%d scheduled runs in ten minutes of wishes, want about one each 80 s", polls)
		}
	})
}

func TestWebhooksAreFollowedOnlyByARunThatSucceeded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &company{leading: true, last: t0, listed: t0, fail: errors.New("stripe: 502")}
		w := work(t, c, "@every 1m", never)
		pass(61 * time.Second)
		if len(c.results) > 0 {
			t.Errorf("after a failed run: %v", c.results)
		}
		c.set(func() {
			c.fail = nil
			c.failures = []reconcile.ActionRecord{
				{Action: reconcile.Action{Kind: reconcile.Suspend, Subscription: "sub_bad"}, State: reconcile.ActionFailed, Error: "409"},
				{Action: reconcile.Action{Kind: reconcile.Suspend, Subscription: "sub_good"}, State: reconcile.ActionApplied},
				{Action: reconcile.Action{Kind: reconcile.CreateOrg, Customer: "cus_new"}, State: reconcile.ActionFailed, Error: "507"},
				{Action: reconcile.Action{Kind: reconcile.CreateSubscription, Customer: "cus_new", Subscription: "sub_new"}, State: reconcile.ActionPlanned},
			}
		})
		pass(61 * time.Second)
		w.end(t)
		want := []result{{"sub_bad", "suspend: 409"}, {"sub_new", "create_org: 507"}, {"", ""}}
		if diff := cmp.Diff(want, w.results); diff != "" {
			t.Errorf("results (-want +got):\n%s", diff)
		}
	})
}
