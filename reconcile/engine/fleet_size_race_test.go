//go:build race

package engine_test

// mixedFleet is smaller under the race detector, which takes ten times as long: what
// goroutines share shows in a few dozen customers as well.
const mixedFleet = 60
