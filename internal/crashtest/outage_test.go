package crashtest

import (
	"database/sql"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the driver, for looking at the database from outside

	"github.com/stripe-enhance/stripe-enhance/internal/pgtest"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// afterTheLease is when a silent writer no longer keeps others out.
const afterTheLease = 40 * time.Second

// outside is a connection of the test's own to the company's database.
func (c *company) outside() *sql.DB {
	c.Helper()
	driver, name := "pgx", c.url
	if path, ok := strings.CutPrefix(c.url, "sqlite:"); ok {
		driver, name = "sqlite", "file:"+path+"?_pragma=busy_timeout(10000)"
	}
	db, err := sql.Open(driver, name)
	c.must(err)
	c.Cleanup(func() { _ = db.Close() })
	return db
}

// watchIntents checks, whenever a write reaches Enhance, whether an intent for it is
// durable. The returned function reports the result.
func (c *company) watchIntents() func() {
	c.Helper()
	db := c.outside()
	var naked atomic.Pointer[string]
	c.SetFault(func(call simulator.Call) simulator.Fault {
		if call.Side != simulator.Enhance || !call.Write() {
			return simulator.Fault{}
		}
		n := 0
		if err := db.QueryRow("SELECT count(*) FROM actions WHERE state = 'sent'").Scan(&n); err == nil && n == 0 {
			what := call.Method + " " + call.Path
			naked.Store(&what)
		}
		return simulator.Fault{}
	})
	return func() {
		c.Helper()
		if what := naked.Load(); what != nil {
			c.Errorf("%s was sent without a durable intent", *what)
		}
	}
}

// private is a busy company on a PostgreSQL server of its own.
func private(t *testing.T) (*company, *pgtest.Server) {
	t.Helper()
	server, url := pgtest.Private(t)
	c := bare(t, "postgres", simulator.Options{Calm: true})
	c.moveTo(url)
	c.furnish()
	return c, server
}

func TestAServerRestartedInTheMiddleOfAnActionIsCaughtUpWith(t *testing.T) {
	c, server := private(t)
	c.signUp(ada)
	for _, how := range []struct {
		name string
		end  func() error
	}{{"stopped", server.Stop}, {"killed", server.Kill}} {
		t.Run(how.name, func(t *testing.T) {
			c.signUp(simulator.SignUp{Email: how.name + "@example.com", Name: how.name})
			create := func(call simulator.Call) bool { return call.Route == "POST /orgs/{org}/customers" }
			var taken atomic.Bool
			c.SetFault(func(call simulator.Call) simulator.Fault {
				if create(call) && taken.CompareAndSwap(false, true) {
					if err := how.end(); err != nil {
						t.Error(err)
					}
					if err := server.Start(t.Context()); err != nil {
						t.Error(err)
					}
				}
				return simulator.Fault{}
			})
			r := c.reconcile(nil)
			c.SetFault(nil)
			if !taken.Load() || r.signal != 0 {
				t.Fatalf("restarted: %t; exit code %d\n%s", taken.Load(), r.code, r.stderr)
			}
			c.clock.move(t, afterTheLease)
			c.recover()
			c.sound()
		})
	}
}

func TestAServerThatIsGoneForAWhileCostsNothingButTime(t *testing.T) {
	c, server := private(t)
	c.signUp(ada)
	c.must(server.Stop())
	for range 2 {
		r := c.reconcile(nil)
		if r.code != 1 || !strings.Contains(r.stderr, "run it again") {
			t.Errorf("without a database: exit code %d, want 1 and what to do:\n%s", r.code, r.stderr)
		}
		if strings.Contains(r.stderr, "throwaway-Pw1") {
			t.Errorf("the password is shown:\n%s", r.stderr)
		}
	}
	if n := len(c.Effects()); n > 0 {
		t.Errorf("without a database %d things were done", n)
	}
	c.must(server.Start(t.Context()))
	c.clock.move(t, time.Minute)
	c.recover()
	c.sound()
}

// A backup or a forgotten transaction locks a table after the first call was made: its
// outcome cannot be recorded.
func TestALockedTableIsToldAndCaughtUpWith(t *testing.T) {
	c := found(t, "postgres", simulator.Options{Calm: true})
	c.signUp(ada)
	db := c.outside()
	var tx *sql.Tx
	r := func() result {
		var taken atomic.Bool
		c.SetFault(func(call simulator.Call) simulator.Fault {
			if call.Side == simulator.Enhance && call.Write() && taken.CompareAndSwap(false, true) {
				var err error
				if tx, err = db.Begin(); err == nil {
					_, err = tx.Exec("LOCK TABLE actions IN ACCESS EXCLUSIVE MODE")
				}
				if err != nil {
					t.Error(err)
				}
			}
			return simulator.Fault{}
		})
		defer c.SetFault(nil)
		return c.reconcile(nil)
	}()
	if tx == nil {
		t.Fatalf("nothing was locked: exit code %d\n%s", r.code, r.stderr)
	}
	if r.code != 1 || !strings.Contains(r.stderr, "run it again") {
		t.Errorf("with a locked table: exit code %d, want 1 and what to do:\n%s", r.code, r.stderr)
	}
	if n := len(c.Effects()); n != 1 {
		t.Errorf("%d things were done, want the one whose outcome could not be recorded", n)
	}
	c.must(tx.Rollback())
	c.clock.move(t, afterTheLease)
	c.recover()
	c.sound()
}
