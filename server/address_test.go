package server

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"
)

func TestAForwardedAddressIsBelievedOnlyFromATrustedProxy(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, test := range []struct {
		name, peer string
		forwarded  []string
		trusted    []netip.Prefix
		want       string
	}{
		{"nobody is trusted", "10.0.0.1:1", []string{"192.0.2.7"}, nil, "10.0.0.1"},
		{"a stranger forwards", "198.51.100.1:1", []string{"192.0.2.7"}, trusted, "198.51.100.1"},
		{"a trusted proxy forwards", "10.0.0.1:1", []string{"192.0.2.7"}, trusted, "192.0.2.7"},
		{"a chain of trusted proxies", "10.0.0.1:1", []string{"192.0.2.7, 10.9.9.9"}, trusted, "192.0.2.7"},
		{"what the client itself wrote is not believed", "10.0.0.1:1", []string{"203.0.113.5, 192.0.2.7"}, trusted, "192.0.2.7"},
		{"two headers are one list", "10.0.0.1:1", []string{"203.0.113.5", "192.0.2.7"}, trusted, "192.0.2.7"},
		{"nonsense from a proxy", "10.0.0.1:1", []string{"unknown"}, trusted, "10.0.0.1"},
		{"nonsense behind an address", "10.0.0.1:1", []string{"unknown, 192.0.2.7"}, trusted, "192.0.2.7"},
		{"a peer without an address", "@", []string{"192.0.2.7"}, trusted, "invalid IP"},
		{"no header", "10.0.0.1:1", nil, trusted, "10.0.0.1"},
		{"IPv4 inside IPv6", "[::ffff:10.0.0.1]:1", []string{"::ffff:192.0.2.7"}, trusted, "192.0.2.7"},
		{"IPv6", "[fd00::1]:1", []string{"2001:db8::7"}, trusted, "2001:db8::7"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &Server{o: Options{TrustedProxies: test.trusted}}
			r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
			r.RemoteAddr = test.peer
			for _, f := range test.forwarded {
				r.Header.Add("X-Forwarded-For", f)
			}
			if got := s.clientAddress(r).String(); got != test.want {
				t.Errorf("client is %s, want %s", got, test.want)
			}
		})
	}
}

func TestTenWrongKeysAMinuteFromOneNetwork(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	l := newLimiter(func() time.Time { return now })
	first := netip.MustParseAddr("192.0.2.1")
	for i := range wrongTries {
		if wait := l.wrong(first); wait != 0 {
			t.Fatalf("try %d has to wait %s", i+1, wait)
		}
	}
	if wait := l.wrong(first); wait != tryWindow {
		t.Errorf("try 11 waits %s, want %s", wait, tryWindow)
	}
	if wait := l.wrong(netip.MustParseAddr("192.0.2.2")); wait != 0 {
		t.Errorf("another address waits %s", wait)
	}
	now = now.Add(tryWindow - time.Nanosecond)
	if wait := l.wrong(first); wait == 0 {
		t.Error("no wait a nanosecond before the minute is over")
	}
	now = now.Add(time.Nanosecond)
	if wait := l.wrong(first); wait != 0 {
		t.Errorf("after a minute it waits %s", wait)
	}
	for i := range wrongTries {
		l.wrong(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 15: byte(i)}))
	}
	if wait := l.wrong(netip.MustParseAddr("2001:db8::ffff")); wait == 0 {
		t.Error("a neighbour in the same /64 tries on")
	}
	if wait := l.wrong(netip.MustParseAddr("2001:db8:0:1::1")); wait != 0 {
		t.Errorf("the next /64 waits %s", wait)
	}
}

// The test fails if the window begins with the first wrong key.
func TestNoMinuteHasMoreThanTenWrongKeys(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	l := newLimiter(func() time.Time { return now })
	from := netip.MustParseAddr("192.0.2.1")
	l.wrong(from)
	now = now.Add(59 * time.Second)
	for range wrongTries - 1 {
		l.wrong(from)
	}
	now = now.Add(time.Second) // the first is a minute old, the others are a second
	if wait := l.wrong(from); wait != 0 {
		t.Errorf("the place of the first is not free: %s", wait)
	}
	if wait := l.wrong(from); wait != 59*time.Second {
		t.Errorf("an eleventh wrong key within a minute waits %s, want 59 s", wait)
	}
}

func TestTheLimiterForgetsBeforeItGrows(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	l := newLimiter(func() time.Time { return now })
	for i := range 3 * tryAddresses {
		l.wrong(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
	}
	if n := len(l.tries); n > tryAddresses {
		t.Errorf("%d addresses are remembered, want at most %d", n, tryAddresses)
	}
}
