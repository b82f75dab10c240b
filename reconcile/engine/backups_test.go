package engine_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stripe-enhance/stripe-enhance/internal/testenv"
	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// leaving is a customer with two websites, who has left so long ago that the hosting is
// due for deletion.
func leaving(t *testing.T) *testenv.Env {
	t.Helper()
	r := one(t, withBackup)
	for _, domain := range []string{"b.example.com", "a.example.com"} {
		_, err := r.World.AddWebsite(r.World.Hostings()[0].ID, domain)
		must(t, err)
	}
	r.World.Advance(31 * aDay)
	return r
}

// backups lists what was saved and deleted, in order.
func backups(r *testenv.Env) (done []string) {
	domain := map[string]string{}
	for _, s := range r.World.Websites() {
		domain[s.ID] = s.Domain
	}
	for _, e := range r.World.Effects() {
		switch e.Kind {
		case "backup_website":
			done = append(done, domain[e.Object])
		case "delete_subscription":
			done = append(done, "deleted")
		}
	}
	return done
}

// Before a hosting is deleted each of its websites is saved, one after another; a backup
// that takes longer than a call is waited for, and not made twice.
func TestAHostingIsDeletedOnceItsWebsitesAreSaved(t *testing.T) {
	for name, take := range map[string]time.Duration{"quickly": 0, "slowly": 20 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			r := leaving(t)
			r.World.SetBackups(simulator.Backups{Take: take})
			for range 12 {
				r.Run(engine.Request{})
				r.World.Advance(6 * time.Minute)
			}
			diff(t, "done", []string{"a.example.com", "b.example.com", "deleted"}, backups(r))
		})
	}
}

// A website that staff saved after the suspension is not saved again.
func TestABackupSinceTheSuspensionIsEnough(t *testing.T) {
	r := leaving(t)
	org := r.World.Orgs()[0].ID
	for _, s := range r.World.Websites() {
		must(t, r.Panel.StartBackup(t.Context(), org, int64(s.Hosting), s.Domain))
	}
	r.World.Advance(time.Minute)
	r.Run(engine.Request{})
	diff(t, "done", []string{"b.example.com", "a.example.com", "deleted"}, backups(r))
}

// A hosting is not deleted while its backup fails, or while the panel makes none; the
// person who looks is shown why, and nothing else of the run suffers.
func TestAHostingWithoutABackupStays(t *testing.T) {
	for name, tc := range map[string]struct {
		panel simulator.Backups
		done  []string
		why   string
	}{
		"they fail":         {simulator.Backups{Fail: true}, []string{"a.example.com"}, "failed in the panel"},
		"the token may not": {simulator.Backups{Denied: true}, nil, "does not show the backups"},
	} {
		t.Run(name, func(t *testing.T) {
			r := leaving(t)
			r.World.SetBackups(tc.panel)
			var rep reconcile.Report
			for range 5 {
				rep = r.Run(engine.Request{})
				r.World.Advance(6 * time.Minute)
			}
			diff(t, "done", tc.done, backups(r))
			if !slices.ContainsFunc(rep.Holds, func(h reconcile.Hold) bool {
				return h.Kind == reconcile.HoldBackup && strings.Contains(h.Reason, tc.why)
			}) {
				t.Errorf("holds: %+v", rep.Holds)
			}
			r.World.SetBackups(simulator.Backups{})
			r.World.Advance(25 * time.Hour)
			for range 4 {
				r.Run(engine.Request{})
				r.World.Advance(6 * time.Minute)
			}
			diff(t, "in the end", "deleted", backups(r)[len(backups(r))-1])
		})
	}
}

// Who pays again while a backup is under way is up in the next run.
func TestWhoReturnsDuringABackupIsUp(t *testing.T) {
	r := leaving(t)
	r.World.SetBackups(simulator.Backups{Take: time.Hour})
	r.Run(engine.Request{})
	signUp(t, r, simulator.SignUp{Email: "a@example.com", Customer: r.World.Customers()[0].ID, Price: priceFor(t, r, plans(r)[0])})
	r.World.Advance(2 * time.Minute)
	r.Run(engine.Request{})
	diff(t, "panel", []string{r.World.Plans()[0].Name + " active"}, panel(r))
	diff(t, "done", []string{"a.example.com"}, backups(r))
}
