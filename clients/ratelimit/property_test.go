package ratelimit

import (
	"context"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/stripe-enhance/stripe-enhance/internal/priority"
)

// visit is one caller of a drawn history.
type visit struct {
	class    priority.Class
	arrives  time.Duration
	hold     time.Duration // how long its request takes
	patience time.Duration // 0: it waits for as long as it takes
	deadline bool          // it has its patience as a deadline; otherwise it is canceled then
	refused  bool          // the server refuses its request
	block    time.Duration

	sent time.Duration // when it was let through; -1: never
}

// history is what came of some visits.
type history struct {
	visits []*visit
	most   [classes]int // in flight together with those below
}

// drawVisits draws callers of all classes, often many at a time.
func drawVisits(t *rapid.T, most int) (all []*visit) {
	at := time.Duration(0)
	for range rapid.IntRange(1, most).Draw(t, "callers") {
		at += rapid.OneOf(rapid.Just(time.Duration(0)), rapid.Map(rapid.IntRange(0, 400), ms)).Draw(t, "pause") + 1
		v := &visit{sent: -1, arrives: at,
			class: rapid.SampledFrom(priority.Classes[:]).Draw(t, "class"),
			hold:  ms(rapid.SampledFrom([]int{0, 50, 400, 5000}).Draw(t, "hold"))}
		switch rapid.IntRange(0, 11).Draw(t, "fate") {
		case 0:
			v.refused, v.block = true, ms(rapid.SampledFrom([]int{0, 10, 1000, 7000}).Draw(t, "block"))
		case 1, 2:
			v.patience = ms(rapid.IntRange(0, 2000).Draw(t, "patience"))
			v.deadline = rapid.Bool().Draw(t, "deadline")
		}
		all = append(all, v)
	}
	return all
}

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

// play lets the visits happen. It returns when all have ended; if one never does, the
// bubble ends the test.
func (h *history) play(l *Limiter) {
	var (
		wg       sync.WaitGroup
		mu       sync.Mutex // guards the visits and h.most
		inflight [classes]int
	)
	enter := func(c priority.Class, n int) {
		inflight[rank(c)] += n
		sum := 0
		for r, held := range slices.Backward(inflight[:]) {
			sum += held
			h.most[r] = max(h.most[r], sum)
		}
	}
	begin := time.Now()
	for _, v := range h.visits {
		wg.Go(func() {
			time.Sleep(v.arrives)
			ctx, cancel := context.WithCancel(priority.With(context.Background(), v.class))
			defer cancel()
			if v.patience > 0 && v.deadline {
				ctx, cancel = context.WithTimeout(ctx, v.patience)
				defer cancel()
			} else if v.patience > 0 {
				time.AfterFunc(v.patience, cancel)
			}
			release, err := l.Acquire(ctx)
			if err != nil {
				return
			}
			mu.Lock()
			v.sent = time.Since(begin)
			enter(v.class, 1)
			mu.Unlock()
			time.Sleep(v.hold)
			if v.refused {
				l.Throttled(v.block)
			} else {
				l.Succeeded()
			}
			mu.Lock()
			enter(v.class, -1)
			mu.Unlock()
			release()
		})
	}
	wg.Wait()
}

// served are the visits that were let through, in the order of time.
func (h history) served() []*visit {
	all := slices.DeleteFunc(slices.Clone(h.visits), func(v *visit) bool { return v.sent < 0 })
	slices.SortStableFunc(all, func(a, b *visit) int { return int(a.sent - b.sent) })
	return all
}

// checkRate: in any time no more requests than the rate allows, and the savings.
func (h history) checkRate(t *rapid.T, rps float64) {
	all := h.served()
	for i, from := range all {
		for j, to := range all[i:] {
			allowed := rps*(to.sent-from.sent).Seconds() + max(rps, 1)
			if float64(j+1) > allowed+1e-6 {
				t.Fatalf("%d requests in %v at %v a second", j+1, to.sent-from.sent, rps)
			}
		}
	}
}

// checkTurns: within a class the first to come is the first to go, and while a caller waits,
// no more of the less urgent go than the share allows for those of its class that go.
func (h history) checkTurns(t *rapid.T) {
	all := h.served()
	for _, v := range all {
		own, below := 0, 0
		for _, other := range all {
			switch {
			case other == v || other.sent <= v.arrives || other.sent >= v.sent:
			case other.class > v.class:
				below++
			case other.class == v.class:
				own++
				if other.arrives > v.arrives {
					t.Fatalf("%v: the caller of %v went at %v, that of %v only at %v", v.class, other.arrives, other.sent, v.arrives, v.sent)
				}
			}
		}
		// Those of its class that go in the moment in which it goes count too.
		for _, other := range all {
			if other != v && other.class == v.class && other.sent == v.sent {
				own++
			}
		}
		if v.class == priority.Urgent && below > 1+own/(share-1) {
			t.Fatalf("while an urgent caller waited from %v to %v, %d urgent and %d other requests left", v.arrives, v.sent, own, below)
		}
	}
}

// checkBlocks: no request leaves while a refusal asks for a pause.
func (h history) checkBlocks(t *rapid.T) {
	all := h.served()
	for _, by := range all {
		from := by.sent + by.hold
		for _, v := range all {
			if by.refused && v.sent > from && v.sent < from+by.block {
				t.Fatalf("a request left at %v, and from %v the server asked for a pause of %v", v.sent, from, by.block)
			}
		}
	}
}

// TestAnyArrivalsKeepEveryPromise draws a server and its callers, and holds the limiter to
// each promise of the package comment. That all visits end is the promise that no class
// starves and no wake-up is lost.
func TestAnyArrivalsKeepEveryPromise(outer *testing.T) {
	rapid.Check(outer, func(t *rapid.T) {
		rps := rapid.SampledFrom([]float64{0.4, 1, 2.5, 10, 20, 100, math.Inf(1)}).Draw(t, "rps")
		slots := rapid.IntRange(1, 17).Draw(t, "slots")
		h := history{visits: drawVisits(t, 80)}
		synctest.Test(outer, func(outer *testing.T) {
			l := New(Options{RPS: rps, Concurrency: slots})
			h.play(l)
			if l.Inflight() != 0 || l.timer != nil {
				outer.Errorf("%d in flight at the end, timer %v", l.Inflight(), l.timer)
			}
		})
		if !math.IsInf(rps, 1) {
			h.checkRate(t, rps)
		}
		h.checkTurns(t)
		h.checkBlocks(t)
		for c, most := range h.most {
			if most > shares(slots)[c] {
				t.Fatalf("%d in flight of %v and below, with %d slots", most, priority.Classes[c], slots)
			}
		}
		for _, v := range h.visits {
			if v.sent < 0 && v.patience == 0 {
				t.Fatalf("the %v caller of %v never went", v.class, v.arrives)
			}
		}
	})
}

// TestACustomersWaitDoesNotDependOnHowManyOthersWait has an urgent caller after a crowd of
// others, whose requests may hang.
func TestACustomersWaitDoesNotDependOnHowManyOthersWait(outer *testing.T) {
	rapid.Check(outer, func(t *rapid.T) {
		rps := rapid.SampledFrom([]float64{5, 10, 20}).Draw(t, "rps")
		slots := rapid.IntRange(2, 16).Draw(t, "slots")
		hold := rapid.SampledFrom([]time.Duration{0, time.Second, time.Minute}).Draw(t, "hold")
		var h history
		for i := range rapid.IntRange(0, 60).Draw(t, "crowd") {
			h.visits = append(h.visits, &visit{class: priority.Bulk, arrives: time.Duration(i), hold: hold, sent: -1})
		}
		customer := &visit{class: priority.Urgent, arrives: rapid.Map(rapid.IntRange(0, 3000), ms).Draw(t, "customer") + 100, sent: -1}
		h.visits = append(h.visits, customer)
		synctest.Test(outer, func(*testing.T) { h.play(New(Options{RPS: rps, Concurrency: slots})) })
		if wait, most := customer.sent-customer.arrives, time.Duration(float64(time.Second)/rps); wait > most {
			t.Fatalf("waited %v behind %d others, at most %v", wait, len(h.visits)-1, most)
		}
		if served := len(h.served()); served != len(h.visits) {
			t.Fatalf("%d of %d were served", served, len(h.visits))
		}
	})
}
