package crashtest

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// deaths is how many times a process is killed in one round of the random test on
// one database.
const deaths = 8

// TestProcessesKilledAtRandomAgainAndAgainDoNoHarm kills at random moments, with several
// customers at work and a panel that has a bad day. Every other death is at a point counted
// from the start of the process, the rest at a moment of real time. After the last one the
// panel works well again, and the company must converge.
func TestProcessesKilledAtRandomAgainAndAgainDoNoHarm(t *testing.T) {
	var kills atomic.Int32
	t.Run("rounds", func(t *testing.T) {
		for _, database := range databases {
			for round := range rounds(t) {
				t.Run(fmt.Sprintf("%s/%d", database, round), func(t *testing.T) {
					t.Parallel()
					kills.Add(int32(killAtRandom(t, database, uint64(round))))
				})
			}
		}
	})
	t.Logf("%d kills", kills.Load())
}

func killAtRandom(t *testing.T, database string, seed uint64) (kills int) {
	dice := rand.New(rand.NewPCG(seed, 5))
	c := found(t, database, simulator.Options{Seed: seed})
	c.env["CONCURRENCY"] = "4"
	c.env["BRAKE_SUSPEND"], c.env["BRAKE_CHANGE_PLAN"] = "100", "100"
	for n := range deaths {
		c.happen(dice, n)
		if n%2 == 0 {
			step := []string{"before-commit", "after-commit", "after-intent", "after-call"}[dice.IntN(4)]
			if c.reconcile(at(step, "", 1+dice.IntN(25))).signal == syscall.SIGKILL {
				kills++
			}
		} else if c.killAfter(time.Duration(dice.IntN(300)) * time.Millisecond) {
			kills++
		}
		c.clock.move(t, time.Duration(20+dice.IntN(200))*time.Second)
		for _, h := range c.harm() {
			t.Fatalf("after death %d of seed %d: %s", n, seed, h)
		}
	}
	c.SetFault(func(simulator.Call) simulator.Fault { return simulator.Fault{Honest: true} })
	c.clock.move(t, time.Hour) // back-offs of the bad day run out
	c.recover()
	c.sound()
	return kills
}

// happen is the customers' activity between two deaths.
func (c *company) happen(dice *rand.Rand, n int) {
	c.Helper()
	c.signUp(simulator.SignUp{Email: fmt.Sprintf("c%d@example.com", n), Name: fmt.Sprintf("C%d", n), Domain: fmt.Sprintf("c%d.example.com", n)})
	all := c.Subscriptions()
	switch s := all[dice.IntN(len(all))]; {
	case s.Status == "unpaid":
		c.must(c.Pay(s.ID))
	case s.Status != "active":
	case dice.IntN(2) == 0:
		c.must(c.MarkUnpaid(s.ID))
	default:
		c.must(c.ChangePrice(s.ID, "", []string{"price_basic_monthly", "price_pro_monthly"}[dice.IntN(2)]))
	}
}

// killAfter kills a run after a while on the clock on the wall; false: it was over
// before.
func (c *company) killAfter(d time.Duration) bool {
	c.Helper()
	atOnce <- struct{}{}
	defer func() { <-atOnce }()
	p := c.start(nil, "reconcile", "-o", "json")
	timer := time.AfterFunc(d, func() { _ = p.Process.Kill() })
	defer timer.Stop()
	return c.wait(p).signal == syscall.SIGKILL
}
