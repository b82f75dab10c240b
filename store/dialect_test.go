package store

import (
	"fmt"
	"sync"
	"testing"
)

// While one goroutine compiles the noted texts, others note more. If they share the list,
// as they once did, the program dies; the race detector reports that (make race), and
// sometimes this test does without it.
func TestManyCompileStatementsAtOnce(t *testing.T) {
	s := newFixture(t, sqliteURL(t)).Store
	const goroutines, queries = 8, 40
	query := func(n int) string { return fmt.Sprintf("SELECT %d", n) }
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			for n := range queries {
				s.reading.find(query((n + g) % queries))
				s.reading.fill(t.Context())
			}
		})
	}
	all.Wait()
	for n := range queries {
		if s.reading.find(query(n)) == nil {
			t.Errorf("%q was noted and never compiled", query(n))
		}
	}
	if left := s.reading.take(); len(left) != 0 {
		t.Errorf("noted and not taken: %v", left)
	}
}
