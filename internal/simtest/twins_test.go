package simtest

import "testing"

// TestTwoInstallationsMeet checks that the histories of two installations are worth
// playing: in some of them both run at the same moment and make something twice. Their
// report of it is a promise like the others.
func TestTwoInstallationsMeet(t *testing.T) {
	const histories = 16
	raced, played := 0, 0
	for seed := uint64(1); played < histories; seed++ {
		s, ok := twins(seed)
		if !ok {
			continue
		}
		played++
		o, err := Play(s, false)
		if err != nil {
			t.Fatal(err)
		}
		if o.Violation != nil {
			report(t, seed)
		}
		if o.Raced > 0 {
			raced++
		}
	}
	if raced == 0 || raced == played {
		t.Errorf("in %d of %d histories something was made twice", raced, played)
	}
}
