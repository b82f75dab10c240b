package planner

import (
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

const (
	// backupLooks is how often a backup that is under way is looked at.
	backupLooks = 5 * time.Minute
	// backupRests is how long a backup that failed is left before another one is made.
	backupRests = 24 * time.Hour
)

// backedUp reports whether a hosting may be deleted because each of its websites has a
// backup. Else it makes the next one, one after another, and holds the deletion.
func (pl *planner) backedUp(cl demand, h *reconcile.Hosting) bool {
	if !pl.policy.Backup {
		return true
	}
	for i := range pl.c.Pending {
		if p := &pl.c.Pending[i]; p.Kind == reconcile.Backup && p.Hosting == h.ID {
			pl.holdPending(p)
			return false
		}
	}
	b := &h.Backups
	if b.ReadAt.Before(pl.freshSince()) || !b.Since.Equal(h.SuspendedByUs) {
		pl.addNeed(Need{Kind: NeedBackups, Org: h.Org, Hosting: h.ID, Since: h.SuspendedByUs})
		return false
	}
	switch {
	case b.Complete():
		return true
	case b.Refused != "":
		pl.holdForBackup(cl, h, backupRefused(h), backupRests)
	case !b.Began.IsZero():
		pl.holdForBackup(cl, h, backupUnderWay(h), backupLooks)
	case b.Failed.After(pl.now.Add(-backupRests)):
		pl.holdForBackup(cl, h, backupFailed(h), backupRests)
	default:
		pl.change(cl, h, reconcile.Action{ID: "backup:" + pl.ref(cl, h) + ":" + b.Lacking, Kind: reconcile.Backup, Domain: b.Lacking, Reason: pl.backupIsMissing(cl, h)})
	}
	return false
}

func (pl *planner) holdForBackup(cl demand, h *reconcile.Hosting, reason string, again time.Duration) {
	pl.recheckAt(pl.now.Add(again))
	pl.addHold(reconcile.Hold{Kind: reconcile.HoldBackup, Subscription: cl.lead.Subscription, Hosting: h.ID, Reason: reason})
}
