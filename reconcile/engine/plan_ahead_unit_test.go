package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// paged is a queue with one customer a page. Each time that one is loaded, its name shows
// how often that was.
type paged struct {
	*scripted
	mu    sync.Mutex // guards all below
	pages int
	loads map[string]int
	alone int    // customers that were loaded by id
	fails string // the page that cannot be loaded
}

func newPaged(pages int) *paged {
	return &paged{scripted: &scripted{}, pages: pages, loads: map[string]int{}}
}

func (p *paged) load(id string) reconcile.Customer {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.loads[id]++
	return reconcile.Customer{ID: id, Name: fmt.Sprint("load ", p.loads[id])}
}

func (p *paged) DueCount(context.Context, time.Time) (int, error) { return p.pages, nil }

func (p *paged) Due(_ context.Context, _ time.Time, after string, _ int) ([]reconcile.Customer, string, error) {
	n := len(after) + 1
	id, next := fmt.Sprint("cus_", n), after+"."
	if id == p.fails {
		return nil, "", errScripted
	}
	if n == p.pages {
		next = ""
	}
	return []reconcile.Customer{p.load(id)}, next, nil
}

func (p *paged) Customers(_ context.Context, ids []string) (all []reconcile.Customer, err error) {
	p.alone += len(ids)
	for _, id := range ids {
		all = append(all, p.load(id))
	}
	return all, nil
}

// seen plans everyone, and returns which customers the planner has seen, as of which load.
// meanwhile is called while a customer is planned and the next batch has been loaded.
func (p *paged) seen(t *testing.T, meanwhile func(r *run, id string)) (seen []string, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var r *run
		r = scriptedRun(p.scripted, Request{Dry: true}, func(c *reconcile.Customer) planner.Decision {
			synctest.Wait()
			seen = append(seen, c.ID+" "+c.Name)
			meanwhile(r, c.ID)
			return planner.Decision{}
		})
		r.Queue, r.Timetable = p, p
		err = r.plan(t.Context())
	})
	return seen, err
}

func changed(r *run) { _ = r.changes.during(func() error { return nil }) }

func TestTheNextBatchIsLoadedWhileOneIsPlanned(t *testing.T) {
	p := newPaged(3)
	loaded := map[string]int{}
	seen, err := p.seen(t, func(_ *run, id string) { loaded[id] = len(p.loads) })
	if want := []string{"cus_1 load 1", "cus_2 load 1", "cus_3 load 1"}; err != nil || !slices.Equal(seen, want) {
		t.Errorf("planned %q: %v", seen, err)
	}
	if loaded["cus_1"] != 2 || loaded["cus_2"] != 3 || loaded["cus_3"] != 3 {
		t.Errorf("customers loaded by the turn of each: %v", loaded)
	}
}

// The panel is asked about the hosting of one customer while the next one is in memory
// already, and that one has a part in the same hosting. What the panel answered counts for
// both.
func TestWhoWasLoadedBeforeAChangeIsLoadedAgain(t *testing.T) {
	p := newPaged(4)
	seen, err := p.seen(t, func(r *run, id string) {
		if id == "cus_1" {
			changed(r)
		}
	})
	if want := []string{"cus_1 load 1", "cus_2 load 2", "cus_3 load 1", "cus_4 load 1"}; err != nil || !slices.Equal(seen, want) {
		t.Errorf("planned %q: %v", seen, err)
	}
	p = newPaged(4)
	seen, err = p.seen(t, func(r *run, _ string) { changed(r) })
	if want := []string{"cus_1 load 1", "cus_2 load 2", "cus_3 load 1", "cus_4 load 2"}; err != nil || !slices.Equal(seen, want) {
		t.Errorf("if each is changed: planned %q: %v", seen, err)
	}
}

// A flow run has a customer at work and ends, after a run has loaded the same customer ahead.
func TestWhoWasAtWorkSinceTheBatchWasLoadedAheadIsLoadedAgain(t *testing.T) {
	p := newPaged(3)
	seen, err := p.seen(t, func(r *run, id string) {
		if id == "cus_1" {
			r.together.claims.try("cus_2")
			r.together.claims.release("cus_2")
		}
	})
	if want := []string{"cus_1 load 1", "cus_2 load 2", "cus_3 load 1"}; err != nil || !slices.Equal(seen, want) {
		t.Errorf("planned %q: %v", seen, err)
	}
}

// The claims remember so many releases, and then none: everyone would count as changed, and
// be loaded alone.
func TestABatchIsLoadedAgainWholeIfTheClaimsHaveForgotten(t *testing.T) {
	p := newPaged(3)
	seen, err := p.seen(t, func(r *run, id string) {
		for i := range maxFreed + 1 {
			if other := fmt.Sprint("other_", i); id == "cus_1" {
				r.together.claims.try(other)
				r.together.claims.release(other)
			}
		}
	})
	if want := []string{"cus_1 load 1", "cus_2 load 2", "cus_3 load 1"}; err != nil || !slices.Equal(seen, want) || p.alone > 0 {
		t.Errorf("planned %q, %d loaded alone: %v", seen, p.alone, err)
	}
}

func TestABatchThatCannotBeLoadedAheadEndsThePlanning(t *testing.T) {
	p := newPaged(3)
	p.fails = "cus_2"
	seen, err := p.seen(t, func(*run, string) {})
	if want := []string{"cus_1 load 1"}; !errors.Is(err, errScripted) || !slices.Equal(seen, want) {
		t.Errorf("planned %q: %v", seen, err)
	}
}

func TestWhatWasLoadedAheadIsNotPlannedOnceTheRunIsStopped(t *testing.T) {
	p := newPaged(3)
	seen, err := p.seen(t, func(r *run, _ string) { r.outages.stop(errScripted) })
	if want := []string{"cus_1 load 1"}; err != nil || !slices.Equal(seen, want) {
		t.Errorf("planned %q: %v", seen, err)
	}
}
