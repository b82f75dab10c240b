package main

import "testing"

// Two keys in one request are no key, whichever of them is right: a proxy in front
// may have checked the other one.
func TestTwoKeysInOneRequestAreRefused(t *testing.T) {
	s := serveHere(t, serving{})
	right, wrong := "Authorization: Bearer "+adminKey, "Authorization: Bearer wrong"
	for _, tc := range []struct {
		keys []string
		want int
	}{
		{[]string{right}, 200},
		{[]string{right, wrong}, 401},
		{[]string{wrong, right}, 401},
		{[]string{right, right}, 401},
	} {
		if got := s.call("GET", "/api/admin/runs", "", tc.keys...); got.status != tc.want {
			t.Errorf("%d keys: %d %s, want %d", len(tc.keys), got.status, got.body, tc.want)
		}
	}
}
