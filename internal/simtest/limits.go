package simtest

import (
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/simulator"
)

// lastResort holds a deletion against the ladder that leads to it.
func (y *play) lastResort(e simulator.Effect) {
	o, retention := y.origin[e.Hosting], y.Company.Policy.Retention
	b := y.bill(o.subscription)
	switch {
	case retention == 0:
		y.violated(LastResort, "hosting %d was deleted, and retention is off", e.Hosting)
	case b == nil || b.entitlement != ended || e.At.Sub(b.ended) < retention-tolerance:
		y.violated(LastResort, "hosting %d was deleted before its subscription had ended for %s", e.Hosting, retention)
	case o.suspended.IsZero() || e.At.Sub(o.suspended) < retention-tolerance:
		y.violated(LastResort, "hosting %d was deleted before it was suspended by us for %s (%s)", e.Hosting, retention, o.suspended)
	}
	if y.Company.Policy.Backup {
		y.isSaved(e, o.suspended)
	}
}

// isSaved holds a deletion against the backups of the websites that are on the hosting.
func (y *play) isSaved(e simulator.Effect, suspended time.Time) {
	b := y.Company.Backups
	for _, s := range y.world.Websites() {
		if s.Hosting != e.Hosting || y.removed[s.ID] {
			continue
		}
		at := y.saved[s.ID]
		if b.Fail || b.Denied || at.Before(suspended.Add(-tolerance)) || e.At.Sub(at) < b.Take {
			y.violated(LastResort, "hosting %d was deleted, and its website %s has no backup that began since %s and is done", e.Hosting, s.Domain, suspended)
		}
	}
}

// brakes counts. The percentages are off, so that the limits are plain numbers.
func (y *play) brakes(p *process, e simulator.Effect) {
	kind, ok := map[string]reconcile.ActionKind{"suspend": reconcile.Suspend, "change_plan": reconcile.ChangePlan,
		"create_subscription": reconcile.CreateSubscription, "delete_subscription": reconcile.Terminate}[e.Kind]
	if !ok || p != nil && p.number == second || p == nil && y.twin != nil {
		return // a second installation counts for itself
	}
	limit, approved := y.Company.Brakes.Limit(kind).Count, 0
	for _, a := range y.approvals {
		if a.kind == kind && e.At.Sub(a.at) < 2*reconcile.BrakeWindow {
			approved += a.n
		}
	}
	if p != nil && !e.Late {
		if p.done[e.Kind]++; p.done[e.Kind] > limit+approved {
			y.violated(BrakeHolds, "%d × %s in one run; the limit is %d, approved were %d", p.done[e.Kind], e.Kind, limit, approved)
		}
	}
	y.days = append(y.days, dated{e.Kind, e.At})
	today := 0
	for _, d := range y.days {
		if d.kind == e.Kind && e.At.Sub(d.at) < reconcile.BrakeWindow && d.at.After(y.lost) {
			today++
		}
	}
	if day := limit * 5 / 2; today > day+approved {
		y.violated(BrakeHolds, "%d × %s in 24 hours; the limit is %d, approved were %d", today, e.Kind, day, approved)
	}
}

func state(s simulator.State) string {
	text := s.Name + " " + s.Status
	if s.SuspendedBy != "" {
		text += " suspended"
	}
	return text
}
