package planner_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/planner"
)

// toBeDeleted is a customer whose hosting is due for deletion, with backups as given.
func toBeDeleted(b reconcile.Backups) func(*reconcile.Customer, *reconcile.Policy) {
	return func(c *reconcile.Customer, p *reconcile.Policy) {
		p.Retention, p.Backup = 30*dayLong, true
		c.Subscriptions[0].Status, c.Subscriptions[0].EndedAt = reconcile.StatusCanceled, noon.Add(-90*dayLong)
		c.Hostings[0].State, c.Hostings[0].SuspendedByUs = reconcile.HostingSuspended, noon.Add(-80*dayLong)
		if b.Since.IsZero() {
			b.Since = c.Hostings[0].SuspendedByUs
		}
		c.Hostings[0].Backups = b
	}
}

// A hosting is deleted once each of its websites has a backup since the suspension. They
// are made one after another, and one that failed is made again a day later.
//
// With these mistakes put in once, it went red: the reading of the backups is not asked
// for; an old reading counts; a reading for an earlier suspension counts; one that is under
// way is made again; so is one that has just failed; a refusal counts as none missing.
func TestAHostingIsSavedBeforeItIsDeleted(t *testing.T) {
	const backup = "backup:sub_1/1:7:a.example"
	pending := func(c *reconcile.Customer, p *reconcile.Policy) {
		toBeDeleted(reconcile.Backups{ReadAt: noon, Lacking: "a.example"})(c, p)
		c.Pending = []reconcile.Pending{{ActionID: backup, Kind: reconcile.Backup, Subscription: "sub_1", Slot: 1, Hosting: 7, SentAt: noon, SettleUntil: noon.Add(time.Minute)}}
	}
	check(t, []guarded{
		{"each has one", toBeDeleted(reconcile.Backups{ReadAt: noon}), "terminate:sub_1/1:7"},
		{"one has none", toBeDeleted(reconcile.Backups{ReadAt: noon, Lacking: "a.example"}), backup},
		{"one is under way", toBeDeleted(reconcile.Backups{ReadAt: noon, Lacking: "a.example", Began: noon.Add(-time.Hour)}), "hold backup"},
		{"one failed", toBeDeleted(reconcile.Backups{ReadAt: noon, Lacking: "a.example", Failed: noon.Add(-23 * time.Hour)}), "hold backup"},
		{"one failed a day ago", toBeDeleted(reconcile.Backups{ReadAt: noon, Lacking: "a.example", Failed: noon.Add(-25 * time.Hour)}), backup},
		{"the panel refuses", toBeDeleted(reconcile.Backups{ReadAt: noon, Refused: "403"}), "hold backup"},
		{"one was sent and not answered", pending, "hold ambiguous"},
		{"no backup is wanted", func(c *reconcile.Customer, p *reconcile.Policy) {
			toBeDeleted(reconcile.Backups{})(c, p)
			p.Backup = false
		}, "terminate:sub_1/1:7"},
		{"it came back while one was not answered", func(c *reconcile.Customer, p *reconcile.Policy) {
			pending(c, p)
			c.Subscriptions[0].Status, c.Subscriptions[0].EndedAt = reconcile.StatusActive, time.Time{}
		}, "resume:sub_1/1:7"},
	})
	for name, b := range map[string]reconcile.Backups{
		"never read":                 {},
		"read long ago":              {ReadAt: noon.Add(-11 * time.Minute)},
		"for an earlier suspension":  {ReadAt: noon, Since: noon.Add(-100 * dayLong)},
		"for a suspension before it": {ReadAt: noon, Since: noon.Add(-70 * dayLong)},
	} {
		p := policy()
		c := world(func(c *reconcile.Customer) { toBeDeleted(b)(c, &p) })
		d := planner.Decide(&c, catalog(), p, noon)
		want := []planner.Need{{Kind: planner.NeedBackups, Org: "org-1", Hosting: 7, Since: noon.Add(-80 * dayLong)}}
		if diff := cmp.Diff(want, d.Needs); diff != "" || strings.Contains(summary(d), "terminate") {
			t.Errorf("%s: %s, needs (-want +got):\n%s", name, summary(d), diff)
		}
	}
}

// A hold because of a backup names the time of the next look.
func TestABackupIsLookedAtAgain(t *testing.T) {
	for _, tc := range []struct {
		b    reconcile.Backups
		want time.Duration
	}{
		{reconcile.Backups{ReadAt: noon, Lacking: "a.example", Began: noon.Add(-time.Hour)}, 5 * time.Minute},
		{reconcile.Backups{ReadAt: noon, Lacking: "a.example", Failed: noon.Add(-time.Hour)}, dayLong},
		{reconcile.Backups{ReadAt: noon, Refused: "403"}, dayLong},
	} {
		p := policy()
		c := world(func(c *reconcile.Customer) { toBeDeleted(tc.b)(c, &p) })
		if next := planner.Decide(&c, catalog(), p, noon).Next; !next.Equal(noon.Add(tc.want)) {
			t.Errorf("%+v: looked at again at %s, want %s later", tc.b, next, tc.want)
		}
	}
}
