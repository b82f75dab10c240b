package engine_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/rig"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
)

// clock is a clock that a test sets, as the engine reads it.
type clock struct {
	mu  sync.Mutex // guards now
	now time.Time
}

func (c *clock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

// Nobody renews in this test but at the beginning: what is asked is only for how
// long the writer believes in what it was told then.
//
// With each of these mistakes put in once, it went red: asking the process clock
// alone (asleep for an hour, and still the writer), asking the wall clock alone
// (set back by an hour, and the writer for an hour more).
func TestALeaseIsBelievedInOnlyWhileBothClocksSaySo(t *testing.T) {
	begun := time.Now()
	for _, test := range []struct {
		name string
		now  time.Time
		want bool
	}{
		{"a moment later", begun.Add(time.Second), true},
		{"when it could have been renewed twice", begun.Add(24 * time.Second), true},
		{"when it is nearly over", begun.Add(26 * time.Second), false},
		{"when the machine slept for an hour and the process clock with it", rig.Asleep(begun, time.Hour), false},
		{"when the wall clock was set back meanwhile", rig.Asleep(begun.Add(26*time.Second), -time.Hour), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := &clock{now: begun}
			r := rig.New(t, rig.Options{Engine: func(o *engine.Options) { o.KeepLease, o.LeaseTTL, o.Now = true, 30*time.Second, c.read }})
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- r.Engine.Lead(ctx) }()
			for !r.Engine.Leading() {
				if ctx.Err() != nil {
					t.Fatal("the lease was never taken")
				}
				time.Sleep(time.Millisecond)
			}
			c.set(test.now)
			if got := r.Engine.Leading(); got != test.want {
				t.Errorf("leading: %v, want %v", got, test.want)
			}
			c.set(begun)
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}
