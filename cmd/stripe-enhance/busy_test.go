package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stripe-enhance/stripe-enhance/internal/pgtest"
)

// onBoth runs a test on a new database of each kind.
func onBoth(t *testing.T, test func(t *testing.T, database string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { t.Parallel(); test(t, "sqlite:"+filepath.Join(t.TempDir(), "state.db")) })
	t.Run("postgres", func(t *testing.T) { t.Parallel(); test(t, pgtest.Empty(t)) })
}

// The service runs by itself only once a day here, so everything that it does in between
// was requested.
//
// The test fails if a run by hand leaves no nudge.
func TestARunByHandWhileTheServiceWorksLeavesItsWishAndSaysSo(t *testing.T) {
	onBoth(t, func(t *testing.T, database string) {
		s := newSite(t, database, "POLL_SCHEDULE=@every 24h", "LEASE_TTL=20s")
		r := s.serve("service")
		r.says(0, "run finished")
		s.mapPrices()
		bakery := s.signUp("bakery")[0]

		for _, by := range []struct {
			args []string
			want []string
			then int // hostings
		}{
			{[]string{"reconcile", "--subscription", bakery}, []string{"operator@", " holds the lease; waiting", " is at work; it was asked to look, and looks now", "Nothing was done here"}, 1},
			{[]string{"reconcile"}, []string{" is at work; it was asked to look, and looks now"}, 2},
			{[]string{"reconcile", "--full", "-o", "json"}, []string{" holds the lease; waiting"}, 3},
			{[]string{"reconcile", "--full", "--accept-listing"}, []string{" looks now at everything, but without --accept-listing: repeat the command when it is idle"}, 4},
		} {
			from := len(r.said())
			out, talk, code := s.run(by.args...)
			for _, want := range by.want {
				if !strings.Contains(talk, want) {
					t.Errorf("%q does not say %q: %s", by.args, want, talk)
				}
			}
			asked := slices.Contains(by.args, "-o") == strings.Contains(out, `"asked": true`)
			if want := map[bool]int{true: exitFailed, false: exitOK}[slices.Contains(by.args, "--accept-listing")]; code != want || !asked {
				t.Errorf("%q: exit code %d, want %d: %s", by.args, code, want, out)
			}
			r.says(from, "run finished")
			if full, asked := strings.Contains(strings.Join(r.said()[from:], "\n"), `"mode":"full"`), slices.Contains(by.args, "--full"); full != asked {
				t.Errorf("%q: a full run: %v, want %v", by.args, full, asked)
			}
			s.hosted(by.then)
			s.signUp("customer" + by.args[len(by.args)-1])
		}
		if _, talk, code := s.run("plan"); code == exitFailed || !strings.Contains(talk, "made from the state that it stored last") {
			t.Errorf("a plan beside the service: exit code %d: %s", code, talk)
		}
	})
}

// The other way round: a run by hand keeps the service waiting, and no longer than it works.
func TestAServiceWaitsForARunByHandAndThenTakesOver(t *testing.T) {
	onBoth(t, func(t *testing.T, database string) {
		s := newSite(t, database, "POLL_SCHEDULE=@every 24h", "LEASE_TTL=20s")
		s.mapPrices()
		s.signUp("bakery")
		hold := s.holdFirstCreate()
		by := s.start("by hand", nil, "reconcile")
		hold.reached(t)
		r := s.serve("service")
		if r.leads() {
			t.Error("the service leads while a run by hand is at work")
		}
		hold.release()
		if code := by.exit(); code != exitOK {
			t.Errorf("the run by hand ended with exit code %d", code)
		}
		writer(t, r)
		s.signUp("florist")
		s.run("reconcile")
		s.hosted(2)
	})
}
