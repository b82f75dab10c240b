package engine

import (
	"cmp"
	"slices"
)

// distinct sorts and removes doubles; the order of reads is then reproducible.
func distinct(ids []string) []string {
	sorted := slices.Clone(ids)
	slices.Sort(sorted)
	return slices.Compact(sorted)
}

func cmpText(a, b string) int { return cmp.Compare(a, b) }
