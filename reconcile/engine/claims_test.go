package engine

import (
	"context"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// Runs claim and release some customers in any order. A customer has one run at a time, a
// waiting run gets it in the end, and nudges that are left to a run come out when it is done.
func TestClaimsAreOfOneRunAtATime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newClaims()
		taken, left := map[string]bool{}, map[string][]string{}
		customer := rapid.SampledFrom([]string{"cus_a", "cus_b", "cus_c"})
		marks := map[string]int64{} // when it was loaded
		changed := map[string]bool{}
		t.Repeat(map[string]func(*rapid.T){
			"load": func(t *rapid.T) { id := customer.Draw(t, "customer"); marks[id], changed[id] = c.mark(), false },
			"try": func(t *rapid.T) {
				id := customer.Draw(t, "customer")
				if got := c.try(id); got == taken[id] {
					t.Fatalf("%s: claimed %v while taken %v", id, got, taken[id])
				}
				taken[id] = true
			},
			"leave": func(t *rapid.T) {
				id := customer.Draw(t, "customer")
				if got := c.leave(id, []string{"sub"}); got != taken[id] {
					t.Fatalf("%s: left %v while taken %v", id, got, taken[id])
				}
				if taken[id] {
					left[id] = append(left[id], "sub")
				}
			},
			"release": func(t *rapid.T) {
				id := customer.Draw(t, "customer")
				if got := c.release(id); !slices.Equal(got, left[id]) {
					t.Fatalf("%s: %v came out, and %v was left", id, got, left[id])
				}
				changed[id] = changed[id] || taken[id]
				taken[id], left[id] = false, nil
			},
			"": func(t *rapid.T) {
				for id, at := range marks {
					if got := c.changedSince(id, at); got != changed[id] {
						t.Fatalf("%s: changed %v since it was loaded, want %v", id, got, changed[id])
					}
				}
			},
		})
	})
}

func TestAClaimIsWaitedFor(t *testing.T) {
	c := newClaims()
	c.try("cus_a")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.wait(ended, "cus_a"); err == nil {
		t.Fatal("a wait that was ended has the claim")
	}
	var all sync.WaitGroup
	var mu sync.Mutex // guards inside and most
	inside, most := 0, 0
	for range 20 {
		all.Go(func() {
			if err := c.wait(t.Context(), "cus_a"); err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			inside++
			most = max(most, inside)
			mu.Unlock()
			mu.Lock()
			inside--
			mu.Unlock()
			c.release("cus_a")
		})
	}
	c.release("cus_a")
	all.Wait()
	if most != 1 {
		t.Errorf("%d had the claim at the same time", most)
	}
}

// When the releases that are remembered are too many, everything that was loaded before
// counts as changed.
func TestForgottenReleasesCountAsChanges(t *testing.T) {
	c := newClaims()
	before := c.mark()
	for i := range maxFreed + 1 {
		id := "cus_" + string(rune('a'+i%26)) + string(rune(i))
		c.try(id)
		c.release(id)
	}
	if !c.changedSince("cus_that_nobody_had", before) {
		t.Error("a customer that was loaded long ago counts as unchanged")
	}
	if c.changedSince("cus_that_nobody_had", c.mark()) {
		t.Error("a customer that was loaded just now counts as changed")
	}
}

// Readers and writers of some objects come and go in any order, and some give up waiting. A
// writer is alone, readers share, and nobody is left waiting for an object that is free.
func TestTurnsKeepReadsAndWritesApart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		turns := newTurns()
		type use struct {
			alone bool
			done  func()
		}
		var have []use
		writers := func() (w int) {
			for _, u := range have {
				if u.alone {
					w++
				}
			}
			return w
		}
		t.Repeat(map[string]func(*rapid.T){
			"take": func(t *rapid.T) {
				alone := rapid.Bool().Draw(t, "alone")
				free := len(have) == 0 || !alone && writers() == 0
				if !free { // it would have to wait
					ctx, cancel := context.WithCancel(context.Background())
					cancel()
					if _, err := turns.take(ctx, "org", alone); err == nil {
						t.Fatalf("%d have the object, %d of them alone, and another got it alone=%v", len(have), writers(), alone)
					}
					return
				}
				done, err := turns.take(context.Background(), "org", alone)
				if err != nil {
					t.Fatal(err)
				}
				have = append(have, use{alone, done})
			},
			"give back": func(t *rapid.T) {
				if len(have) == 0 {
					return
				}
				i := rapid.IntRange(0, len(have)-1).Draw(t, "which")
				have[i].done()
				have = slices.Delete(have, i, i+1)
				if len(have) == 0 && len(turns.at) != 0 {
					t.Fatalf("%d objects are remembered that nobody uses", len(turns.at))
				}
			},
			"": func(t *rapid.T) {
				if w := writers(); w > 1 || w == 1 && len(have) > 1 {
					t.Fatalf("%d have the object, %d of them alone", len(have), w)
				}
			},
		})
	})
}

// A writer that waits goes before readers that come after it.
func TestAWriterIsNotKeptWaitingByReadersThatComeLater(t *testing.T) {
	turns := newTurns()
	first, err := turns.take(t.Context(), "org", false)
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	var mu sync.Mutex // guards order
	var all sync.WaitGroup
	queue := func(name string, alone bool, n int) {
		all.Go(func() {
			done, err := turns.take(t.Context(), "org", alone)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			order = append(order, name)
			mu.Unlock()
			done()
		})
		for {
			turns.mu.Lock()
			waiting := len(turns.at["org"].queue)
			turns.mu.Unlock()
			if waiting == n {
				return
			}
		}
	}
	queue("writer", true, 1)
	queue("reader", false, 2)
	first()
	all.Wait()
	if !slices.Equal(order, []string{"writer", "reader"}) {
		t.Errorf("they came in the order %v", order)
	}
}
