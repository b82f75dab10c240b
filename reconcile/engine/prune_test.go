package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// year is a company over more than a year, with one run and one webhook a day: a customer
// who pays late every month, one who has stayed away since the first month, and one who
// pays.
type year struct {
	*testenv.Env
	t         *testing.T
	late      simulator.SignedUp
	pruned    []string // notes
	rows      map[int][3]int
	suspended []int64 // hostings, at the end
}

const (
	daysOfIt = 420
	kept     = 100 * 24 * time.Hour
)

func aYear(t *testing.T, keep time.Duration) *year {
	t.Helper()
	y := &year{t: t, rows: map[int][3]int{}, Env: testenv.New(t, testenv.Options{Engine: func(o *engine.Options) { o.Keep = keep }})}
	y.late = signUp(t, y.Env, simulator.SignUp{Email: "late@example.com", Price: priceFor(t, y.Env, plans(y.Env)[0])})
	away := signUp(t, y.Env, simulator.SignUp{Email: "away@example.com", Price: priceFor(t, y.Env, plans(y.Env)[0])})
	signUp(t, y.Env, simulator.SignUp{Email: "pays@example.com", Price: priceFor(t, y.Env, plans(y.Env)[1])})
	y.Converge(5)
	must(t, y.World.Cancel(away.Subscription))
	for day := range daysOfIt {
		y.day(day)
	}
	for _, h := range y.World.Hostings() {
		if h.SuspendedBy != "" {
			y.suspended = append(y.suspended, int64(h.ID))
		}
	}
	return y
}

func (y *year) day(day int) {
	y.t.Helper()
	switch day % 30 {
	case 5:
		must(y.t, y.World.SetStatus(y.late.Subscription, "unpaid"))
	case 10:
		must(y.t, y.World.SetStatus(y.late.Subscription, "active"))
	}
	y.World.Advance(24 * time.Hour)
	_, err := y.Store.LogWebhook(y.t.Context(), fmt.Sprintf("evt_day_%d", day), "customer.subscription.updated", y.late.Subscription, true, y.World.Now())
	must(y.t, err)
	rep := y.Run(engine.Request{Trigger: "cron"})
	must(y.t, y.Store.WebhookResult(y.t.Context(), "", y.World.Now(), "", y.World.Now()))
	for _, n := range rep.Notes {
		if strings.Contains(n, "were pruned") {
			y.pruned = append(y.pruned, n)
		}
	}
	actions, err := y.Store.Actions(y.t.Context(), reconcile.ActionFilter{Limit: 100_000})
	must(y.t, err)
	runs, err := y.Store.Runs(y.t.Context(), 100_000)
	must(y.t, err)
	hooks, err := y.Store.RecentWebhooks(y.t.Context(), 100_000)
	must(y.t, err)
	y.rows[day] = [3]int{len(actions), len(runs), len(hooks)}
}

// TestHistoryIsPrunedAndDecidesAsBefore: after the first months the database has as much
// history on any day, and in the end the panel is as it is without pruning.
func TestHistoryIsPrunedAndDecidesAsBefore(t *testing.T) {
	all, some := aYear(t, 0), aYear(t, kept)
	const settled = 150 // days
	for i, what := range []string{"rows of the journal", "runs", "webhooks"} {
		most := some.rows[settled][i]
		for day := settled; day < daysOfIt; day++ {
			most = max(most, some.rows[day][i])
		}
		t.Logf("%s: %d with JOURNAL_KEEP, %d without", what, some.rows[daysOfIt-1][i], all.rows[daysOfIt-1][i])
		if limit := some.rows[settled][i] + some.rows[settled][i]/5 + 5; most > limit {
			t.Errorf("%d %s after %d days, and up to %d later", some.rows[settled][i], what, settled, most)
		}
		if i > 0 && some.rows[daysOfIt-1][i] > 105 {
			t.Errorf("%d %s are left of %d", some.rows[daysOfIt-1][i], what, all.rows[daysOfIt-1][i])
		}
		if some.rows[daysOfIt-1][i] >= all.rows[daysOfIt-1][i] {
			t.Errorf("no %s were pruned", what)
		}
	}
	diff(t, "hostings that are suspended", len(all.suspended), len(some.suspended)) // their numbers are a matter of order
	if len(some.suspended) != 1 {
		t.Errorf("%d hostings are suspended, want that of the customer who is away", len(some.suspended))
	}
	actions, err := some.Store.Actions(t.Context(), reconcile.ActionFilter{Limit: 100_000})
	must(t, err)
	why := slices.ContainsFunc(actions, func(a reconcile.ActionRecord) bool {
		return a.Kind == reconcile.Suspend && a.Hosting == some.suspended[0] && a.Reason != "" && a.State == reconcile.ActionApplied
	})
	if !why {
		t.Error("why a hosting has been suspended for a year is forgotten")
	}
	if len(some.pruned) == 0 || len(all.pruned) != 0 || !strings.Contains(some.pruned[len(some.pruned)-1], "1 runs, 1 webhooks from before") {
		t.Errorf("noted %d times; the last time %q; without JOURNAL_KEEP %d times", len(some.pruned), some.pruned[max(len(some.pruned)-1, 0):], len(all.pruned))
	}
	diff(t, "runs that end as without pruning", true, *some.Run(engine.Request{Full: true}).Run.Converged)
}

// TestByAClockThatIsYearsAheadNothingIsPruned, in a run that finds nothing to do.
func TestByAClockThatIsYearsAheadNothingIsPruned(t *testing.T) {
	r := testenv.New(t, testenv.Options{Engine: func(o *engine.Options) { o.Keep = kept }})
	signUp(t, r, simulator.SignUp{Email: "ada@example.com", Price: priceFor(t, r, plans(r)[0])})
	r.Converge(5)
	left := func() int {
		runs, err := r.Store.Runs(t.Context(), 1000)
		must(t, err)
		return len(runs)
	}
	before := left()
	for range 3 {
		r.SetSkew(10 * 365 * 24 * time.Hour)
		r.World.Advance(time.Hour)
		if _, err := r.Try(engine.Request{Trigger: "cron"}); err == nil {
			t.Error("the run did not end because of the clock")
		}
		r.SetSkew(0)
	}
	if left() < before {
		t.Errorf("%d runs before, and %d after", before, left())
	}
}
