package simulator

import (
	"cmp"
	"slices"
	"sort"
)

// ranked is an object with a position in lists: its creation in Unix seconds and,
// because several may be created in one second, its birth number.
type ranked interface {
	rank() (created int64, birth uint64)
}

// index keeps objects by id and, oldest first, by rank. Adding at the end is cheap.
// Adding elsewhere makes the next call of sorted sort.
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

// sorted returns all objects, oldest first. The slice belongs to the index.
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

// timeRange limits creation times, both ends included. to may be zero for no end,
// because nothing here is created before 1970.
type timeRange struct{ from, to int64 }

func (s timeRange) contains(t int64) bool { return t >= s.from && (s.to == 0 || t <= s.to) }

// pageRequest is the part of the rows that a list request asks for.
type pageRequest[T ranked] struct {
	created       timeRange
	limit         int
	after, before T // cursors, valid if the flag below is set
	hasAfter      bool
	hasBefore     bool
}

// page cuts one page, newest first, out of rows that are sorted oldest first. It finds
// bounds and cursors by binary search, so the cost of a page depends on its own rows
// (and those that match refuses), not on the length of the list.
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

// pageUp is the page just before (newer than) a cursor, still newest first.
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
