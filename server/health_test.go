package server

import (
	"testing"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// After a run the service is degraded if orders are held, a gate is closed or the run failed,
// and unhealthy if a gate refused the run. Other holds do not count.
func TestHealthAfterARun(t *testing.T) {
	gates := []string{"the clock is off"}
	for name, c := range map[string]struct {
		run  reconcile.RunRecord
		want string
	}{
		"all is well":                {reconcile.RunRecord{Held: 3}, healthy},
		"orders are held":            {reconcile.RunRecord{Held: 3, Orders: 1}, degraded},
		"a gate is closed":           {reconcile.RunRecord{Gates: gates}, degraded},
		"it failed":                  {reconcile.RunRecord{Error: "502"}, degraded},
		"it was refused by a gate":   {reconcile.RunRecord{Error: "another account", Gates: gates}, unhealthy},
		"it was refused, and orders": {reconcile.RunRecord{Error: "another account", Gates: gates, Orders: 1}, unhealthy},
	} {
		if got := afterRun(c.run); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
