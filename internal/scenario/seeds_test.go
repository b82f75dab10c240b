//go:build !race

package scenario

// usualSeeds is how many seeds `make test` plays.
const usualSeeds = 1000
