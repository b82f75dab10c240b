package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/server"
)

// patient is how long a view of the tests waits.
const patient = 5 * time.Second

// counted are figures that are made in a second: the how-many-th try they come from.
type counted struct {
	kept[int]
	tries  int
	people string // stamp
	fails  error
	logged []error
}

func newCounted(w *walks) *counted {
	c := &counted{kept: kept[int]{walks: w, age: figuresAge, wait: patient, now: time.Now}}
	c.stamp = func(context.Context) (string, error) { return c.people, nil }
	c.log = func(err error) { c.logged = append(c.logged, err) }
	c.make = func(ctx context.Context) (int, error) {
		c.tries++
		try := c.tries
		select {
		case <-time.After(time.Second):
			return try, c.fails
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	return c
}

// gets checks what one view is shown.
func (c *counted) gets(t *testing.T, when string, value int, is server.Figures) {
	t.Helper()
	got, how, err := c.get(t.Context())
	how.At = time.Time{}
	if got != value || how != is || err != nil {
		t.Errorf("%s: %d %+v %v, want %d %+v", when, got, how, err, value, is)
	}
}

// figures runs a test in which the clock jumps when all wait.
func figures(t *testing.T, test func(t *testing.T, c *counted)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWalks()
		defer w.close()
		test(t, newCounted(w))
	})
}

func TestManyViewsAtOnceMakeOneWalk(t *testing.T) {
	figures(t, func(t *testing.T, c *counted) {
		var views sync.WaitGroup
		for range 20 {
			views.Go(func() { c.gets(t, "a view of twenty", 1, server.Figures{}) })
		}
		views.Wait()
		if c.tries != 1 {
			t.Errorf("%d walks for twenty views", c.tries)
		}
	})
}

func TestFiguresOfDifferentPagesAreMadeOneAfterTheOther(t *testing.T) {
	figures(t, func(t *testing.T, c *counted) {
		other := newCounted(c.walks)
		began := time.Now()
		var views sync.WaitGroup
		for _, one := range []*counted{c, other} {
			views.Go(func() { one.gets(t, "one of two", 1, server.Figures{}) })
		}
		if views.Wait(); time.Since(began) < 2*time.Second {
			t.Error("two walks were under way together")
		}
	})
}

func TestOldFiguresAreShownWithTheirTimeWhileOthersAreMade(t *testing.T) {
	figures(t, func(t *testing.T, c *counted) {
		began := time.Now()
		c.gets(t, "first", 1, server.Figures{})
		time.Sleep(figuresAge - 2*time.Second)
		c.gets(t, "young", 1, server.Figures{})
		time.Sleep(2 * time.Second)
		c.gets(t, "old", 1, server.Figures{Counting: true})
		if _, is, err := c.get(t.Context()); err != nil || !is.At.Equal(began) {
			t.Errorf("old figures are of %s, and say %s: %v", began, is.At, err)
		}
		time.Sleep(2 * time.Second)
		c.gets(t, "made anew", 2, server.Figures{})
		time.Sleep(2 * figuresOld)
		c.gets(t, "of last night", 3, server.Figures{})
	})
}

func TestAChangeIsInTheNextFigures(t *testing.T) {
	figures(t, func(t *testing.T, c *counted) {
		c.gets(t, "first", 1, server.Figures{})
		c.people = "changed"
		c.gets(t, "after a change", 2, server.Figures{})
		c.people, c.wait = "changed again", time.Millisecond
		c.gets(t, "after a change, with no time to wait", 2, server.Figures{Behind: true, Counting: true})
		time.Sleep(2 * time.Second)
		c.gets(t, "later", 3, server.Figures{})
	})
}

// TestTheFirstViewFindsWhatWasMadeBefore: figures are made once for all who may ask for them,
// and no view waits for a walk over a large company.
func TestTheFirstViewFindsWhatWasMadeBefore(t *testing.T) {
	figures(t, func(t *testing.T, c *counted) {
		c.wait = figuresWait
		c.gets(t, "before the walk has ended", 0, server.Figures{Counting: true})
		time.Sleep(2 * time.Second)
		for range 20 {
			c.warm(figuresOld)
		}
		time.Sleep(2 * time.Second)
		c.gets(t, "the first that can be shown", 1, server.Figures{})
		time.Sleep(figuresOld)
		for range 20 {
			c.warm(figuresOld)
		}
		time.Sleep(2 * time.Second)
		c.gets(t, "the next morning", 2, server.Figures{})
		c.fails = errors.New("broken")
		for range 3 {
			time.Sleep(figuresOld)
			c.warm(figuresOld)
		}
		if time.Sleep(2 * time.Second); c.tries != 3 {
			t.Errorf("%d walks, although the third failed and no view asked", c.tries)
		}
	})
}

// A walk that began before a change does not have it.
func TestAChangeDuringAWalkIsNotMissed(t *testing.T) {
	figures(t, func(t *testing.T, c *counted) {
		c.wait = time.Millisecond
		if _, is, err := c.get(t.Context()); err != nil || !is.At.IsZero() || !is.Counting {
			t.Errorf("before the first: %+v %v", is, err)
		}
		c.people, c.wait = "changed", patient
		c.gets(t, "after the change", 2, server.Figures{})
	})
}

func TestAWalkThatFailsIsShownAndSoonTriedAgain(t *testing.T) {
	figures(t, func(t *testing.T, c *counted) {
		broken := errors.New("broken")
		c.fails = broken
		for range 5 {
			if _, _, err := c.get(t.Context()); !errors.Is(err, broken) {
				t.Errorf("a walk that failed: %v", err)
			}
		}
		if c.tries != 1 || len(c.logged) != 1 {
			t.Errorf("%d walks for five views, and %d lines in the log", c.tries, len(c.logged))
		}
		c.fails = nil
		time.Sleep(figuresRetry)
		c.gets(t, "mended", 2, server.Figures{})
		c.fails = broken
		time.Sleep(figuresAge)
		c.gets(t, "old", 2, server.Figures{Counting: true})
		time.Sleep(time.Second + time.Millisecond)
		c.gets(t, "not made anew", 2, server.Figures{Failed: true})
		c.people = "changed"
		if _, _, err := c.get(t.Context()); !errors.Is(err, broken) {
			t.Errorf("after a change that cannot be shown: %v", err)
		}
	})
}

func TestThatThereIsNothingYetIsNotKept(t *testing.T) {
	figures(t, func(t *testing.T, c *counted) {
		c.fails = fmt.Errorf("no listing: %w", fault.NotFound)
		if _, _, err := c.get(t.Context()); !errors.Is(err, fault.NotFound) {
			t.Errorf("%v", err)
		}
		c.fails = nil
		c.gets(t, "after the first run", 2, server.Figures{})
	})
}

func TestAWalkEndsWithTheService(t *testing.T) {
	figures(t, func(t *testing.T, c *counted) {
		c.make = func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() }
		c.wait = time.Millisecond
		if _, is, err := c.get(t.Context()); err != nil || !is.Counting {
			t.Errorf("%+v %v", is, err)
		}
		c.walks.close() // or the test hangs
	})
}

// TestAMappingAndAHoldShowAtOnce changes what the figures of the page depend on.
func TestAMappingAndAHoldShowAtOnce(t *testing.T) {
	s := newShop(t)
	up := s.signUp(t, "ada@example.com")
	s.run(t)
	tools := s.newTools()
	defer tools.close()
	tools.offers.wait, tools.forecasts.wait = time.Minute, time.Minute // a slow machine is no mistake
	ctx, price := t.Context(), "price_basic_monthly"
	unmapped := func() bool {
		t.Helper()
		got, err := tools.Suggestions(ctx)
		if err != nil || got.At.IsZero() {
			t.Fatalf("%+v %v", got.Figures, err)
		}
		for _, one := range got.All {
			if one.Price == price {
				return one.Used == 1
			}
		}
		return false
	}
	if unmapped() {
		t.Error("a price is mapped, and listed as not mapped")
	}
	if _, err := s.Store.DeleteMapping(ctx, price); err != nil || !unmapped() {
		t.Errorf("a price that is no longer mapped is not listed: %v", err)
	}
	m := reconcile.Mapping{BillingID: price, Plan: reconcile.FormatID(int64(s.plans[price]))}
	if err := s.Store.SetMapping(ctx, m, "test", s.Now()); err != nil || unmapped() {
		t.Errorf("a price was mapped, and is listed as not mapped: %v", err)
	}

	month := time.Date(s.Now().Year(), s.Now().Month()+2, 1, 0, 0, 0, 0, time.UTC)
	coming := func() int {
		t.Helper()
		got, err := tools.Forecast(ctx, month)
		if err != nil || got.Behind || got.Total != len(got.Entries) {
			t.Fatalf("%+v %v", got, err)
		}
		return got.Total
	}
	before := coming()
	h := reconcile.ManualHold{ID: "hold_a", Subscription: up.Subscription, Kind: reconcile.NoSuspend, Until: month.AddDate(0, 0, 3), Reason: "promised", Author: "test", Created: s.Now()}
	if _, err := s.Store.AddManualHold(ctx, h); err != nil || coming() != before+1 {
		t.Errorf("the end of a hold is not in the forecast: %v", err)
	}
	if _, err := s.Store.RemoveManualHold(ctx, h.ID, s.Now()); err != nil || coming() != before {
		t.Errorf("the end of a hold is in the forecast, although the hold was removed: %v", err)
	}
}
