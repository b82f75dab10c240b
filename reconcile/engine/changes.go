package engine

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
)

// changes counts the writes of this process that may change what a customer looks like
// when it is loaded. Customer.Version counts what other processes and people change. If
// neither has changed, a customer need not be loaded again.
type changes struct{ n atomic.Int64 }

// perWrite is by how much one write raises the count: once before and once after, so
// that a customer that was loaded during the write does not pass for unchanged.
const perWrite = 2

func (c *changes) now() int64 { return c.n.Load() }

func (c *changes) during(write func() error) error {
	c.n.Add(1)
	defer c.n.Add(1)
	return write()
}

// countChanges puts a count in front of the ports that change customers.
func countChanges(p Ports, c *changes) Ports {
	p.Mirror, p.Timetable, p.Journal = countedMirror{p.Mirror, c}, countedTimetable{p.Timetable, c}, countedJournal{p.Journal, c}
	p.Inventory, p.PlanStore = countedInventory{p.Inventory, c}, countedPlans{p.PlanStore, c}
	p.ContentStore, p.Existing = countedContent{p.ContentStore, c}, countedExisting{p.Existing, c}
	return p
}

type countedMirror struct {
	Mirror
	changes *changes
}

func (m countedMirror) MergeSweep(ctx context.Context, tok reconcile.Token, now time.Time) (changed int, err error) {
	err = m.changes.during(func() error { changed, err = m.Mirror.MergeSweep(ctx, tok, now); return err })
	return changed, err
}

func (m countedMirror) SaveFacts(ctx context.Context, tok reconcile.Token, facts []reconcile.SubscriptionFacts, force bool, now time.Time) error {
	return m.changes.during(func() error { return m.Mirror.SaveFacts(ctx, tok, facts, force, now) })
}

func (m countedMirror) MarkGone(ctx context.Context, tok reconcile.Token, subscription string, now time.Time) error {
	return m.changes.during(func() error { return m.Mirror.MarkGone(ctx, tok, subscription, now) })
}

type countedTimetable struct {
	Timetable
	changes *changes
}

func (t countedTimetable) Postpone(ctx context.Context, tok reconcile.Token, b reconcile.Backoff, now time.Time) error {
	return t.changes.during(func() error { return t.Timetable.Postpone(ctx, tok, b, now) })
}

func (t countedTimetable) LookAgain(ctx context.Context, tok reconcile.Token, subscriptions []string) error {
	return t.changes.during(func() error { return t.Timetable.LookAgain(ctx, tok, subscriptions) })
}

type countedJournal struct {
	Journal
	changes *changes
}

func (j countedJournal) RecordIntent(ctx context.Context, tok reconcile.Token, run string, a reconcile.Action, planID string, now time.Time) error {
	return j.changes.during(func() error { return j.Journal.RecordIntent(ctx, tok, run, a, planID, now) })
}

func (j countedJournal) RecordOutcome(ctx context.Context, tok reconcile.Token, o reconcile.Outcome) error {
	return j.changes.during(func() error { return j.Journal.RecordOutcome(ctx, tok, o) })
}

type countedInventory struct {
	Inventory
	changes *changes
}

func (i countedInventory) SaveOrgs(ctx context.Context, tok reconcile.Token, orgs []reconcile.Org, complete bool, now time.Time) error {
	return i.changes.during(func() error { return i.Inventory.SaveOrgs(ctx, tok, orgs, complete, now) })
}

func (i countedInventory) SaveOwners(ctx context.Context, tok reconcile.Token, org string, emails []string, now time.Time) error {
	return i.changes.during(func() error { return i.Inventory.SaveOwners(ctx, tok, org, emails, now) })
}

func (i countedInventory) SaveHostings(ctx context.Context, tok reconcile.Token, org string, hostings []reconcile.Hosting, now time.Time) error {
	return i.changes.during(func() error { return i.Inventory.SaveHostings(ctx, tok, org, hostings, now) })
}

func (i countedInventory) SaveHosting(ctx context.Context, tok reconcile.Token, h reconcile.Hosting, now time.Time) error {
	return i.changes.during(func() error { return i.Inventory.SaveHosting(ctx, tok, h, now) })
}

type countedPlans struct {
	PlanStore
	changes *changes
}

func (p countedPlans) DomainChecked(ctx context.Context, tok reconcile.Token, subscription, domain string) error {
	return p.changes.during(func() error { return p.PlanStore.DomainChecked(ctx, tok, subscription, domain) })
}

type countedContent struct {
	ContentStore
	changes *changes
}

func (c countedContent) SaveContent(ctx context.Context, tok reconcile.Token, org string, sites []reconcile.Website, unread string, now time.Time) error {
	return c.changes.during(func() error { return c.ContentStore.SaveContent(ctx, tok, org, sites, unread, now) })
}

func (c countedContent) SaveDomainUse(ctx context.Context, tok reconcile.Token, hosting int64, use reconcile.DomainUse) error {
	return c.changes.during(func() error { return c.ContentStore.SaveDomainUse(ctx, tok, hosting, use) })
}

func (c countedContent) SaveSiteApp(ctx context.Context, tok reconcile.Token, hosting int64, app reconcile.SiteApp) error {
	return c.changes.during(func() error { return c.ContentStore.SaveSiteApp(ctx, tok, hosting, app) })
}

type countedExisting struct {
	Existing
	changes *changes
}

func (e countedExisting) AskAboutUnbound(ctx context.Context, tok reconcile.Token, now time.Time) (u reconcile.Unbound, err error) {
	err = e.changes.during(func() error {
		u, err = e.Existing.AskAboutUnbound(ctx, tok, now)
		return err
	})
	return u, err
}

func (e countedExisting) SaveSites(ctx context.Context, tok reconcile.Token, domain string, sites []reconcile.WebsiteLocation, now time.Time) error {
	return e.changes.during(func() error { return e.Existing.SaveSites(ctx, tok, domain, sites, now) })
}
