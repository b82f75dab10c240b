package engine_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/stripe-enhance/stripe-enhance/reconcile"
	"github.com/stripe-enhance/stripe-enhance/reconcile/engine"
	"github.com/stripe-enhance/stripe-enhance/store"
)

var errStumble = errors.New("the database stumbles")

// stumbling is a store in which one call fails at a time.
type stumbling struct {
	*store.Store
	at *stumble
}

// stumble is where calls have failed. A place is the way from the engine to the call, so
// that a call which is made for each action fails once, and not for each of them.
type stumble struct {
	mu    sync.Mutex // guards all below
	armed bool       // the first call from a place where none has failed yet fails
	lost  bool       // only writes fail, and they are done: their answer is lost
	been  map[string]bool
	hit   string // the call that failed; "": none did
}

// arm makes one call fail.
func (s *stumble) arm(lost bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed, s.lost, s.hit = true, lost, ""
}

// disarm makes every call succeed, and returns the name of the one that has failed.
func (s *stumble) disarm() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed = false
	return s.hit
}

// falls reports whether a call is the one that fails. about tells apart calls from the
// same place.
func (s *stumble) falls(name, about string, write bool) (falls, lost bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.armed || s.hit != "" || s.lost && !write {
		return false, false
	}
	place := name + about + wayHere()
	if s.been[place] {
		return false, false
	}
	if s.been == nil {
		s.been = map[string]bool{}
	}
	s.been[place], s.hit = true, name
	return true, s.lost
}

// wayHere is the lines of the engine that are being called.
func wayHere() string {
	var callers [64]uintptr
	frames := runtime.CallersFrames(callers[:runtime.Callers(1, callers[:])])
	way := ""
	for {
		f, more := frames.Next()
		if strings.Contains(f.Function, "/reconcile/engine.") {
			way += fmt.Sprintf(" %s:%d", f.Function, f.Line)
		}
		if !more {
			return way
		}
	}
}

func (s stumbling) read(name string, do func() error) error {
	if falls, _ := s.at.falls(name, "", false); falls {
		return errStumble
	}
	return do()
}

func (s stumbling) write(name, about string, do func() error) error {
	falls, lost := s.at.falls(name, about, true)
	if falls && !lost {
		return errStumble
	}
	if err := do(); err != nil || !falls {
		return err
	}
	return errStumble
}

// over puts it in the place of the real store.
func (s stumbling) over(p engine.Ports) engine.Ports {
	p.Mirror, p.Cursors, p.Queue, p.Timetable, p.Journal, p.Plans, p.Inventory = s, s, s, s, s, s, s
	p.ContentStore, p.PlanStore, p.FeatureStore, p.DisputeStore, p.History, p.Evidence, p.Withheld, p.Existing, p.Leases = s, s, s, s, s, s, s, s, s
	return p
}

func (s stumbling) BeginSweep(ctx context.Context, tok reconcile.Token) error {
	return s.write("BeginSweep", "", func() error { return s.Store.BeginSweep(ctx, tok) })
}

func (s stumbling) Stage(ctx context.Context, tok reconcile.Token, facts []reconcile.SubscriptionFacts) error {
	return s.write("Stage", "", func() error { return s.Store.Stage(ctx, tok, facts) })
}

func (s stumbling) MergeSweep(ctx context.Context, tok reconcile.Token, now time.Time) (v int, err error) {
	err = s.write("MergeSweep", "", func() error { v, err = s.Store.MergeSweep(ctx, tok, now); return err })
	return v, err
}

func (s stumbling) SaveFacts(ctx context.Context, tok reconcile.Token, facts []reconcile.SubscriptionFacts, force bool, now time.Time) error {
	return s.write("SaveFacts", "", func() error { return s.Store.SaveFacts(ctx, tok, facts, force, now) })
}

func (s stumbling) MarkGone(ctx context.Context, tok reconcile.Token, subscription string, now time.Time) error {
	return s.write("MarkGone", "", func() error { return s.Store.MarkGone(ctx, tok, subscription, now) })
}

func (s stumbling) Cursor(ctx context.Context, name string) (v string, err error) {
	err = s.read("Cursor", func() error { v, err = s.Store.Cursor(ctx, name); return err })
	return v, err
}

func (s stumbling) AllCursors(ctx context.Context) (v map[string]string, err error) {
	err = s.read("AllCursors", func() error { v, err = s.Store.AllCursors(ctx); return err })
	return v, err
}

func (s stumbling) SetCursor(ctx context.Context, tok reconcile.Token, name, value string) error {
	return s.write("SetCursor", "", func() error { return s.Store.SetCursor(ctx, tok, name, value) })
}

func (s stumbling) UnseenEvents(ctx context.Context, ids []string) (v []string, err error) {
	err = s.read("UnseenEvents", func() error { v, err = s.Store.UnseenEvents(ctx, ids); return err })
	return v, err
}

func (s stumbling) SawEvents(ctx context.Context, tok reconcile.Token, events []reconcile.Event, cursor string, forget time.Time) error {
	return s.write("SawEvents", "", func() error { return s.Store.SawEvents(ctx, tok, events, cursor, forget) })
}

func (s stumbling) SubscriptionsOf(ctx context.Context, stripeCustomers []string) (v []string, err error) {
	err = s.read("SubscriptionsOf", func() error { v, err = s.Store.SubscriptionsOf(ctx, stripeCustomers); return err })
	return v, err
}

func (s stumbling) Due(ctx context.Context, now time.Time, after string, limit int) (v []reconcile.Customer, more string, err error) {
	err = s.read("Due", func() error { v, more, err = s.Store.Due(ctx, now, after, limit); return err })
	return v, more, err
}

func (s stumbling) Customers(ctx context.Context, ids []string) (v []reconcile.Customer, err error) {
	err = s.read("Customers", func() error { v, err = s.Store.Customers(ctx, ids); return err })
	return v, err
}

func (s stumbling) Versions(ctx context.Context, ids []string) (v map[string]int64, err error) {
	err = s.read("Versions", func() error { v, err = s.Store.Versions(ctx, ids); return err })
	return v, err
}

func (s stumbling) CustomersOf(ctx context.Context, subscriptions []string) (v []string, err error) {
	err = s.read("CustomersOf", func() error { v, err = s.Store.CustomersOf(ctx, subscriptions); return err })
	return v, err
}

func (s stumbling) SavePlanned(ctx context.Context, tok reconcile.Token, run string, planned []reconcile.Planned, now time.Time) error {
	return s.write("SavePlanned", "", func() error { return s.Store.SavePlanned(ctx, tok, run, planned, now) })
}

func (s stumbling) Postpone(ctx context.Context, tok reconcile.Token, b reconcile.Backoff, now time.Time) error {
	return s.write("Postpone", "", func() error { return s.Store.Postpone(ctx, tok, b, now) })
}

func (s stumbling) MakeDue(ctx context.Context, tok reconcile.Token, ids []string, now time.Time) error {
	return s.write("MakeDue", "", func() error { return s.Store.MakeDue(ctx, tok, ids, now) })
}

func (s stumbling) LookAgain(ctx context.Context, tok reconcile.Token, subscriptions []string) error {
	return s.write("LookAgain", "", func() error { return s.Store.LookAgain(ctx, tok, subscriptions) })
}

func (s stumbling) DueCount(ctx context.Context, now time.Time) (v int, err error) {
	err = s.read("DueCount", func() error { v, err = s.Store.DueCount(ctx, now); return err })
	return v, err
}

func (s stumbling) RecordIntent(ctx context.Context, tok reconcile.Token, run string, a reconcile.Action, planID string, now time.Time) error {
	return s.write("RecordIntent", a.Kind.String(), func() error { return s.Store.RecordIntent(ctx, tok, run, a, planID, now) })
}

func (s stumbling) RecordOutcome(ctx context.Context, tok reconcile.Token, o reconcile.Outcome) error {
	return s.write("RecordOutcome", o.Action.Kind.String(), func() error { return s.Store.RecordOutcome(ctx, tok, o) })
}

func (s stumbling) CountDone(ctx context.Context, kind reconcile.ActionKind, since time.Time) (v int, err error) {
	err = s.read("CountDone", func() error { v, err = s.Store.CountDone(ctx, kind, since); return err })
	return v, err
}

func (s stumbling) CountDoneByCustomer(ctx context.Context, kind reconcile.ActionKind, since time.Time) (v map[string]int, err error) {
	err = s.read("CountDoneByCustomer", func() error { v, err = s.Store.CountDoneByCustomer(ctx, kind, since); return err })
	return v, err
}

func (s stumbling) LastPlans(ctx context.Context) (v map[reconcile.ActionKind]reconcile.HeldPlan, err error) {
	err = s.read("LastPlans", func() error { v, err = s.Store.LastPlans(ctx); return err })
	return v, err
}

func (s stumbling) Waiting(ctx context.Context) (v []reconcile.HeldPlan, err error) {
	err = s.read("Waiting", func() error { v, err = s.Store.Waiting(ctx); return err })
	return v, err
}

func (s stumbling) Standing(ctx context.Context, now time.Time, use func(reconcile.HeldAction) error) error {
	return s.read("Standing", func() error { return s.Store.Standing(ctx, now, use) })
}

func (s stumbling) StandingOf(ctx context.Context, customers []string, now time.Time, use func(reconcile.HeldAction) error) error {
	return s.read("StandingOf", func() error { return s.Store.StandingOf(ctx, customers, now, use) })
}

func (s stumbling) Hold(ctx context.Context, tok reconcile.Token, run string, p reconcile.HeldPlan) (v reconcile.HeldPlan, err error) {
	err = s.write("Hold", "", func() error { v, err = s.Store.Hold(ctx, tok, run, p); return err })
	return v, err
}

func (s stumbling) Approved(ctx context.Context, now time.Time) (v []reconcile.HeldPlan, err error) {
	err = s.read("Approved", func() error { v, err = s.Store.Approved(ctx, now); return err })
	return v, err
}

func (s stumbling) SaveOrgs(ctx context.Context, tok reconcile.Token, orgs []reconcile.Org, complete bool, now time.Time) error {
	return s.write("SaveOrgs", "", func() error { return s.Store.SaveOrgs(ctx, tok, orgs, complete, now) })
}

func (s stumbling) SaveOwners(ctx context.Context, tok reconcile.Token, org string, emails []string, now time.Time) error {
	return s.write("SaveOwners", "", func() error { return s.Store.SaveOwners(ctx, tok, org, emails, now) })
}

func (s stumbling) SaveHostings(ctx context.Context, tok reconcile.Token, org string, hostings []reconcile.Hosting, now time.Time) error {
	return s.write("SaveHostings", "", func() error { return s.Store.SaveHostings(ctx, tok, org, hostings, now) })
}

func (s stumbling) SaveHosting(ctx context.Context, tok reconcile.Token, h reconcile.Hosting, now time.Time) error {
	return s.write("SaveHosting", "", func() error { return s.Store.SaveHosting(ctx, tok, h, now) })
}

func (s stumbling) DriftDue(ctx context.Context, before, after time.Time, limit int) (v []reconcile.Hosting, err error) {
	err = s.read("DriftDue", func() error { v, err = s.Store.DriftDue(ctx, before, after, limit); return err })
	return v, err
}

func (s stumbling) NewestOrg(ctx context.Context) (v time.Time, err error) {
	err = s.read("NewestOrg", func() error { v, err = s.Store.NewestOrg(ctx); return err })
	return v, err
}

func (s stumbling) UnknownMarkers(ctx context.Context, instance string, limit int) (v []string, err error) {
	err = s.read("UnknownMarkers", func() error { v, err = s.Store.UnknownMarkers(ctx, instance, limit); return err })
	return v, err
}

func (s stumbling) ListAgain(ctx context.Context, tok reconcile.Token, subscription string) error {
	return s.write("ListAgain", "", func() error { return s.Store.ListAgain(ctx, tok, subscription) })
}

func (s stumbling) Unknown(ctx context.Context, subscriptions []string) (v []string, err error) {
	err = s.read("Unknown", func() error { v, err = s.Store.Unknown(ctx, subscriptions); return err })
	return v, err
}

func (s stumbling) UnreadOrgs(ctx context.Context, after string, limit int) (v []reconcile.Org, err error) {
	err = s.read("UnreadOrgs", func() error { v, err = s.Store.UnreadOrgs(ctx, after, limit); return err })
	return v, err
}

func (s stumbling) Mappings(ctx context.Context) (v []reconcile.Mapping, err error) {
	err = s.read("Mappings", func() error { v, err = s.Store.Mappings(ctx); return err })
	return v, err
}

func (s stumbling) Plans(ctx context.Context) (v []reconcile.EnhancePlan, more time.Time, err error) {
	err = s.read("Plans", func() error { v, more, err = s.Store.Plans(ctx); return err })
	return v, more, err
}

func (s stumbling) Features(ctx context.Context) (v []reconcile.ProductFeatures, err error) {
	err = s.read("Features", func() error { v, err = s.Store.Features(ctx); return err })
	return v, err
}

func (s stumbling) SaveFeatures(ctx context.Context, tok reconcile.Token, f reconcile.ProductFeatures) error {
	return s.write("SaveFeatures", "", func() error { return s.Store.SaveFeatures(ctx, tok, f) })
}

func (s stumbling) Disputes(ctx context.Context) (v []reconcile.Dispute, err error) {
	err = s.read("Disputes", func() error { v, err = s.Store.Disputes(ctx); return err })
	return v, err
}

func (s stumbling) SaveDisputes(ctx context.Context, tok reconcile.Token, all []reconcile.Dispute, now time.Time) error {
	return s.write("SaveDisputes", "", func() error { return s.Store.SaveDisputes(ctx, tok, all, now) })
}

func (s stumbling) SavePlans(ctx context.Context, tok reconcile.Token, plans []reconcile.EnhancePlan, now time.Time) error {
	return s.write("SavePlans", "", func() error { return s.Store.SavePlans(ctx, tok, plans, now) })
}

func (s stumbling) BoundPlans(ctx context.Context) (v []int, err error) {
	err = s.read("BoundPlans", func() error { v, err = s.Store.BoundPlans(ctx); return err })
	return v, err
}

func (s stumbling) DomainChecked(ctx context.Context, tok reconcile.Token, subscription, domain string) error {
	return s.write("DomainChecked", "", func() error { return s.Store.DomainChecked(ctx, tok, subscription, domain) })
}

func (s stumbling) KnownSubscriptions(ctx context.Context, n int) (v []string, err error) {
	err = s.read("KnownSubscriptions", func() error { v, err = s.Store.KnownSubscriptions(ctx, n); return err })
	return v, err
}

func (s stumbling) Unlisted(ctx context.Context, before time.Time, limit int) (v []string, more int, err error) {
	err = s.read("Unlisted", func() error { v, more, err = s.Store.Unlisted(ctx, before, limit); return err })
	return v, more, err
}

func (s stumbling) Gone(ctx context.Context, since time.Time) (v int, err error) {
	err = s.read("Gone", func() error { v, err = s.Store.Gone(ctx, since); return err })
	return v, err
}

func (s stumbling) LastListed(ctx context.Context) (v reconcile.ListedState, err error) {
	err = s.read("LastListed", func() error { v, err = s.Store.LastListed(ctx); return err })
	return v, err
}

func (s stumbling) ClockSkew(ctx context.Context) (v time.Duration, err error) {
	err = s.read("ClockSkew", func() error { v, err = s.Store.ClockSkew(ctx); return err })
	return v, err
}

func (s stumbling) BeginRun(ctx context.Context, tok reconcile.Token, r reconcile.RunRecord) error {
	return s.write("BeginRun", "", func() error { return s.Store.BeginRun(ctx, tok, r) })
}

func (s stumbling) EndRun(ctx context.Context, tok reconcile.Token, r reconcile.RunRecord, l *reconcile.ListedState) error {
	return s.write("EndRun", "", func() error { return s.Store.EndRun(ctx, tok, r, l) })
}

func (s stumbling) Counts(ctx context.Context) (v reconcile.Counts, err error) {
	err = s.read("Counts", func() error { v, err = s.Store.Counts(ctx); return err })
	return v, err
}

func (s stumbling) RunActions(ctx context.Context, run string, yield func(reconcile.ActionRecord) error) error {
	return s.read("RunActions", func() error { return s.Store.RunActions(ctx, run, yield) })
}

func (s stumbling) FirstHolds(ctx context.Context, most int, without func(customer string) bool) (v []reconcile.Hold, more reconcile.HoldCounts, err error) {
	err = s.read("FirstHolds", func() error { v, more, err = s.Store.FirstHolds(ctx, most, without); return err })
	return v, more, err
}

func (s stumbling) HoldCounts(ctx context.Context) (v reconcile.HoldCounts, err error) {
	err = s.read("HoldCounts", func() error { v, err = s.Store.HoldCounts(ctx); return err })
	return v, err
}

func (s stumbling) HoldsOf(ctx context.Context, customers []string) (v []reconcile.Hold, err error) {
	err = s.read("HoldsOf", func() error { v, err = s.Store.HoldsOf(ctx, customers); return err })
	return v, err
}

func (s stumbling) Acquire(ctx context.Context, owner string, now time.Time, ttl time.Duration) (v reconcile.Token, more string, until time.Time, err error) {
	err = s.write("Acquire", "", func() error { v, more, until, err = s.Store.Acquire(ctx, owner, now, ttl); return err })
	return v, more, until, err
}

func (s stumbling) Release(ctx context.Context, tok reconcile.Token) error {
	return s.write("Release", "", func() error { return s.Store.Release(ctx, tok) })
}

func (s stumbling) Nudge(ctx context.Context, subscriptions []string, why string, now time.Time) error {
	return s.write("Nudge", "", func() error { return s.Store.Nudge(ctx, subscriptions, why, now) })
}

func (s stumbling) TakeNudges(ctx context.Context, tok reconcile.Token, before time.Time) (v []string, err error) {
	err = s.write("TakeNudges", "", func() error { v, err = s.Store.TakeNudges(ctx, tok, before); return err })
	return v, err
}

func (s stumbling) TakeNamed(ctx context.Context, tok reconcile.Token, limit int) (v []string, err error) {
	err = s.write("TakeNamed", "", func() error { v, err = s.Store.TakeNamed(ctx, tok, limit); return err })
	return v, err
}

func (s stumbling) ForgetNamed(ctx context.Context, tok reconcile.Token, ids []string) error {
	return s.write("ForgetNamed", "", func() error { return s.Store.ForgetNamed(ctx, tok, ids) })
}

func (s stumbling) LeaveNudges(ctx context.Context, tok reconcile.Token, ids []string) error {
	return s.write("LeaveNudges", "", func() error { return s.Store.LeaveNudges(ctx, tok, ids) })
}

func (s stumbling) LeaveCrowd(ctx context.Context, tok reconcile.Token, most int) (v bool, err error) {
	err = s.write("LeaveCrowd", "", func() error { v, err = s.Store.LeaveCrowd(ctx, tok, most); return err })
	return v, err
}

func (s stumbling) ForgetNudges(ctx context.Context, tok reconcile.Token, ids []string) error {
	return s.write("ForgetNudges", "", func() error { return s.Store.ForgetNudges(ctx, tok, ids) })
}

func (s stumbling) FullNudged(ctx context.Context) (v bool, err error) {
	err = s.read("FullNudged", func() error { v, err = s.Store.FullNudged(ctx); return err })
	return v, err
}

func (s stumbling) SaveContent(ctx context.Context, tok reconcile.Token, org string, sites []reconcile.Website, unread string, now time.Time) error {
	return s.write("SaveContent", "", func() error { return s.Store.SaveContent(ctx, tok, org, sites, unread, now) })
}

func (s stumbling) Unbound(ctx context.Context) (v reconcile.Unbound, err error) {
	err = s.read("Unbound", func() error { v, err = s.Store.Unbound(ctx); return err })
	return v, err
}

func (s stumbling) AskAboutUnbound(ctx context.Context, tok reconcile.Token, now time.Time) (v reconcile.Unbound, err error) {
	err = s.write("AskAboutUnbound", "", func() error { v, err = s.Store.AskAboutUnbound(ctx, tok, now); return err })
	return v, err
}

func (s stumbling) NoteHidden(ctx context.Context, tok reconcile.Token, since time.Time) error {
	return s.write("NoteHidden", "", func() error { return s.Store.NoteHidden(ctx, tok, since) })
}

func (s stumbling) SaveSites(ctx context.Context, tok reconcile.Token, domain string, sites []reconcile.WebsiteLocation, now time.Time) error {
	return s.write("SaveSites", "", func() error { return s.Store.SaveSites(ctx, tok, domain, sites, now) })
}

func (s stumbling) Duplicates(ctx context.Context, instance string, limit int) (v []reconcile.Duplicate, err error) {
	err = s.read("Duplicates", func() error { v, err = s.Store.Duplicates(ctx, instance, limit); return err })
	return v, err
}

func (s stumbling) SeenLast(ctx context.Context, limit int) (v []reconcile.Hosting, err error) {
	err = s.read("SeenLast", func() error { v, err = s.Store.SeenLast(ctx, limit); return err })
	return v, err
}
