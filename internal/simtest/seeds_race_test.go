//go:build race

package simtest

// usualSeeds is fewer here: the race detector makes each ten times as slow, and
// another interleaving of one goroutine at a time is hard to find.
const usualSeeds = 30
