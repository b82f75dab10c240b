//go:build unix

package main

import (
	"database/sql"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// The test fails if an action ends with the context of its run, or if the lease is not
// released.
func TestASignalFinishesTheActionInHandAndNothingElse(t *testing.T) {
	onBoth(t, func(t *testing.T, database string) {
		s := newSite(t, database, "LEASE_TTL=1m", "CONCURRENCY=1")
		s.mapPrices()
		s.signUp("bakery", "florist", "cyclist")
		create := s.holdFirstCreate()
		r := s.serve("service")
		create.reached(t)
		if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		r.says(0, "stopping")
		eventually(t, "nothing is accepted any more", func() bool {
			c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
			if err == nil {
				_ = c.Close()
			}
			return err != nil
		})
		create.release()
		if code := r.exit(); code != exitOK {
			t.Errorf("exit code %d, want 0", code)
		}
		if diff := cmp.Diff([]string{"create_org"}, kinds(s.world.Effects())); diff != "" {
			t.Errorf("effects (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(map[string]int{"create_org applied": 1}, journal(t, database)); diff != "" {
			t.Errorf("the journal (-want +got):\n%s", diff)
		}
		// No process waits for a lease of a minute, and no lost write is left.
		if _, talk, code := s.run("reconcile"); code != exitOK || strings.Contains(talk, "holds the lease") {
			t.Errorf("the next process: exit code %d: %s", code, talk)
		}
		s.hosted(3)
	})
}

// A second signal comes from a person who cannot wait. The next process finds what the panel
// did.
func TestASecondSignalLeavesAtOnce(t *testing.T) {
	onBoth(t, func(t *testing.T, database string) {
		s := newSite(t, database)
		s.mapPrices()
		s.signUp("bakery")
		create := s.holdFirstCreate()
		r := s.serve("service")
		create.reached(t)
		for range 2 {
			if err := r.cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			r.says(0, "stopping") // the first was heard
		}
		if code := r.exit(); code != -1 { // while the panel has the create in hand
			t.Errorf("exit code %d, want the end by the signal itself", code)
		}
		create.release()
		eventually(t, "the panel has done it", func() bool { return len(s.world.Orgs()) > 0 })
		next := s.serve("next")
		s.hosted(1)
		eventually(t, "the order is done", func() bool { return len(s.world.Effects()) >= 4 })
		if diff := cmp.Diff(0, len(kinds(s.world.Effects()))-4); diff != "" {
			t.Errorf("done: %v, want each of the four once (-want +got):\n%s", kinds(s.world.Effects()), diff)
		}
		_ = next
	})
}

func kinds(effects []simulator.Effect) (all []string) {
	for _, e := range effects {
		all = append(all, e.Kind)
	}
	return all
}

// journal counts the actions by kind and state, without those that were only
// planned and put aside.
func journal(t *testing.T, database string) map[string]int {
	t.Helper()
	driver, source := "pgx", database
	if path, lite := strings.CutPrefix(database, "sqlite:"); lite {
		driver, source = "sqlite", path
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), "SELECT kind, state FROM actions WHERE state NOT IN ('planned', 'superseded')")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	got := map[string]int{}
	for rows.Next() {
		var kind, state string
		if err := rows.Scan(&kind, &state); err != nil {
			t.Fatal(err)
		}
		got[kind+" "+state]++
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return got
}
