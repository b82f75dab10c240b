package simulator

import (
	"cmp"
	"slices"
	"sort"
)

// ranked is an object with a place in lists: its creation in Unix seconds, and
// its birth number for those created in one second.
type ranked interface {
	rank() (created int64, birth uint64)
}

// index keeps objects by id and, oldest first, by rank. Putting at the end is
// cheap; putting elsewhere sorts once, at the next look.
type index[T ranked] struct {
	byID     map[string]T
	rows     []T
	unsorted bool
}

func newIndex[T ranked]() index[T] { return index[T]{byID: map[string]T{}} }

func (s *index[T]) put(id string, v T) {
	if len(s.rows) > 0 && compareRank(s.rows[len(s.rows)-1], v) > 0 {
		s.unsorted = true
	}
	s.byID[id] = v
	s.rows = append(s.rows, v)
}

// sorted is every object, oldest first. The slice belongs to the index.
func (s *index[T]) sorted() []T {
	if s.unsorted {
		slices.SortFunc(s.rows, compareRank[T])
		s.unsorted = false
	}
	return s.rows
}

func compareRank[T ranked](a, b T) int {
	ac, ab := a.rank()
	bc, bb := b.rank()
	return cmp.Or(cmp.Compare(ac, bc), cmp.Compare(ab, bb))
}

// timeRange bounds creation times, both ends included. Zero means unbounded above,
// since nothing here is created before 1970.
type timeRange struct{ from, to int64 }

func (s timeRange) contains(t int64) bool { return t >= s.from && (s.to == 0 || t <= s.to) }

// pageRequest is what a list request asks of the rows.
type pageRequest[T ranked] struct {
	created       timeRange
	limit         int
	after, before T // cursors; the flags say whether they are set
	hasAfter      bool
	hasBefore     bool
}

// page cuts one page, newest first, out of rows that are sorted oldest first.
// Bounds and cursors are found by binary search, so that a page costs what is
// on it (and what match refuses), however long the list is.
func page[T ranked](rows []T, win pageRequest[T], match func(T) bool) (out []T, more bool) {
	lo := sort.Search(len(rows), func(i int) bool { c, _ := rows[i].rank(); return c >= win.created.from })
	hi := len(rows)
	if win.created.to != 0 {
		hi = sort.Search(len(rows), func(i int) bool { c, _ := rows[i].rank(); return c > win.created.to })
	}
	if win.hasAfter {
		hi = min(hi, sort.Search(len(rows), func(i int) bool { return compareRank(rows[i], win.after) >= 0 }))
	}
	if win.hasBefore {
		lo = max(lo, sort.Search(len(rows), func(i int) bool { return compareRank(rows[i], win.before) > 0 }))
		return pageUp(rows, lo, hi, win.limit, match)
	}
	for i := hi - 1; i >= lo; i-- {
		if !match(rows[i]) {
			continue
		}
		if len(out) == win.limit {
			return out, true
		}
		out = append(out, rows[i])
	}
	return out, false
}

// pageUp is the page right before (newer than) a cursor, still newest first.
func pageUp[T ranked](rows []T, lo, hi, limit int, match func(T) bool) (out []T, more bool) {
	for i := lo; i < hi; i++ {
		if !match(rows[i]) {
			continue
		}
		if len(out) == limit {
			more = true
			break
		}
		out = append(out, rows[i])
	}
	slices.Reverse(out)
	return out, more
}
