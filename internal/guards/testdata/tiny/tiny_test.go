package tiny

import "testing"

func TestPrice(t *testing.T) {
	if Price(-1) != 0 || Price(3) != 6 {
		t.Error("wrong price")
	}
	Price(1000)
}

func TestHalf(t *testing.T) {
	if Half(2) != "even" || Half(3) != "odd" {
		t.Error("wrong half")
	}
}

func TestSize(t *testing.T) {
	if Size(11) != "large" || Size(0) != "none" || Size(1) != "small" {
		t.Error("wrong size")
	}
}

func TestCheck(t *testing.T) {
	if Check(3) == nil || Check(2) != nil {
		t.Error("wrong check")
	}
}

func TestBoth(t *testing.T) {
	if !Both(true, true) || Both(false, true) {
		t.Error("wrong both")
	}
}

func TestAlwaysFails(t *testing.T) { t.Error("on purpose") }

func TestWait(*testing.T) { Wait(true) }
