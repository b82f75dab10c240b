package crashtest

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// busy is a company with every kind of work in one run: a new customer, one who no longer
// pays, one who wants more, and a change of mapping that makes every customer due.
func busy(t *testing.T, database string, seed uint64) *company {
	t.Helper()
	c := found(t, database, simulator.Options{Calm: true, Seed: seed})
	late := c.signUp(simulator.SignUp{Email: "bob@example.com", Name: "Bob"})
	more := c.signUp(simulator.SignUp{Email: "eve@example.com", Name: "Eve"})
	c.settled()
	c.signUp(ada)
	c.must(c.MarkUnpaid(late.Subscription))
	c.must(c.ChangePrice(more.Subscription, "", "price_pro_monthly"))
	return c
}

// every selects the cells, of n, that a round covers: all if rounds are repeated, else one
// in stride, and another one on each database.
func every(t *testing.T, database string, n, stride int) (all []int) {
	t.Helper()
	if rounds(t) > 1 {
		stride = 1
	}
	begin := 1
	if database == "postgres" {
		begin += stride / 2
	}
	for k := begin; k <= n; k += stride {
		all = append(all, k)
	}
	return all
}

// mostCommits is more than a run of a busy company has; the one that is not reached
// ends the test.
const mostCommits = 80

// stride is how many commits are passed over for each that is tried in one round.
const stride = 12

// TestAProcessKilledAroundAnyCommitIsCaughtUpWith covers the commits that belong to no step
// of an action: the lease acquired and released, the sweep staged and merged, the events'
// cursor moved, plans and holds recorded, runs begun and ended.
func TestAProcessKilledAroundAnyCommitIsCaughtUpWith(t *testing.T) {
	var kills atomic.Int32
	t.Run("cells", func(t *testing.T) {
		for _, database := range databases {
			for _, step := range []string{"before-commit", "after-commit"} {
				t.Run(database+"/"+step, func(t *testing.T) {
					t.Parallel()
					last := 0
					for _, n := range every(t, database, mostCommits, stride) {
						c := busy(t, database, uint64(n))
						r := c.reconcile(at(step, "", n))
						if r.signal != syscall.SIGKILL {
							if r.code != 0 {
								t.Errorf("an undisturbed run: exit code %d\n%s", r.code, r.stderr)
							}
							break // it has fewer commits
						}
						last = n
						kills.Add(1)
						c.clock.move(t, afterTheLease)
						c.recover()
						c.sound()
						if t.Failed() {
							t.Fatalf("that was %s %d", step, n)
						}
					}
					if last < 25 || last > mostCommits-stride {
						t.Errorf("the last commit it died at is the %dth: this is not every commit", last)
					}
				})
			}
		}
	})
	t.Logf("%d kills", kills.Load())
}

// A process killed while it migrates leaves a database that the next one can use.
func TestAProcessKilledWhileMigratingIsCaughtUpWith(t *testing.T) {
	for _, database := range databases {
		for _, step := range []string{"before-commit", "after-commit"} {
			t.Run(fmt.Sprintf("%s/%s", database, step), func(t *testing.T) {
				c := empty(t, database)
				if r := c.reconcile(at(step, "migrating", 1)); r.signal != syscall.SIGKILL {
					t.Fatalf("it did not die: exit code %d\n%s", r.code, r.stderr)
				}
				c.furnish()
				c.signUp(ada)
				c.recover()
				c.sound()
			})
		}
	}
}

// If a person approves a plan while the process dies, the plan is approved or it is not,
// and its changes are made once.
func TestAProcessKilledWhileApprovingReleasesAllOrNothing(t *testing.T) {
	for _, database := range databases {
		for _, step := range []string{"before-commit", "after-commit"} {
			t.Run(database+"/"+step, func(t *testing.T) {
				c := found(t, database, simulator.Options{Calm: true})
				c.env["BRAKE_SUSPEND"] = "1"
				var subs []string
				for _, who := range []string{"ada", "bob", "eve"} {
					subs = append(subs, c.signUp(simulator.SignUp{Email: who + "@example.com", Name: who}).Subscription)
				}
				c.settled()
				for _, sub := range subs {
					c.must(c.MarkUnpaid(sub))
				}
				held := c.reconcile(nil)
				if held.code != 3 || held.report.PlanID == "" {
					t.Fatalf("the brake held nothing: exit code %d, %+v", held.code, held.report)
				}
				if r := c.run(at(step, "approving", 1), "approve", held.report.PlanID); r.signal != syscall.SIGKILL {
					t.Fatalf("it did not die: exit code %d\n%s", r.code, r.stderr)
				}
				c.reconcile(nil)
				down := 0
				for _, h := range c.Hostings() {
					if h.SuspendedBy != "" {
						down++
					}
				}
				if want := map[string]int{"before-commit": 0, "after-commit": len(subs)}[step]; down != want {
					t.Errorf("%d hostings are suspended, want %d", down, want)
				}
				if r := c.run(nil, "approve", held.report.PlanID); step == "before-commit" && r.code != 0 {
					t.Errorf("approving it again: exit code %d\n%s", r.code, r.stderr)
				}
				c.clock.move(t, 2*time.Minute)
				c.recover()
				c.sound()
			})
		}
	}
}
