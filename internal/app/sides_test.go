package app

import (
	"testing"
	"time"
)

func TestTheLatencyFollowsTheLastAnswers(t *testing.T) {
	s := &side{}
	if s.latency() != 0 {
		t.Errorf("without an answer: %s", s.latency())
	}
	s.measure(80 * time.Millisecond)
	if s.latency() != 80*time.Millisecond {
		t.Errorf("after the first answer: %s", s.latency())
	}
	s.measure(160 * time.Millisecond)
	if s.latency() != 90*time.Millisecond {
		t.Errorf("after the second: %s", s.latency())
	}
	for range 100 {
		s.measure(20 * time.Millisecond)
	}
	if s.latency() > 21*time.Millisecond {
		t.Errorf("after a hundred fast ones: %s", s.latency())
	}
}
