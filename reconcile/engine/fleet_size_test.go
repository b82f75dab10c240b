//go:build !race

package engine_test

// mixedFleet is how many customers the mixed fleet has.
const mixedFleet = 300
