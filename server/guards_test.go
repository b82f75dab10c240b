package server

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/secret"
)

// A request with two Authorization headers is refused, because a proxy in front may have
// checked the other one.
func TestARequestIsAdmittedByOneRightKey(t *testing.T) {
	for _, tc := range []struct {
		name   string
		sent   []string
		status int // 0: admitted
	}{
		{"the key", []string{"Bearer right"}, 0},
		{"the scheme in another case, and spaces", []string{"bearer   right "}, 0},
		{"the second of two keys", []string{"Bearer second"}, 0},
		{"no header", nil, http.StatusUnauthorized},
		{"an empty key", []string{"Bearer "}, http.StatusUnauthorized},
		{"the key without a scheme", []string{"right"}, http.StatusUnauthorized},
		{"another scheme", []string{"Basic right"}, http.StatusUnauthorized},
		{"the right key and a wrong one", []string{"Bearer right", "Bearer wrong"}, http.StatusUnauthorized},
		{"a wrong key and the right one", []string{"Bearer wrong", "Bearer right"}, http.StatusUnauthorized},
		{"the right key twice", []string{"Bearer right", "Bearer right"}, http.StatusUnauthorized},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := &Server{o: Options{AdminKeys: []secret.Text{secret.New("right"), secret.New(""), secret.New("second")}}, tries: newLimiter(time.Now)}
			r := httptest.NewRequest(http.MethodGet, "/api/admin/runs", http.NoBody)
			for _, a := range tc.sent {
				r.Header.Add("Authorization", a)
			}
			w := httptest.NewRecorder()
			status := 0
			if !s.admit(w, r) {
				status = w.Code
			}
			if status != tc.status {
				t.Errorf("answered with %d, want %d", status, tc.status)
			}
		})
	}
}

func TestWithoutAKeyThereIsNoAdminAPI(t *testing.T) {
	s := &Server{o: Options{AdminKeys: []secret.Text{secret.New("")}}, tries: newLimiter(time.Now)}
	r := httptest.NewRequest(http.MethodGet, "/api/admin/runs", http.NoBody)
	r.Header.Set("Authorization", "Bearer ")
	w := httptest.NewRecorder()
	if s.admit(w, r) || w.Code != http.StatusNotFound {
		t.Errorf("answered with %d, want 404", w.Code)
	}
}

// When the limiter is full, it first forgets addresses that have stopped trying. It never
// grows beyond its room.
func TestTheLimiterForgetsThoseWhoStoppedFirst(t *testing.T) {
	now := t0
	l := newLimiter(func() time.Time { return now })
	address := func(n int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}) }
	for n := range tryAddresses / 2 {
		l.wrong(address(n))
	}
	now = now.Add(tryWindow)
	for n := range tryAddresses / 2 {
		l.wrong(address(tryAddresses + n))
	}
	l.wrong(address(2 * tryAddresses))
	if got, want := len(l.tries), tryAddresses/2+1; got != want {
		t.Errorf("%d addresses remembered after half of them stopped a window ago, want %d", got, want)
	}
	for n := range tryAddresses/2 + 10 { // none of them has stopped, and some are still forgotten
		l.wrong(address(3*tryAddresses + n))
	}
	if got := len(l.tries); got > tryAddresses || got < tryAddresses*8/10 {
		t.Errorf("%d addresses remembered, want most of %d", got, tryAddresses)
	}
}

// A clock that is set back lets the address try again rather than wait for years.
func TestTheLimiterSurvivesAClockThatIsSetBack(t *testing.T) {
	now := t0
	l := newLimiter(func() time.Time { return now })
	from := netip.MustParseAddr("192.0.2.1")
	for range wrongTries {
		if wait := l.wrong(from); wait != 0 {
			t.Fatalf("has to wait %s within the first %d tries", wait, wrongTries)
		}
	}
	now = t0.Add(tryWindow - time.Second)
	if wait := l.wrong(from); wait != time.Second {
		t.Errorf("has to wait %s, want a second", wait)
	}
	now = t0.Add(-time.Hour)
	if wait := l.wrong(from); wait != 0 {
		t.Errorf("has to wait %s with the clock set back", wait)
	}
}

func TestAddressesOfOneNetworkInIPv6CountTogether(t *testing.T) {
	for _, tc := range []struct{ address, want string }{
		{"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
		{"fe80::1%eth0", "fe80::/64"},
		{"192.0.2.7", "192.0.2.7/32"},
	} {
		if got := networkOf(netip.MustParseAddr(tc.address)).String(); got != tc.want {
			t.Errorf("%s counts as %s, want %s", tc.address, got, tc.want)
		}
	}
	if got := networkOf(netip.Addr{}); got.IsValid() {
		t.Errorf("an address that cannot be read counts as %s", got)
	}
}

// A key that was admitted may be taken out of its file before the route looks at it again.
func TestAKeyThatWasTakenOutMayDoNothingMore(t *testing.T) {
	s := &Server{o: Options{AdminKeys: []secret.Text{secret.New("admin")}, SupportKeys: []secret.Text{secret.New("support")}}}
	for key, want := range map[string]int{"admin": http.StatusOK, "support": http.StatusForbidden, "taken-out": http.StatusForbidden} {
		r := httptest.NewRequest(http.MethodPost, "/api/admin/plans/x/approve", http.NoBody)
		r.Header.Set("Authorization", "Bearer "+key)
		w := httptest.NewRecorder()
		s.only(Approve, func(http.ResponseWriter, *http.Request) {})(w, r)
		if w.Code != want {
			t.Errorf("%s: %d, want %d", key, w.Code, want)
		}
	}
}
