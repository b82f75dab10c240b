//go:build !race

package simtest

// usualSeeds is how many seeds `make test` plays.
const usualSeeds = 600
