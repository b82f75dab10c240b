package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

func flows(n int) func(*LoopOptions) { return func(o *LoopOptions) { o.Flows = n } }

// served notes when each subscription was begun, and how many were at work together.
type served struct {
	mu    sync.Mutex // guards all below
	begun map[string]time.Duration
	now   int
	most  int
}

// serving is a company whose flow runs take a while each.
func serving(takes time.Duration) (*company, *served) {
	s := &served{begun: map[string]time.Duration{}}
	c := &company{leading: true}
	c.serve = func(id string) (reconcile.Served, error) {
		s.mu.Lock()
		s.begun[id] = time.Since(t0)
		s.now++
		s.most = max(s.most, s.now)
		s.mu.Unlock()
		time.Sleep(takes)
		s.mu.Lock()
		s.now--
		s.mu.Unlock()
		return reconcile.Served{Taken: true, Subscription: id}, nil
	}
	return c, s
}

// A run of an hour is under way, and a webhook comes.
//
// With this mistake put in once, it went red: the goroutine of the runs serves as well.
func TestAWebhookIsServedWhileARunIsAtWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := serving(time.Second)
		c.takes = time.Hour
		w := work(t, c, "@every 1m", never, flows(2))
		pass(10 * time.Minute)
		c.webhook(w.loop, "sub_a", "sub_b")
		pass(5 * time.Minute)
		want := map[string]time.Duration{"sub_a": 10 * time.Minute, "sub_b": 10*time.Minute + time.Second}
		if diff := cmp.Diff(want, s.begun); diff != "" {
			t.Errorf("begun (-want +got):\n%s", diff)
		}
		if runs := w.end(t); len(runs) != 1 {
			t.Errorf("%d runs, want the one at work", len(runs))
		}
		if diff := cmp.Diff([]result{{Subscription: "sub_a"}, {Subscription: "sub_b"}}, c.results); diff != "" {
			t.Errorf("results of webhooks (-want +got):\n%s", diff)
		}
	})
}

func TestAsManyAreServedTogetherAsMayBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := serving(time.Second)
		w := work(t, c, "@every 24h", never, flows(3))
		pass(time.Minute)
		for i := range 12 {
			c.webhook(w.loop, fmt.Sprint("sub_", i))
		}
		pass(time.Minute)
		w.end(t)
		if len(s.begun) != 12 || s.most != 3 {
			t.Errorf("%d were served, at most %d together; want 12 and 3", len(s.begun), s.most)
		}
	})
}

// What a flow run leaves, a run follows soon; and a worker that failed pauses, so that a
// side that is out is not asked for each webhook.
func TestWhatAFlowRunLeavesIsFollowedByARun(t *testing.T) {
	for _, tt := range []struct {
		name string
		fail error
	}{{"left", nil}, {"failed", errors.New("the account is another")}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &company{leading: true}
				asked := 0
				c.serve = func(string) (reconcile.Served, error) {
					asked++
					return reconcile.Served{Taken: true, Left: true}, tt.fail
				}
				w := work(t, c, "@every 24h", never, flows(1))
				pass(time.Minute)
				c.webhook(w.loop, "sub_a", "sub_b")
				pass(4 * time.Second)
				if want := map[bool]int{true: 1, false: 2}[tt.fail != nil]; asked != want {
					t.Errorf("%d were begun, want %d", asked, want)
				}
				runs := w.end(t)
				if !slices.ContainsFunc(runs, func(r ran) bool { return r.Trigger == "webhook" && r.At < time.Minute+2*time.Second }) {
					t.Errorf("the runs are %+v", runs)
				}
			})
		})
	}
}

// told notes the reports of flow runs.
type told struct {
	noObserver
	mu   sync.Mutex // guards runs
	runs []string
}

func (o *told) Served(_ context.Context, r reconcile.Report) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.runs = append(o.runs, r.Run.ID)
}

// A flow run that left its subscription to the next run has no report of its own.
func TestTheObserverHearsOfEveryFlowRunWithAReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		observer := &told{}
		c := &company{leading: true, serve: func(id string) (reconcile.Served, error) {
			s := reconcile.Served{Taken: true, Subscription: id}
			if id != "sub_left" {
				s.Report.Run.ID = "run of " + id
			}
			return s, nil
		}}
		w := work(t, c, "@every 24h", never, flows(2), func(o *LoopOptions) { o.Observer = observer })
		pass(time.Minute)
		c.webhook(w.loop, "sub_a")
		pass(time.Minute)
		c.webhook(w.loop, "sub_left")
		pass(time.Minute)
		c.webhook(w.loop, "sub_b")
		pass(time.Minute)
		w.end(t)
		if diff := cmp.Diff([]string{"run of sub_a", "run of sub_b"}, observer.runs); diff != "" {
			t.Errorf("heard of (-want +got):\n%s", diff)
		}
	})
}

// A process that has just lost the lease is in no trouble: its workers do not pause, and
// nothing is logged. The writer finds the webhooks.
func TestALostLeaseIsNoFailureOfAFlowRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hook, log := logged()
		var begun []time.Duration
		c := &company{leading: true, serve: func(string) (reconcile.Served, error) {
			begun = append(begun, time.Since(t0))
			return reconcile.Served{}, &reconcile.LeaseTaken{Owner: "another"}
		}}
		w := work(t, c, "@every 24h", never, flows(1), log)
		pass(time.Minute)
		c.webhook(w.loop, "sub_a")
		pass(100 * time.Millisecond)
		c.webhook(w.loop, "sub_b")
		pass(100 * time.Millisecond)
		w.end(t)
		if diff := cmp.Diff([]time.Duration{time.Minute, time.Minute + 100*time.Millisecond}, begun); diff != "" {
			t.Errorf("begun (-want +got):\n%s", diff)
		}
		if got := lines(hook, logrus.WarnLevel); got != nil {
			t.Errorf("logged %q", got)
		}
	})
}

// A worker that is lost to a panic would be missed by every later customer.
func TestAPanicInAFlowRunStopsNoWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := serving(0)
		serve := c.serve
		c.serve = func(id string) (reconcile.Served, error) {
			if id == "sub_a" {
				panic("CANARY")
			}
			return serve(id)
		}
		w := work(t, c, "@every 24h", never, flows(1))
		pass(time.Minute)
		c.webhook(w.loop, "sub_a")
		pass(time.Minute)
		c.webhook(w.loop, "sub_b")
		pass(time.Minute)
		w.end(t)
		if _, served := s.begun["sub_b"]; !served {
			t.Error("the next webhook was not served")
		}
	})
}

// If all workers are busy for long, a run takes what waits, with all else.
func TestAWebhookThatWaitsForLongIsForARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := serving(time.Hour)
		w := work(t, c, "@every 24h", never, flows(1))
		pass(time.Minute)
		c.webhook(w.loop, "sub_a")
		pass(time.Second)
		c.webhook(w.loop, "sub_b")
		pass(5 * time.Second)
		c.mu.Lock()
		runs := len(c.runs)
		c.mu.Unlock()
		if runs < 2 {
			t.Errorf("%d runs, want one for the webhook that waits", runs)
		}
		go w.stop()
		<-w.done
	})
}
