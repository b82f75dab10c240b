package breaker

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/fault"
)

var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// side is a breaker with a clock that the test moves.
type side struct {
	*Breaker
	t   *testing.T
	now time.Time
}

func newSide(t *testing.T) *side {
	s := &side{t: t, now: t0}
	s.Breaker = New("the panel", func() time.Time { return s.now })
	return s
}

var (
	outage  = fault.Errorf(fault.Transient, "502 Bad Gateway")
	refused = fault.Errorf(fault.Denied, "401 unauthorized")
)

// calls sends calls that end with err, and counts how many were let through.
func (s *side) calls(write bool, ends ...error) (passed int) {
	for _, err := range ends {
		leave, no := s.Enter(write)
		if no != nil {
			continue
		}
		passed++
		leave(err)
	}
	return passed
}

// write sends a write about an org that ends with err.
func (s *side) write(org string, end error) {
	leave, err := s.EnterFor(org, true)
	if err == nil {
		leave(end)
	}
}

// open is the text of Open's error; "" while the breaker is closed.
func (s *side) open() string {
	if err := s.Open(); err != nil {
		return err.Error()
	}
	return ""
}

func (s *side) want(what string, write bool, want int) {
	s.t.Helper()
	if got := s.calls(write, fault.Errorf(fault.Canceled, "only asking")); got != want {
		s.t.Errorf("%s: %d calls pass, want %d", what, got, want)
	}
}

func many(n int, err error) []error {
	all := make([]error, n)
	for i := range all {
		all[i] = err
	}
	return all
}

func TestFiveFailuresInARowLeaveTheSideAlone(t *testing.T) {
	s := newSide(t)
	s.calls(false, many(4, outage)...)
	s.want("after four", false, 1)
	s.calls(false, fault.Errorf(fault.NotFound, "no such org")) // an answer
	s.calls(false, many(4, outage)...)
	s.want("four again after an answer", false, 1)
	s.calls(true, fault.Wrap(fault.Ambiguous, fault.Errorf(fault.Throttled, "429"))) // an answer too
	s.calls(false, many(4, outage)...)
	s.calls(true, fault.Errorf(fault.Ambiguous, "timed out"))
	s.want("the fifth", false, 0)
	s.want("the fifth, for writes", true, 0)
	if !strings.Contains(s.open(), "paused until 12:00:30Z: 5 calls in a row failed, the last: timed out") {
		t.Errorf("Open says %q", s.open())
	}
	s.now = t0.Add(firstPause - time.Nanosecond)
	s.want("a moment before the pause ends", false, 0)
}

func TestAfterThePauseOneReadAsksAndAWriteWaitsForIt(t *testing.T) {
	s := newSide(t)
	s.calls(false, many(5, outage)...)
	s.now = t0.Add(firstPause)
	if _, err := s.Enter(true); !errors.Is(err, ErrReadFirst) || !errors.Is(err, fault.LeftAlone) || fault.Of(err) != fault.Transient {
		t.Errorf("a write: %v, want ErrReadFirst", err)
	}
	leave, err := s.Enter(false)
	if err != nil {
		t.Fatal(err)
	}
	s.want("a second read beside the first", false, 0)
	leave(outage)
	leave(nil) // a second report about the same call changes nothing
	s.now = s.now.Add(2*firstPause - time.Nanosecond)
	s.want("the pause has doubled", false, 0)
	s.now = s.now.Add(time.Nanosecond)
	if s.calls(false, nil) != 1 || s.Open() != nil {
		t.Errorf("a good answer does not close it: %q", s.open())
	}
	s.want("writes again", true, 1)
	s.calls(false, many(5, outage)...)
	if !strings.Contains(s.open(), "until 12:02:00Z") {
		t.Errorf("the next outage begins anew: %q", s.open())
	}
}

// TestAnAnswerFromBeforeThePauseDoesNotProlongIt: calls that were sent while the service
// was still asked fail one after another when their time is over.
func TestAnAnswerFromBeforeThePauseDoesNotProlongIt(t *testing.T) {
	s := newSide(t)
	var before []func(error)
	for range 6 {
		leave, err := s.Enter(false)
		if err != nil {
			t.Fatal(err)
		}
		before = append(before, leave)
	}
	s.calls(false, many(5, outage)...)
	for _, leave := range before {
		s.now = s.now.Add(4 * time.Second)
		leave(fault.Errorf(fault.Transient, "timed out"))
	}
	if want := "until 12:00:30Z: 5 calls in a row failed, the last: 502 Bad Gateway"; !strings.Contains(s.open(), want) {
		t.Errorf("Open says %q, want %s", s.open(), want)
	}
	s.now = t0.Add(firstPause)
	s.want("a read after the pause", false, 1)
}

// TestACallThatWasNotSentProvesNothing, neither that the service is in trouble nor that
// it works.
func TestACallThatWasNotSentProvesNothing(t *testing.T) {
	s := newSide(t)
	unsent := []error{Unasked(fault.Errorf(fault.Transient, "no room")), fault.Wrap(fault.Throttled, Unasked(errors.New("no room"))),
		fault.Errorf(fault.Canceled, "canceled"), fault.Errorf(fault.Fenced, "the lease is lost")}
	for _, err := range unsent {
		s.calls(false, many(20, err)...)
	}
	s.want("after many calls that were not sent", false, 1)
	s.calls(false, many(4, outage)...)
	s.calls(false, unsent...)
	s.calls(false, outage)
	s.want("five failures, and between them calls that were not sent", false, 0)
	for _, err := range unsent {
		s.now = s.now.Add(firstPause)
		if s.calls(false, err) != 1 || s.Open() == nil {
			t.Errorf("a probe that ended with %v: open %q", err, s.open())
		}
	}
	s.want("the next probe", false, 1)
	if text := Unasked(outage).Error(); text != "502 Bad Gateway" {
		t.Errorf("the text became %q", text)
	}
}

func TestABreakerWithoutAClockHasTheRealOne(t *testing.T) {
	b := New("the panel", nil)
	for range maxConsecutive {
		leave, err := b.Enter(false)
		if err != nil {
			t.Fatal(err)
		}
		leave(outage)
	}
	if _, err := b.Enter(false); !errors.Is(err, fault.LeftAlone) {
		t.Errorf("after five failures: %v", err)
	}
}

func TestThePauseGrowsToFiveMinutesAndSurvivesAClockSetBack(t *testing.T) {
	s := newSide(t)
	s.calls(false, many(5, outage)...)
	for range 6 {
		s.now = s.now.Add(longestPause)
		s.calls(false, outage)
	}
	if got := s.openUntil.Sub(s.now); got != longestPause {
		t.Errorf("the pause is %s, want %s", got, longestPause)
	}
	s.now = t0.Add(-24 * time.Hour)
	s.want("a day earlier", false, 1)
}

func TestHalfOfTwentyWithinAMinuteLeavesTheSideAlone(t *testing.T) {
	s := newSide(t)
	for range 9 {
		s.calls(false, outage, nil)
	}
	s.calls(false, nil)
	s.want("ten of nineteen", false, 1)
	s.now = t0.Add(window) // the first ones no longer count
	for range 9 {
		s.calls(false, nil, outage)
	}
	s.want("half of eighteen", false, 1)
	s.calls(false, nil, outage)
	s.want("half of twenty", false, 0)
}

func TestARefusedCredentialStopsWritesAndNotReads(t *testing.T) {
	s := newSide(t)
	s.calls(true, refused, refused, nil, refused)
	s.calls(false, refused, nil)
	s.want("two in a row, and a good read between", true, 1)
	s.calls(true, refused)
	s.want("reads", false, 1)
	_, err := s.Enter(true)
	if fault.Of(err) != fault.Denied || !errors.Is(err, fault.LeftAlone) || !strings.Contains(err.Error(), "until 12:05:00Z") {
		t.Errorf("a write: %v", err)
	}
	s.calls(false, nil) // a read may be allowed where writes are not
	s.want("writes after a good read", true, 0)
	s.now = t0.Add(denialPause)
	s.want("one write after the pause", true, 1)
	s.calls(true, fault.Wrap(fault.Ambiguous, refused))
	s.want("refused again, by something in between", true, 0)
	s.now = s.now.Add(denialPause)
	s.calls(true, nil)
	if s.Open() != nil {
		t.Errorf("after a write that was accepted: %q", s.open())
	}
}

// TestOrgsThatAreRefusedAreNoRefusedCredential: if each try of three refused orgs
// paused the writes, no customer who has paid would be resumed.
func TestOrgsThatAreRefusedAreNoRefusedCredential(t *testing.T) {
	s := newSide(t)
	for range 5 {
		s.write("a", refused)
		s.write("b", refused)
	}
	s.want("two orgs, again and again", true, 1)
	for _, org := range []string{"x", "y", "z"} {
		leave, _ := s.EnterFor(org, false)
		leave(refused)
	}
	s.want("three that may not be read", true, 1)
	s.write("c", refused)
	s.want("the third", true, 0)
	s.now = t0.Add(denialPause)
	s.write("d", nil)
	for _, org := range []string{"a", "b", "c", "a", "b", "c", "e", "f"} {
		s.write(org, refused)
	}
	s.want("those who were refused while another was accepted", true, 1)
	s.write("b", nil)
	s.write("b", refused)
	s.write("e", refused) // refused now, while b was accepted
	s.write("g", refused)
	s.want("one that was accepted since, and another", true, 1)
	s.write("h", refused)
	s.want("and the third", true, 0)
	s.now = s.now.Add(denialPause)
	s.write("d", nil)
	for range maxRefusals {
		s.write("a", fault.Wrap(fault.Denied, ErrCredential))
	}
	s.want("the token itself, whoever is asked for", true, 0)
}

func TestANilBreakerLetsEverythingPass(t *testing.T) {
	var b *Breaker
	leave, err := b.Enter(true)
	if err != nil || b.Open() != nil {
		t.Fatal(err, b.Open())
	}
	leave(outage)
}
