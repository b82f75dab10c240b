package stripe

import (
	"math"
	"sync"
)

const (
	// epoch is where estimates assume that time begins: before Stripe existed.
	// Nothing is left out by it, since the oldest slice has no lower end.
	epoch = 1293840000 // 2011-01-01
	// minPages is how many full pages a piece must promise. A piece costs up
	// to one request more than its pages, so this bounds the loss to half in the
	// very last pieces and to little in all others.
	minPages = 2
	// freeRequests is how many requests may be lost before the first pages tell how
	// many there are; each pagesPerRequest pages read afterwards allow one more.
	freeRequests    = 16
	pagesPerRequest = 8
)

// span is a range of created times, both ends included. lo 0 has no lower end,
// hi 0 no upper one.
type span struct{ lo, hi int64 }

// partition shares one listing among workers. Nobody knows how subscriptions are
// spread over time before having read them, so nothing is cut in advance: when
// a worker has nothing to do, the one that expects the most work left gives away
// the older parts of its span, cut by time. Its guess comes from how dense its
// last page was, and it may be wrong: what wrong guesses can cost is bounded by
// the budget, for any distribution.
//
// A second cannot be cut. However many subscriptions share one are read one page
// after another, by one worker.
type partition struct {
	mu       sync.Mutex
	change   *sync.Cond
	pending  []span
	idle     int       // workers waiting for a span
	working  []bool    // by worker
	expected []float64 // by worker: pages it expects to be left of its span
	pages    int       // read, by all
	wasted   int       // requests beyond what one reader would have needed
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

// take gives worker w the next span, waiting for one while anybody could still
// give some away. false: everything is read, or the partition was stopped.
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

// stop sends every worker home.
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

// finished counts the last page of a span. A full one lost nothing.
func (p *partition) finished(full bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pages++
	if !full {
		p.wasted++
	}
}

// split counts a page that was not the last of its span, and returns the new
// lower end of what is left of it. last is the created time of the page's last
// subscription, seconds how much time the page covered.
func (p *partition) split(w int, s span, last, seconds int64) (lo int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pages++
	seconds = max(seconds, 1)
	left := max(last-max(s.lo, epoch), 0)
	p.expected[w] = float64(left) / float64(seconds)
	n := p.partsToGive(w, left)
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

// evenly cuts left seconds into n+1 parts of equal length and returns the
// distances of the cuts. left is n at least.
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

// geometrically is for the oldest span, whose end nobody knows: the account may
// be a week old or fifteen years. Each part is longer than the one before by the
// same factor, so that one round of empty answers finds the age of the account
// within that factor. unit is the shortest part worth having.
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

// partsToGive is how many parts worker w should give away. The caller holds mu.
func (p *partition) partsToGive(w int, left int64) int {
	for _, other := range p.expected {
		if p.expected[w] < other/2 {
			return 0 // someone else has much more to give, and will be here soon
		}
	}
	outstanding := p.active() + len(p.pending)
	n := min(
		p.idle-len(p.pending),
		freeRequests+p.pages/pagesPerRequest-p.wasted-outstanding,
		int(min(left, 1<<20)), // pieces are at least a second wide
	)
	if by := p.expected[w]/minPages - 1; by < float64(n) {
		n = int(by)
	}
	return n
}
