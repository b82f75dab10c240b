package stripe

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestWhatIsGivenAwayAndWhatIsKeptIsAllThereWas draws spans, densities and idle
// workers: the parts and the rest must be the span again, without gap or overlap.
func TestWhatIsGivenAwayAndWhatIsKeptIsAllThereWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lo := rapid.OneOf(rapid.Just(int64(0)), rapid.Int64Range(1, 100), rapid.Int64Range(epoch, epoch+1000)).Draw(t, "lo")
		last := max(lo, 1) + rapid.OneOf(rapid.Int64Range(0, 20), rapid.Int64Range(0, 2e9)).Draw(t, "seconds left")
		seconds := rapid.OneOf(rapid.Int64Range(0, 3), rapid.Int64Range(0, 1e9)).Draw(t, "seconds of the page")
		whole := span{lo, last + rapid.Int64Range(0, 5).Draw(t, "read")}
		p := newPartition(8, whole)
		if _, ok := p.take(0); !ok {
			t.Fatal("nothing to take")
		}
		p.idle = rapid.IntRange(0, 7).Draw(t, "idle")
		p.pages = rapid.IntRange(0, 1000).Draw(t, "pages")
		busy := rapid.IntRange(1, 8).Draw(t, "busy")
		kept := p.split(0, whole, last, seconds, busy)
		if len(p.pending) > p.idle || len(p.pending) >= busy {
			t.Fatalf("%d parts for %d idle workers, where the rate keeps %d busy", len(p.pending), p.idle, busy)
		}
		parts := append([]span{{kept, last}}, p.pending...)
		for i, part := range parts {
			if part.lo > part.hi {
				t.Fatalf("an empty part in %v", parts)
			}
			if i > 0 && part.hi != parts[i-1].lo-1 {
				t.Fatalf("a gap or an overlap in %v", parts)
			}
		}
		if end := parts[len(parts)-1].lo; end != lo {
			t.Fatalf("%v ends at %d, want %d", parts, end, lo)
		}
	})
}

func TestTheBudgetHoldsHoweverWrongTheGuessesAre(t *testing.T) {
	for _, busy := range []int{8, 2} {
		free := freeRequests * busy / 8
		p := newPartition(8, span{})
		if _, ok := p.take(0); !ok {
			t.Fatal("nothing to take")
		}
		p.idle = 7
		at, granted := newest, 0
		for range 200 { // every page promises a million more, and every part is empty
			p.split(0, span{0, at}, at, 1, busy)
			granted += len(p.pending)
			for range p.pending {
				p.finished(false)
			}
			p.pending = nil
			at--
		}
		if most := free + p.pages/pagesPerRequest*busy/8; granted > most || p.wasted > most {
			t.Errorf("%d busy: %d parts given away and %d requests lost, the budget is %d", busy, granted, p.wasted, most)
		}
		if granted < free/2 {
			t.Errorf("%d busy: only %d parts given away", busy, granted)
		}
	}
}

// TestTheWorkerWithTheMostLeftGivesItAway: the few idle workers must not be handed the
// last pages of one worker while another could give away a thousand.
func TestTheWorkerWithTheMostLeftGivesItAway(t *testing.T) {
	const pageSeconds = 100
	for _, tt := range []struct {
		own, other int64 // pages that are left
		gives      bool
	}{{40, 1000, false}, {499, 1000, false}, {500, 1000, true}, {1000, 1000, true}, {40, 0, true}} {
		p := newPartition(8, span{})
		for w := range 2 {
			p.pending = []span{{}}
			if _, ok := p.take(w); !ok {
				t.Fatal("nothing to take")
			}
		}
		begin := int64(epoch)
		split := func(w int, pages int64) {
			last := begin + pages*pageSeconds
			p.split(w, span{begin, last}, last, pageSeconds, 8)
		}
		split(1, tt.other) // while none is idle
		p.idle = 6
		split(0, tt.own)
		if got := len(p.pending) > 0; got != tt.gives {
			t.Errorf("%d pages left where another has %d: gives %v", tt.own, tt.other, got)
		}
	}
}

// TestAPartIsWorthItsRequest: a part may cost a request more than its pages, so a worker
// with few pages left gives away few parts, however many others are idle.
func TestAPartIsWorthItsRequest(t *testing.T) {
	const pageSeconds = 100
	for pages, most := range map[int64]int{0: 0, 1: 0, 3: 0, 4: 1, 5: 1, 6: 2, 8: 3, 100: 7} {
		p := newPartition(8, span{})
		if _, ok := p.take(0); !ok {
			t.Fatal("nothing to take")
		}
		p.idle = 7
		last := int64(epoch) + pages*pageSeconds
		p.split(0, span{epoch, last}, last, pageSeconds, 8)
		if got := len(p.pending); got != most {
			t.Errorf("%d pages left: %d parts given away, want %d", pages, got, most)
		}
	}
}

// TestTheOldestSpanIsCutIntoGrowingParts: nothing is known of its end, so equal parts would
// mostly lie before the account began. Any other span is cut evenly.
func TestTheOldestSpanIsCutIntoGrowingParts(t *testing.T) {
	const pageSeconds = 100
	last := int64(epoch) + 1000*pageSeconds
	for lo, grows := range map[int64]bool{0: true, epoch: false} {
		p := newPartition(8, span{})
		if _, ok := p.take(0); !ok {
			t.Fatal("nothing to take")
		}
		p.idle = 7
		p.split(0, span{lo, last}, last, pageSeconds, 8)
		for i := 1; i < len(p.pending)-1; i++ { // the last one ends at lo
			before, part := p.pending[i-1].hi-p.pending[i-1].lo, p.pending[i].hi-p.pending[i].lo
			if got := part > before*3/2; got != grows {
				t.Errorf("from %d: part %d has %d s after one of %d s, want it to grow: %t", lo, i, part, before, grows)
			}
		}
		if len(p.pending) < 5 {
			t.Errorf("from %d: only %d parts", lo, len(p.pending))
		}
	}
}

func TestCutsRiseAndStayInside(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 16).Draw(t, "pieces")
		left := int64(n) + rapid.Int64Range(0, 1e9).Draw(t, "more than that")
		unit := rapid.Int64Range(1, 2e9).Draw(t, "unit")
		for _, cut := range []func(int64, int64, int) []int64{evenly, geometrically} {
			got := cut(left, unit, n)
			rising := slices.IsSortedFunc(got, func(a, b int64) int {
				if a < b {
					return -1
				}
				return 1 // equal is out of order too
			})
			if len(got) != n || got[0] < 1 || got[n-1] > left || !rising {
				t.Fatalf("%d cuts of %d: %v", n, left, got)
			}
		}
	})
}

func TestASecondIsNeverCut(t *testing.T) {
	p := newPartition(8, span{5_000_000_000, 5_000_000_000})
	whole, _ := p.take(0)
	p.idle = 7
	if lo := p.split(0, whole, whole.hi, 0, 8); lo != whole.lo || len(p.pending) != 0 {
		t.Errorf("lower end %d, parts %v", lo, p.pending)
	}
}
