package stripe

import (
	"math"
	"sync"
)

const (
	// epoch is the time at which estimates assume that the account begins: before
	// Stripe existed. Nothing is left out because of it, since the oldest slice has no
	// lower end.
	epoch = 1293840000 // 2011-01-01
	// minPages is how many full pages a part must promise. A part costs up to one
	// request more than its pages, so this limits the loss to half in the last parts
	// and to little in all others.
	minPages = 2
	// freeRequests is how many requests may be wasted before the first pages show how
	// many there are; every pagesPerRequest pages read afterwards allow one more. If the
	// rate keeps only a part of the workers busy, a wasted request takes the place of a
	// page. So only that part of this budget may be wasted.
	freeRequests    = 16
	pagesPerRequest = 8
)

// span is a range of created times, both ends included. lo 0 has no lower end,
// hi 0 no upper one.
type span struct{ lo, hi int64 }

// partition shares one listing among workers. The distribution of subscriptions over
// time is unknown until they are read, so nothing is cut in advance. If a worker is
// idle, the one that expects the most work gives away the older parts of its span, cut
// by time. It guesses from how dense its last page was. A guess may be wrong, but the
// budget limits the cost of wrong guesses for any distribution.
//
// A second cannot be cut. However many subscriptions share one, one worker reads them
// page after page.
type partition struct {
	mu       sync.Mutex
	change   *sync.Cond
	pending  []span
	idle     int       // workers waiting for a span
	working  []bool    // by worker
	expected []float64 // by worker: pages it expects to be left of its span
	pages    int       // read, by all
	wasted   int       // requests that a single reader would not have needed
	stopped  bool
}

// newPartition begins with one span for the whole listing.
func newPartition(workers int, whole span) *partition {
	p := &partition{
		pending:  []span{whole},
		working:  make([]bool, workers),
		expected: make([]float64, workers),
	}
	p.change = sync.NewCond(&p.mu)
	return p
}

// take gives worker w the next span. It waits while another worker could still give one
// away. false: everything is read, or the partition was stopped.
func (p *partition) take(w int) (span, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.working[w], p.expected[w] = false, 0
	p.idle++
	defer func() { p.idle-- }()
	for len(p.pending) == 0 || p.stopped {
		if p.stopped || p.active() == 0 {
			p.change.Broadcast()
			return span{}, false
		}
		p.change.Wait()
	}
	s := p.pending[0]
	p.pending = p.pending[1:]
	p.working[w] = true
	return s, true
}

// stop ends the work of every worker.
func (p *partition) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	p.change.Broadcast()
}

func (p *partition) active() int {
	n := 0
	for _, working := range p.working {
		if working {
			n++
		}
	}
	return n
}

// finished counts the last page of a span. If the page was full, no request was wasted.
func (p *partition) finished(full bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pages++
	if !full {
		p.wasted++
	}
}

// split counts a page that was not the last of its span, and returns the new lower end
// of the rest. last is the created time of the page's last subscription, seconds the
// time that the page covered, busy how many workers the rate keeps busy.
func (p *partition) split(w int, s span, last, seconds int64, busy int) (lo int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pages++
	seconds = max(seconds, 1)
	left := max(last-max(s.lo, epoch), 0)
	p.expected[w] = float64(left) / float64(seconds)
	n := p.partsToGive(w, left, busy)
	if n <= 0 {
		return s.lo
	}
	p.expected[w] /= float64(n + 1)
	cut := evenly
	if s.lo == 0 {
		cut = geometrically
	}
	hi := last
	for i, distance := range cut(left, minPages*seconds, n) {
		if i > 0 {
			p.pending = append(p.pending, span{last - distance + 1, hi})
		} else {
			lo = last - distance + 1
		}
		hi = last - distance
	}
	p.pending = append(p.pending, span{s.lo, hi})
	p.change.Broadcast()
	return lo
}

// evenly cuts left seconds into n+1 parts of equal length and returns the distances of
// the cuts. left is at least n.
func evenly(left, _ int64, n int) []int64 {
	distances := make([]int64, n)
	for i := range distances {
		distances[i] = left / int64(n+1) * int64(i+1)
		if left < int64(n+1) {
			distances[i] = int64(i + 1)
		}
	}
	return distances
}

// geometrically is for the oldest span, whose end is unknown: the account may be a week
// old or fifteen years. Each part is longer than the one before by the same factor, so
// one round of empty answers finds the age of the account within that factor. unit is
// the length of the shortest useful part.
func geometrically(left, unit int64, n int) []int64 {
	factor := math.Pow(max(float64(left)/float64(unit), 1), 1/float64(n+1))
	distances := make([]int64, n)
	distance, before := float64(unit), int64(0)
	for i := range distances {
		distance *= factor
		before = min(max(int64(distance), before+1), left-int64(n-1-i))
		distances[i] = before
	}
	return distances
}

// partsToGive returns how many parts worker w should give away. The caller holds mu.
func (p *partition) partsToGive(w int, left int64, busy int) int {
	for _, other := range p.expected {
		if p.expected[w] < other/2 {
			return 0 // another worker has much more to give, and will call split soon
		}
	}
	outstanding := p.active() + len(p.pending)
	n := min(
		p.idle-len(p.pending),
		busy-outstanding,
		p.budget(busy)-p.wasted-outstanding,
		int(min(left, 1<<20)), // a part is at least a second wide
	)
	if by := p.expected[w]/minPages - 1; by < float64(n) {
		n = int(by)
	}
	return n
}

// budget is how many requests may be wasted until now. The caller holds mu.
func (p *partition) budget(busy int) int {
	workers := len(p.working)
	return (freeRequests + p.pages/pagesPerRequest) * min(busy, workers) / workers
}
