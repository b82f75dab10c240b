package ratelimit

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/internal/priority"
)

// acquire takes a slot, gives it back, and returns how long that took.
func acquire(t *testing.T, l *Limiter) time.Duration {
	t.Helper()
	begin := time.Now()
	release, err := l.Acquire(t.Context())
	if err != nil {
		t.Fatalf("acquire: %v", err)
	}
	release()
	return time.Since(begin)
}

// exhaust uses up what the limiter has saved.
func exhaust(t *testing.T, l *Limiter) {
	t.Helper()
	for acquire(t, l) == 0 {
	}
}

func TestAfterARestASecondsWorthLeavesWithoutAWait(t *testing.T) {
	for _, tt := range []struct {
		rps  float64
		want int // requests without a wait
	}{{10, 10}, {20, 20}, {2.5, 2}, {1, 1}, {0.5, 1}, {0.1, 1}} {
		synctest.Test(t, func(t *testing.T) {
			l := New(Options{RPS: tt.rps, Concurrency: 1})
			for _, rest := range []time.Duration{0, time.Hour} { // a new limiter is a rested one
				time.Sleep(rest)
				n := 0
				for acquire(t, l) == 0 {
					n++
				}
				if diff := cmp.Diff(tt.want, n); diff != "" {
					t.Errorf("%v a second, after %v: requests without a wait (-want +got):\n%s", tt.rps, rest, diff)
				}
			}
		})
	}
}

func TestRequestsAreSpacedByTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{RPS: 10, Concurrency: 1})
		begin := time.Now()
		for range 31 {
			acquire(t, l)
		}
		if diff := cmp.Diff(2100*time.Millisecond, time.Since(begin)); diff != "" {
			t.Errorf("time of 31 requests at 10 a second, of which 10 were saved up (-want +got):\n%s", diff)
		}
	})
}

func TestTheRateHoldsForAllWaitersTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{RPS: 10, Concurrency: 8})
		begin := time.Now()
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 5 {
					acquire(t, l)
				}
			})
		}
		wg.Wait()
		if diff := cmp.Diff(3*time.Second, time.Since(begin)); diff != "" {
			t.Errorf("time of 40 requests at 10 a second, of which 10 were saved up (-want +got):\n%s", diff)
		}
	})
}

func TestNoMoreThanConcurrencyAreInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{RPS: math.Inf(1), Concurrency: 2})
		first, _ := l.Acquire(t.Context())
		second, _ := l.Acquire(t.Context())
		third := make(chan struct{})
		go func() {
			acquire(t, l)
			close(third)
		}()
		synctest.Wait()
		select {
		case <-third:
			t.Fatal("a third request was let through")
		default:
		}
		if diff := cmp.Diff(2, l.Inflight()); diff != "" {
			t.Errorf("in flight (-want +got):\n%s", diff)
		}
		first()
		first() // a second release of the same request frees nothing
		<-third
		if diff := cmp.Diff(1, l.Inflight()); diff != "" {
			t.Errorf("in flight after release (-want +got):\n%s", diff)
		}
		second()
	})
}

func TestARefusalHalvesTheRateAndBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{RPS: 20, Concurrency: 4})
		acquire(t, l)
		l.Throttled(3 * time.Second)
		if diff := cmp.Diff(10.0, l.Rate()); diff != "" {
			t.Errorf("rate (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(3*time.Second, acquire(t, l)); diff != "" {
			t.Errorf("wait after a refusal (-want +got):\n%s", diff)
		}
	})
}

func TestARefusalTakesAwayTheSavings(t *testing.T) {
	for _, tt := range []struct {
		name          string
		block         time.Duration
		first, second time.Duration // waits
	}{
		{"without a pause", 0, 100 * time.Millisecond, 100 * time.Millisecond},
		{"with a pause shorter than an interval", 30 * time.Millisecond, 100 * time.Millisecond, 100 * time.Millisecond},
		{"with a long pause", time.Minute, time.Minute, 100 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			l := New(Options{RPS: 20, Concurrency: 4})
			l.Throttled(tt.block)
			got := []time.Duration{acquire(t, l), acquire(t, l)}
			if diff := cmp.Diff([]time.Duration{tt.first, tt.second}, got); diff != "" {
				t.Errorf("%s: waits at 10 a second (-want +got):\n%s", tt.name, diff)
			}
		})
	}
}

func TestALongerBlockIsNotCutShortByAShorterOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{RPS: 20})
		l.Throttled(time.Minute)
		time.Sleep(2 * time.Second)
		l.Throttled(time.Second)
		if diff := cmp.Diff(58*time.Second, acquire(t, l)); diff != "" {
			t.Errorf("wait (-want +got):\n%s", diff)
		}
	})
}

// A success during a block is of a request from before it.
func TestSuccessDuringABlockDoesNotRaise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{RPS: 20})
		l.Throttled(time.Minute)
		time.Sleep(2 * refusalWindow)
		l.Succeeded()
		if diff := cmp.Diff(10.0, l.Rate()); diff != "" {
			t.Errorf("rate (-want +got):\n%s", diff)
		}
	})
}

// A waiter must not keep the time that it was given at a lower rate, or at a higher one.
func TestAWaiterFollowsTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{RPS: 1, Concurrency: 2})
		exhaust(t, l)
		begin, through := time.Now(), make(chan time.Duration)
		wait := func() {
			acquire(t, l)
			through <- time.Since(begin)
		}
		go wait()
		synctest.Wait()
		l.Throttled(0)
		if diff := cmp.Diff(2*time.Second, <-through); diff != "" {
			t.Errorf("wait after the rate was halved (-want +got):\n%s", diff)
		}
		begin = time.Now()
		go wait()
		synctest.Wait()
		for range climb {
			l.Succeeded()
		}
		if diff := cmp.Diff(time.Second, <-through); diff != "" {
			t.Errorf("wait after the rate has climbed back (-want +got):\n%s", diff)
		}
	})
}

func TestRefusalsOfRequestsUnderWayHalveTheRateOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{RPS: 20})
		for range 8 {
			l.Throttled(0)
		}
		if diff := cmp.Diff(10.0, l.Rate()); diff != "" {
			t.Errorf("rate after 8 refusals at once (-want +got):\n%s", diff)
		}
		time.Sleep(refusalWindow)
		l.Throttled(0)
		if diff := cmp.Diff(5.0, l.Rate()); diff != "" {
			t.Errorf("rate after a later refusal (-want +got):\n%s", diff)
		}
	})
}

func TestRefusalsDoNotPushBelowTheMinimum(t *testing.T) {
	for _, tt := range []struct {
		o    Options
		want float64
	}{{Options{RPS: 20, Min: 2}, 2}, {Options{RPS: 20}, 0.5}, {Options{RPS: 0.2}, 0.2}, {Options{RPS: math.NaN(), Min: math.NaN()}, 0.5}} {
		synctest.Test(t, func(t *testing.T) {
			l := New(tt.o)
			for range 10 {
				l.Throttled(0)
				time.Sleep(refusalWindow)
			}
			if diff := cmp.Diff(tt.want, l.Rate()); diff != "" {
				t.Errorf("%+v: rate (-want +got):\n%s", tt.o, diff)
			}
		})
	}
}

func TestTheZeroOptionsAreTwentyASecondAndEightInFlight(t *testing.T) {
	l := New(Options{})
	if diff := cmp.Diff([]any{20.0, 8}, []any{l.Rate(), l.slots[0]}); diff != "" {
		t.Errorf("rate and slots (-want +got):\n%s", diff)
	}
}

func TestAWaiterThatAlreadyHasATokenIsHeldByABlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{RPS: 1, Concurrency: 2})
		acquire(t, l)
		begin, through := time.Now(), make(chan time.Duration)
		go func() {
			acquire(t, l) // reserved for one second from now
			through <- time.Since(begin)
		}()
		synctest.Wait()
		l.Throttled(10 * time.Second)
		if got := <-through; got < 10*time.Second {
			t.Errorf("let through %v after a refusal that asked for 10s", got)
		}
	})
}

func TestSuccessRaisesByStepsToTheTopAndNoFurther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{RPS: 20})
		l.Throttled(0)
		l.Succeeded() // too soon: its request was sent at the old rate
		if diff := cmp.Diff(10.0, l.Rate()); diff != "" {
			t.Errorf("rate right after a refusal (-want +got):\n%s", diff)
		}
		time.Sleep(refusalWindow)
		l.Succeeded()
		if diff := cmp.Diff(10.05, l.Rate()); diff != "" {
			t.Errorf("rate after one success (-want +got):\n%s", diff)
		}
		for range 2 * climb {
			l.Succeeded()
		}
		if diff := cmp.Diff(20.0, l.Rate()); diff != "" {
			t.Errorf("rate after many successes (-want +got):\n%s", diff)
		}
	})
}

func TestAnOpenedLimiterSlowsDownAndOpensAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{RPS: math.Inf(1)})
		l.Throttled(0)
		if diff := cmp.Diff(500.0, l.Rate()); diff != "" {
			t.Errorf("rate (-want +got):\n%s", diff)
		}
		time.Sleep(refusalWindow)
		for range climb {
			l.Succeeded()
		}
		if !math.IsInf(l.Rate(), 1) {
			t.Errorf("rate %v after many successes, want no limit", l.Rate())
		}
	})
}

func TestABlockIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{RPS: 20})
		l.Throttled(24 * time.Hour)
		if diff := cmp.Diff(maxBlock, acquire(t, l)); diff != "" {
			t.Errorf("wait (-want +got):\n%s", diff)
		}
	})
}

func TestAWaitThatOutlastsTheDeadlineFailsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{RPS: 20, Concurrency: 1})
		l.Throttled(time.Minute)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		_, err := l.Acquire(ctx)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v, want the deadline", err)
		}
		if diff := cmp.Diff(time.Duration(0), time.Since(begin)); diff != "" {
			t.Errorf("waited (-want +got):\n%s", diff)
		}
		time.Sleep(time.Minute)
		acquire(t, l) // the slot was given back
	})
}

func TestCancelEndsEveryKindOfWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{RPS: 1, Concurrency: 2})
		acquire(t, l)
		ctx, cancel := context.WithCancel(t.Context())
		errs := make(chan error)
		for range 5 { // two wait for a token, three for a slot
			go func() {
				_, err := l.Acquire(ctx)
				errs <- err
			}()
		}
		synctest.Wait()
		cancel()
		for range 5 {
			if err := <-errs; !errors.Is(err, context.Canceled) {
				t.Errorf("error %v, want canceled", err)
			}
		}
		if _, err := l.Acquire(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v of a context that had ended before, want canceled", err)
		}
		if diff := cmp.Diff(0, l.Inflight()); diff != "" {
			t.Errorf("in flight (-want +got):\n%s", diff)
		}
		acquire(t, l)
	})
}

func TestAContextThatHasEndedTakesNothing(t *testing.T) {
	l := New(Options{RPS: math.Inf(1)})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 { // without a look at the context first, half of them would pass
		if _, err := l.Acquire(ctx); !errors.Is(err, context.Canceled) {
			t.Fatalf("error %v, want canceled", err)
		}
	}
	if diff := cmp.Diff(0, l.Granted(priority.Normal)); diff != "" {
		t.Errorf("let through (-want +got):\n%s", diff)
	}
}

func TestSleepForNoTimeUnderAContextThatHasEndedIsItsError(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		if err := Sleep(ctx, 0); !errors.Is(err, context.Canceled) {
			t.Fatalf("error %v, want canceled", err)
		}
	}
}

func TestSleepEndsWithTheTimeTheContextOrADeadlineThatIsTooEarly(t *testing.T) {
	for _, tt := range []struct {
		name              string
		d, deadline, ends time.Duration // 0: none
		want              error
		waits             time.Duration
	}{
		{name: "the time passes", d: time.Second, waits: time.Second},
		{name: "no time", d: 0},
		{name: "less than no time", d: -time.Second},
		{name: "a deadline before it", d: 2 * time.Second, deadline: time.Second, want: context.DeadlineExceeded},
		{name: "a deadline after it", d: time.Second, deadline: 2 * time.Second, waits: time.Second},
		{name: "canceled", d: 2 * time.Second, ends: time.Second, want: context.Canceled, waits: time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if tt.deadline > 0 {
				ctx, cancel = context.WithTimeout(ctx, tt.deadline)
				defer cancel()
			}
			if tt.ends > 0 {
				time.AfterFunc(tt.ends, cancel)
			}
			begin := time.Now()
			if err := Sleep(ctx, tt.d); !errors.Is(err, tt.want) {
				t.Errorf("%s: error %v, want %v", tt.name, err, tt.want)
			}
			if diff := cmp.Diff(tt.waits, time.Since(begin)); diff != "" {
				t.Errorf("%s: waited (-want +got):\n%s", tt.name, diff)
			}
		})
	}
}
