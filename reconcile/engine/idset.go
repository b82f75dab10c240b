package engine

import (
	"cmp"
	"hash/maphash"
	"slices"
)

// seed is one for the process.
var seed = maphash.MakeSeed()

// idSet is a set of ids by their 64-bit hashes: some 20 bytes each, whatever the
// ids are, so that a million customers with something to do fit in memory. Two of
// a million ids are taken for one with probability 3·10⁻⁸.
type idSet map[uint64]struct{}

func (s idSet) add(id string)      { s[maphash.String(seed, id)] = struct{}{} }
func (s idSet) has(id string) bool { _, ok := s[maphash.String(seed, id)]; return ok }

// distinct sorts and removes doubles; the order of reads is then reproducible.
func distinct(ids []string) []string {
	sorted := slices.Clone(ids)
	slices.Sort(sorted)
	return slices.Compact(sorted)
}

func cmpText(a, b string) int { return cmp.Compare(a, b) }
