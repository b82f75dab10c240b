package enhance

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/priority"
)

// If every org that was ever asked were kept, the memory would grow with the fleet.
func TestOnlyOrgsThatWereSlowOfLateAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPatience(nil)
		ask := func(org string, misses bool) (limit time.Duration) {
			t.Helper()
			limit, leave, err := p.turn(t.Context(), org, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			if misses {
				p.missed(org)
			}
			leave()
			return limit
		}
		ask("answers", false)
		ask("slow", true)
		if len(p.orgs) != 1 || p.orgs["slow"] == nil {
			t.Errorf("kept: %v, want the slow one", p.orgs)
		}
		if limit := ask("slow", false); limit != 2*firstPatience {
			t.Errorf("a moment later it has %s", limit)
		}
		time.Sleep(slowFor + time.Second)
		if limit := ask("slow", false); limit != firstPatience {
			t.Errorf("after %s it has %s", slowFor, limit)
		}
		if len(p.orgs) != 0 {
			t.Errorf("kept after %s: %v", slowFor, p.orgs)
		}
	})
}

// An urgent request gives up at once if as many slow orgs are asked as may be, though
// no other asks for its own org: the worker behind it is needed by others.
func TestAnUrgentRequestAboutASlowOrgWaitsForNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPatience(nil)
		orgs := []string{"a", "b", "c"}
		for _, org := range orgs {
			_, leave, err := p.turn(t.Context(), org, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			p.missed(org)
			leave()
		}
		for _, org := range orgs[:slowTogether] {
			_, leave, err := p.turn(t.Context(), org, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			defer leave()
		}
		began := time.Now()
		_, _, err := p.turn(priority.With(t.Context(), priority.Urgent), "c", time.Minute)
		if err != errManySlow || time.Since(began) != 0 { //nolint:errorlint // this very one
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		_, _, err = p.turn(t.Context(), "c", time.Minute)
		if err != errManySlow || time.Since(began) != firstPatience { //nolint:errorlint // this very one
			t.Errorf("another request, after %s: %v", time.Since(began), err)
		}
	})
}
