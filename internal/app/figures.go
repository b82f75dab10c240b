package app

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
	"github.com/stripe-enhance/stripe-enhance/internal/priority"
	"github.com/stripe-enhance/stripe-enhance/server"
)

// Limits of the figures that a walk over all customers makes for the page.
const (
	// figuresAge is how old figures may be before they are made anew; the view that finds
	// them too old still shows them, with their time.
	figuresAge = time.Minute
	// reportAge is longer, because the report reads a price at Stripe for each of its rows.
	reportAge = 5 * time.Minute
	// figuresOld is how old they may be before a view of any page has new ones made.
	figuresOld = time.Hour
	// namesOld is how old the names of customers may be that a search uses.
	namesOld = 5 * time.Minute
	// figuresWait is how long a view waits for figures, if a person has changed something or
	// there are none: a small company is counted in that time. Otherwise it shows the old ones,
	// or that they are being counted.
	figuresWait = 25 * time.Millisecond
	// figuresRetry is how long after a walk has failed the next one may begin.
	figuresRetry = 3 * time.Second
	// walkLimit is how long a walk may take.
	walkLimit = 10 * time.Minute
	// mostKept is how many rows stay in memory. Counts and totals are of all.
	mostKept = 10_000
)

// walks lets one walk at a time be under way, so that runs have the rest of the machine, and
// ends it when the service ends.
type walks struct {
	turn chan struct{} // holds one value while a walk is under way
	ctx  context.Context
	stop context.CancelFunc
	all  sync.WaitGroup
}

func newWalks() *walks {
	w := &walks{turn: make(chan struct{}, 1)}
	w.ctx, w.stop = context.WithCancel(context.Background())
	return w
}

// close ends the walk that is under way, and waits for that.
func (w *walks) close() {
	w.stop()
	w.all.Wait()
}

// walk calls do when it is its turn. Its requests to the two sides wait for everything else,
// because a page is no reason that an order waits.
func (w *walks) walk(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(priority.With(ctx, priority.Bulk), walkLimit)
	defer cancel()
	defer context.AfterFunc(w.ctx, cancel)()
	select {
	case w.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-w.turn }()
	return fault.Guard(func() error { return do(ctx) })
}

// kept has figures that are costly to make. They are made once, however many ask for them,
// and again in the background when they are too old. What a person changes changes the
// stamp: then a view waits for new figures; if they take too long, it gets the old ones with
// a mark.
type kept[T any] struct {
	walks *walks
	age   time.Duration
	wait  time.Duration
	now   func() time.Time
	stamp func(context.Context) (string, error)
	make  func(context.Context) (T, error)
	log   func(error)

	mu      sync.Mutex // guards the rest
	last    *made[T]   // nil: there are none
	making  *making    // nil: none are being made
	problem *making    // the last try, if it failed
}

type made[T any] struct {
	value T
	stamp string
	at    time.Time // by the clock of the service
	began time.Time // by that of the machine
}

// making is a try to make figures.
type making struct {
	stamp string
	done  chan struct{}
	err   error     // once done is closed
	ended time.Time // by the clock of the machine
}

// get returns the figures, and how present they are. Without any, their time is zero.
func (k *kept[T]) get(ctx context.Context) (value T, is server.Figures, err error) {
	stamp, err := k.stamp(ctx)
	if err != nil {
		return value, is, err
	}
	patience := time.NewTimer(k.wait)
	defer patience.Stop()
	for {
		value, is, try, err := k.look(ctx, stamp)
		if try == nil || err != nil {
			return value, is, err
		}
		select {
		case <-try.done:
			if try.err != nil && try.stamp == stamp {
				return k.afterFailure(try)
			}
		case <-patience.C:
			return value, is, nil
		case <-ctx.Done():
			return value, is, ctx.Err()
		}
	}
}

// look returns the figures that there are. If they are not good enough to be shown without
// waiting, it also returns the try that makes others.
func (k *kept[T]) look(ctx context.Context, stamp string) (value T, is server.Figures, wait *making, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	present, young, old := false, false, true
	if l := k.last; l != nil {
		age := max(k.now().Sub(l.at), time.Since(l.began))
		value, present, young, old = l.value, l.stamp == stamp, age < k.age, age >= figuresOld
		is = server.Figures{At: l.at, Behind: !present}
	}
	if present && young {
		return value, is, nil, nil
	}
	if p := k.problem; p != nil && p.stamp == stamp && time.Since(p.ended) < figuresRetry {
		if present {
			is.Failed = true
			return value, is, nil, nil
		}
		return value, is, nil, p.err
	}
	if k.making == nil {
		k.begin(ctx, stamp)
	}
	is.Counting = true
	if present && !old {
		return value, is, nil, nil
	}
	return value, is, k.making, nil
}

// begin has figures made in the background. The view that asked for them may leave, because
// the next one needs them, too.
func (k *kept[T]) begin(ctx context.Context, stamp string) {
	try := &making{stamp: stamp, done: make(chan struct{})}
	k.making, k.problem = try, nil
	k.walks.all.Go(func() {
		next := &made[T]{stamp: stamp}
		try.err = k.walks.walk(context.WithoutCancel(ctx), func(ctx context.Context) (err error) {
			next.at, next.began = k.now(), time.Now()
			next.value, err = k.make(ctx)
			return err
		})
		try.ended = time.Now()
		k.mu.Lock()
		defer k.mu.Unlock()
		defer close(try.done)
		k.making = nil
		switch {
		case try.err == nil:
			k.last = next
		case !errors.Is(try.err, fault.NotFound): // that there is nothing yet costs little to find out
			k.problem = try
			k.log(try.err)
		}
	})
}

// warm has figures made in the background if there are none that are younger than that, so
// that the first view finds them. If the last try failed, it waits for a view that needs them.
func (k *kept[T]) warm(limit time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.making != nil || k.problem != nil || k.last != nil && max(k.now().Sub(k.last.at), time.Since(k.last.began)) < limit {
		return
	}
	k.walks.all.Go(func() {
		_ = fault.Guard(func() error { // of an error the view finds out that needs the figures
			stamp, err := k.stamp(k.walks.ctx)
			if err == nil {
				_, _, _, err = k.look(k.walks.ctx, stamp)
			}
			return err
		})
	})
}

// afterFailure is what a view that has waited for a try shows if it failed.
func (k *kept[T]) afterFailure(try *making) (value T, is server.Figures, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if l := k.last; l != nil && l.stamp == try.stamp {
		return l.value, server.Figures{At: l.at, Failed: true}, nil
	}
	return value, is, try.err
}
