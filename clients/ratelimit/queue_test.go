package ratelimit

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/internal/priority"
)

// line is callers of one limiter, and the order in which they were let through.
type line struct {
	t *testing.T
	l *Limiter

	wg    sync.WaitGroup
	mu    sync.Mutex // guards order
	order []string
}

// call begins a call that holds its slot for some time. It returns when the call waits or
// has been let through.
func (n *line) call(ctx context.Context, c priority.Class, name string, hold time.Duration) {
	n.wg.Go(func() {
		release, err := n.l.Acquire(priority.With(ctx, c))
		if err != nil {
			return
		}
		n.mu.Lock()
		n.order = append(n.order, name)
		n.mu.Unlock()
		time.Sleep(hold)
		release()
	})
	synctest.Wait()
}

// calls begins one call for each letter: u, n and b are the classes.
func (n *line) calls(letters string, hold time.Duration) {
	for _, r := range letters {
		n.call(n.t.Context(), map[rune]priority.Class{'u': priority.Urgent, 'n': priority.Normal, 'b': priority.Bulk}[r], string(r), hold)
	}
}

// served waits for all calls and returns their order.
func (n *line) served() string {
	n.wg.Wait()
	var all string
	for _, name := range n.order {
		all += name
	}
	return all
}

func TestTheMoreUrgentGoesFirstAndOneOfEightIsLessUrgent(t *testing.T) {
	for _, tt := range []struct{ name, arrive, want string }{
		{"one of each", "bnu", "unb"},
		{"the order of arrival does not matter between classes", "nbunub", "uunnbb"},
		{"seven, then one of those below", "bbuuuuuuuuu", "uuuuuuubuub"},
		{"no one below: no turn is lost", "uuuuuuuuuun", "uuuuuuunuuu"},
		{"the next class comes before the last one", "bnnuuuuuuuuuuuuuuuu", "uuuuuuunuuuuuuunuub"},
		{"Normal shares with Bulk in the same way", "bbnnnnnnnnnn", "nnnnnnnbnnnb"},
		{"a class of its own has everything", "bbbbbbbbbb", "bbbbbbbbbb"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &line{t: t, l: New(Options{RPS: 10, Concurrency: 100})}
				exhaust(t, n.l)
				n.calls(tt.arrive, 0)
				if diff := cmp.Diff(tt.want, n.served()); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestASlotThatIsFreedGoesByTheSameRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &line{t: t, l: New(Options{RPS: math.Inf(1), Concurrency: 1})}
		n.calls("nbbnuuuuuuuu", time.Second) // the first takes the only slot
		if diff := cmp.Diff("nuuuuuuunubb", n.served()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestWithinAClassTheFirstToComeIsTheFirstToGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &line{t: t, l: New(Options{RPS: 10, Concurrency: 3})}
		exhaust(t, n.l)
		for _, name := range "abcdefghij" {
			n.call(t.Context(), priority.Normal, string(name), 700*time.Millisecond)
		}
		if diff := cmp.Diff("abcdefghij", n.served()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestRequestsThatHangLeaveSlotsToTheMoreUrgent(t *testing.T) {
	for _, tt := range []struct {
		slots int
		want  []int // in flight: Bulk alone, then with Normal, then with Urgent
		alone bool
	}{
		{slots: 1, want: []int{1, 1, 1}}, {slots: 2, want: []int{1, 2, 2}}, {slots: 3, want: []int{2, 3, 3}},
		{slots: 4, want: []int{3, 4, 4}}, {slots: 8, want: []int{6, 7, 8}}, {slots: 16, want: []int{12, 14, 16}},
		{slots: 8, want: []int{8, 8, 8}, alone: true},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := &line{t: t, l: New(Options{RPS: math.Inf(1), Concurrency: tt.slots, Alone: tt.alone})}
			var got []int
			for _, c := range "bnu" {
				for range 20 {
					n.calls(string(c), time.Hour)
				}
				got = append(got, n.l.Inflight())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("in flight of %d slots (-want +got):\n%s", tt.slots, diff)
			}
			if most := len(n.served()); most != 60 {
				t.Errorf("%d of 60 calls were let through", most)
			}
		})
	}
}

// A sweep takes all that the rate gives, and a customer comes: their requests leave
// without a wait.
func TestASweepLeavesTheSavingsToTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{RPS: 20, Concurrency: 8})
		ctx, cancel := context.WithCancel(priority.With(t.Context(), priority.Bulk))
		begin := time.Now()
		var first atomic.Int64 // requests of the first second
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for {
					release, err := l.Acquire(ctx)
					if err != nil {
						return
					}
					if time.Since(begin) < time.Second {
						first.Add(1)
					}
					time.Sleep(50 * time.Millisecond)
					release()
				}
			})
		}
		time.Sleep(10 * time.Second)
		for i := range 13 { // 15 are saved up, of which the sweep gets its eighth
			if waited := acquire(t, l); waited != 0 {
				t.Errorf("request %d of the customer waited %v", i+1, waited)
			}
		}
		cancel()
		wg.Wait()
		if n := first.Load(); n > 25 {
			t.Errorf("the sweep began with %d requests in a second, and Stripe allows 25", n)
		}
	})
}

func TestAfterARefusalASweepGoesOnWhileTheSavingsComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{RPS: 40, Concurrency: 8})
		bulk := priority.With(t.Context(), priority.Bulk)
		l.Throttled(0) // to 20 a second
		var got, want []time.Duration
		for i := range 20 {
			begin := time.Now()
			release, err := l.Acquire(bulk)
			if err != nil {
				t.Fatal(err)
			}
			release()
			got = append(got, time.Since(begin))
			if i < 15 {
				want = append(want, 100*time.Millisecond)
			} else {
				want = append(want, 50*time.Millisecond)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("waits of the sweep (-want +got):\n%s", diff)
		}
		for i := range 15 {
			if waited := acquire(t, l); waited != 0 {
				t.Errorf("request %d of a customer waited %v", i+1, waited)
			}
		}
	})
}

func TestAnUnlimitedSweepDoesNotWaitForSavings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &line{t: t, l: New(Options{RPS: math.Inf(1), Min: math.Inf(1), Concurrency: 100})}
		begin := time.Now()
		n.l.Throttled(0)
		n.calls("bbbbbbbbbb", 0)
		n.served()
		if diff := cmp.Diff(time.Duration(0), time.Since(begin)); diff != "" {
			t.Errorf("waited (-want +got):\n%s", diff)
		}
	})
}

// Callers who never wait must not keep the savings below the part that Bulk leaves.
func TestBulkGoesEvenIfTheOthersUseUpTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &line{t: t, l: New(Options{RPS: 10, Concurrency: 8})}
		exhaust(t, n.l)
		n.calls("b", 0)
		for range 16 { // each comes when the rate allows one more
			time.Sleep(100 * time.Millisecond)
			n.calls("n", 0)
		}
		if diff := cmp.Diff("nnnnnnnbnnnnnnnnn", n.served()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestACallerThatGivesUpIsPassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &line{t: t, l: New(Options{RPS: 10, Concurrency: 1})}
		exhaust(t, n.l)
		gone, cancel := context.WithCancel(t.Context())
		for _, name := range "abcde" {
			ctx := t.Context()
			if name == 'a' || name == 'c' || name == 'e' {
				ctx = gone
			}
			n.call(ctx, priority.Normal, string(name), 0)
		}
		cancel()
		begin := time.Now()
		if diff := cmp.Diff("bd", n.served()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(200*time.Millisecond, time.Since(begin)); diff != "" {
			t.Errorf("time of the two that stayed (-want +got):\n%s", diff)
		}
	})
}

// The slot of a caller that gives up in the moment in which it is let through must go to
// the next. Acquire sees one of the two, by the runtime's choice, so this calls its parts.
func TestASlotIsNotLostWithACallerThatGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &line{t: t, l: New(Options{RPS: math.Inf(1), Concurrency: 1})}
		w := &waiter{class: rank(priority.Urgent), ready: make(chan struct{})}
		if !n.l.join(t.Context(), w) {
			t.Fatal("refused")
		}
		<-w.ready
		n.calls("n", 0)
		n.l.leave(w)
		if diff := cmp.Diff("n", n.served()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(0, n.l.Inflight()); diff != "" {
			t.Errorf("in flight (-want +got):\n%s", diff)
		}
	})
}

func TestADeadlineBeforeThoseInFrontCanHaveGoneFailsWithoutAWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &line{t: t, l: New(Options{RPS: 10, Concurrency: 8})}
		exhaust(t, n.l)
		n.calls("uunnbb", 0)
		for _, tt := range []struct {
			class priority.Class
			needs time.Duration
		}{{priority.Urgent, 300 * time.Millisecond}, {priority.Normal, 500 * time.Millisecond}, {priority.Bulk, 1450 * time.Millisecond}} {
			ctx, cancel := context.WithTimeout(priority.With(t.Context(), tt.class), tt.needs-1)
			begin := time.Now()
			_, err := n.l.Acquire(ctx)
			if waited := time.Since(begin); !errors.Is(err, context.DeadlineExceeded) || waited != 0 {
				t.Errorf("%v: error %v after %v, want the deadline without a wait", tt.class, err, waited)
			}
			cancel()
		}
		ctx, cancel := context.WithTimeout(priority.With(t.Context(), priority.Normal), 500*time.Millisecond+1)
		defer cancel()
		if release, err := n.l.Acquire(ctx); err != nil {
			t.Errorf("error %v with just enough time", err)
		} else {
			release()
		}
		n.served()
	})
}

// A deadline that passes because of callers who came later ends the wait when it comes.
func TestADeadlineEndsAWaitThatHasBecomeLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &line{t: t, l: New(Options{RPS: 10, Concurrency: 8})}
		exhaust(t, n.l)
		ctx, cancel := context.WithTimeout(t.Context(), 250*time.Millisecond)
		defer cancel()
		n.call(ctx, priority.Normal, "n", 0)
		n.calls("uuuu", 0)
		if diff := cmp.Diff("uuuu", n.served()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestRequestsAreCountedByClass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &line{t: t, l: New(Options{RPS: math.Inf(1)})}
		n.calls("ubnbub", 0)
		n.served()
		got := map[string]int{}
		for _, c := range priority.Classes {
			got[c.String()] = n.l.Granted(c)
		}
		if diff := cmp.Diff(map[string]int{"urgent": 2, "normal": 1, "bulk": 3}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
